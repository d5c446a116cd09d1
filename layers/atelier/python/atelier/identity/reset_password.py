"""Set a new password by the link of a mail. It ends all sessions, since somebody else may know the old password, and
the links in mails that such a session may have caused.

API tokens stay valid: programs run with them, and a person who forgot a password does not want them to stop. Whoever
fears that somebody else has made some revokes them after signing in; the mail about the new password says so. External
logins stay linked likewise: the answer and the mail name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.errors import ValidationFailed
from atelier.identity.account_changes import SESSIONS_ENDED_MAX, PasswordChange
from atelier.identity.credentials import require_unrelated
from atelier.identity.device import device_words
from atelier.identity.list_sessions import live_sessions, revoke_other_sessions
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.model import User, UserStatus
from atelier.identity.oauth.model import PROVIDER_NAMES, LinkedLogin
from atelier.identity.pending_link import LinkRefused, Purpose, open_by_token
from atelier.mails.mail import MailKind, MailRequest, mail_request


def reset_password(
    token: str, password: str, origin: Origin, deps: MailboxDeps, now: datetime
) -> Sequence[LinkedLogin]:
    """Returns the external logins that still open the account. password: in its normal form, as the policy accepts it.
    Raises RateLimited (before the password is hashed),
    LinkRefused, and ValidationFailed for a password that is close to the user's own name or address."""
    deps.limits.count_link(origin.address, now)
    pending = open_by_token(token, Purpose.RESET_PASSWORD, links=deps.links, key=deps.key, now=now)
    user = deps.accounts.user(pending.link.owner_id)
    credentials = deps.accounts.credentials(pending.email)
    if user is None or user.status is not UserStatus.ACTIVE or credentials is None or credentials.user_id != user.id:
        raise LinkRefused("token")
    require_own_policy(password, user)

    mine = origin.of_user(user.id)
    sessions = live_sessions(user.id, sessions=deps.sessions, now=now)
    logins = deps.logins(user.id)
    deps.changes.change_password(
        PasswordChange(
            user,
            credentials,
            deps.passwords.hash(password),
            pending,
            sessions[:SESSIONS_ENDED_MAX],
            (password_changed_mail(user, logins, origin, now),),
            (audit_event(user.id, "password.reset", mine, now, sessions_ended=len(sessions)),),
            now,
        )
    )
    # Ends what was opened meanwhile, with the old password.
    revoke_other_sessions(user.id, None, mine, sessions=deps.sessions, now=now)
    if not user.email_verified:
        # The link has proven the mailbox as well.
        verified = audit_event(user.id, "email.verified", mine, now, email=user.email)
        deps.accounts.verify(user.id, mailbox_digest(user.email), now, events=(verified,))
    return logins


def require_own_policy(password: str, user: User) -> None:
    """Raises ValidationFailed for a password that is little more than the user's own name or address."""
    try:
        require_unrelated(password, user.email, user.name)
    except ValueError as error:
        raise ValidationFailed([{"path": "password", "message": str(error)}]) from error


def password_changed_mail(user: User, logins: Sequence[LinkedLogin], origin: Origin, now: datetime) -> MailRequest:
    """The mail that tells of a new password. logins: those that still open the account."""
    return mail_request(
        MailKind.PASSWORD_CHANGED,
        user.id,
        user.email,
        user.locale,
        now,
        device=device_words(origin.user_agent),
        at=when(now),
        logins=", ".join(f"{PROVIDER_NAMES[login.provider]} ({login.label})" for login in logins) or None,
    )


def when(at: datetime) -> str:
    """A time in a mail: `2026-11-29 02:15 UTC`."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
