"""Stream of the library table: each write of a move's record continues the move of its project."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.moves.go_on import go_on_with_all
from atelier.wiring import moves


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> None:
    """Continue the moves of a DynamoDB stream batch. A failure repeats the batch; what was moved stays moved."""
    go_on_with_all(moves.addresses(event["Records"]), deps=moves.move_deps, context=context, clock=clock)
