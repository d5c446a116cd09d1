"""State machine task: one step of a backup. It begins one, writes a part as far as the time allows, or ends it."""

from __future__ import annotations

from typing import Any

from atelier.backups.write_backup import run_backup_step
from atelier.clock import Clock, system_clock
from atelier.wiring import backups


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, Any]:
    """event: {step: begin, execution, started_at, scope?}, {step: write, backup_id, part}, or {step: finish | fail,
    backup_id}; returns the ids, and what `run_backup_step` says."""
    return run_backup_step(event, deps=backups.write_deps(clock), context=context)
