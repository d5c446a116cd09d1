"""The inbox: a webhook reaches the handler of its source, and a failure is never taken for done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from atelier.errors import BadRequest, NotFound
from atelier.inbox.dispatch import ArrivedWebhook, dispatch
from atelier.inbox.ports import StoredWebhook
from atelier.inbox.receive import ReceiveDeps, VerifiedWebhook, receive

NOW = datetime(2026, 11, 20, 21, 10, tzinfo=UTC)
PAYMENT = ArrivedWebhook("payments", "evt_1", {"invoice": "inv_1"})
JOB = ArrivedWebhook("jobs", "msg_1", {"attempt_id": "att_1"})


def test_a_webhook_reaches_the_handler_of_its_source() -> None:
    received: list[Mapping[str, str]] = []
    dispatch([PAYMENT, JOB], {"payments": received.append, "jobs": lambda address: None})
    assert received == [PAYMENT.address]


def test_a_failing_webhook_fails_the_batch_after_the_others_are_handled() -> None:
    received: list[Mapping[str, str]] = []

    def fail(address: Mapping[str, str]) -> None:
        raise ConnectionError

    with pytest.raises(ExceptionGroup, match="1 webhooks failed"):
        dispatch([JOB, PAYMENT], {"jobs": fail, "payments": received.append})
    assert received == [PAYMENT.address]


def test_a_webhook_of_an_unknown_source_fails_the_batch() -> None:
    with pytest.raises(ExceptionGroup) as failed:
        dispatch([PAYMENT], {})
    assert [type(error) for error in failed.value.exceptions] == [KeyError]


class Inbox:
    """WebhookInbox in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], Mapping[str, str]] = {}

    def keep(
        self,
        source: str,
        subject: str,
        event_id: str,
        address: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> bool:
        is_new = (source, subject, event_id) not in self.kept
        self.kept.setdefault((source, subject, event_id), headers)
        return is_new

    def find(self, source: str, subject: str) -> list[StoredWebhook]:
        raise AssertionError


def verify_payment(token: str, headers: Mapping[str, str], body: bytes, now: datetime) -> VerifiedWebhook:
    if headers["signature"] != "valid":
        raise BadRequest("The signature is not valid.")
    return VerifiedWebhook("inv_1", "evt_1", {"invoice": "inv_1"}, {"signature": headers["signature"]})


def test_a_verified_webhook_is_stored_once_with_its_signed_headers() -> None:
    inbox = Inbox()
    deps, headers = ReceiveDeps(inbox, {"payments": verify_payment}), {"signature": "valid", "cookie": "a=1"}
    assert [receive("payments", "t", headers, b"{}", deps=deps, now=NOW) for _ in range(2)] == [True, False]
    assert inbox.kept == {("payments", "inv_1", "evt_1"): {"signature": "valid"}}


@pytest.mark.parametrize(("source", "refusal"), [("payments", BadRequest), ("nobody", NotFound)])
def test_an_unverified_webhook_is_not_stored(source: str, refusal: type[Exception]) -> None:
    inbox = Inbox()
    deps = ReceiveDeps(inbox, {"payments": verify_payment})
    with pytest.raises(refusal):
        receive(source, "t", {"signature": "forged"}, b"{}", deps=deps, now=NOW)
    assert inbox.kept == {}
