"""State machine task: write an export's file, as much as the time allows; or end the export of a job that failed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.exports.write_export import run_export_step
from atelier.wiring import exports


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, Any]:
    """event: {workspace_id, export_id, failed?: the job has failed for good}; returns {workspace_id, export_id,
    has_ended}."""
    return run_export_step(event, deps=exports.write_deps(clock), context=context)
