"""Webhooks of Mux: the documented signature, and what is stored of them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier.adapters.streaming.mux_webhooks import secrets_of, verify_webhook
from atelier.errors import BadRequest, Unavailable
from atelier.inbox.receive import VerifiedWebhook

SECRET = "mux_secret"
AT = datetime.fromtimestamp(1_700_000_000, UTC)
LIVESTREAM = "liv_01M7WD7TG0T417W7ET0TSPCPKJ"
EVENT: dict[str, Any] = {
    "type": "video.live_stream.active",
    "id": "1f2e3d4c-0000-4000-8000-000000000001",
    "created_at": "2023-11-14T22:13:20.000000Z",
    "object": {"type": "live_stream", "id": "abc"},
    "data": {"id": "abc", "status": "active", "stream_key": "very-secret", "passthrough": f"wsp_A/{LIVESTREAM}"},
}


def sent(body: bytes, *, secret: str = SECRET, at: datetime = AT) -> dict[str, str]:
    seconds = int(at.timestamp())
    signature = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return {"mux-signature": f"t={seconds},v1={signature}"}


def verify(body: bytes, headers: dict[str, str], secrets: Sequence[str] = (SECRET,)) -> VerifiedWebhook:
    return verify_webhook(headers, body, AT, secrets=lambda fresh: secrets)


def test_the_documented_vector_is_signed() -> None:
    body = b'{"type":"video.asset.ready"}'
    documented = "t=1700000000,v1=e541997e88269930d08bf33caa66d3c09eaa813ac251b0ad72424b0f7ac02a38"
    assert sent(body)["mux-signature"] == documented
    # It has no id, so it is signed and no event.
    with pytest.raises(BadRequest, match="no event"):
        verify(body, {"mux-signature": documented})


def test_a_webhook_names_its_livestream_and_keeps_no_key() -> None:
    body = json.dumps(EVENT).encode()
    found = verify(body, sent(body))
    assert (found.subject, found.event_id) == (LIVESTREAM, EVENT["id"])
    assert found.address == {"livestream": LIVESTREAM, "type": "video.live_stream.active"}
    assert found.body is not None
    assert b"very-secret" not in found.body
    assert json.loads(found.body)["data"] == {"id": "abc", "status": "active", "passthrough": f"wsp_A/{LIVESTREAM}"}


def test_two_secrets_count_while_one_replaces_the_other() -> None:
    body = json.dumps(EVENT).encode()
    assert verify(body, sent(body), ("new", SECRET)).event_id
    assert secrets_of({"webhook_secrets": ["a", "", 3]}) == ["a"]
    with pytest.raises(Unavailable):
        verify(body, sent(body), ())


@pytest.mark.parametrize(
    "header",
    ["", "t=1700000000", "v1=00", "t=x,v1=00", "t=1700000000,v1=00", "t=1700000000,v0=00", "t=99999999999999,v1=00"],
)
def test_a_header_that_proves_nothing_is_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        verify(json.dumps(EVENT).encode(), {"mux-signature": header})


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_future_signature_is_refused(minutes: int) -> None:
    body = json.dumps(EVENT).encode()
    with pytest.raises(BadRequest, match="too far"):
        verify(body, sent(body, at=AT + timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    "event",
    [[], 1, {}, {**EVENT, "id": 3}, {**EVENT, "type": "A B"}, {**EVENT, "data": []}, {**EVENT, "id": "x" * 200}],
)
def test_a_signed_body_that_is_no_event_is_refused(event: Any) -> None:
    body = json.dumps(event).encode()
    with pytest.raises(BadRequest):
        verify(body, sent(body))


def test_an_event_of_somebody_else_names_no_livestream() -> None:
    for passthrough in (None, "other", "wsp_A/liv_none", 7):
        body = json.dumps({**EVENT, "data": {"id": "abc", "passthrough": passthrough}}).encode()
        assert verify(body, sent(body)).address == {"type": "video.live_stream.active"}
