"""Schedule: advance the livestreams that are due, so that lost webhooks, dead processes and a service that did not
answer lose nothing, and recordings come into the library."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.livestreams.advance import advance_due
from atelier.livestreams.end_livestreams import remove_released
from atelier.wiring import job_runs, livestreams


@recorded("advance-livestreams", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Advance what is due. Safe to repeat, and beside requests about the same livestreams."""
    deps = livestreams.keeping_deps()
    return {
        "advanced": advance_due(context, deps=deps, clock=clock),
        "removed": remove_released(deps=deps, now=clock()),
    }
