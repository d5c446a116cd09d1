"""What the mail service reports of addresses: one that bounces for good, or whose reader complains, gets no more
mails."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from atelier.dataclass import dataclass
from atelier.telemetry import logger

# A bounce of another type (a full mailbox, a server that is down) may be over tomorrow.
PERMANENT = "Permanent"


class SuppressionReason(StrEnum):
    """Why nothing is sent to an address."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Feedback:
    """Addresses to which nothing may be sent any more."""

    reason: SuppressionReason
    addresses: tuple[str, ...]


class Suppressions(Protocol):
    """The addresses to which nothing is sent."""

    def suppress(self, address: str, reason: SuppressionReason, at: datetime) -> None:
        """Send nothing to an address from now on. Repeating it changes nothing."""
        ...


def parse_ses_event(detail: Mapping[str, Any]) -> Feedback | None:
    """The feedback of an event of SES (its `detail` on the event bus); None for one that suppresses nothing. Raises
    KeyError for an event without the fields of its type."""
    if detail.get("eventType") == "Bounce" and detail["bounce"]["bounceType"] == PERMANENT:
        recipients = detail["bounce"]["bouncedRecipients"]
        return Feedback(SuppressionReason.BOUNCE, _addresses(recipients))
    if detail.get("eventType") == "Complaint":
        return Feedback(SuppressionReason.COMPLAINT, _addresses(detail["complaint"]["complainedRecipients"]))
    return None


def suppress_all(feedback: Feedback | None, *, suppressions: Suppressions, now: datetime) -> None:
    """Act on feedback."""
    if feedback is None:
        logger.info("mail feedback", reason=None, addresses=0)
        return
    for address in feedback.addresses:
        suppressions.suppress(address, feedback.reason, now)
    logger.info("mail feedback", reason=feedback.reason, addresses=len(feedback.addresses))


def _addresses(recipients: list[Mapping[str, Any]]) -> tuple[str, ...]:
    # An address may come as `Ada <ada@example.com>`; ours are in their normal form, case-folded.
    return tuple(str(each["emailAddress"]).rpartition("<")[2].rstrip("> ").strip().casefold() for each in recipients)
