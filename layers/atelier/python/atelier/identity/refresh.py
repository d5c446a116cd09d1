"""Exchange a refresh token for its successor and a new access token. Reuse of an old token ends the session."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.device import device_words, network_of
from atelier.identity.model import RefreshToken, Session, SessionTokens
from atelier.identity.ports import Sessions
from atelier.retrying import LostRace, retrying

TRIES_MAX = 4


def refresh(
    refresh_token: str, origin: Origin, *, sessions: Sessions, access_tokens: AccessTokens, now: datetime
) -> SessionTokens:
    """New tokens of the session.

    Of parallel requests with one token, one rotates it and the others read the stored nonce, so all get the same
    successor. So does a repetition within REFRESH_GRACE.

    Raises Unauthenticated, and Unavailable when other requests keep changing the session. For a token
    that is neither the unused one nor within REFRESH_GRACE of its use, the session is revoked, and the user's log
    says where the token came from: two clients had it, so it may be stolen."""
    token = RefreshToken.parse(refresh_token)

    def attempt() -> SessionTokens:
        session = sessions.session(token.user_id, token.session_id)
        if session is None or not session.is_live(now):
            raise _session_ended()
        successor = session.successor(token, now)
        if successor is not None:
            return access_tokens.issue(session, successor, now)
        if not session.is_unused_token(token):
            sessions.revoke(session.user_id, session.id, now, events=(_reuse_event(session, origin, now),))
            raise _session_ended()
        after, successor = session.rotate(token, now)
        if not sessions.rotate(session, after):
            raise LostRace
        return access_tokens.issue(after, successor, now)

    return retrying(attempt, on=LostRace, busy="The session is busy. Try again.", tries_max=TRIES_MAX)


def _reuse_event(session: Session, origin: Origin, now: datetime) -> AuditEvent:
    """The event of a session that ends by an old token. Its origin is whoever sent the token; its facts are where the
    session was opened."""
    opened_by = {
        "device": device_words(session.device.user_agent),
        "network": network_of(session.device.address),
    }
    log, target = session.user_id, session.id
    return audit_event(log, "session.token_reused", origin, now, target=target, outcome="refused", **opened_by)


def _session_ended() -> Unauthenticated:
    return Unauthenticated("The session has ended. Log in again.")
