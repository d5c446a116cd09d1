"""State machine task: end a run, and settle its hold with the sums of its stages."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.pipeline_run import finish_run
from atelier.telemetry import logger, put_count, put_duration
from atelier.wiring import generations


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, str]:
    """event: {workspace_id, run_id}; returns {outcome}, the run's status: final, unless a stage is still running."""
    workspace_id, run_id = event["workspace_id"], event["run_id"]
    run = finish_run(workspace_id, run_id, deps=generations.close_deps(), now=clock())
    status, pipeline = run.status.value, run.pipeline.name if run.pipeline else "none"
    logger.info("run finished", workspace_id=workspace_id, run_id=run_id, status=status)
    if run.completed_at:
        put_count("RunFinished", status=status, pipeline=pipeline)
        elapsed = run.completed_at - run.created_at
        put_duration("RunDuration", round(elapsed.total_seconds() * 1000), pipeline=pipeline)
    return {"outcome": status}
