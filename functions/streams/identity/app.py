"""Stream of the identity table, the outbox of mails: each new mail is sent."""

from __future__ import annotations

from typing import Any

from atelier.mails.send import send_all
from atelier.wiring import mails


def handler(event: dict[str, Any], _context: object) -> None:
    """Send the mails of a DynamoDB stream batch. A failure repeats the batch; what was sent is left out then."""
    send_all(mails.addresses(event["Records"]), mails.send_deps())
