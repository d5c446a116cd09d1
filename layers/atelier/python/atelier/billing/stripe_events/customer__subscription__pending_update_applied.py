"""`customer.subscription.pending_update_applied`: a change that waited for its payment has happened."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_subscription import sync_subscription


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_subscription(event.object_id, deps=deps)
