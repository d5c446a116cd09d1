"""Exchange a refresh token for its successor and a new access token. Reuse of an old token ends the session."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.model import RefreshToken, SessionTokens
from atelier.identity.ports import Sessions
from atelier.retrying import LostRace, retrying

TRIES_MAX = 4


def refresh(refresh_token: str, *, sessions: Sessions, access_tokens: AccessTokens, now: datetime) -> SessionTokens:
    """New tokens of the session.

    Of parallel requests with one token, one rotates it and the others read the stored nonce, so all get the same
    successor. So does a repetition within REFRESH_GRACE.

    Raises Unauthenticated, and Unavailable when other requests keep changing the session. For a token
    that is neither the unused one nor within REFRESH_GRACE of its use, the session is revoked: two clients had the
    token, so it may be stolen."""
    token = RefreshToken.parse(refresh_token)

    def attempt() -> SessionTokens:
        session = sessions.session(token.user_id, token.session_id)
        if session is None or not session.is_live(now):
            raise _session_ended()
        successor = session.successor(token, now)
        if successor is not None:
            return access_tokens.issue(session, successor, now)
        if not session.is_unused_token(token):
            sessions.revoke(token.user_id, token.session_id, now)
            raise _session_ended()
        after, successor = session.rotate(token, now)
        if not sessions.rotate(session, after):
            raise LostRace
        return access_tokens.issue(after, successor, now)

    return retrying(attempt, on=LostRace, busy="The session is busy. Try again.", tries_max=TRIES_MAX)


def _session_ended() -> Unauthenticated:
    return Unauthenticated("The session has ended. Log in again.")
