"""Change the plan of a subscription: to a higher tier at once, to a lower one or a shorter interval at the end of the
period.

A change at once is charged by what is left of the period, and gives the difference in credits by the same proportion;
the preview shows both before anything is confirmed. While its payment has not succeeded, the plan stays what it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from secrets import token_hex

from atelier.billing.errors import NotSubscribed, PaymentRefused
from atelier.billing.find_plan import current_subscription, price_of_tier
from atelier.billing.invoice_credits import MONTHS, invoice_credits
from atelier.billing.model import PlanStatus, Subscription
from atelier.billing.one_change import one_change
from atelier.billing.plan_deps import PlanDeps
from atelier.billing.stripe_facts import InvoiceFacts, SubscriptionFacts
from atelier.billing.sync_invoice import sync_invoice
from atelier.billing.sync_subscription import plan_facts, sync_subscription
from atelier.catalogue.tiers import Interval, Tier
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Conflict, QuoteExpired

# How long the amounts of a preview hold.
PREVIEW_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """What a change of plan costs and gives. `amount_due`: in the currency's minor unit, charged at `effective_at` if
    that is now. `quoted_at`: repeated with the change, the amounts are exactly these."""

    amount_due: int
    currency: str
    credits_now: int
    effective_at: datetime
    quoted_at: datetime


def preview_change(workspace_id: str, tier: str, interval: Interval, *, deps: PlanDeps, now: datetime) -> ChangePreview:
    """What the change would cost and give. Raises NotSubscribed; Conflict for the plan that it is already, and while
    the present period is not paid; ValidationFailed for what is not sold."""
    at = now.replace(microsecond=0)
    record, facts, target = _find(workspace_id, tier, interval, deps)
    _require_paid(record, facts, deps)
    if not _takes_effect_now(record, target, interval, deps):
        return ChangePreview(0, target.currency, 0, record.period_end, at)
    price_id = deps.price_id(target.id, interval, target.currency)
    if record.status is PlanStatus.TRIALING:
        # The trial goes on under the new plan, whose first payment comes at its end.
        return ChangePreview(0, target.currency, 0, at, at)
    invoice = _preview(facts, price_id, at, deps)
    credits = invoice_credits(invoice, anchor=facts.anchor, tier_of=deps.billing.tier_of)
    return ChangePreview(invoice.amount_due, invoice.currency, sum(line.credits for line in credits), at, at)


def change_plan(
    workspace_id: str, tier: str, interval: Interval, quoted_at: datetime | None, *, deps: PlanDeps, now: datetime
) -> Subscription:
    """Change the plan; returns the subscription afterwards. Naming the present plan withdraws a planned change. Safe to
    repeat: a plan that it is already is not charged again. Raises like `preview_change`; Conflict while another request
    changes the plan; QuoteExpired for a preview that is too old; PaymentRefused when the payment does not succeed, and
    then the plan is what it was."""
    at = (quoted_at or now).replace(microsecond=0)
    if not timedelta(minutes=-1) <= now - at <= PREVIEW_LIFETIME:
        raise QuoteExpired("The preview is too old. Request another one.")
    request = f"change#{tier}#{interval}#{rfc3339(at)}"
    with one_change(workspace_id, request, store=deps.billing.store, now=now):
        return _change(workspace_id, tier, interval, at, deps)


def _change(workspace_id: str, tier: str, interval: Interval, at: datetime, deps: PlanDeps) -> Subscription:
    record = _running(workspace_id, deps)
    facts = deps.billing.stripe.subscription(record.stripe_id)
    target, _ = price_of_tier(tier, interval, deps)
    if (record.tier, record.interval) == (target.id, interval):
        deps.record("billing.keep_requested", target=record.id, before=plan_facts(record))
        deps.billing.stripe.keep_plan(facts)
        return _synced(record, deps)
    if record.cancel_at_period_end:
        raise Conflict("The subscription ends with its period. Resume it first.", reason="ends_with_period")
    _require_paid(record, facts, deps)
    price_id = deps.price_id(target.id, interval, target.currency)
    before, after = plan_facts(record), {"tier": target.id, "interval": interval}
    deps.record("billing.change_requested", target=record.id, before=before, after=after)
    if not _takes_effect_now(record, target, interval, deps):
        deps.billing.stripe.change_at_period_end(facts, price_id)
        return _synced(record, deps)
    if record.status is not PlanStatus.TRIALING:
        _preview(facts, price_id, at, deps)
    deps.billing.stripe.keep_plan(facts)
    deps.billing.stripe.change_now(facts, price_id, at)
    changed = deps.billing.stripe.subscription(record.stripe_id)
    if changed.latest_invoice_id is not None:
        sync_invoice(changed.latest_invoice_id, deps=deps.billing)
    if changed.price is None or changed.price.id != price_id:
        raise PaymentRefused(
            "The payment did not succeed, so the plan stays what it was.", **_open_invoice(changed, deps)
        )
    return _synced(record, deps)


def _running(workspace_id: str, deps: PlanDeps) -> Subscription:
    record = current_subscription(workspace_id, deps)
    if record is None or record.is_over:
        raise NotSubscribed("There is no subscription to change. Buy one.")
    return record


def _find(
    workspace_id: str, tier: str, interval: Interval, deps: PlanDeps
) -> tuple[Subscription, SubscriptionFacts, Tier]:
    record = _running(workspace_id, deps)
    target, _ = price_of_tier(tier, interval, deps)
    if (record.tier, record.interval) == (target.id, interval):
        raise Conflict("This is the plan already.", tier=record.tier, interval=record.interval)
    return record, deps.billing.stripe.subscription(record.stripe_id), target


def _takes_effect_now(record: Subscription, target: Tier, interval: Interval, deps: PlanDeps) -> bool:
    """Whether the change is one upwards: to a higher tier, to a year of the same one, or to a newer version that costs
    no less. Never to a shorter interval: the year is paid, and its credits are given. Never from a trial to a tier that
    sells none, which would be had for nothing until the trial ends."""
    if MONTHS[interval] < MONTHS[record.interval]:
        return False
    if record.status is PlanStatus.TRIALING and not target.trial_days:
        return False
    present = deps.catalogue.tier(record.tier)
    ranks = deps.catalogue.rank(record.tier), deps.catalogue.rank(target.id)
    if ranks[0] != ranks[1]:
        return ranks[1] > ranks[0]
    if record.interval != interval:
        return MONTHS[interval] > MONTHS[record.interval]
    return (target.price(interval) or 0) >= (present.price(interval) or 0)


def _require_paid(record: Subscription, facts: SubscriptionFacts, deps: PlanDeps) -> None:
    """Raises Conflict unless the present period is paid, or a trial. Stripe credits the unused time of a plan that is
    left as money, whether it was paid or not."""
    if record.status is PlanStatus.TRIALING:
        return
    if record.status is PlanStatus.PAST_DUE:
        text = "A payment is due. Pay the open invoice first, and then change the plan."
        raise Conflict(text, reason="payment_due", **_open_invoice(facts, deps))
    if record.status is PlanStatus.PAUSED:
        raise Conflict("The plan is paused. Resume it first, and then change it.", reason="paused")
    paid_until = deps.billing.stripe.paid_until(facts.id)
    if paid_until is None or paid_until <= facts.period_start:
        raise Conflict(
            "The present period is not paid. Wait for its payment, or resume the plan, and then change it.",
            reason="period_not_paid",
        )


def _preview(facts: SubscriptionFacts, price_id: str, at: datetime, deps: PlanDeps) -> InvoiceFacts:
    """The invoice of a change at once. Raises Conflict when it gives money back: that money's credits would stay."""
    invoice = deps.billing.stripe.preview_change(facts, price_id, at)
    if invoice.total < 0:
        raise Conflict(
            "This change would give money back, so it is not possible before the period ends. Choose a longer interval "
            "or a higher tier, or cancel the plan and buy the other one when it has ended.",
            reason="gives_money_back",
        )
    return invoice


def _open_invoice(facts: SubscriptionFacts, deps: PlanDeps) -> dict[str, str | None]:
    """The page on which the buyer can pay or confirm what did not succeed."""
    if facts.latest_invoice_id is None:
        return {}
    return {"invoice_url": deps.billing.stripe.invoice(facts.latest_invoice_id).page_url}


def _synced(record: Subscription, deps: PlanDeps) -> Subscription:
    return sync_subscription(record.stripe_id, deps=deps.billing) or record


def cancel_plan(workspace_id: str, *, deps: PlanDeps, now: datetime) -> Subscription:
    """End the subscription with its period; what is not paid ends at once. Safe to repeat."""
    record = _running(workspace_id, deps)
    facts = deps.billing.stripe.subscription(record.stripe_id)
    deps.record("billing.cancel_requested", target=record.id, before=plan_facts(record))
    deps.billing.stripe.keep_plan(facts)
    if record.entitles_until is not None and record.entitles_until <= now:
        deps.billing.stripe.cancel_at_once(facts.id)
    else:
        deps.billing.stripe.set_cancel_at_period_end(facts, cancels=True)
    return _synced(record, deps)


def resume_plan(workspace_id: str, *, deps: PlanDeps, now: datetime) -> Subscription:
    """Go on after all: withdraw the end, and end a pause. After a pause that outlasted what was paid, also when Stripe
    has ended it by itself, a new period begins now. Safe to repeat; does nothing to a plan that goes on anyway. Raises
    Conflict while another request changes the plan: two at once would begin, and charge, two periods."""
    with one_change(workspace_id, f"resume#{token_hex(8)}", store=deps.billing.store, now=now):
        return _resume(workspace_id, deps)


def _resume(workspace_id: str, deps: PlanDeps) -> Subscription:
    record = _running(workspace_id, deps)
    facts = deps.billing.stripe.subscription(record.stripe_id)
    deps.record("billing.resume_requested", target=record.id, before=plan_facts(record))
    if record.cancel_at_period_end:
        deps.billing.stripe.set_cancel_at_period_end(facts, cancels=False)
    if record.paid_until is not None:
        # A period whose invoice is still a draft is charged by it, once the pause is over.
        is_unpaid = record.paid_until <= facts.period_start and facts.is_latest_given_up
        deps.billing.stripe.resume(facts, starts_period=is_unpaid)
    return _synced(record, deps)


def pause_plan(workspace_id: str, resumes_at: datetime | None, *, deps: PlanDeps, now: datetime) -> Subscription:
    """Charge nothing until the plan is resumed; it goes on until the end of what is paid. Safe to repeat. Raises
    Conflict for a plan that is not paid or ends anyway, and while another request changes the plan, whose invoice would
    be void."""
    with one_change(workspace_id, f"pause#{token_hex(8)}", store=deps.billing.store, now=now):
        return _pause(workspace_id, resumes_at, deps)


def _pause(workspace_id: str, resumes_at: datetime | None, deps: PlanDeps) -> Subscription:
    record = _running(workspace_id, deps)
    if record.status is PlanStatus.PAUSED:
        return record
    if record.status is not PlanStatus.ACTIVE or record.cancel_at_period_end:
        raise Conflict(f"A plan that is {record.status} cannot be paused.", status=record.status.value)
    if record.paid_until is not None:
        raise Conflict("The present period is not paid. Resume the plan first.", reason="period_not_paid")
    facts = deps.billing.stripe.subscription(record.stripe_id)
    until = rfc3339(resumes_at) if resumes_at else None
    deps.record("billing.pause_requested", target=record.id, before=plan_facts(record), resumes_at=until)
    deps.billing.stripe.keep_plan(facts)
    deps.billing.stripe.pause(facts, resumes_at)
    return _synced(record, deps)
