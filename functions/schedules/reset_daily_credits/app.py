"""Schedule: append the daily grant to every wallet whose reset is due. Pages through a sparse index, never a scan."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger
from atelier.wiring import ledger, reconcile


def handler(_event: dict[str, Any], context: Any) -> dict[str, int]:
    """Safe to run any number of times at once; what is left over when time runs out is taken by the next run."""
    now = system_clock()
    done = 0
    for workspace_id in reconcile.due_for_reset(now, context):
        try:
            ledger.refreshed(workspace_id, now)
            done += 1
        except Exception:
            # One wallet must not keep the others from being looked at.
            logger.exception("reset failed", workspace_id=workspace_id)
    logger.info("daily reset", wallets=done)
    return {"wallets": done}
