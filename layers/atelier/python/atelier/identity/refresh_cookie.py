"""The refresh token's cookie in browsers, and the check that no other site made the browser send it (CSRF)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Literal

from atelier.dataclass import dataclass
from atelier.errors import Forbidden
from atelier.identity.model import SESSION_IDLE_LIFETIME, RefreshToken, SignedIn, SignInResult

# With the prefix `__Host-` browsers refuse the cookie from a subdomain, over plain HTTP, or with another path
# (RFC 6265bis).
COOKIE_NAME = "__Host-atelier-refresh"


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """The refresh token of a request (None = it has none), and where the response has to put its successor."""

    token: str | None
    delivery: Literal["cookie", "body"]


def require_own_origin(origin: str | None, is_allowed: Callable[[str], bool]) -> None:
    """Raises Forbidden for a request that a page of another site made the browser send. Such a request could sign the
    user in to another account, or out. Browsers send `Origin` with every POST; a client without it is no browser and
    sends no cookie unasked.

    is_allowed: whether pages of an origin may act for the user (`wiring.identity.allows_origin`)."""
    if origin is not None and not is_allowed(origin):
        raise Forbidden("This request came from another site.")


def presented_token(
    body_token: str | None, cookies: Mapping[str, str], origin: str | None, is_allowed: Callable[[str], bool]
) -> PresentedToken:
    """The refresh token of a request. A token in the body has precedence, and needs no check of the origin, since
    another site cannot know it. Raises Forbidden for a request of another site that would use or delete the cookie."""
    if body_token is not None:
        return PresentedToken(body_token, "body")
    require_own_origin(origin, is_allowed)
    return PresentedToken(cookies.get(COOKIE_NAME) or None, "cookie")


def cookies_for(token: RefreshToken, delivery: str) -> tuple[str, ...]:
    """The Set-Cookie values of a response with this refresh token: none when the body carries it."""
    return (refresh_cookie(str(token)),) if delivery == "cookie" else ()


def cookies_of(result: SignInResult, delivery: str) -> tuple[str, ...]:
    """The Set-Cookie values of the response to a sign-in: none before a session is open."""
    return cookies_for(result.tokens.refresh_token, delivery) if isinstance(result, SignedIn) else ()


def refresh_cookie(token: str) -> str:
    """The Set-Cookie value that stores a refresh token until it expires."""
    return _set_cookie(token, SESSION_IDLE_LIFETIME)


def expired_cookie() -> str:
    """The Set-Cookie value that deletes the refresh token."""
    return _set_cookie("", timedelta())


def _set_cookie(value: str, age: timedelta) -> str:
    return f"{COOKIE_NAME}={value}; Path=/; Max-Age={int(age.total_seconds())}; Secure; HttpOnly; SameSite=Strict"
