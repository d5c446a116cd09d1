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
    """End every session that was shown. A token that names none is no error: then there is nothing to end."""
    if refresh_token is not None:
        with suppress(Unauthenticated):
            token = RefreshToken.parse(refresh_token)
            # A wrong secret ends the session as well, just as presenting it for a refresh would.
            sessions.revoke(token.user_id, token.session_id, now)
    if access_token is not None:
        with suppress(Unauthenticated):
            claims = access_tokens.verify(access_token, now)
            sessions.revoke(claims.user_id, claims.session_id, now)
