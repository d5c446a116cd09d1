"""Schedule: compare the sums of some workspaces with their records, and raise an alarm when they differ."""

from __future__ import annotations

from typing import Any

from atelier.analytics.rebuild import compare_all
from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.wiring import analytics, job_runs

WORKSPACES = 20


@recorded("compare-analytics", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Compare as many as there is time for; changes nothing that is read elsewhere."""
    workspaces = analytics.sample_of_workspaces(WORKSPACES, clock())
    return compare_all(workspaces, deps=analytics.rebuild_deps(), now=clock(), context=context)
