"""Stream of the realtime table: new pages of feeds go to those who act on events."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.feeds.dispatch import dispatch
from atelier.wiring import feeds


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Act on a DynamoDB stream batch with the new images. A failure repeats the batch; every handler is safe to
    repeat."""
    dispatch(feeds.pages(event["Records"]), feeds.handlers(clock))
