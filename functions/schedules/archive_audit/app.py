"""Schedule: archive audit events that are older than the retention, and mark them for TTL."""

from __future__ import annotations

from typing import Any

from atelier.audit_log.archive import archive_all
from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.wiring import audit_log, job_runs


@recorded("archive-audit", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Archive until shortly before the time-out; the next run goes on from there. Fails when a log could not be
    archived. Safe to repeat, also in parallel."""
    return {"archived": archive_all(deps=audit_log.archive_deps(), now=clock(), context=context)}
