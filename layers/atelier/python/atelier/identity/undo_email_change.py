"""Take back the change of an e-mail address, by the link that was sent to the old one. It ends all sessions: whoever
changed the address was perhaps not its user."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.identity.account_changes import SESSIONS_ENDED_MAX, EmailMove
from atelier.identity.change_email import account_of_link
from atelier.identity.list_sessions import live_sessions, revoke_other_sessions
from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.model import User
from atelier.identity.pending_link import Purpose, open_by_token
from atelier.identity.send_verification import account_of
from atelier.mails.mail import MailKind, mail_request


def undo_email_change(token: str, origin: Origin, deps: MailboxDeps, now: datetime) -> User:
    """Give the account its old address back. Raises RateLimited, LinkRefused, and EmailTaken when the address belongs
    to another account, which its reservation prevents."""
    deps.limits.count_link(origin.address, now)
    pending = open_by_token(token, Purpose.UNDO_EMAIL_CHANGE, links=deps.links, key=deps.key, now=now)
    user, credentials = account_of_link(pending, deps)

    mine, old = origin.of_user(user.id), pending.email
    sessions = live_sessions(user.id, sessions=deps.sessions, now=now)
    event = audit_event(
        user.id, "email.change_undone", mine, now, before=user.email, after=old, sessions_ended=len(sessions)
    )
    deps.changes.move_email(
        EmailMove(
            user,
            credentials,
            pending,
            None,
            None,
            None,
            sessions[:SESSIONS_ENDED_MAX],
            (mail_request(MailKind.EMAIL_CHANGE_UNDONE, user.id, old, user.locale, now, other_email=user.email),),
            (event,),
            now,
        )
    )
    revoke_other_sessions(user.id, None, mine, sessions=deps.sessions, now=now)
    return account_of(user.id, deps)
