"""Stream of the inbox table: dispatch each new webhook to the handler of its source."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.inbox.dispatch import dispatch
from atelier.wiring import webhooks


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Act on a DynamoDB stream batch. A failure repeats the batch; what fails each time goes to the dead letters."""
    dispatch(webhooks.arrived(event["Records"]), webhooks.handlers(clock))
