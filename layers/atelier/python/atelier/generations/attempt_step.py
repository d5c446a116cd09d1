"""The workflow's attempt step, and the messages of the attempts queue that lead back to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from atelier.generations.attempt import TokenReply, attempt
from atelier.generations.attempt_deps import AttemptDeps
from atelier.generations.attempt_messages import Poll, SlotDue, visit_cause
from atelier.generations.express import Finish, visit_express
from atelier.generations.poll import cancel_at_provider, poll
from atelier.generations.ports import Workflow
from atelier.generations.select_candidate import resume_at_slot
from atelier.telemetry import logger

VISITS_MAX = 2


def run_attempt_step(task: Mapping[str, Any], *, deps: Callable[[], AttemptDeps], finish: Finish) -> None:
    """Make a visit of the attempt step; a second one when the first fails. The second reads what the first one wrote,
    so it sends nothing twice. If it fails too, the state machine retries later.

    `task`: {workspace_id, generation_id, task_token, lost: null | {Error, Cause}}, or of an Express execution
    {workspace_id, generation_id, started_at}. `deps` are made anew for each visit; `finish` ends a generation."""
    generation_id = task["generation_id"]
    for visit in range(VISITS_MAX):
        try:
            _visit(task, deps(), finish)
            break
        except Exception:
            logger.exception("attempt failed", generation_id=generation_id, visit=visit)
            if visit + 1 == VISITS_MAX:
                raise
    logger.info("attempt", workspace_id=task["workspace_id"], generation_id=generation_id)


def _visit(task: Mapping[str, Any], deps: AttemptDeps, finish: Finish) -> None:
    if "task_token" not in task:
        visit_express(task, finish=finish, deps=deps)
        return
    lost, reply = task.get("lost"), TokenReply(task["task_token"], deps)
    cause = visit_cause(json.loads(lost["Cause"])) if lost else None
    attempt(task["workspace_id"], task["generation_id"], reply, cause=cause, deps=deps)


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
