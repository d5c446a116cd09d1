"""Schedule: advance the workshops that are due, so that offers lapse, reminders go out and fees are paid on time,
whatever crashed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.wiring import job_runs, workshops
from atelier.workshops.advance import advance_due


@recorded("advance-workshops", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Advance what is due. Safe to repeat, and beside requests about the same workshops."""
    return {"advanced": advance_due(context, deps=workshops.advance_deps(), clock=clock)}
