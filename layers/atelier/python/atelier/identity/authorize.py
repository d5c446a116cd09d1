"""What the authorizer says of an Authorization header: who it is, or why it is nobody."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens


def authorize(header: str, *, access_tokens: AccessTokens, now: datetime) -> dict[str, str | int]:
    """The context that functions get: {"user_id", "session_id", "workspace_id", "expires_at"} with the last in seconds
    since 1970, or {"reason"}. The gateway keeps an answer for minutes, so `expires_at` is checked again (admit.py)."""
    try:
        claims = access_tokens.verify(bearer(header), now)
    except Unauthenticated as refused:
        return {"reason": refused.message}
    return {
        "user_id": claims.user_id,
        "session_id": claims.session_id,
        "workspace_id": claims.workspace_id,
        "expires_at": int(claims.expires_at.timestamp()),
    }


def bearer(header: str) -> str:
    """The token of `Bearer <token>`; raises Unauthenticated."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This call needs an access token.")
    return token.strip()
