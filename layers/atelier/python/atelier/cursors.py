"""Opaque list cursors: where the next page starts. They carry a sort key only; the workspace is always the caller's."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from atelier.errors import ValidationFailed

# Lambda gives answers of 6 MB; the rest of a thing is small beside what people said.
WORDS_BYTES_MAX = 4_000_000
ThingT = TypeVar("ThingT")


def fitting(
    things: Sequence[ThingT], next_key: str | None, *, key: Callable[[ThingT], str], words: Callable[[ThingT], Any]
) -> tuple[Sequence[ThingT], str | None]:
    """As many of a page's things as an answer has room for, one at least, and the key that the next page comes after.
    words: what of a thing may be long, as JSON."""
    left = WORDS_BYTES_MAX
    for number, thing in enumerate(things):
        left -= len(json.dumps(words(thing)))
        if left < 0 and number:
            return things[:number], key(things[number - 1])
    return things, next_key


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
