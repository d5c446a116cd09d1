"""Webhooks of Mux (docs.mux.com/docs/core/verify-webhook-signatures): verified by their raw bytes. An event says only
which livestream to look at."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from atelier.errors import BadRequest
from atelier.ids import is_id
from atelier.inbox.receive import VerifiedWebhook
from atelier.inbox.verify_header import ReadSecrets, json_object, verify_header

HEADER = "mux-signature"
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TYPE = re.compile(r"[a-z0-9_.]{1,100}")


def secrets_of(entry: Mapping[str, Any]) -> list[str]:
    """The signing secrets in the entry of the providers secret."""
    found = cast("list[Any]", entry.get("webhook_secrets") or [])
    return [each for each in found if isinstance(each, str) and each]


def verify_webhook(headers: Mapping[str, str], body: bytes, now: datetime, *, secrets: ReadSecrets) -> VerifiedWebhook:
    """The webhook with this body, if Mux has signed it within five minutes of `now`. Header names are lower-case. The
    address has the livestream, or nothing for an event about what is not ours. Raises BadRequest, Unavailable while no
    secret is configured."""
    signature = headers.get(HEADER, "")
    verify_header(signature, body, now, secrets=secrets, header_name="Mux-Signature", sender="the streaming service")
    event = _parse_event(body)
    passthrough = str(event["data"].get("passthrough") or "")
    livestream_id = passthrough.rpartition("/")[2]
    address = {"livestream": livestream_id} if is_id(livestream_id, "liv") else {}
    subject = livestream_id if address else event["id"]
    address["type"] = event["type"]
    return VerifiedWebhook(subject, event["id"], address, {HEADER: headers[HEADER]}, _without_secrets(event))


def _without_secrets(event: Mapping[str, Any]) -> bytes:
    """The event without what its object says: that has the stream key. What the object says is read anew anyway."""
    data = {name: event["data"].get(name) for name in ("id", "status", "passthrough")}
    kept = {name: event.get(name) for name in ("type", "id", "created_at", "object")}
    return json.dumps({**kept, "data": data}).encode()


def _parse_event(body: bytes) -> dict[str, Any]:
    found = json_object(body)
    has_name = _matches(_ID, found.get("id")) and _matches(_TYPE, found.get("type"))
    if not has_name or not isinstance(found.get("data"), dict):
        raise BadRequest("The body is no event.")
    return found


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
