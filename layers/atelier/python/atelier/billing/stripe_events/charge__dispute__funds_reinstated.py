"""`charge.dispute.funds_reinstated`: the bank has returned the money."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_dispute import sync_dispute


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_dispute(event.object_id, deps=deps)
