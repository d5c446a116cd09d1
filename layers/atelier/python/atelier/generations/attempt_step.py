"""The workflow's attempt step, and the messages of the attempts queue that lead back to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from atelier.generations.attempt import AttemptDeps, attempt
from atelier.generations.attempt_messages import Poll, SlotDue, visit_cause
from atelier.generations.poll import cancel_at_provider, poll
from atelier.generations.ports import Workflow
from atelier.generations.select_candidate import resume_at_slot
from atelier.telemetry import logger

VISITS_MAX = 2


def run_attempt_step(task: Mapping[str, Any], *, deps: Callable[[], AttemptDeps]) -> None:
    """Make a visit of the attempt step; a second one when the first fails. The second reads what the first one wrote,
    so it sends nothing twice. If it fails too, the state machine retries later.

    `task`: {workspace_id, generation_id, task_token, lost: null | {Error, Cause}}. `deps` are made anew for each
    visit."""
    generation_id, lost = task["generation_id"], task.get("lost")
    cause = visit_cause(json.loads(lost["Cause"])) if lost else None
    for visit in range(VISITS_MAX):
        try:
            attempt(task["workspace_id"], generation_id, task["task_token"], cause=cause, deps=deps())
            break
        except Exception:
            logger.exception("attempt failed", generation_id=generation_id, visit=visit)
            if visit + 1 == VISITS_MAX:
                raise
    logger.info("attempt", workspace_id=task["workspace_id"], generation_id=generation_id)


def handle_message(message: Mapping[str, Any], *, deps: Callable[[], AttemptDeps], workflow: Workflow) -> None:
    """Act on a message of the attempts queue, by its `do`:

    | do | action |
    |---|---|
    | poll | ask the provider about an attempt |
    | cancel | carry a requested cancellation to the provider |
    | try | run the attempt step again, because its reserved slot is due |

    `deps` are made only where they are needed. Raises ValueError for another `do`."""
    workspace_id, generation_id = message["workspace_id"], message["generation_id"]
    logger.info("attempt message", do=message["do"], workspace_id=workspace_id, generation_id=generation_id)
    match message["do"]:
        case "poll":
            poll(workspace_id, generation_id, message["attempt_id"], Poll.from_data(message), deps=deps())
        case "cancel":
            cancel_at_provider(workspace_id, generation_id, deps=deps())
        case "try":
            resume_at_slot(message["task_token"], SlotDue.from_data(message), workflow=workflow)
        case unknown:
            raise ValueError(f"unknown message type {unknown}")
