"""Stream of the library table: those who follow a workspace are told what was uploaded and deleted, and each write of a
move's record continues the move of its project."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.library.feed_events import tell_changes
from atelier.moves.go_on import go_on_with_all
from atelier.wiring import feeds, library, moves


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> None:
    """Act on a DynamoDB stream batch with both images. A failure repeats it; what was told or moved stays so."""
    tell_changes(library.asset_changes(event["Records"]), feeds=feeds.feeds, now=clock())
    go_on_with_all(moves.addresses(event["Records"]), deps=moves.move_deps, context=context, clock=clock)
