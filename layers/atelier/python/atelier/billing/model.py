"""The records of billing, and the rules that need nothing but them: frozen values and pure functions.

Amounts are integers in the minor unit of their currency; credits are integers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from atelier.billing.stripe_facts import InvoiceFacts, PlannedChange, SubscriptionFacts
from atelier.catalogue.tiers import FREE, Interval
from atelier.dataclass import dataclass


class PlanStatus(StrEnum):
    """The state of a workspace's plan."""

    TRIALING = "trialing"
    ACTIVE = "active"
    # A payment has failed; the plan goes on until the end of the grace period.
    PAST_DUE = "past_due"
    # Nothing is charged until the owner resumes; the plan goes on until the end of what is paid.
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Customer:
    """A workspace as Stripe's customer. `is_deleted`: somebody has deleted the customer at Stripe."""

    workspace_id: str
    stripe_id: str
    created_at: datetime
    is_deleted: bool = False


class CheckoutState(StrEnum):
    """How far a checkout has come."""

    OPEN = "open"
    # The buyer has done everything, and the payment takes some days, as a direct debit does.
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Checkout:
    """What is sold in one checkout, written before Stripe is asked: what was promised is read from here, never from a
    request or an event. `item`: a tier or a pack with its version. `credits`: of a pack, for the whole quantity.
    `amount`: before discounts and taxes. `session_id` and `url` are Stripe's, once it has answered."""

    id: str
    workspace_id: str
    user_id: str
    kind: Literal["tier", "pack"]
    item: str
    interval: Interval | None
    quantity: int
    credits: int
    currency: str
    amount: int
    created_at: datetime
    credits_expire_after_days: int | None = None
    trial_days: int = 0
    session_id: str | None = None
    url: str | None = None
    state: CheckoutState = CheckoutState.OPEN


@dataclass(frozen=True, slots=True)
class Subscription:
    """The one subscription of a workspace, or the last one that it had. `revision` counts the writes: what is written
    was decided on the record of the revision before, read before Stripe was. `paid_until`: the end of the last paid
    period, of one that is paused, or was when its present period began, which nobody has paid."""

    id: str
    workspace_id: str
    stripe_id: str
    tier: str
    interval: Interval
    status: PlanStatus
    period_start: datetime
    period_end: datetime
    started_at: datetime
    revision: int
    cancel_at_period_end: bool = False
    trial_ends_at: datetime | None = None
    past_due_since: datetime | None = None
    grace_ends_at: datetime | None = None
    paid_until: datetime | None = None
    resumes_at: datetime | None = None
    planned: PlannedChange | None = None
    schedule_id: str | None = None
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.status is PlanStatus.ENDED

    @property
    def entitled_tier(self) -> str:
        """The tier whose rules count for the workspace, until `entitles_until`. A plan that Stripe has ended for want
        of payment counts until the end of its grace period."""
        return FREE if self.is_over and self.grace_ends_at is None else self.tier

    @property
    def entitles_until(self) -> datetime | None:
        """When the workspace falls to free without a further word from Stripe; None = it does not."""
        return self.grace_ends_at if self.paid_until is None else self.paid_until


@dataclass(frozen=True, slots=True)
class LineCredits:
    """The credits that a paid line of an invoice gives, and when they expire. is_trial: nothing was paid for them."""

    line_id: str
    tier: str
    credits: int
    period_start: datetime
    expires_at: datetime
    is_trial: bool = False


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as it was last read: what a buyer sees, and the facts of revenue. `credits`: granted for it."""

    id: str
    workspace_id: str
    subscription_id: str | None
    number: str | None
    status: str
    reason: str
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    amount_paid: int
    credits: int
    created_at: datetime
    period_start: datetime
    period_end: datetime
    paid_at: datetime | None = None
    page_url: str | None = None
    file_url: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as it was last read. `refunded`: of its amount; `fee`: what Stripe keeps, None while it is not known.
    `credits`: what a pack's payment has given. `is_suspicious`: the card's issuer has warned of fraud."""

    id: str
    workspace_id: str
    status: str
    amount: int
    currency: str
    created_at: datetime
    invoice_id: str | None = None
    checkout_id: str | None = None
    refunded: int = 0
    is_disputed: bool = False
    fee: int | None = None
    receipt_url: str | None = None
    failure: str | None = None
    credits: int = 0
    is_suspicious: bool = False


# The kinds of Stripe's objects that are reconciled.
ObjectKind = Literal["subscriptions", "checkouts", "payments", "invoices", "refunds", "disputes"]


@dataclass(frozen=True, slots=True)
class ReconcilePass:
    """One comparison of everything at Stripe with our records, which may take several runs. It goes through the kinds
    in their order; `after`: the last object of `kind` that was compared. `failed`: how many objects could not be."""

    since: datetime | None
    began_at: datetime
    kind: ObjectKind
    after: str | None = None
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`until`: the cut, up to which everything was compared; None = nothing was ever. `open_pass`: a pass that has not
    come to its end."""

    until: datetime | None = None
    open_pass: ReconcilePass | None = None


def subscription_after(
    facts: SubscriptionFacts,
    before: Subscription | None,
    *,
    id: str,
    grace_days: int,
    latest: InvoiceFacts | None,
    unpaid_since: datetime | None,
    paid_until: datetime | None,
    now: datetime,
) -> Subscription:
    """The record of a subscription that says what Stripe says now.

    before: the record of the same subscription, None = there is none yet. id: of a new record. grace_days: of its tier.
    latest: its latest invoice. paid_until: the end of its last paid period; both where the record depends on them.
    unpaid_since: when its oldest open invoice became due. The grace period is counted from
    then, so that it is the same however late or often this is decided, and an invoice that is made meanwhile does not
    begin another one."""
    assert facts.price is not None
    assert facts.price.tier is not None
    assert facts.price.interval is not None
    status = _plan_status(facts)
    past_due_since = grace_ends_at = None
    if facts.is_payment_overdue:
        due_at = (latest.finalized_at or latest.created_at) if latest else facts.period_start
        past_due_since = unpaid_since or (before.past_due_since if before else None) or due_at
        grace_ends_at = past_due_since + timedelta(days=grace_days)
        if facts.ended_at is not None and grace_ends_at <= facts.ended_at:
            # It is over by Stripe's own time, which may be ahead of ours: that of a test clock.
            grace_ends_at = None
    return Subscription(
        id=before.id if before else id,
        workspace_id=before.workspace_id if before else "",
        stripe_id=facts.id,
        tier=facts.price.tier,
        interval=facts.price.interval,
        status=status,
        period_start=facts.period_start,
        period_end=facts.period_end,
        started_at=facts.created_at,
        revision=(before.revision if before else 0) + 1,
        cancel_at_period_end=facts.cancel_at_period_end,
        trial_ends_at=facts.trial_ends_at if facts.status == "trialing" else None,
        past_due_since=past_due_since,
        grace_ends_at=grace_ends_at,
        paid_until=_paid_until(facts, status, paid_until),
        resumes_at=facts.resumes_at,
        planned=facts.planned,
        schedule_id=facts.schedule_id,
        ended_at=(before.ended_at if before and before.ended_at else now) if status is PlanStatus.ENDED else None,
    )


def _plan_status(facts: SubscriptionFacts) -> PlanStatus:
    if facts.status == "trialing":
        return PlanStatus.TRIALING
    if facts.status == "active":
        return PlanStatus.PAUSED if facts.is_collection_paused else PlanStatus.ACTIVE
    if facts.status in ("past_due", "unpaid"):
        return PlanStatus.PAST_DUE
    # Stripe's status `paused` is that of a trial that ended without a card: nothing is paid.
    return PlanStatus.ENDED


def _paid_until(facts: SubscriptionFacts, status: PlanStatus, paid_until: datetime | None) -> datetime | None:
    """Up to when a plan is paid that may not be: while it is paused, the invoices of new periods are void. When Stripe
    ends the pause by itself, the period stays unpaid."""
    paid = paid_until or facts.period_start
    is_unpaid = facts.is_latest_given_up and paid <= facts.period_start
    return paid if status is PlanStatus.PAUSED or (status is PlanStatus.ACTIVE and is_unpaid) else None


def is_same(one: Subscription, other: Subscription) -> bool:
    """Whether two records differ in nothing but the count of their writes."""
    return replace(one, revision=0) == replace(other, revision=0)
