"""Opaque list cursors: where the next page starts. They carry a sort key only; the workspace is always the caller's."""

from __future__ import annotations

import base64
import binascii

from atelier.errors import ValidationFailed


def encode(key: str | None) -> str | None:
    """A sort key as a cursor; None stays None."""
    return base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode() if key else None


def decode(cursor: str | None, prefix: str) -> str | None:
    """The sort key in a cursor that `encode` made of a key with this prefix; raises ValidationFailed."""
    if cursor is None:
        return None
    try:
        key = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        key = ""
    if not key.startswith(prefix):
        raise ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])
    return key
