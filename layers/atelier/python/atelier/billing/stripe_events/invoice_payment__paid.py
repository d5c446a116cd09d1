"""`invoice_payment.paid`: one of an invoice's payments has succeeded."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_invoice import sync_invoice


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_invoice(deps.stripe.invoice_of_invoice_payment(event.object_id), deps=deps)
