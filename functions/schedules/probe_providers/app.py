"""Schedule: probe the health of the platform's providers, so that a recovery is found without a caller's request."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.telemetry import logger
from atelier.wiring import job_runs, routing


@recorded("probe-providers", job_runs.save)
def handler(_event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, int]:
    """Probe the providers that are due. Safe to repeat: the probes use free endpoints."""
    report = routing.probe_platform(clock)
    logger.info("providers checked", checked=len(report.checked), unhealthy=len(report.failures))
    return {"checked": len(report.checked), "unhealthy": len(report.failures)}
