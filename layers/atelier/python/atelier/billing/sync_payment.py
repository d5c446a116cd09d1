"""Bring a payment to what Stripe says now: its record, and the credits that it paid for.

Safe to repeat, in any order and in parallel: a pack's credits have the key of the payment, those of a subscription the
keys of its invoice's lines."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.model import Checkout, Payment
from atelier.billing.promised import find_checkout, grant_pack
from atelier.billing.stripe_facts import PaymentFacts
from atelier.billing.sync_invoice import grant_key, sync_invoice
from atelier.dataclass import dataclass
from atelier.telemetry import put_count


@dataclass(frozen=True, slots=True)
class PaidCredits:
    """Credits that a payment has paid for: the key of their grant, how many, and a short name of the part."""

    grant_key: str
    credits: int
    part: str


@dataclass(frozen=True, slots=True)
class SyncedPayment:
    """A payment of ours, what it paid for, and the amount that all of this cost."""

    workspace_id: str
    payment: Payment
    credits: tuple[PaidCredits, ...]
    price: int


def sync_payment(payment_id: str, *, deps: BillingDeps) -> SyncedPayment | None:
    """Returns None for a payment of others."""
    read_at = deps.clock()
    try:
        facts = deps.stripe.payment(payment_id)
    except StripeObjectMissing:
        facts = None
    workspace_id = deps.store.workspace_of(facts.customer_id) if facts and facts.customer_id else None
    if facts is None or workspace_id is None:
        put_count("StripeObjectsOfOthers", kind="payment")
        return None
    checkout = find_checkout(facts.workspace_id, facts.checkout_id, facts.customer_id, deps)
    synced = _of_pack(facts, checkout, deps) if checkout else _of_invoice(facts, workspace_id, deps)
    if deps.store.save_payment(synced.payment, read_at=read_at):
        deps.on_change()
    return synced


def _of_pack(facts: PaymentFacts, checkout: Checkout, deps: BillingDeps) -> SyncedPayment:
    credits = tuple[PaidCredits, ...]()
    if checkout.kind == "pack" and facts.status == "succeeded":
        key = f"grant#stripe#{facts.id}"
        grant_pack(checkout, key, deps)
        credits = (PaidCredits(key, checkout.credits, "pack"),)
    return _synced(facts, checkout.workspace_id, credits, facts.amount, checkout_id=checkout.id)


def _of_invoice(facts: PaymentFacts, workspace_id: str, deps: BillingDeps) -> SyncedPayment:
    invoice_id = deps.stripe.invoice_of_payment(facts.id)
    invoice = sync_invoice(invoice_id, deps=deps) if invoice_id else None
    if invoice is None or invoice.workspace_id != workspace_id:
        return _synced(facts, workspace_id, (), facts.amount)
    credits = tuple(
        PaidCredits(grant_key(invoice.facts.id, line.line_id), line.credits, line.line_id) for line in invoice.credits
    )
    # A credit balance may have paid a part of it, so the payment can be less than the price.
    return _synced(facts, workspace_id, credits, max(invoice.facts.total, facts.amount), invoice_id=invoice.facts.id)


def _synced(
    facts: PaymentFacts,
    workspace_id: str,
    credits: tuple[PaidCredits, ...],
    price: int,
    *,
    invoice_id: str | None = None,
    checkout_id: str | None = None,
) -> SyncedPayment:
    payment = Payment(
        id=facts.id,
        workspace_id=workspace_id,
        status=facts.status,
        amount=facts.amount,
        currency=facts.currency,
        created_at=facts.created_at,
        invoice_id=invoice_id,
        checkout_id=checkout_id,
        refunded=facts.refunded,
        is_disputed=facts.is_disputed,
        fee=facts.fee,
        receipt_url=facts.receipt_url,
        failure=facts.failure,
        credits=sum(each.credits for each in credits) if checkout_id else 0,
    )
    return SyncedPayment(workspace_id, payment, credits, price)
