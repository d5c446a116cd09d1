"""API tokens, with which a program authenticates in place of a session. Immutable values, no side effects.

    atl_ <26: ULID of the workspace> <26: ULID of the token> <43: 256 random bits> <6: CRC-32 of all before, base 62>

The text contains the key of its record, so one read finds the record, without an index. With the checksum a scanner for
leaked secrets recognises a token for certain, and we refuse a mistyped or invented one without any read. The record
holds the SHA-256 of the whole text: 256 random bits cannot be found by trying, so a slow hash is not needed, and the
hash covers the ids too.
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

from atelier.dataclass import dataclass
from atelier.errors import Conflict, Unauthenticated

TOKEN_PREFIX = "atl_"  # nosec B105 - what every token begins with
TOKENS_PER_WORKSPACE_MAX = 50
# No token is valid for ever: a token without an expiry date expires after this time.
TOKEN_LIFETIME_MAX = timedelta(days=366)
# `last_used_at` is written at most once in this time, however often the token is used, so it may be this far behind.
LAST_USED_INTERVAL = timedelta(minutes=10)
# The record of a revoked token is kept this long, so that a late repetition of the request that created it cannot
# create a token with its id again.
REVOKED_RETENTION = timedelta(days=30)
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_CHARACTERS = 43
_CHECKSUM_CHARACTERS = 6
_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_TEXT = re.compile(
    f"({TOKEN_PREFIX}({_ULID})({_ULID})[0-9A-Za-z]{{{_SECRET_CHARACTERS}}})([0-9A-Za-z]{{{_CHECKSUM_CHARACTERS}}})"
)


class TokenExists(Conflict):
    """A parallel request with the same Idempotency-Key has created the token."""

    def __init__(self) -> None:
        super().__init__("This token has been made.")


class TooManyTokens(Conflict):
    """The workspace has TOKENS_PER_WORKSPACE_MAX tokens; expired ones count until they are revoked."""

    def __init__(self) -> None:
        super().__init__(f"A workspace has at most {TOKENS_PER_WORKSPACE_MAX} tokens. Revoke one first.")


@dataclass(frozen=True, slots=True)
class ApiToken:
    """The stored record of one token: its owner, its workspace and its scopes. `digest` is the SHA-256 of its text in
    hex."""

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

    def require_valid(self, now: datetime) -> None:
        """Raises Unauthenticated when the token is revoked or expired."""
        if self.revoked_at is not None:
            raise Unauthenticated("The API token has been revoked.")
        if now >= self.expires_at:
            raise Unauthenticated("The API token has expired.")

    def should_record_use(self, now: datetime) -> bool:
        """Whether `last_used_at` is missing or older than LAST_USED_INTERVAL."""
        return self.last_used_at is None or now - self.last_used_at >= LAST_USED_INTERVAL


@dataclass(frozen=True, slots=True)
class TokenPage:
    """A page of a workspace's tokens, newest first, and the sort key after which the next page starts (None = last
    page)."""

    tokens: tuple[ApiToken, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class TokenText:
    """The parsed text of a token that a caller sent. Its ids may be invented until `matches` has compared the hash."""

    workspace_id: str
    token_id: str
    digest: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> TokenText:
        """Raises Unauthenticated for a text without the form or the checksum of a token."""
        match = _TEXT.fullmatch(text)
        if match is None or _checksum(match[1]) != match[4]:
            raise invalid_token()
        return cls(f"wsp_{match[2]}", f"tok_{match[3]}", _digest(text))

    def matches(self, token: ApiToken) -> bool:
        """Whether this is the text of `token`."""
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
    """A token with a new random secret, and its text. The text is shown to the caller once and never stored."""
    secret = "".join(secrets.choice(_BASE62) for _ in range(_SECRET_CHARACTERS))
    body = f"{TOKEN_PREFIX}{workspace_id[4:]}{token_id[4:]}{secret}"
    text = body + _checksum(body)
    return ApiToken(token_id, workspace_id, user_id, name, scopes, _digest(text), now, expires_at), text


def invalid_token() -> Unauthenticated:
    """The one error for every text that is no valid token, so that it does not tell what is wrong with the text."""
    return Unauthenticated("The API token is not valid.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, characters = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(_BASE62))
        characters = _BASE62[digit] + characters
    return characters
