"""The sessions of a user: list them, end one, end all others."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.errors import NotFound
from atelier.identity.device import device_words
from atelier.identity.model import Session
from atelier.identity.ports import Sessions


def live_sessions(user_id: str, *, sessions: Sessions, now: datetime) -> tuple[Session, ...]:
    """The sessions that are neither revoked nor expired, the one that was used last first."""
    live = [session for session in sessions.sessions_of(user_id) if session.is_live(now)]
    return tuple(sorted(live, key=lambda session: session.last_used_at, reverse=True))


def revoke_session(user_id: str, session_id: str, origin: Origin, *, sessions: Sessions, now: datetime) -> None:
    """End one session. Repeating it is no error. Raises NotFound."""
    session = sessions.session(user_id, session_id)
    if session is None:
        raise NotFound("There is no such session.")
    _revoke(session, origin, sessions, now)


def revoke_other_sessions(
    user_id: str, kept_session_id: str | None, origin: Origin, *, sessions: Sessions, now: datetime
) -> None:
    """End all sessions of a user but one (None = all)."""
    for session in live_sessions(user_id, sessions=sessions, now=now):
        if session.id != kept_session_id:
            _revoke(session, origin, sessions, now)


def _revoke(session: Session, origin: Origin, sessions: Sessions, now: datetime) -> None:
    device = device_words(session.device.user_agent)
    event = audit_event(session.user_id, "session.revoked", origin, now, target=session.id, device=device)
    sessions.revoke(session.user_id, session.id, now, events=(event,))
