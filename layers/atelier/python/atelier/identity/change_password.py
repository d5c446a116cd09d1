"""Change one's own password, knowing the present one. It ends all other sessions."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.errors import ValidationFailed
from atelier.identity.account_changes import SESSIONS_ENDED_MAX, PasswordChange
from atelier.identity.list_sessions import live_sessions, revoke_other_sessions
from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.reset_password import password_changed_mail, require_own_policy
from atelier.identity.send_verification import account_of


def change_password(
    user_id: str,
    session_id: str | None,
    current: str,
    new: str,
    origin: Origin,
    *,
    limits: SignInLimits,
    deps: MailboxDeps,
    now: datetime,
) -> None:
    """session_id: the session that goes on. new: in its normal form, as the policy accepts it. Raises RateLimited
    (before a password is hashed), and ValidationFailed for a wrong present password, or a new one that is too close to
    the user's name or address."""
    user = account_of(user_id, deps)
    limits.count_attempt(user.email, origin.address, now)
    credentials = deps.accounts.credentials(user.email)
    if credentials is None or not deps.passwords.verify(credentials.password_hash, current):
        raise ValidationFailed([{"path": "current", "message": "is not the present password"}])
    require_own_policy(new, user)

    live = live_sessions(user.id, sessions=deps.sessions, now=now)
    others = tuple(session for session in live if session.id != session_id)
    deps.changes.change_password(
        PasswordChange(
            user,
            credentials,
            deps.passwords.hash(new),
            None,
            others[:SESSIONS_ENDED_MAX],
            (password_changed_mail(user, deps.logins(user.id), origin, now),),
            (audit_event(user.id, "password.changed", origin, now, sessions_ended=len(others)),),
            now,
        )
    )
    revoke_other_sessions(user.id, session_id, origin, sessions=deps.sessions, now=now)
