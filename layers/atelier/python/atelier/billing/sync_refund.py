"""Bring a refund to what Stripe says now: credits that were refunded are taken back, and given back if it fails."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.stripe_facts import RefundFacts
from atelier.billing.sync_payment import sync_payment
from atelier.billing.take_back import return_taken, take_back


def sync_refund(refund_id: str, *, deps: BillingDeps) -> None:
    """Does nothing for a refund of others. Safe to repeat, in any order."""
    try:
        facts = deps.stripe.refund(refund_id)
    except StripeObjectMissing:
        return
    if facts.payment_id is not None:
        _apply(facts.payment_id, [facts], deps)


def sync_refunds_of(payment_id: str, *, deps: BillingDeps) -> None:
    """Bring all refunds of a payment to what Stripe says now."""
    _apply(payment_id, deps.stripe.refunds_of(payment_id), deps)


def _apply(payment_id: str, refunds: list[RefundFacts], deps: BillingDeps) -> None:
    # The payment first: its credits may not be granted yet, and must be, so that they can be taken back.
    synced = sync_payment(payment_id, deps=deps)
    if synced is None:
        return
    for refund in refunds:
        if refund.returns_money:
            take_back(synced, refund.id, refund.amount, "refund", deps=deps)
        else:
            return_taken(synced, refund.id, "refund failed", deps=deps)
