"""Find what no repetition of an event repairs: money without its order, and credits without their money."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.ports import StripeReads
from atelier.billing.sync_payment import SyncedPayment
from atelier.dataclass import dataclass

GRANT_PREFIX = "grant#stripe#"
MOVEMENTS_PAGE = 100
# The prefixes of Stripe's ids, by the payment's kind. Their credits were taken back, and given back with the money.
DISPUTES, REFUNDS = ("dp", "du"), ("re", "pyr")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that a person has to look at: the kind and the id of the object, and why."""

    kind: str
    object_id: str
    reason: str
    workspace_id: str | None = None


def payment_mismatch(synced: SyncedPayment, deps: BillingDeps) -> Mismatch | None:
    """Money that was taken from a customer of ours, and not for what one of our checkouts or invoices says."""
    payment = synced.payment
    if payment.status != "succeeded" or payment.invoice_id is not None:
        return None
    reason = _checkout_reason(payment.id, payment.checkout_id, synced.workspace_id, deps)
    return Mismatch("payments", payment.id, reason, synced.workspace_id) if reason else None


def _checkout_reason(payment_id: str, checkout_id: str | None, workspace_id: str, deps: BillingDeps) -> str | None:
    checkout = deps.store.checkout(workspace_id, checkout_id) if checkout_id else None
    if checkout is None or checkout.session_id is None:
        return "paid without a checkout of ours"
    session = deps.stripe.checkout(checkout.session_id)
    if session.payment_id != payment_id:
        return "names a checkout that another payment has paid"
    if (session.currency, session.subtotal) != (checkout.currency, checkout.amount):
        return "the checkout has another amount than was promised"
    return None


def unexplained_grants(workspace_id: str, since: datetime | None, deps: BillingDeps) -> Iterator[Mismatch]:
    """The grants of a workspace since a time that name an object of Stripe which does not justify them."""
    page_key: str | None = None
    while True:
        page = deps.ledger.wallets.movements(workspace_id, page_key, MOVEMENTS_PAGE)
        for movement in page.movements:
            if since is not None and movement.at < since:
                return
            if movement.kind == "grant" and movement.key.startswith(GRANT_PREFIX):
                cause_id = movement.key.split("#")[2]
                reason = _grant_reason(cause_id, workspace_id, deps)
                if reason is not None:
                    yield Mismatch("grants", movement.key, reason, workspace_id)
        page_key = page.next_key
        if page_key is None:
            return


def _grant_reason(cause_id: str, workspace_id: str, deps: BillingDeps) -> str | None:
    """Why an object of Stripe does not justify a grant; None = it does."""
    try:
        customer_id, is_justified = _payer(cause_id, deps.stripe)
    except StripeObjectMissing:
        return "Stripe does not know what it was granted for"
    if not customer_id or deps.store.workspace_of(customer_id) != workspace_id:
        return "another customer has paid"
    return None if is_justified else "what it was granted for is not paid"


def _payer(cause_id: str, stripe: StripeReads) -> tuple[str | None, bool]:
    """The customer who has paid for a grant, and whether the money is there."""
    kind = cause_id.partition("_")[0]
    if kind == "in":
        invoice = stripe.invoice(cause_id)
        return invoice.customer_id, invoice.status == "paid"
    if kind == "cs":
        session = stripe.checkout(cause_id)
        return session.customer_id, session.is_paid
    if kind in DISPUTES:
        dispute = stripe.dispute(cause_id)
        return stripe.payment(dispute.payment_id or "").customer_id, dispute.is_won
    if kind in REFUNDS:
        refund = stripe.refund(cause_id)
        return stripe.payment(refund.payment_id or "").customer_id, not refund.returns_money
    payment = stripe.payment(cause_id)
    return payment.customer_id, payment.status == "succeeded"
