"""Changes of an account's password and address, as values that a store writes in one transaction."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.identity.model import Credentials, Session, User
from atelier.identity.pending_link import LinkMail, PendingLink
from atelier.mails.mail import MailRequest

# One transaction has a hundred parts at most. Who has more live sessions than this has the others ended right after it.
SESSIONS_ENDED_MAX = 60


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """A new password. credentials: as they were read. link: what proves that the user may do so, None = the old
    password. ended: sessions that end with it."""

    user: User
    credentials: Credentials
    password_hash: str = field(repr=False)
    link: PendingLink | None
    ended: tuple[Session, ...]
    mails: tuple[MailRequest, ...]
    events: tuple[AuditEvent, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class EmailMove:
    """A new address, `link.email`. credentials: of the present address, as they were read. mailbox: the digest of the
    new address, to claim its daily credits; None = they are not claimed. reserved_until: how long nobody else can take
    the present address; None = it is free at once. follow_up: another link that becomes pending."""

    user: User
    credentials: Credentials
    link: PendingLink
    mailbox: str | None
    reserved_until: datetime | None
    follow_up: LinkMail | None
    ended: tuple[Session, ...]
    mails: tuple[MailRequest, ...]
    events: tuple[AuditEvent, ...]
    at: datetime
