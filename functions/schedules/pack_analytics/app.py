"""Schedule: keep the sums of the hours that are over, by day, month and view."""

from __future__ import annotations

from typing import Any

from atelier.analytics.pack import pack_due
from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.wiring import analytics, job_runs


@recorded("pack-analytics", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Keep them until shortly before the time-out; the next run goes on from there. Safe to repeat, also in
    parallel."""
    return {"packed": pack_due(deps=analytics.pack_deps(), now=clock(), context=context)}
