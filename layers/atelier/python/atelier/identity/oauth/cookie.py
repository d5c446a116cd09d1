"""The cookie that binds a visit to an identity provider to one browser.

It is SameSite=Lax: the browser comes back from another site, and must send it along."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

# With the prefix `__Host-` no subdomain can set it (RFC 6265bis), so nobody can give a browser their own secret.
COOKIE_NAME = "__Host-atelier-oauth"
# The time at the provider, and that for a link in a mail.
COOKIE_LIFETIME = timedelta(minutes=45)


def browser_secret(cookies: Mapping[str, str]) -> str | None:
    """The secret in the browser's cookie, if it has one."""
    return cookies.get(COOKIE_NAME) or None


def binding_cookie(secret: str) -> str:
    """The Set-Cookie value that stores the secret."""
    age = int(COOKIE_LIFETIME.total_seconds())
    return f"{COOKIE_NAME}={secret}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax"
