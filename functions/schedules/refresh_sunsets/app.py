"""Schedule: refresh the shutdown dates of models. A notice is logged 60, 30 and 7 days before, and on the day."""

from __future__ import annotations

from typing import Any

from atelier.catalogue.sunsets import log_report
from atelier.clock import system_clock
from atelier.jobs.record_run import recorded
from atelier.wiring import job_runs, sunsets


@recorded("refresh-sunsets", job_runs.save)
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Refresh the dates and log the notices. Safe to repeat: each notice is given once."""
    report = sunsets.refresh(system_clock())
    log_report(report)
    return {"lists": report.lists, "notices": len(report.notices)}
