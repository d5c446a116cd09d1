"""Signatures by Standard Webhooks: the published vector, the reference implementation, and slightly wrong headers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from atelier.adapters.providers._standard_webhooks import TOLERANCE_SECONDS, verify_webhook
from atelier.provider_port import WebhookInvalid

# From the specification's own test-suite.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT_ID, SENT_AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers(**change: str) -> dict[str, str]:
    named = {"id": EVENT_ID, "timestamp": str(SENT_AT), "signature": SIGNATURE} | change
    return {f"webhook-{name}": value for name, value in named.items()}


def test_the_published_test_vector_verifies() -> None:
    assert verify_webhook(SECRET, headers(), BODY, SENT_AT) == EVENT_ID


@given(st.binary(max_size=300), st.integers(10**9, 2 * 10**9))
def test_a_signature_of_the_reference_implementation_verifies(body: bytes, at: int) -> None:
    text = body.hex()
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(at, UTC), text)
    sent = headers(id="msg_1", timestamp=str(at), signature=signature)
    assert verify_webhook(SECRET, sent, text.encode(), at) == "msg_1"


@pytest.mark.parametrize("offset", [-TOLERANCE_SECONDS, 0, TOLERANCE_SECONDS])
def test_a_timestamp_within_five_minutes_is_accepted(offset: int) -> None:
    assert verify_webhook(SECRET, headers(), BODY, SENT_AT + offset)


@pytest.mark.parametrize("offset", [-TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 1])
def test_a_timestamp_beyond_five_minutes_is_refused(offset: int) -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(SECRET, headers(), BODY, SENT_AT + offset)


def test_one_valid_signature_among_several_is_enough() -> None:
    several = f"v1a,c29tZXRoaW5n v1,{'A' * 43}= {SIGNATURE}"
    assert verify_webhook(SECRET, headers(signature=several), BODY, SENT_AT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"signature": ""},
        {"signature": "v1,"},
        {"signature": "v1"},
        {"signature": SIGNATURE.removeprefix("v1,")},
        {"signature": SIGNATURE.replace("v1", "v1a")},
        {"signature": SIGNATURE.replace("v1", "v2")},
        {"signature": SIGNATURE.replace("=", "")},
        {"signature": f"v1,{'A' * 43}="},
        {"signature": "v1,ünïcode"},
        {"id": "msg_other"},
        {"id": ""},
        {"timestamp": str(SENT_AT + 1)},
        {"timestamp": ""},
        {"timestamp": "-1"},
        {"timestamp": f" {SENT_AT}"},
        {"timestamp": "١٦١٤٢٦٥٣٣٠"},
        {"timestamp": "9" * 400},
    ],
    ids=str,
)
def test_a_wrong_header_is_invalid(wrong: dict[str, str]) -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(SECRET, headers(**wrong), BODY, SENT_AT)


def test_an_altered_body_is_invalid() -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(SECRET, headers(), BODY + b" ", SENT_AT)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "not base64 at all !!"])
def test_a_missing_or_short_secret_accepts_nothing(secret: str) -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(secret, headers(), BODY, SENT_AT)
