"""Opaque cursors of lists: where the next page starts. A cursor contains a sort key only; the workspace is always the
caller's, so a cursor gives no access to another workspace."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from atelier.errors import ValidationFailed

# A Lambda response has at most 6 MB. Only texts that people wrote are counted: the other fields of an item are small.
LONG_PARTS_BYTES_MAX = 4_000_000
ItemT = TypeVar("ItemT")


def fit_to_response(
    items: Sequence[ItemT], next_key: str | None, *, key: Callable[[ItemT], str], long_parts: Callable[[ItemT], Any]
) -> tuple[Sequence[ItemT], str | None]:
    """Cut a page to the items that fit into one response, at least one; return them with the key after which the next
    page starts.

    key: the sort key of an item. words: the parts of an item that may be long, as a JSON value."""
    bytes_left = LONG_PARTS_BYTES_MAX
    for number, thing in enumerate(items):
        bytes_left -= len(json.dumps(long_parts(thing)))
        if bytes_left < 0 and number:
            return items[:number], key(items[number - 1])
    return items, next_key


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
