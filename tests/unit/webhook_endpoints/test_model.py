"""The rules of outbound webhooks: which events an endpoint takes, when attempts are made, and what signs them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from atelier.ids import created_at, is_id
from atelier.webhook_endpoints.manage import known_events
from atelier.webhook_endpoints.model import (
    RETRY_SECONDS,
    SLOTS,
    EndpointHealth,
    SealedText,
    SigningSecret,
    delivery_id,
    matches,
    retry_at,
    unknown_events,
)
from atelier.webhook_endpoints.sign import body_of, new_secret, signed_headers

NOW = datetime(2026, 11, 20, 21, 4, 5, 123000, UTC)
BODY = body_of("generation.succeeded", "2026-11-20T21:04:05.123Z", {"prompt": "ü \ud83d\ude00 \u2028", "n": 1})


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ("*", "invoice.paid", True),
        ("generation.*", "generation.failed", True),
        ("generation.*", "generations.failed", False),
        ("invoice.paid", "invoice.paid", True),
        ("invoice.paid", "invoice.paid.late", False),
    ],
)
def test_a_pattern_names_the_events_that_it_says(pattern: str, event: str, expected: bool) -> None:
    assert matches(pattern, event) is expected


def test_a_pattern_without_an_event_is_unknown() -> None:
    assert unknown_events(["*", "generation.*", "drill.passed", "x.*"], known_events()) == ["drill.passed", "x.*"]


def test_a_delivery_has_the_same_id_whenever_its_event_comes() -> None:
    first = delivery_id("whe_A", "gen_B#succeeded", NOW)
    assert first == delivery_id("whe_A", "gen_B#succeeded", NOW)
    assert first != delivery_id("whe_C", "gen_B#succeeded", NOW)
    assert is_id(first, "whd")
    assert created_at(first) == NOW


def test_the_pauses_between_attempts_are_those_of_the_plan() -> None:
    total = timedelta()
    for failures, seconds in enumerate(RETRY_SECONDS, 1):
        at = retry_at(failures, None, 0.5, NOW)
        assert at == NOW + timedelta(seconds=seconds)
        for jitter in (0.0, 0.999):
            other = retry_at(failures, None, jitter, NOW)
            assert other is not None
            assert abs((other - NOW).total_seconds() - seconds) <= seconds / 10
        total += timedelta(seconds=seconds)
    assert retry_at(len(RETRY_SECONDS) + 1, None, 0.5, NOW) is None
    assert timedelta(days=3) < total < timedelta(days=4)


@pytest.mark.parametrize(("demanded", "seconds"), [(1, 5), (60, 60), (10**9, 86400)])
def test_a_receiver_may_demand_a_longer_pause_of_up_to_a_day(demanded: int, seconds: int) -> None:
    assert retry_at(1, demanded, 0.5, NOW) == NOW + timedelta(seconds=seconds)


def test_a_failing_endpoint_has_one_slot_and_a_healthy_one_five() -> None:
    taken = "2026-11-20T21:05:00.000Z whr_A"
    now, later = "2026-11-20T21:04:05.123Z", "2026-11-20T21:05:00.001Z"
    healthy = EndpointHealth(slots=(taken, None, taken, taken, taken))
    assert healthy.free_slot(now) == 1
    assert EndpointHealth(slots=(taken,) * SLOTS).free_slot(now) is None
    assert EndpointHealth(slots=(taken,) * SLOTS).free_slot(later) == 0
    failing = EndpointHealth(failing_since=NOW, slots=(taken, None, None, None, None))
    assert failing.free_slot(now) is None
    assert failing.free_slot(later) == 0


def test_the_published_library_verifies_what_is_signed() -> None:
    secret = new_secret()
    now = datetime.now(UTC)
    headers = signed_headers("whd_A", BODY, [secret], now)
    assert Webhook(secret).verify(BODY.encode(), headers) == json.loads(BODY)
    assert json.loads(BODY).keys() == {"type", "timestamp", "data"}
    for changed in (BODY + " ", BODY.replace("1", "2")):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(changed, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_either_secret_verifies_while_one_replaces_the_other() -> None:
    old, newest = new_secret(), new_secret()
    headers = signed_headers("whd_A", BODY, [newest, old], datetime.now(UTC))
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (old, newest):
        assert Webhook(secret).verify(BODY, headers)


def test_a_replaced_secret_signs_for_a_day() -> None:
    first, second, third = (SealedText(name, "kid") for name in ("1", "2", "3"))
    rotated = SigningSecret(first).rotated(second, NOW)
    assert rotated.valid(NOW + timedelta(hours=23, minutes=59)) == (second, first)
    assert rotated.valid(NOW + timedelta(hours=24)) == (second,)
    assert rotated.rotated(third, NOW).valid(NOW) == (third, second)
