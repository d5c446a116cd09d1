"""`charge.refunded`: a charge was refunded, wholly or in part. The event names the charge, not the refund."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_money_back import sync_money_back


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    payment_id = deps.stripe.payment_of_charge(event.object_id)
    if payment_id is not None:
        sync_money_back(payment_id, deps=deps)
