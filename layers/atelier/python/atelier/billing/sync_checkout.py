"""Bring a checkout to what Stripe says now: its state, and what it sold.

What was promised is read from our own record, which was written before Stripe was asked; a session that has no such
record, or another amount than it, gives nothing."""

from __future__ import annotations

from dataclasses import replace

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.model import Checkout, CheckoutState
from atelier.billing.promised import find_checkout, grant_pack
from atelier.billing.stripe_facts import CheckoutFacts
from atelier.billing.sync_invoice import sync_invoice
from atelier.billing.sync_payment import sync_payment
from atelier.billing.sync_subscription import sync_subscription
from atelier.telemetry import logger, put_count

# What Stripe says of a payment that did not succeed.
FAILED_PAYMENTS = ("canceled", "requires_payment_method")


def sync_checkout(session_id: str, *, deps: BillingDeps) -> Checkout | None:
    """Returns None for a session of others. Safe to repeat, in any order."""
    try:
        facts = deps.stripe.checkout(session_id)
    except StripeObjectMissing:
        return None
    checkout = find_checkout(facts.workspace_id, facts.checkout_id, facts.customer_id, deps)
    if checkout is None:
        put_count("StripeObjectsOfOthers", kind="checkout")
        return None
    if not _is_as_promised(checkout, facts):
        logger.error("a checkout differs from what was promised", extra={"checkout": checkout.id, "session": facts.id})
        put_count("CheckoutsTampered")
        return None
    payment_status = None
    if facts.subscription_id is not None and facts.status == "complete":
        _sync_first_period(facts.subscription_id, deps)
    if checkout.kind == "pack" and facts.payment_id is not None:
        synced = sync_payment(facts.payment_id, deps=deps)
        payment_status = synced.payment.status if synced else None
    elif checkout.kind == "pack" and facts.is_paid:
        # A promotion code made it free, so there is no payment.
        grant_pack(checkout, f"grant#stripe#{facts.id}", deps)
    after = replace(checkout, session_id=facts.id, url=facts.url, state=_state(facts, payment_status))
    if deps.store.save_checkout(after):
        deps.on_change()
    return after


def _sync_first_period(subscription_id: str, deps: BillingDeps) -> None:
    """The subscription, and the credits of its first invoice: the buyer who returns finds both."""
    invoice_id = deps.stripe.subscription(subscription_id).latest_invoice_id
    if invoice_id is None:
        sync_subscription(subscription_id, deps=deps)
    else:
        sync_invoice(invoice_id, deps=deps)


def _is_as_promised(checkout: Checkout, facts: CheckoutFacts) -> bool:
    # A trial costs nothing at first.
    amount = 0 if checkout.trial_days else checkout.amount
    return facts.currency == checkout.currency and facts.subtotal == amount


def _state(facts: CheckoutFacts, payment_status: str | None) -> CheckoutState:
    """The state of a checkout. A payment that takes days is under way until it has arrived or has failed."""
    if facts.is_paid:
        return CheckoutState.PAID
    if facts.status == "complete":
        return CheckoutState.FAILED if payment_status in FAILED_PAYMENTS else CheckoutState.PENDING
    return CheckoutState.EXPIRED if facts.status == "expired" else CheckoutState.OPEN
