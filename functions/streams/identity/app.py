"""Stream of the identity table, the outbox of mails and of organisations: each new mail is sent, and changes of members
go to the event bus."""

from __future__ import annotations

from typing import Any

from atelier.mails.send import send_all
from atelier.wiring import mails, outbox
from atelier.workspaces.relay import publish_all


def handler(event: dict[str, Any], _context: object) -> None:
    """Relay a DynamoDB stream batch with both images. A failure repeats the batch; publishing again is harmless, and
    the mails that were sent are left out then."""
    publish_all(outbox.member_changes(event["Records"]), events=outbox.event_bus)
    send_all(mails.addresses(event["Records"]), mails.send_deps())
