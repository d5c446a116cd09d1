"""functions/events/report_errors with Sentry's SDK and a receiver on this machine: errors arrive, once, and nothing
that a person wrote arrives with them."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from atelier.errors import Unavailable
from atelier.telemetry import logger
from atelier.wiring.error_reports import error_tracker
from tests.embedded_aws import clear_wiring_caches
from tests.functions.sentry_receiver import SentryReceiver
from tests.invoke import event, load_function

CANARIES = ("a lighthouse of canaries", "sk-canary-0123456789", "canary@example.com", "canary body")


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Iterator[SentryReceiver]:
    with SentryReceiver() as receiver:
        variables = {"STAGE": "test", "PUBLIC_URL": "https://atelier.example", "SENTRY_DSN": receiver.dsn}
        for name, value in variables.items():
            monkeypatch.setenv(f"ATELIER_{name}", value)
        clear_wiring_caches(clients=False)
        error_tracker.cache_clear()
        yield receiver
        error_tracker.cache_clear()


def batch(*lines: str) -> dict[str, Any]:
    """What CloudWatch Logs delivers for these lines."""
    found = [{"id": str(place), "timestamp": 1_795_966_341_594, "message": line} for place, line in enumerate(lines)]
    data = gzip.compress(json.dumps({"messageType": "DATA_MESSAGE", "logEvents": found}).encode())
    return {"awslogs": {"data": base64.b64encode(data).decode()}}


def lines_with_canaries(log: io.StringIO) -> list[str]:
    """Lines of errors that quote what a person sent, as our logger and the Lambda runtime write them."""
    prompt, key, address, body = CANARIES
    try:
        raise ValueError(f"cannot read {prompt!r} of {address} with {key}: {body}")
    except ValueError:
        facts = {"generation_id": "gen_1", "prompt": prompt, "to": address, "body": body}
        logger.exception("webhook failed", extra=facts)
    stack = f'  File "/var/task/app.py", line 3, in handler\n    send({body!r})\n'
    runtime = f"[ERROR] TypeError: {prompt} {key}\nTraceback (most recent call last):\n{stack}"
    return [*log.getvalue().splitlines(), runtime, "Task timed out after 15.00 seconds"]


def test_errors_arrive_without_what_a_person_wrote(sentry: SentryReceiver, log: io.StringIO) -> None:
    load_function("events/report_errors").handler(batch(*lines_with_canaries(log), "START RequestId: 1"), None)
    assert [each.get("exception", {}).get("values", [{}])[0].get("type") for each in sentry.events] == [
        "ValueError",
        "TypeError",
        None,
    ]
    first, second, third = sentry.events
    assert first["exception"]["values"][0]["value"] == "webhook failed"
    assert first["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"] == "lines_with_canaries"
    assert first["tags"]["generation_id"] == "gen_1"
    assert second["exception"]["values"][0]["stacktrace"]["frames"][0]["lineno"] == 3
    assert third["message"] == "Task timed out"
    everything = b"".join(sentry.bodies).decode()
    assert [canary for canary in CANARIES if canary in everything] == []
    assert "send(" not in everything


def test_a_repeated_batch_has_the_same_ids(sentry: SentryReceiver) -> None:
    for _ in range(2):
        load_function("events/report_errors").handler(batch("Task timed out after 15.00 seconds"), None)
    assert len(sentry.events) == 2
    assert len({each["event_id"] for each in sentry.events}) == 1


def test_lines_without_an_error_call_nobody(sentry: SentryReceiver) -> None:
    load_function("events/report_errors").handler(batch("START RequestId: 1", '{"level": "INFO"}'), None)
    assert sentry.bodies == []


@pytest.mark.parametrize("status", [429, 500, 403])
def test_what_the_tracker_does_not_accept_is_repeated(sentry: SentryReceiver, status: int) -> None:
    sentry.status = status
    with pytest.raises(Unavailable):
        load_function("events/report_errors").handler(batch("Task timed out"), None)
    # A refusal for a time (429) holds for that tracker; the repetition comes later, and often to another process.
    error_tracker.cache_clear()
    sentry.status = 200
    load_function("events/report_errors").handler(batch("Task timed out"), None)
    assert sentry.events[-1]["message"] == "Task timed out"


def test_a_tracker_that_cannot_be_reached_is_a_failure(monkeypatch: pytest.MonkeyPatch, sentry: SentryReceiver) -> None:
    with SentryReceiver() as gone:
        dsn = gone.dsn
    monkeypatch.setenv("ATELIER_SENTRY_DSN", dsn)
    clear_wiring_caches(clients=False)
    error_tracker.cache_clear()
    with pytest.raises(Unavailable):
        load_function("events/report_errors").handler(batch("Task timed out"), None)


def test_the_example_is_what_cloudwatch_delivers(sentry: SentryReceiver) -> None:
    load_function("events/report_errors").handler(event("events/report_errors/logged"), None)
    [found] = sentry.events
    assert found["exception"]["values"][0]["type"] == "KeyError"
