"""State machine task: find the next stage of a run, and write it if it is new."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.pipeline_run import run_plan_step
from atelier.wiring import runs


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, str | None]:
    """event: {workspace_id, run_id, generation_id: the stage just attempted, or null}; returns the input of the next
    states, with the stage to attempt in `generation_id`, null = there is none."""
    return run_plan_step(event, deps=runs.plan_stage_deps(), now=clock())
