"""atelier/billing/verify_event.py: only what Stripe signed, for this endpoint and about now, is a webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from atelier.billing.verify_event import API_VERSION, WebhookAccess, is_live_key, verify_event, webhook_access
from atelier.errors import BadRequest, Unavailable
from atelier.inbox.receive import VerifiedWebhook

SECRET, OLD_SECRET, FOREIGN_SECRET = "whsec_present", "whsec_before", "whsec_of_somebody_else"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "api_version": API_VERSION,
    "livemode": False,
    "type": "invoice.paid",
    "data": {"object": {"id": "in_1", "object": "invoice"}},
}
ADDRESS = {"event": "evt_1", "type": "invoice.paid", "object": "in_1"}


def header(body: bytes, *secrets: str, at: datetime = NOW) -> str:
    """The header as Stripe writes it, signed by its own SDK, with a signature for each secret."""
    made = [
        stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=int(at.timestamp()))
        for secret in secrets
    ]
    return ",".join([made[0], *(each.partition(",")[2] for each in made[1:])])


def verify(body: bytes, signature: str, *secrets: str) -> VerifiedWebhook:
    known = WebhookAccess(secrets or [SECRET], livemode=False)
    return verify_event({"stripe-signature": signature}, body, NOW, access=lambda fresh: known)


def encoded(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def test_the_pinned_version_is_the_sdks() -> None:
    assert stripe.api_version == API_VERSION


def test_a_signed_event_gives_its_id_and_the_id_of_its_object() -> None:
    body = encoded()
    found = verify(body, header(body, SECRET))
    assert (found.subject, found.event_id, found.address) == ("in_1", "evt_1", ADDRESS)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_signature_of_five_minutes_ago_or_ahead_is_valid(seconds: int) -> None:
    body = encoded()
    assert verify(body, header(body, SECRET, at=NOW + timedelta(seconds=seconds))).event_id == "evt_1"


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_from_further_away_is_refused_both_ways(seconds: int) -> None:
    body = encoded()
    with pytest.raises(BadRequest, match="too far"):
        verify(body, header(body, SECRET, at=NOW + timedelta(seconds=seconds)))


def test_both_secrets_are_valid_while_one_replaces_the_other() -> None:
    body = encoded()
    for signed in (header(body, SECRET), header(body, OLD_SECRET), header(body, FOREIGN_SECRET, OLD_SECRET)):
        assert verify(body, signed, SECRET, OLD_SECRET).event_id == "evt_1"


def test_a_secret_that_was_replaced_a_moment_ago_is_read_anew() -> None:
    body, reads = encoded(), list[bool]()

    def access(fresh: bool) -> WebhookAccess:
        reads.append(fresh)
        return WebhookAccess([SECRET if fresh else OLD_SECRET], False)

    found = verify_event({"stripe-signature": header(body, SECRET)}, body, NOW, access=access)
    assert (found.event_id, reads) == ("evt_1", [False, True])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda signed: header(encoded(), FOREIGN_SECRET), id="another secret"),
        pytest.param(lambda signed: header(encoded(id="evt_2"), SECRET), id="another body"),
        pytest.param(lambda signed: header(encoded() + b" ", SECRET), id="one space less"),
        pytest.param(lambda signed: signed.replace("v1=", "v0="), id="an older scheme"),
        pytest.param(lambda signed: "", id="no header"),
        pytest.param(lambda signed: signed.partition(",")[2], id="no timestamp"),
        pytest.param(lambda signed: f"t=now,{signed.partition(',')[2]}", id="no number"),
        pytest.param(lambda signed: f"t={int(NOW.timestamp()) + 1},{signed.partition(',')[2]}", id="another time"),
    ],
)
def test_what_stripe_did_not_sign_is_refused(change: Callable[[str], str]) -> None:
    body = encoded()
    with pytest.raises(BadRequest):
        verify(body, change(header(body, SECRET)))


def test_an_empty_secret_never_signs() -> None:
    body, known = encoded(), webhook_access({"api_key": "sk_test_1", "webhook_secrets": [""]})
    with pytest.raises(Unavailable):
        verify_event({"stripe-signature": header(body, "")}, body, NOW, access=lambda fresh: known)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"object": "event"}',
        encoded(object="v2.core.event"),
        encoded(id=7),
        encoded(id="evt#1"),
        encoded(type="Invoice Paid"),
        encoded(data={"object": None}),
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        verify(body, signed_bytes(body))


def signed_bytes(body: bytes) -> str:
    at = int(NOW.timestamp())
    return f"t={at},v1={hmac.new(SECRET.encode(), f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"livemode": True}, "other_mode"), ({"account": "acct_1"}, "other_account")],
)
def test_an_event_of_another_mode_or_account_is_kept_and_ignored(changes: dict[str, Any], reason: str) -> None:
    body = encoded(**changes)
    assert verify(body, header(body, SECRET)).address == {**ADDRESS, "ignored": reason}


def test_an_event_of_another_api_version_is_accepted_because_its_object_is_read_anew() -> None:
    body = encoded(api_version="2020-08-27")
    assert verify(body, header(body, SECRET)).address == ADDRESS


def test_an_object_without_an_id_has_its_event_as_the_subject() -> None:
    body = encoded(type="balance.available", data={"object": {"object": "balance"}})
    assert verify(body, header(body, SECRET)).subject == "evt_1"


def test_the_mode_follows_from_the_key() -> None:
    live = [is_live_key(key) for key in ("sk_live_1", "rk_live_1", "sk_test_1", "rk_test_1", "")]
    assert live == [True, True, False, False, False]
