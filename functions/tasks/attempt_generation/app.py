"""State machine task: try the next candidate. The task token is answered here, or later after a webhook or a poll."""

from __future__ import annotations

import json
from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.attempt import attempt
from atelier.generations.attempt_messages import visit_cause
from atelier.telemetry import logger
from atelier.wiring import workflow

VISITS_MAX = 2


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """event: {workspace_id, generation_id, task_token, lost: null | {Error, Cause}}."""
    generation_id, task_token = event["generation_id"], event["task_token"]
    lost = event.get("lost")
    cause = visit_cause(json.loads(lost["Cause"])) if lost else None
    for visit in range(VISITS_MAX):
        try:
            deps = workflow.attempt_deps(clock, for_attempts=True)
            attempt(event["workspace_id"], generation_id, task_token, cause=cause, deps=deps)
            break
        except Exception:
            # A second visit reads what the first one wrote, so it sends nothing twice. If it fails too, the state
            # machine retries later.
            logger.exception("attempt failed", generation_id=generation_id, visit=visit)
            if visit + 1 == VISITS_MAX:
                raise
    logger.info("attempt", workspace_id=event["workspace_id"], generation_id=generation_id)
