"""The daily audit of one wallet, composed: seal it, check its counters, and compare its holds with the generations."""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.generations.model import LIFETIME_MAX
from atelier.generations.reconcile import reconcile
from atelier.telemetry import logger, put_count
from atelier.wiring import generations, seals

RECENT_LOOK_BACK = 2 * LIFETIME_MAX
# Each wallet is audited once a day, or a little later; the look-back covers the delay.
DAILY_LOOK_BACK = timedelta(hours=30)


def audit(workspace_id: str, now: datetime) -> None:
    """Seal, compare and reconcile one wallet. Repairs, and faults that cannot be repaired, are counted for the
    alarms."""
    found = seals.audit(workspace_id, now)
    for fault in found.mismatches:
        seals.raise_alarm(workspace_id, fault)
    if found.overdue:
        logger.warning("sealed late", workspace_id=workspace_id, movements=found.overdue)
        put_count("LedgerRepairs")
    reconcile_workspace(workspace_id, now, look_back=DAILY_LOOK_BACK, thorough=True)


def reconcile_workspace(
    workspace_id: str, now: datetime, *, look_back: timedelta = RECENT_LOOK_BACK, thorough: bool = False
) -> None:
    """End the holds and generations of a workspace that disagree, and count the repairs."""
    repairs = reconcile(
        workspace_id, created_after=now - look_back, thorough=thorough, deps=generations.close_deps(), now=now
    )
    if repairs:
        facts = {"released": repairs.released, "ended": repairs.ended, "closed": repairs.closed}
        logger.warning("reconciled", extra={"workspace_id": workspace_id, **facts})
        put_count("LedgerRepairs")
