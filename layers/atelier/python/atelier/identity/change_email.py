"""Change one's e-mail address: a link goes to the new address; once it is opened, the account has that address, and the
old one learns of it, with a link that takes the change back for 72 hours."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.errors import Conflict, ValidationFailed
from atelier.identity.account_changes import EmailMove
from atelier.identity.device import device_words
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.model import Credentials, EmailTaken, User, UserStatus
from atelier.identity.pending_link import (
    LIFETIMES,
    LinkRefused,
    PendingLink,
    Purpose,
    new_link_mail,
    open_by_code,
    open_by_token,
)
from atelier.identity.reset_password import when
from atelier.identity.send_verification import account_of, require_mail
from atelier.identity.verify_mailbox import signed_in_user
from atelier.mails.mail import MailKind, mail_request


def change_email(user_id: str, email: str, origin: Origin, deps: MailboxDeps, now: datetime) -> None:
    """Send the link to the new address. email: in its normal form. Raises RateLimited, ValidationFailed for the present
    address, EmailTaken, and Conflict when this deployment sends no mail."""
    require_mail(deps)
    user = account_of(user_id, deps)
    deps.limits.count_mail(user.email, origin.address, now)
    deps.limits.count_mail(email, origin.address, now)
    if email == user.email:
        raise ValidationFailed([{"path": "email", "message": "is the present address"}])
    _require_no_recent_change(user, deps, now)
    if deps.accounts.credentials(email) is not None:
        raise EmailTaken
    link_mail = new_link_mail(Purpose.CHANGE_EMAIL, user.id, email, user.locale, now, account_email=user.email)
    deps.links.replace(link_mail)


def _require_no_recent_change(user: User, deps: MailboxDeps, now: datetime) -> None:
    """Raises Conflict as long as an earlier change can be taken back: a second one would make the link useless that the
    first address got."""
    undo = deps.links.pending(user.id, Purpose.UNDO_EMAIL_CHANGE)
    if undo is not None and undo.is_open(now):
        raise Conflict("The address was changed less than 72 hours ago.", reason="recent_change")


def confirm_email_change(
    token: str | None, code: str | None, access_token: str | None, origin: Origin, deps: MailboxDeps, now: datetime
) -> User:
    """Move the account to the address that the link, or the code with an access token, was sent to. Of two accounts
    that want one address, the first gets it.

    Raises RateLimited, Unauthenticated, LinkRefused, EmailTaken, and Conflict when the account changed meanwhile."""
    deps.limits.count_link(origin.address, now)
    if token is not None:
        pending = open_by_token(token, Purpose.CHANGE_EMAIL, links=deps.links, key=deps.key, now=now)
    else:
        user_id = signed_in_user(access_token, deps, now)
        pending = open_by_code(user_id, code or "", Purpose.CHANGE_EMAIL, links=deps.links, key=deps.key, now=now)
    user, credentials = account_of_link(pending, deps)
    _require_no_recent_change(user, deps, now)

    new, device = pending.email, device_words(origin.user_agent)
    undo = new_link_mail(
        Purpose.UNDO_EMAIL_CHANGE,
        user.id,
        user.email,
        user.locale,
        now,
        account_email=new,
        new_email=new,
        device=device,
        at=when(now),
    )
    event = audit_event(
        user.id, "email.changed", origin.of_user(user.id), now, before=user.email, after=new, device=device
    )
    deps.changes.move_email(
        EmailMove(
            user,
            credentials,
            pending,
            mailbox_digest(new),
            now + LIFETIMES[Purpose.UNDO_EMAIL_CHANGE],
            undo,
            (),
            (mail_request(MailKind.EMAIL_CHANGED, user.id, new, user.locale, now, old_email=user.email),),
            (event,),
            now,
        )
    )
    return account_of(user.id, deps)


def account_of_link(pending: PendingLink, deps: MailboxDeps) -> tuple[User, Credentials]:
    """The active user of a link and the credentials, as long as the account has the address that it had when the link
    was made. Raises LinkRefused."""
    user = deps.accounts.user(pending.link.owner_id)
    credentials = deps.accounts.credentials(pending.account_email)
    if (
        user is None
        or credentials is None
        or user.status is not UserStatus.ACTIVE
        or user.email != pending.account_email
        or credentials.user_id != user.id
    ):
        raise LinkRefused("token")
    return user, credentials
