"""Schedule: report what the media bucket and archives have and nothing needs, and delete it when the event says so."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.library.clean_up import clean_up
from atelier.wiring import cleaning, job_runs


@recorded("clean-up", job_runs.save)
def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, Any]:
    """event: {mode: report | act}; returns the report, with has_ended. The next run goes on where this one has
    stopped. Safe to repeat, also in parallel."""
    deps = cleaning.clean_up_deps(clock)
    return clean_up(acts=event.get("mode") == "act", deps=deps, now=clock(), context=context)
