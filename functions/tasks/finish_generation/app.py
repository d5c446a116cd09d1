"""State machine task: deliver the result and settle the credits, or release them."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.outcome import Outcome
from atelier.wiring import workflow


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, str]:
    """event: {workspace_id, generation_id, result}; returns {outcome}, its final status."""
    workspace_id, generation_id = event["workspace_id"], event["generation_id"]
    outcome = Outcome.from_data(event["result"])
    generation = workflow.finish(workspace_id, generation_id, outcome, clock=clock)
    return {"outcome": generation.status.value}
