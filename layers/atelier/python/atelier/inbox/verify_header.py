"""Verify webhooks that are signed by a header `t=1700000000,v1=5257…`: HMAC-SHA256 with the secret's text as the key
over the timestamp, a dot and the raw body. Stripe and Mux sign so."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from atelier.errors import BadRequest, Unavailable

TOLERANCE_SECONDS = 300
# Two are sent while a secret is replaced. Further ones are not looked at.
SIGNATURES_MAX = 10
# (fresh) -> the secrets, two while one replaces the other; `fresh` reads them anew, as far as a cache allows.
ReadSecrets = Callable[[bool], Sequence[str]]


def verify_header(
    header: str, body: bytes, now: datetime, *, secrets: ReadSecrets, header_name: str, sender: str
) -> None:
    """Raises BadRequest unless one of the secrets has signed this body within five minutes of `now`, and Unavailable
    while no secret is configured: the sender then sends it again. header_name, sender: for messages."""
    sent_at, signatures = _parse(header, header_name)
    if abs(now.timestamp() - sent_at) > TOLERANCE_SECONDS:
        raise BadRequest("The timestamp of the signature is too far from now.")
    if _is_signed(secrets(False), sent_at, signatures, body):
        return
    # The secret may have been replaced a moment ago.
    known = secrets(True)
    if not known:
        raise Unavailable(f"No signing secret of {sender} is configured.")
    if not _is_signed(known, sent_at, signatures, body):
        raise BadRequest("No signature is right.")


def json_object(body: bytes) -> dict[str, Any]:
    """The body of an event. Raises BadRequest when it is no object in JSON."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is no JSON.") from error
    if not isinstance(found, dict):
        raise BadRequest("The body is no event.")
    return cast("dict[str, Any]", found)


def _parse(header: str, header_name: str) -> tuple[int, list[bytes]]:
    """The timestamp (Unix seconds), and the signatures of scheme v1."""
    sent_at, signatures = "", list[bytes]()
    for part in header.split(",")[: 4 * SIGNATURES_MAX]:
        name, _, value = part.strip().partition("=")
        if name == "t":
            sent_at = value
        elif name == "v1":
            signatures.append(value.encode(errors="replace"))
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 12 and signatures):
        raise BadRequest(f"The header {header_name} is missing or has no timestamp or no signature.")
    return int(sent_at), signatures[:SIGNATURES_MAX]


def _is_signed(secrets: Sequence[str], sent_at: int, signatures: Sequence[bytes], body: bytes) -> bool:
    # An empty secret never signs: anybody could use it.
    signed = f"{sent_at}.".encode() + body
    expected = [hmac.new(each.encode(), signed, hashlib.sha256).hexdigest().encode() for each in secrets if each]
    return any(hmac.compare_digest(one, other) for one in expected for other in signatures)
