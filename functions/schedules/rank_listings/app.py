"""Schedule: advance the listings that are due, so that their events go out, their likes are counted and they are ranked
on time, whatever crashed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.showcase.advance import advance_listings
from atelier.wiring import job_runs, showcase


@recorded("rank-listings", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Advance what is due. Safe to repeat, and beside requests about the same listings."""
    return {"advanced": advance_listings(context, deps=showcase.rank_deps(), clock=clock)}
