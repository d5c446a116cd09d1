"""API tokens: what a program shows in place of a session. Frozen values, no effects.

    atl_ <26: ULID of the workspace> <26: ULID of the token> <43: 256 random bits> <6: CRC-32 of all before, base 62>

The text says where its record is kept, so it is found by one read of its key and no index; the checksum lets a scanner
of leaked secrets be sure, and us refuse what is mistyped or made up without reading anything. The record holds the
SHA-256 of the whole text: what has 256 random bits cannot be searched, and the ids are bound by the same hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import field
from datetime import datetime, timedelta

from atelier.errors import Conflict, Unauthenticated
from atelier.frozen import dataclass

PREFIX = "atl_"
TOKENS_PER_WORKSPACE_MAX = 50
# Nobody's secret is good for ever: one that does not say when it ends, ends then.
LIFE_MAX = timedelta(days=366)
# How far behind `last_used_at` may be; it is written once in that time, however often the token is used.
USE_NOTED_EVERY = timedelta(minutes=10)
# A revoked token is remembered for a while, so that a request repeated late cannot bring its id back to life.
REVOKED_KEPT = timedelta(days=30)
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_CHARACTERS = 43
_CHECKSUM_CHARACTERS = 6
_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_TEXT = re.compile(
    f"({PREFIX}({_ULID})({_ULID})[0-9A-Za-z]{{{_SECRET_CHARACTERS}}})([0-9A-Za-z]{{{_CHECKSUM_CHARACTERS}}})"
)


class TokenExists(Conflict):
    """A parallel request with the same Idempotency-Key has made it."""

    def __init__(self) -> None:
        super().__init__("This token has been made.")


class TooManyTokens(Conflict):
    """The workspace's tokens are used up; expired ones count until they are revoked."""

    def __init__(self) -> None:
        super().__init__(f"A workspace has at most {TOKENS_PER_WORKSPACE_MAX} tokens. Revoke one first.")


@dataclass(frozen=True, slots=True)
class ApiToken:
    """One token as it is kept: whose it is, where it is good and for what."""

    id: str
    workspace_id: str
    user_id: str
    name: str
    scopes: tuple[str, ...]
    digest: str = field(repr=False)
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def check(self, now: datetime) -> None:
        """Raises Unauthenticated for one that is good no more."""
        if self.revoked_at is not None:
            raise Unauthenticated("The API token has been revoked.")
        if now >= self.expires_at:
            raise Unauthenticated("The API token has expired.")

    def should_note_use(self, now: datetime) -> bool:
        """Whether `last_used_at` is behind by more than it may be."""
        return self.last_used_at is None or now - self.last_used_at >= USE_NOTED_EVERY


@dataclass(frozen=True, slots=True)
class TokenPage:
    """Some of a workspace's tokens, newest first, and the key that the next page comes after."""

    tokens: tuple[ApiToken, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A token's text as a caller showed it, taken apart: nothing in it is believed before its hash was compared."""

    workspace_id: str
    token_id: str
    digest: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Shown:
        """Raises Unauthenticated for a text that we cannot have written."""
        match = _TEXT.fullmatch(text)
        if match is None or _checksum(match[1]) != match[4]:
            raise refused()
        return cls(f"wsp_{match[2]}", f"tok_{match[3]}", _digest(text))

    def proves(self, token: ApiToken) -> bool:
        """Whether it is the text of which `token` is the record."""
        return hmac.compare_digest(self.digest, token.digest)


def new_token(
    token_id: str,
    workspace_id: str,
    user_id: str,
    name: str,
    scopes: tuple[str, ...],
    expires_at: datetime,
    now: datetime,
) -> tuple[ApiToken, str]:
    """A token with a secret that nobody has seen, and its text, which is to be shown once and kept nowhere."""
    secret = "".join(secrets.choice(_BASE62) for _ in range(_SECRET_CHARACTERS))
    body = f"{PREFIX}{workspace_id[4:]}{token_id[4:]}{secret}"
    text = body + _checksum(body)
    return ApiToken(token_id, workspace_id, user_id, name, scopes, _digest(text), now, expires_at), text


def refused() -> Unauthenticated:
    """What every text is answered that is no token's, whatever is wrong with it."""
    return Unauthenticated("The API token is not valid.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, characters = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_CHARACTERS):
        number, place = divmod(number, len(_BASE62))
        characters = _BASE62[place] + characters
    return characters
