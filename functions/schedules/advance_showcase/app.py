"""Schedule: bring the showcase to where it should be, so that creators are paid, events go out, likes are counted and
listings are ranked on time, whatever crashed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.showcase.advance import advance_showcase
from atelier.wiring import job_runs, showcase


@recorded("advance-showcase", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Do what is due. Safe to repeat, and beside requests about the same listings and purchases."""
    return {"advanced": advance_showcase(context, deps=showcase.advance_deps(), clock=clock)}
