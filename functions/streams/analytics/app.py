"""Streams of the generations and ledger tables: count what ended, what it cost and what was paid for it, and what
workspaces and members have reached."""

from __future__ import annotations

from typing import Any

from atelier.analytics.milestones import mark_milestones
from atelier.analytics.record import record_batch
from atelier.wiring import analytics


def handler(event: dict[str, Any], _context: object) -> None:
    """Count a batch of either stream. A failure repeats the batch; what is counted already is not counted again."""
    record_batch(analytics.facts(event["Records"]), deps=analytics.record_deps())
    mark_milestones(analytics.milestones(event["Records"]), store=analytics.milestone_store())
