"""Bring a dispute to what Stripe says now: credits whose money the bank holds are taken back, and given back if the
dispute is won. A debt for credits that were spent stops spending until it is covered."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.sync_money_back import sync_money_back
from atelier.billing.sync_payment import sync_payment
from atelier.telemetry import put_count


def sync_dispute(dispute_id: str, *, deps: BillingDeps) -> None:
    """Does nothing for a dispute of others. Safe to repeat, in any order."""
    try:
        facts = deps.stripe.dispute(dispute_id)
    except StripeObjectMissing:
        return
    synced = sync_money_back(facts.payment_id, deps=deps) if facts.payment_id else None
    if synced is not None and facts.takes_money:
        put_count("DisputesOpen")


def note_fraud_warning(warning_id: str, *, deps: BillingDeps) -> None:
    """Mark the payment that the card's issuer suspects, and count it, so that an operator can refund it in time."""
    try:
        payment_id = deps.stripe.payment_of_charge(deps.stripe.charge_of_warning(warning_id))
    except StripeObjectMissing:
        return
    synced = sync_payment(payment_id, deps=deps) if payment_id else None
    if synced is not None:
        deps.store.mark_suspicious(synced.payment)
        put_count("FraudWarnings")
