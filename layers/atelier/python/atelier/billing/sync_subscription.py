"""Bring the record of a workspace's subscription, and its wallet's tier, to what Stripe says now.

Safe to repeat, in any order and in parallel: the record is read first, then Stripe, and the write requires that the
record is still the same. So a decision on an older reading of Stripe never overwrites one on a newer reading."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.billing.model import Subscription, is_same, subscription_after
from atelier.billing.ports import StaleSubscription
from atelier.billing.stripe_facts import InvoiceFacts, SubscriptionFacts
from atelier.ids import new_id
from atelier.retrying import retrying
from atelier.telemetry import logger, put_count

TRIES_MAX = 20


def sync_subscription(stripe_id: str, *, deps: BillingDeps) -> Subscription | None:
    """The record of a subscription as of now; None for one that is not the workspace's: of a customer or a price that
    is not ours, not begun yet, or refused.

    A workspace has one subscription: the first one that is seen to run. A second one, paid in another tab, is ended at
    once and its payments are given back."""
    return retrying(
        lambda: _attempt(stripe_id, deps),
        on=StaleSubscription,
        busy="The subscription is being changed. Try again.",
        tries_max=TRIES_MAX,
        pause=deps.ledger.pause,
    )


def _attempt(stripe_id: str, deps: BillingDeps) -> Subscription | None:
    try:
        workspace_id = deps.store.workspace_of(deps.stripe.subscription(stripe_id).customer_id)
    except StripeObjectMissing:
        workspace_id = None
    if workspace_id is None:
        put_count("StripeObjectsOfOthers", kind="subscription")
        return None

    before = deps.store.subscription(workspace_id)
    # Read anew after the record: see the module's docstring.
    facts = deps.stripe.subscription(stripe_id)
    if facts.price is None or facts.price.tier is None or facts.price.interval is None:
        put_count("StripeObjectsOfOthers", kind="subscription")
        return None
    if before is not None and before.stripe_id == facts.id:
        return _write(facts, before, before, workspace_id, deps)
    if deps.store.is_claimed(workspace_id, facts.id) is False:
        # Also one that has ended: the process that refused it may have died before the refund.
        _undo(facts, deps)
        return None
    if not facts.is_live:
        return None
    if before is None or before.is_over:
        return _write(facts, None, before, workspace_id, deps)
    other = _attempt(before.stripe_id, deps)
    if other is None or other.is_over:
        # The record has changed, or will at the next attempt.
        raise StaleSubscription
    if other.revision != before.revision:
        raise StaleSubscription
    logger.warning("second subscription refused", extra={"workspace_id": workspace_id, "subscription": facts.id})
    put_count("SecondSubscriptionsRefused")
    deps.store.refuse(workspace_id, facts.id, seen_revision=before.revision)
    _undo(facts, deps)
    return None


def _write(
    facts: SubscriptionFacts,
    same: Subscription | None,
    stored: Subscription | None,
    workspace_id: str,
    deps: BillingDeps,
) -> Subscription:
    """Write the record. same: the stored record, if it is of this subscription; stored: whatever is stored."""
    assert facts.price is not None
    now = deps.clock()
    tier = deps.tier_of(facts.price.tier or "")
    may_be_unpaid = facts.is_collection_paused or facts.is_latest_given_up
    record = subscription_after(
        facts,
        same,
        id=new_id("sub", now),
        grace_days=tier.grace_days,
        latest=_latest_invoice(facts, deps),
        unpaid_since=deps.stripe.unpaid_since(facts.id) if facts.is_payment_overdue else None,
        paid_until=deps.stripe.paid_until(facts.id) if may_be_unpaid else None,
        now=now,
    )
    record = replace(record, workspace_id=workspace_id, revision=(stored.revision if stored else 0) + 1)
    if same is not None and is_same(record, same):
        return same
    deps.store.save_subscription(record, _events(stored, record, now))
    deps.on_change()
    return record


def plan_facts(record: Subscription) -> dict[str, Any]:
    """What the audit log says of a plan."""
    return {
        "tier": record.tier,
        "interval": record.interval,
        "status": record.status.value,
        "cancel_at_period_end": record.cancel_at_period_end,
    }


def _events(stored: Subscription | None, record: Subscription, now: datetime) -> list[AuditEvent]:
    """The audit event of a record that says something else of the plan. It has no user: Stripe says it, whoever asked
    Stripe."""
    before, after = plan_facts(stored) if stored else None, plan_facts(record)
    if before == after:
        return []
    return [
        audit_event(
            record.workspace_id, "billing.plan_changed", Origin(), now, target=record.id, before=before, after=after
        )
    ]


def _latest_invoice(facts: SubscriptionFacts, deps: BillingDeps) -> InvoiceFacts | None:
    """The latest invoice, where the record depends on it: that of a payment that is overdue."""
    if facts.latest_invoice_id is None or not facts.is_payment_overdue:
        return None
    return deps.stripe.invoice(facts.latest_invoice_id)


def _undo(facts: SubscriptionFacts, deps: BillingDeps) -> None:
    """End a refused subscription, and give back what was paid for it: to the card, and to the customer's balance. Safe
    to repeat."""
    deps.stripe.cancel_at_once(facts.id)
    if facts.latest_invoice_id is None:
        return
    invoice = deps.stripe.invoice(facts.latest_invoice_id)
    # An invoice that becomes void gives its part of the balance back by itself.
    if invoice.status == "paid" and invoice.from_balance:
        with suppress(StripeObjectMissing):
            key = f"refused#{facts.id}#{invoice.id}"
            deps.stripe.return_to_balance(facts.customer_id, invoice.from_balance, invoice.currency, key=key)
    for payment_id in invoice.paid_by:
        # A refund that failed would fail each time; its event has told the operator.
        if all(refund.returns_money for refund in deps.stripe.refunds_of(payment_id)):
            deps.stripe.refund_payment(payment_id, key=f"refused#{facts.id}#{payment_id}")
