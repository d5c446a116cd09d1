"""Webhook signatures by Standard Webhooks 1.0 (https://www.standardwebhooks.com), which several providers use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from atelier.provider_port import WebhookInvalid

TOLERANCE_SECONDS = 300


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, now_seconds: int) -> str:
    """Verify a webhook and return its event id: one of its signatures over the raw body must match, and its timestamp
    must be within five minutes of `now_seconds`. secret: `whsec_` followed by base64. Header names are lower-case.
    Raises WebhookInvalid."""
    event_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not (event_id and sent_at and signatures):
        raise WebhookInvalid("a webhook header is missing")
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 12):
        raise WebhookInvalid("the timestamp is no number")
    if abs(now_seconds - int(sent_at)) > TOLERANCE_SECONDS:
        raise WebhookInvalid("the timestamp is too far from now")
    expected = hmac.new(_signing_key(secret), f"{event_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    for signature in signatures.split(" "):
        version, _, text = signature.partition(",")
        if version == "v1" and hmac.compare_digest(_base64_bytes(text), expected):
            return event_id
    raise WebhookInvalid("no signature is right")


def _signing_key(secret: str) -> bytes:
    key = _base64_bytes(secret.removeprefix("whsec_"))
    # With an empty key, anybody could compute a valid signature.
    if len(key) < 16:
        raise WebhookInvalid("no usable signing secret is configured")
    return key


def _base64_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
