"""`radar.early_fraud_warning.updated`: the issuer's suspicion has changed."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.billing.sync_dispute import note_fraud_warning


def handle(event: BillingEvent, deps: BillingDeps) -> None:
    note_fraud_warning(event.object_id, deps=deps)
