"""State machine task: find the next stage of a run, and write it if it is new."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.pipeline_run import plan_stage
from atelier.telemetry import logger
from atelier.wiring import runs


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, str | None]:
    """event: {workspace_id, run_id, generation_id: the stage just attempted, or null}; returns the input of the next
    states, with the stage to attempt in `generation_id`, null = there is none."""
    workspace_id, run_id = event["workspace_id"], event["run_id"]
    stage = plan_stage(workspace_id, run_id, event["generation_id"], deps=runs.plan_stage_deps(), now=clock())
    logger.info("planned", workspace_id=workspace_id, run_id=run_id, stage=stage.stage if stage else None)
    # `lost`: no attempt of this stage has failed yet.
    states = {"workspace_id": workspace_id, "run_id": run_id, "lost": None}
    return states | {"generation_id": stage.id if stage else None}
