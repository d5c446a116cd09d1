"""The check that a form was sent from one of our own pages, by the person who looks at it.

Two things are asked of every request that changes something: the browser's own word on where it comes from, and a token
that another site cannot know (a cookie of ours, repeated in the form). The token is written into each page under a new
mask, so that a compressed page never holds the same bytes twice."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping

COOKIE = "__Host-studio-form"
FIELD = "form_token"
HEADER = "x-form-token"
TOKEN_BYTES = 16
COOKIE_SECONDS = 30 * 86400


class ForeignForm(Exception):
    """The request was not sent from our own page."""


def token_of(cookies: Mapping[str, str]) -> tuple[str, str | None]:
    """The browser's token, and the Set-Cookie value if it is new."""
    token = cookies.get(COOKIE, "")
    if _decode(token):
        return token, None
    token = _encode(secrets.token_bytes(TOKEN_BYTES))
    return token, f"{COOKIE}={token}; Path=/; Max-Age={COOKIE_SECONDS}; Secure; HttpOnly; SameSite=Strict"


def masked(token: str) -> str:
    """The token as a form carries it: a random mask, then the token under that mask."""
    mask = secrets.token_bytes(TOKEN_BYTES)
    return _encode(mask + _xor(_decode(token), mask))


def check(headers: Mapping[str, str], cookies: Mapping[str, str], sent: str, own_origin: str) -> None:
    """Raises ForeignForm unless our own page sent this. sent: the form's field, or the header of a script's request."""
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        raise ForeignForm
    if site is None and origin is not None and origin != own_origin:
        raise ForeignForm
    expected, found = _decode(cookies.get(COOKIE, "")), _decode(sent, 2 * TOKEN_BYTES)
    if not expected or not hmac.compare_digest(_xor(found[TOKEN_BYTES:], found[:TOKEN_BYTES]), expected):
        raise ForeignForm


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str, length: int = TOKEN_BYTES) -> bytes:
    """The bytes of a token; b"" when it is none."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        return b""
    return data if len(data) == length else b""
