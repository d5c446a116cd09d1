"""Webhooks of Mux (docs.mux.com/docs/core/verify-webhook-signatures): verified by their raw bytes. An event says only
which livestream to look at."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from atelier.errors import BadRequest, Unavailable
from atelier.ids import is_id
from atelier.inbox.receive import VerifiedWebhook

TOLERANCE_SECONDS = 300
SIGNATURES_MAX = 10
HEADER = "mux-signature"
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TYPE = re.compile(r"[a-z0-9_.]{1,100}")
# (fresh) -> the secrets, two while one replaces the other; `fresh` reads them anew.
ReadSecrets = Callable[[bool], Sequence[str]]


def secrets_of(entry: Mapping[str, Any]) -> list[str]:
    """The signing secrets in the entry of the providers secret."""
    found = cast("list[Any]", entry.get("webhook_secrets") or [])
    return [each for each in found if isinstance(each, str) and each]


def verify_webhook(headers: Mapping[str, str], body: bytes, now: datetime, *, secrets: ReadSecrets) -> VerifiedWebhook:
    """The webhook with this body, if Mux has signed it within five minutes of `now`. Header names are lower-case. The
    address has the livestream, or nothing for an event about what is not ours. Raises BadRequest, Unavailable while no
    secret is configured."""
    sent_at, signatures = _parse_header(headers.get(HEADER, ""))
    if abs(now.timestamp() - sent_at) > TOLERANCE_SECONDS:
        raise BadRequest("The timestamp of the signature is too far from now.")
    if not _is_signed(secrets(False), sent_at, signatures, body):
        # The secret may have been replaced a moment ago.
        known = secrets(True)
        if not known:
            raise Unavailable("No signing secret of the streaming service is configured.")
        if not _is_signed(known, sent_at, signatures, body):
            raise BadRequest("No signature is right.")
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


def _parse_header(header: str) -> tuple[int, list[bytes]]:
    """The timestamp (Unix seconds) and the signatures of scheme v1 in `t=1700000000,v1=5257…`."""
    sent_at, signatures = "", list[bytes]()
    for part in header.split(",")[: 4 * SIGNATURES_MAX]:
        name, _, value = part.strip().partition("=")
        if name == "t":
            sent_at = value
        elif name == "v1":
            signatures.append(value.encode(errors="replace"))
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 12 and signatures):
        raise BadRequest("The header Mux-Signature is missing or has no timestamp or no signature.")
    return int(sent_at), signatures[:SIGNATURES_MAX]


def _is_signed(secrets: Sequence[str], sent_at: int, signatures: Sequence[bytes], body: bytes) -> bool:
    signed = f"{sent_at}.".encode() + body
    expected = [hmac.new(each.encode(), signed, hashlib.sha256).hexdigest().encode() for each in secrets if each]
    return any(hmac.compare_digest(one, other) for one in expected for other in signatures)


def _parse_event(body: bytes) -> dict[str, Any]:
    try:
        event: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is no JSON.") from error
    if not isinstance(event, dict):
        raise BadRequest("The body is no event.")
    found = cast("dict[str, Any]", event)
    has_name = _matches(_ID, found.get("id")) and _matches(_TYPE, found.get("type"))
    if not has_name or not isinstance(found.get("data"), dict):
        raise BadRequest("The body is no event.")
    return found


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
