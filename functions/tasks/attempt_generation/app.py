"""State machine task: try the next candidate. A task token is answered here, or later after a webhook or a poll;
without one, what ends here is finished here."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.attempt_step import run_attempt_step
from atelier.wiring import workflow


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """event: {workspace_id, generation_id, task_token, lost: null | {Error, Cause}}; of an Express execution
    {workspace_id, generation_id, started_at}."""
    deps = partial(workflow.attempt_deps, clock, for_attempts=True)
    run_attempt_step(event, deps=deps, finish=partial(workflow.finish, clock=clock))
