"""Bring an invoice to what Stripe says now: its record, and the credits of each of its lines once it is paid.

Safe to repeat, in any order and in parallel. The credits of an invoice are decided once and stored before the first of
them is granted; the key of each grant is that of its line. So whatever else changes, they are granted once."""

from __future__ import annotations

from datetime import datetime

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.invoice_credits import invoice_credits
from atelier.billing.model import Invoice, LineCredits
from atelier.billing.stripe_facts import InvoiceFacts
from atelier.billing.sync_subscription import sync_subscription
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.ledger import post
from atelier.ledger.model import GrantSource
from atelier.telemetry import put_count


@dataclass(frozen=True, slots=True)
class SyncedInvoice:
    """An invoice of ours, and the credits that were granted for it."""

    workspace_id: str
    facts: InvoiceFacts
    credits: tuple[LineCredits, ...]


def grant_key(invoice_id: str, line_id: str) -> str:
    """The ledger's key of the credits of one line."""
    return f"grant#stripe#{invoice_id}#{line_id}"


def sync_invoice(invoice_id: str, *, deps: BillingDeps) -> SyncedInvoice | None:
    """Returns None for an invoice of others."""
    read_at = deps.clock()
    try:
        facts = deps.stripe.invoice(invoice_id)
    except StripeObjectMissing:
        # A draft that was deleted.
        return None
    workspace_id = deps.store.workspace_of(facts.customer_id)
    if workspace_id is None:
        put_count("StripeObjectsOfOthers", kind="invoice")
        return None
    if facts.subscription_id is not None:
        # Its status follows its invoices, and a first invoice is of a subscription that may not be known yet.
        sync_subscription(facts.subscription_id, deps=deps)
    credits = _grant(workspace_id, facts, deps, read_at)
    if deps.store.save_invoice(_record(workspace_id, facts, credits), read_at=read_at):
        deps.on_change()
    return SyncedInvoice(workspace_id, facts, credits)


def _grant(workspace_id: str, facts: InvoiceFacts, deps: BillingDeps, now: datetime) -> tuple[LineCredits, ...]:
    """Grant the credits of a paid invoice; returns them."""
    if facts.status != "paid" or facts.subscription_id is None:
        # What was decided for an invoice that was paid stays, whatever becomes of it.
        return deps.store.invoice_credits(workspace_id, facts.id) or ()
    credits = deps.store.invoice_credits(workspace_id, facts.id)
    if credits is None:
        # A subscription that ended before it was ever seen is claimed here: its period was paid.
        if not deps.store.claim_ended(workspace_id, facts.subscription_id):
            return ()
        anchor = deps.stripe.subscription(facts.subscription_id).anchor
        decided = invoice_credits(facts, anchor=anchor, tier_of=deps.tier_of)
        credits = deps.store.decide_invoice_credits(workspace_id, facts.id, decided)
    for line in credits:
        post.grant(
            workspace_id,
            grant_key(facts.id, line.line_id),
            # Nobody has paid for a trial, so its credits pay nobody else.
            GrantSource.PROMO if line.is_trial else GrantSource.MONTHLY,
            line.credits,
            expires_at=line.expires_at,
            facts={"tier": line.tier, "invoice": facts.id, "period_start": rfc3339(line.period_start)},
            deps=deps.ledger,
            now=now,
        )
    return credits


def _record(workspace_id: str, facts: InvoiceFacts, credits: tuple[LineCredits, ...]) -> Invoice:
    return Invoice(
        id=facts.id,
        workspace_id=workspace_id,
        subscription_id=facts.subscription_id,
        number=facts.number,
        status=facts.status,
        reason=facts.reason,
        currency=facts.currency,
        subtotal=facts.subtotal,
        discount=facts.discount,
        tax=facts.tax,
        total=facts.total,
        amount_paid=facts.amount_paid,
        credits=sum(line.credits for line in credits),
        created_at=facts.created_at,
        period_start=facts.period_start,
        period_end=facts.period_end,
        paid_at=facts.paid_at,
        page_url=facts.page_url,
        file_url=facts.file_url,
    )
