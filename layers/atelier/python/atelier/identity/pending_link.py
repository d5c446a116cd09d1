"""What a link or code of a mail may still do: its record, how it is opened, and how it is refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.identity.ports import PendingLinks
from atelier.mails.links import Link, LinkKey, LinkToken, new_link
from atelier.mails.mail import Fact, MailKind, MailRequest, mail_request

CODE_TRIES_MAX = 5


class Purpose(StrEnum):
    """What a link does. A user has at most one pending link of each purpose: a newer one replaces it."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # nosec B105 - the name of a purpose
    CHANGE_EMAIL = "change_email"
    UNDO_EMAIL_CHANGE = "undo_email_change"
    LINK_LOGIN = "link_login"


LIFETIMES = {
    Purpose.VERIFY_EMAIL: timedelta(minutes=30),
    Purpose.RESET_PASSWORD: timedelta(minutes=30),
    Purpose.CHANGE_EMAIL: timedelta(minutes=30),
    Purpose.UNDO_EMAIL_CHANGE: timedelta(hours=72),
    Purpose.LINK_LOGIN: timedelta(minutes=30),
}
KINDS = {
    Purpose.VERIFY_EMAIL: MailKind.VERIFY_EMAIL,
    Purpose.RESET_PASSWORD: MailKind.RESET_PASSWORD,
    Purpose.CHANGE_EMAIL: MailKind.EMAIL_CHANGE_CONFIRM,
    Purpose.UNDO_EMAIL_CHANGE: MailKind.EMAIL_CHANGE_NOTICE,
    Purpose.LINK_LOGIN: MailKind.LINK_LOGIN,
}


class LinkRefused(ValidationFailed):
    """The link or code is not valid, or not valid any more. One answer for all reasons, so that it tells nothing.
    field: `token` or `code`, whichever was sent."""

    def __init__(self, field: str) -> None:
        super().__init__([{"path": field, "message": "is not valid, or not valid any more"}])


@dataclass(frozen=True, slots=True)
class PendingLink:
    """The record of a link that was sent. email: the address that it was sent to, and that it proves. account_email:
    the address of the account at that time; when the account has another one, the link does nothing any more.
    code_tries: how often a code was tried."""

    link: Link
    email: str
    account_email: str
    expires_at: datetime
    code_tries: int = 0
    used_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether the link has neither been used nor expired."""
        return self.used_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class LinkMail:
    """A link that becomes pending, and the mail that contains it. They are written in one transaction."""

    pending: PendingLink
    mail: MailRequest


def new_link_mail(
    purpose: Purpose,
    user_id: str,
    email: str,
    locale: str | None,
    now: datetime,
    *,
    account_email: str | None = None,
    **facts: Fact,
) -> LinkMail:
    """A new link for a user, and its mail to `email`. account_email: the account's address, if it is another one.

    facts: nothing that the user has chosen, such as a name, when the address may belong to somebody else."""
    link = new_link(purpose, user_id, now)
    pending = PendingLink(link, email, account_email or email, now + LIFETIMES[purpose])
    return LinkMail(pending, mail_request(KINDS[purpose], user_id, email, locale, now, link=link, id=None, **facts))


def open_by_token(text: str, purpose: Purpose, *, links: PendingLinks, key: LinkKey, now: datetime) -> PendingLink:
    """The pending link of a token. Raises LinkRefused. It is used up by whoever writes what it does, in the same
    transaction."""
    token = LinkToken.parse(text)
    pending = links.pending(token.owner_id, purpose) if token else None
    if token is None or pending is None or not key.made(token, pending.link) or not pending.is_open(now):
        raise LinkRefused("token")
    return pending


def open_by_code(
    user_id: str, code: str, purpose: Purpose, *, links: PendingLinks, key: LinkKey, now: datetime
) -> PendingLink:
    """The same by the code of the link. Each try is counted before the code is compared, so no more than CODE_TRIES_MAX
    codes can be tried, however many at the same time."""
    pending = links.pending(user_id, purpose)
    if (
        pending is None
        or not pending.is_open(now)
        or not links.count_code_try(pending.link)
        or not key.made_code(code, pending.link)
    ):
        raise LinkRefused("code")
    return pending
