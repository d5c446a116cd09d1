"""Schedule: expire overdue generations, so that none stays open past its deadline, whatever crashed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.sweep import sweep
from atelier.telemetry import logger, put_count
from atelier.wiring import audits, due_wallets, generations


def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Sweep the wallets whose earliest deadline has passed: expire overdue generations, and repair disagreements."""
    now = clock()
    expired = 0
    for workspace_id in due_wallets.workspaces_due_for_sweep(now, context):
        try:
            expired += sweep(workspace_id, deps=generations.close_deps(), now=now)
            audits.reconcile_workspace(workspace_id, now)
        except Exception:
            # A wallet that fails must not keep the others from their sweep.
            logger.exception("sweep failed", workspace_id=workspace_id)
    logger.info("reconciled", expired=expired)
    if expired:
        put_count("StuckGenerations", expired)
    return {"expired": expired}
