"""`product.updated`: somebody has changed the price list at Stripe; the daily comparison says if it still is ours."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.telemetry import put_count


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    put_count("StripePriceListChanged", type=event.type)
