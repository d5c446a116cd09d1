"""State machine task: one step of a drill. It begins one, carries it on as far as the time allows, or gives it up."""

from __future__ import annotations

from typing import Any

from atelier.backups.drill_restore import run_drill_step
from atelier.clock import Clock, system_clock
from atelier.wiring import drills


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, Any]:
    """event: {step: begin, execution, started_at, always}, or {step: carry_on | fail, drill_id}; returns the id, and
    what `run_drill_step` says."""
    return run_drill_step(event, deps=drills.deps(clock), context=context)
