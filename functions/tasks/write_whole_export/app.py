"""State machine task: write zip files of an export of everything, as many as the time allows; or end the export of a
job that failed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.exports.write_whole_export import run_whole_export_step
from atelier.wiring import whole_exports


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, Any]:
    """event: {workspace_id, export_id, failed?: the job has failed for good}; returns {workspace_id, export_id,
    has_ended}."""
    return run_whole_export_step(event, deps=whole_exports.write_whole_deps(clock), context=context)
