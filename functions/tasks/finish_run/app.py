"""State machine task: end a run, and settle its hold with the sums of its stages."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.measure import measure_run
from atelier.generations.pipeline_run import finish_run
from atelier.wiring import generations


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, str]:
    """event: {workspace_id, run_id}; returns {outcome}, the run's status: final, unless a stage is still running."""
    run = finish_run(event["workspace_id"], event["run_id"], deps=generations.close_deps(), now=clock())
    measure_run(run)
    return {"outcome": run.status.value}
