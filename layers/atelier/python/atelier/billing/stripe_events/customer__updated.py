"""`customer.updated`: its address, card or balance has changed; none of these is kept here."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_customer import sync_customer


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_customer(event.object_id, deps=deps)
