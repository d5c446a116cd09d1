"""Schedule: expire overdue generations, so that none stays open past its deadline, whatever crashed; and let the queue
of webhooks look for what is due, and stopped deployments go on, which saves schedules of their own."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.deployments.sweep import sweep_deployments
from atelier.generations.audit_wallet import sweep_workspaces
from atelier.jobs.record_run import recorded
from atelier.wiring import audits, deployments, generations, job_runs, webhook_endpoints


@recorded("reconcile-generations", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Sweep the wallets whose earliest deadline has passed: expire overdue generations, and repair disagreements."""
    now = clock()
    due = audits.workspaces_due_for_sweep(now, context)
    expired = sweep_workspaces(due, deps=generations.close_deps(), now=now)
    webhook_endpoints.queue().sweep()
    resumed = sweep_deployments(now, context, deps=deployments.sweep_deps())
    return {"expired": expired, "resumed": resumed}
