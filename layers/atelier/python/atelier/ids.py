"""Ids: a prefix that names the kind, and a ULID (https://github.com/ulid/spec), so ids of one kind sort by the time of
their creation."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ID = re.compile(r"[a-z]{3}_[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id(prefix: str, at: datetime) -> str:
    """A fresh id such as `gen_01J…`: 48 bits of milliseconds since 1970 and 80 random bits."""
    return f"{prefix}_{_encode(int(at.timestamp() * 1000), 10)}{_encode(secrets.randbits(80), 16)}"


def derived_id(prefix: str, at: datetime, name: str) -> str:
    """The id of what is made at a time under a name: the same one however often it is made."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big")
    characters = [CROCKFORD[(number >> (5 * position)) & 31] for position in range(16)]
    return floor_id(prefix, at)[:-16] + "".join(characters)


def floor_id(prefix: str, at: datetime) -> str:
    """The smallest id of its kind that could have been made at `at`: a bound for range queries."""
    return f"{prefix}_{_encode(max(int(at.timestamp() * 1000), 0), 10)}{'0' * 16}"


def is_id(value: str, prefix: str) -> bool:
    """Whether `value` has the form of an id with this prefix."""
    return value.startswith(f"{prefix}_") and _ID.fullmatch(value) is not None


def created_at(value: str) -> datetime:
    """The time of creation that an id contains, in UTC, to the millisecond."""
    milliseconds = 0
    for character in value[4:14]:
        milliseconds = milliseconds * 32 + CROCKFORD.index(character)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _encode(number: int, length: int) -> str:
    characters = [""] * length
    for position in range(length - 1, -1, -1):
        characters[position] = CROCKFORD[number & 31]
        number >>= 5
    return "".join(characters)
