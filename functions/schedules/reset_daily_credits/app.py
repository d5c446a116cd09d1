"""Schedule: queue one message for each shard of the wallets in which daily credits are due."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.jobs.record_run import recorded
from atelier.ledger.due import queue_resets
from atelier.wiring import audits, job_runs


@recorded("reset-daily-credits", job_runs.save)
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Queue the messages. Safe to run any number of times in parallel."""
    return {"shards": queue_resets(deps=audits.reset_deps(), now=system_clock())}
