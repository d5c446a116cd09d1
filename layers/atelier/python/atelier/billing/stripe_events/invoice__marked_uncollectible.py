"""`invoice.marked_uncollectible`: nobody expects it to be paid."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_invoice import sync_invoice


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_invoice(event.object_id, deps=deps)
