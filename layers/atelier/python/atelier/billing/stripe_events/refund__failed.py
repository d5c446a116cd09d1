"""`refund.failed`: the buyer's bank has sent it back."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_refund import sync_refund


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    sync_refund(event.object_id, deps=deps)
