"""`payment_intent.payment_failed`: a payment was declined."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_payment import sync_payment


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_payment(event.object_id, deps=deps)
