"""Metrics of ended generations and runs."""

from __future__ import annotations

from atelier.catalogue.catalogue import Catalogue
from atelier.generations.estimate_error import estimate_error_percent
from atelier.generations.model import Generation
from atelier.generations.result_objective import is_late
from atelier.telemetry import logger, put_count, put_duration, put_percent


def measure_generation(generation: Generation, catalogue: Catalogue) -> None:
    """Log how a generation ended, and count its status, duration, and the error of its estimate."""
    status = generation.status.value
    model = generation.attempt.model if generation.attempt else "none"
    _log_end(generation, model)
    put_count("GenerationFinished", status=status, model=model)
    if generation.completed_at:
        elapsed = generation.completed_at - generation.created_at
        put_duration("GenerationDuration", round(elapsed.total_seconds() * 1000), model=model)
    error_percent = estimate_error_percent(generation, catalogue)
    if error_percent is not None:
        put_percent("EstimateDrift", error_percent, model=model)
        # Over all models, and only costs above the estimate: budgets and prices rely on the estimate as a maximum.
        put_percent("EstimateExcess", max(error_percent, 0))


def _log_end(generation: Generation, model: str) -> None:
    """Log the one line that tells all about an ended generation; docs/logs.md has the queries."""
    late, completed_at = is_late(generation), generation.completed_at
    facts: dict[str, str | int] = {
        "workspace_id": generation.workspace_id,
        "generation_id": generation.id,
        "status": generation.status.value,
        "kind": generation.recipe.kind.value,
        "provider": generation.attempt.provider if generation.attempt else "none",
        "model": model,
        "attempts": len(generation.attempts),
        "credits": generation.credits_charged,
        "cost_microusd": generation.cost_microusd,
    }
    if completed_at is not None:
        facts["duration_ms"] = round((completed_at - generation.created_at).total_seconds() * 1000)
    if late is not None:
        facts["late"] = int(late)
    if generation.failure is not None:
        facts["code"] = generation.failure.code
    logger.info("finished", extra=facts)


def measure_run(run: Generation) -> None:
    """Log how a run stands, and count status and duration of one that has ended."""
    status, pipeline = run.status.value, run.pipeline.name if run.pipeline else "none"
    logger.info("run finished", workspace_id=run.workspace_id, run_id=run.id, status=status)
    if run.completed_at:
        put_count("RunFinished", status=status, pipeline=pipeline)
        elapsed = run.completed_at - run.created_at
        put_duration("RunDuration", round(elapsed.total_seconds() * 1000), pipeline=pipeline)
