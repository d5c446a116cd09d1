"""The daily audit of one wallet: seal it, check its counters, compare its holds with the generations, and its escrows
with the purchases and enrolments that they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.generations.finish import CloseDeps
from atelier.generations.model import LIFETIME_MAX
from atelier.generations.reconcile import reconcile
from atelier.generations.sweep import sweep
from atelier.ledger.audit import audit
from atelier.ledger.orphaned_escrows import EscrowRecords, find_orphaned_escrows
from atelier.ledger.seal_movements import SealDeps, report_mismatch
from atelier.telemetry import logger, put_count

RECENT_LOOK_BACK = 2 * LIFETIME_MAX
# Each wallet is audited once a day, or a little later; the look-back covers the delay.
DAILY_LOOK_BACK = timedelta(hours=30)


@dataclass(frozen=True, slots=True)
class AuditDeps:
    """The dependencies of an audit."""

    sealing: SealDeps
    closing: CloseDeps
    escrow_records: EscrowRecords


def audit_and_refresh(
    workspace_id: str, *, deps: AuditDeps, refresh: Callable[[str, datetime], object], now: datetime
) -> None:
    """Audit one wallet, then grant its daily credits with `refresh`, even if the audit fails."""
    try:
        audit_wallet(workspace_id, deps=deps, now=now)
    finally:
        refresh(workspace_id, now)


def audit_wallet(workspace_id: str, *, deps: AuditDeps, now: datetime) -> None:
    """Seal, compare and reconcile one wallet. Repairs, and faults that cannot be repaired, are counted for the
    alarms."""
    report = audit(workspace_id, deps=deps.sealing, now=now)
    for mismatch in report.mismatches:
        report_mismatch(workspace_id, mismatch)
    if report.overdue:
        logger.warning("sealed late", workspace_id=workspace_id, movements=report.overdue)
        put_count("LedgerRepairs")
    reconcile_workspace(workspace_id, deps=deps.closing, now=now, look_back=DAILY_LOOK_BACK, thorough=True)
    orphans = find_orphaned_escrows(workspace_id, wallets=deps.sealing.wallets, records=deps.escrow_records, now=now)
    for each in orphans:
        fault = f"the escrow of {each.payment_id} holds {each.credits}, and its record is {each.record.value}"
        report_mismatch(workspace_id, fault)


def sweep_workspaces(workspace_ids: Iterable[str], *, deps: CloseDeps, now: datetime) -> int:
    """Expire the overdue generations of these workspaces, and end the holds and generations that disagree. A workspace
    that fails does not keep the others from their sweep. Returns how many generations were overdue."""
    expired = 0
    for workspace_id in workspace_ids:
        try:
            expired += sweep(workspace_id, deps=deps, now=now)
            reconcile_workspace(workspace_id, deps=deps, now=now)
        except Exception:
            logger.exception("sweep failed", workspace_id=workspace_id)
    logger.info("reconciled", expired=expired)
    if expired:
        put_count("StuckGenerations", expired)
    return expired


def reconcile_workspace(
    workspace_id: str,
    *,
    deps: CloseDeps,
    now: datetime,
    look_back: timedelta = RECENT_LOOK_BACK,
    thorough: bool = False,
) -> None:
    """End the holds and generations of a workspace that disagree, and count the repairs."""
    repairs = reconcile(workspace_id, created_after=now - look_back, thorough=thorough, deps=deps, now=now)
    if repairs:
        facts = {"released": repairs.released, "ended": repairs.ended, "closed": repairs.closed}
        logger.warning("reconciled", extra={"workspace_id": workspace_id, **facts})
        put_count("LedgerRepairs")
