"""Schedule: compare Stripe with our records and the ledger, and repair what no event has told."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.billing.reconcile import reconcile_billing
from atelier.clock import Clock, system_clock
from atelier.jobs.record_run import recorded
from atelier.wiring import deletions, job_runs, payments


@recorded("reconcile-billing", job_runs.save)
def handler(_event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, int]:
    """Begin a pass, or go on where the last run stopped. Safe to repeat, also in parallel."""
    deps, follow = partial(payments.billing_deps, clock), deletions.let_plan_follow
    return reconcile_billing(payments.services(), deps=deps, follow=follow, context=context)
