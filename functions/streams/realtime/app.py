"""Stream of the realtime table: new events of feeds go to the connections that listen, and connections are closed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.realtime.push import push_all
from atelier.wiring import realtime


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Act on a DynamoDB stream batch with the new images. A failure repeats the batch: then a client may get a message
    twice, with the same `sequence`."""
    push_all(realtime.push_deps(), realtime.changes(event["Records"]), clock())
