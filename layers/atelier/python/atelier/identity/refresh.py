"""Refresh: trade a refresh token for its successor and a new access token; a token used twice ends its family."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import Unauthenticated, Unavailable
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.model import RefreshToken, Tokens
from atelier.identity.ports import Sessions

TRIES_MAX = 4


def refresh(refresh_token: str, *, sessions: Sessions, access_tokens: AccessTokens, now: datetime) -> Tokens:
    """New tokens of the session. Of requests that race with one token, one rotates it and the others find its nonce, so
    all get the same successor; so does a repetition within the grace.

    Raises Unauthenticated; for a token that is neither the unused one nor in its grace the session is revoked, for one
    of its two holders is a thief."""
    token = RefreshToken.parse(refresh_token)
    for _ in range(TRIES_MAX):
        session = sessions.session(token.user_id, token.session_id)
        if session is None or not session.live(now):
            raise _refused()
        successor = session.successor(token, now)
        if successor is not None:
            return access_tokens.issue(session, successor, now)
        if not session.awaits(token):
            sessions.revoke(token.user_id, token.session_id, now)
            raise _refused()
        after, successor = session.rotated(token, now)
        if sessions.rotate(session, after):
            return access_tokens.issue(after, successor, now)
    raise Unavailable("The session is busy. Try again.")


def _refused() -> Unauthenticated:
    return Unauthenticated("The session has ended. Log in again.")
