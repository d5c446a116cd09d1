"""Schedule: begin the erasures that are due, and start the jobs of those that are not complete."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.erasures.find_due import run_due_erasures
from atelier.jobs.record_run import recorded
from atelier.wiring import erasures, job_runs


@recorded("erase-due", job_runs.save)
def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, int]:
    """event: of the schedule; or {repeat_since: a time}, after a backup of that time was restored, to erase again what
    has been erased since. Safe to repeat."""
    return run_due_erasures(event, deps=erasures.find_due_deps(), now=clock())
