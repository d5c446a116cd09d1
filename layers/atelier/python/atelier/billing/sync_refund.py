"""Bring a refund to what Stripe says now: credits that were refunded are taken back, and given back if it fails."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.sync_money_back import sync_money_back


def sync_refund(refund_id: str, *, deps: BillingDeps) -> None:
    """Does nothing for a refund of others. Safe to repeat, in any order."""
    try:
        facts = deps.stripe.refund(refund_id)
    except StripeObjectMissing:
        return
    if facts.payment_id is not None:
        sync_money_back(facts.payment_id, deps=deps)
