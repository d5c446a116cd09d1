"""Sign-in with Google and GitHub, as pages show it: which are offered, and the cookie that binds a visit to this
browser. The API sets that cookie, and Studio passes it on."""

from __future__ import annotations

from typing import Any

from studio.api_client import ApiError
from studio.visit import Visit

BINDING_COOKIE = "__Host-atelier-oauth"
CALLBACK = "/oauth/callback"
# Also of providers that this deployment does not offer any more.
NAMES = {"google": "Google", "github": "GitHub"}


def offered_providers(visit: Visit) -> list[dict[str, Any]]:
    """The enabled identity providers, {id, name} each; none when the API does not answer, since one can sign in without
    them."""
    try:
        found: list[dict[str, Any]] = visit.get("/api/auth/oauth")["providers"]
    except ApiError:
        return []
    return found


def binding(visit: Visit) -> dict[str, str]:
    """The header by which the API knows the browser again."""
    secret = visit.request.cookies.get(BINDING_COOKIE, "")
    return {"cookie": f"{BINDING_COOKIE}={secret}"} if secret else {}
