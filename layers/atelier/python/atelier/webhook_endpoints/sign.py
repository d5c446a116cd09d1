"""Signatures by Standard Webhooks 1.0 (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from atelier.webhook_endpoints.model import SECRET_BYTES, SECRET_PREFIX


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def body_of(event_type: str, occurred_at: str, data: Mapping[str, Any]) -> str:
    """The body of a webhook. What is stored, signed and sent is this text in UTF-8."""
    content = {"type": event_type, "timestamp": occurred_at, "data": dict(data)}
    # ASCII alone: half of a surrogate pair has no UTF-8 form.
    return json.dumps(content, separators=(",", ":"))


def signed_headers(message_id: str, body: str, signing_secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers that let a receiver verify a body: one signature for each secret."""
    timestamp = str(int(now.timestamp()))
    signatures = [_signature(secret, f"{message_id}.{timestamp}.{body}") for secret in signing_secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, content: str) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, content.encode(), hashlib.sha256).digest()).decode()
