"""Schedule (daily) and operator task: encrypt again the provider keys, and the secrets of authenticators and webhooks,
that an outdated master key encrypts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from atelier.clock import system_clock
from atelier.jobs.record_run import recorded
from atelier.telemetry import logger
from atelier.wiring import job_runs, provider_keys


@recorded("rewrap-provider-keys", job_runs.save)
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """event: the schedule's, or an operator's `{"new_master_key": true}`. What one run has no time for, the next run
    does."""
    done = provider_keys.rotate(system_clock(), new_master_key=event.get("new_master_key") is True)
    report: dict[str, Any] = asdict(done)
    logger.info("keys and authenticators sealed anew", **report)
    return report
