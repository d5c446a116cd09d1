"""Bring what the refunds and disputes of a payment have taken back to what Stripe says now.

All of them together, whichever has changed: when one gives credits back (a dispute is won, a refund fails), another may
have been waiting to take them. So the order in which their events come makes no difference."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.sync_payment import SyncedPayment, sync_payment
from atelier.billing.take_back import return_taken, take_back


def sync_money_back(payment_id: str, *, deps: BillingDeps) -> SyncedPayment | None:
    """The payment; None for one of others. Safe to repeat, in any order."""
    # The payment first: its credits may not be granted yet, and must be, so that they can be taken back.
    synced = sync_payment(payment_id, deps=deps)
    if synced is None or not synced.credits:
        return synced
    refunds = sorted(deps.stripe.refunds_of(payment_id), key=lambda refund: (refund.created_at, refund.id))
    disputes = sorted(deps.stripe.disputes_of(payment_id), key=lambda dispute: (dispute.created_at, dispute.id))
    for refund in refunds:
        if not refund.returns_money:
            return_taken(synced, refund.id, "refund failed", deps=deps)
    for dispute in disputes:
        if dispute.is_won:
            return_taken(synced, dispute.id, "dispute won", deps=deps)
    for refund in refunds:
        if refund.returns_money:
            take_back(synced, refund.id, refund.amount, "refund", deps=deps)
    for dispute in disputes:
        if dispute.takes_money:
            take_back(synced, dispute.id, dispute.amount, "dispute", deps=deps)
    return synced
