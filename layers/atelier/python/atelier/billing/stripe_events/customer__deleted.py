"""`customer.deleted`: it is gone at Stripe, with its subscriptions."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_customer import sync_customer


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_customer(event.object_id, deps=deps)
