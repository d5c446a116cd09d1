"""`checkout.session.completed`: the buyer has finished; the payment may still take days."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_checkout import sync_checkout


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_checkout(event.object_id, deps=deps)
