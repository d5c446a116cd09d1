"""Log out: end the session that a refresh token or an access token belongs to. Ending it again changes nothing."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.model import RefreshToken
from atelier.identity.ports import Sessions


def log_out(
    refresh_token: str | None,
    access_token: str | None,
    *,
    sessions: Sessions,
    access_tokens: AccessTokens,
    now: datetime,
) -> None:
    """End the sessions of the given tokens. An invalid token is no error, since it has no session that could be
    ended."""
    if refresh_token is not None:
        with suppress(Unauthenticated):
            token = RefreshToken.parse(refresh_token)
            # A token with a wrong secret ends the session as well, as it does in `refresh.py`.
            sessions.revoke(token.user_id, token.session_id, now)
    if access_token is not None:
        with suppress(Unauthenticated):
            claims = access_tokens.verify(access_token, now)
            sessions.revoke(claims.user_id, claims.session_id, now)
