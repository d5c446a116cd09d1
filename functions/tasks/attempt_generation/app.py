"""State machine task: try the next candidate. Its task token is answered here, by a webhook, or by a poll."""

from __future__ import annotations

import json
from typing import Any

from atelier.generations.attempt import Lost, attempt
from atelier.generations.outcome import Outcome
from atelier.telemetry import logger
from atelier.wiring import workflow


def handler(event: dict[str, Any], _context: object) -> None:
    """event: {workspace_id, generation_id, task_token, lost: null | {Error, Cause}}."""
    generation_id, task_token = event["generation_id"], event["task_token"]
    lost = event.get("lost")
    try:
        previous = Lost(**json.loads(lost["Cause"])) if lost else None
        attempt(event["workspace_id"], generation_id, task_token, lost=previous, to=workflow.attempting())
    except Exception:
        # Under a task token a crash would leave the execution waiting until its time-out. What was sent is unknown, so
        # the answer says so; the end gives the credits back.
        logger.exception("attempt failed", generation_id=generation_id)
        workflow.workflow().succeed(task_token, Outcome("unknown").as_data())
    logger.info("attempt", generation_id=generation_id)
