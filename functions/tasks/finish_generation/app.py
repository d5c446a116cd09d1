"""State machine task: deliver the result and settle the credits, or release them."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.estimate_error import estimate_error_percent
from atelier.generations.finish import finish
from atelier.generations.model import Generation
from atelier.generations.outcome import Outcome
from atelier.telemetry import logger, put_count, put_duration, put_percent
from atelier.wiring import workflow
from atelier.wiring.prices import prices


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, str]:
    """event: {workspace_id, generation_id, result}; returns {outcome}, its final status."""
    workspace_id, generation_id = event["workspace_id"], event["generation_id"]
    outcome = Outcome.from_data(event["result"])
    generation = finish(workspace_id, generation_id, outcome, deps=workflow.finish_deps(), now=clock())
    status = generation.status.value
    logger.info("finished", workspace_id=workspace_id, generation_id=generation_id, status=status)
    _measure(generation)
    return {"outcome": status}


def _measure(generation: Generation) -> None:
    model = generation.attempt.model if generation.attempt else "none"
    put_count("GenerationFinished", status=generation.status.value, model=model)
    if generation.completed_at:
        elapsed = generation.completed_at - generation.created_at
        put_duration("GenerationDuration", round(elapsed.total_seconds() * 1000), model=model)
    error_percent = estimate_error_percent(generation, prices())
    if error_percent is not None:
        put_percent("EstimateDrift", error_percent, model=model)
        # Over all models, and only costs above the estimate: budgets and prices rely on the estimate as a maximum.
        put_percent("EstimateExcess", max(error_percent, 0))
