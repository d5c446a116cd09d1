"""Send the mails of the outbox. A mail is sent once as a rule; after a crash between the sending and its record it is
sent again, with the same link and code."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.mails.mail import InvalidMessage, MailRequest
from atelier.mails.ports import Mailer, MailOutcome, MailQueue, MailRejected, Pace, Renderer
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class MailAddress:
    """Where a mail of the outbox is: its owner, and its id."""

    owner_id: str
    mail_id: str


@dataclass(frozen=True, slots=True)
class SendDeps:
    """The dependencies of sending. mailer: None = this deployment sends no mail."""

    queue: MailQueue
    mailer: Mailer | None
    renderer: Renderer
    pace: Pace
    clock: Clock


def send_all(addresses: Iterable[MailAddress], deps: SendDeps) -> None:
    """Send these mails, each whatever becomes of the others. Raises an ExceptionGroup when some have to be tried again;
    those that were sent are left out then."""
    failures: list[Exception] = []
    for address in addresses:
        try:
            _send_one(address, deps, deps.clock())
        except Exception as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("mails were not sent", failures)


def _send_one(address: MailAddress, deps: SendDeps, now: datetime) -> None:
    queued = deps.queue.find(address.owner_id, address.mail_id)
    if queued is None or queued.outcome is not None:
        outcome = queued.outcome if queued else None
        logger.info("mail is done", mail_id=address.mail_id, owner_id=address.owner_id, outcome=outcome)
        return
    outcome = MailOutcome.SUPPRESSED if queued.is_suppressed else _outcome(queued.request, deps)
    deps.queue.record(queued.request, outcome, now)
    logger.info(
        "mail", mail_id=queued.request.id, kind=queued.request.kind, owner_id=queued.request.owner_id, outcome=outcome
    )


def _outcome(mail: MailRequest, deps: SendDeps) -> MailOutcome:
    if deps.mailer is None:
        return MailOutcome.NOT_SENT
    try:
        message = deps.renderer.render(mail)
        deps.pace.wait()
        deps.mailer.send(message)
    except (MailRejected, InvalidMessage) as error:
        logger.warning("mail rejected", mail_id=mail.id, kind=mail.kind, reason=str(error))
        return MailOutcome.REJECTED
    return MailOutcome.SENT
