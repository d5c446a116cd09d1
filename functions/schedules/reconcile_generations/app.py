"""Schedule: expire overdue generations, so that none stays open past its deadline, whatever crashed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.audit_wallet import sweep_workspaces
from atelier.wiring import audits, generations


def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Sweep the wallets whose earliest deadline has passed: expire overdue generations, and repair disagreements."""
    now = clock()
    due = audits.workspaces_due_for_sweep(now, context)
    return {"expired": sweep_workspaces(due, deps=generations.close_deps(), now=now)}
