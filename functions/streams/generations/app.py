"""Stream of the generations table, the outbox: a new generation starts its execution, a requested cancellation goes to
the queue, a final state goes to the event bus."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.relay import relay_all
from atelier.wiring import outbox


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Relay a DynamoDB stream batch with both images. A failure repeats the batch; every step is safe to repeat."""
    relay_all(outbox.changes(event["Records"]), deps=outbox.relay_deps(), now=clock())
