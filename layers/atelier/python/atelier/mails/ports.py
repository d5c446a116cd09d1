"""The ports of mails: the outbox, who sends, and the texts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.mails.mail import MailMessage, MailRequest


class MailOutcome(StrEnum):
    """What became of a mail."""

    SENT = "sent"
    # The address has bounced or complained.
    SUPPRESSED = "suppressed"
    # The service will never take this mail.
    REJECTED = "rejected"
    # This deployment sends no mail.
    NOT_SENT = "not_sent"


class MailRejected(Exception):
    """The service does not take this mail, however often it is sent. The text contains no address."""


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail of the outbox. outcome: None until it was dealt with. is_suppressed: whether nothing may be sent to its
    address."""

    request: MailRequest
    outcome: MailOutcome | None
    is_suppressed: bool


class Mails(Protocol):
    """The outbox of mails, for what requests them."""

    def request(self, mail: MailRequest) -> None:
        """Store one mail, which is then sent. Nothing is stored when a mail with its id exists."""
        ...


class MailQueue(Protocol):
    """The outbox of mails, for what sends them."""

    def find(self, owner_id: str, mail_id: str) -> QueuedMail | None:
        """A mail by a consistent read, with what is known of its address; None if there is none."""
        ...

    def record(self, mail: MailRequest, outcome: MailOutcome, at: datetime) -> None:
        """Store what became of a mail."""
        ...


class Mailer(Protocol):
    """Sends mails."""

    def send(self, message: MailMessage) -> None:
        """Send one mail. Raises MailRejected, and another exception when it may be tried again."""
        ...


class Pace(Protocol):
    """The rate at which this deployment sends."""

    def wait(self) -> None:
        """Wait until one more mail may be sent; raises Unavailable when that takes too long."""
        ...


class Renderer(Protocol):
    """Writes messages from their templates."""

    def render(self, mail: MailRequest) -> MailMessage:
        """The message of a mail. Raises InvalidMessage."""
        ...
