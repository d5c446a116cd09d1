"""What Stripe says about its objects, as values: read anew by each handler, never taken from an event.

Amounts are integers in the minor unit of their currency (cents; yen have none). Times are UTC."""

from __future__ import annotations

from datetime import datetime

from atelier.catalogue.tiers import Interval
from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class PriceFacts:
    """A price. `tier` and `pack`: what of our price list it sells, such as `pro@1` or `small@1`; None for a price that
    is not ours."""

    id: str
    currency: str
    unit_amount: int
    interval: Interval | None
    tier: str | None
    pack: str | None


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """The plan that a subscription changes to at a later date."""

    tier: str
    interval: Interval
    at: datetime


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """A subscription. `status` and `latest_invoice_status` are Stripe's own. `anchor`: the time from which its periods
    are counted. `ended_at` and `ends_by`: when and why it ended, Stripe's reason. `price` and `item_id` are None for a
    subscription that sells nothing of ours. `ends_with_workspace`: the mark of `set_cancel_at_period_end`."""

    id: str
    customer_id: str
    status: str
    price: PriceFacts | None
    item_id: str | None
    anchor: datetime
    period_start: datetime
    period_end: datetime
    created_at: datetime
    cancel_at_period_end: bool = False
    trial_ends_at: datetime | None = None
    is_collection_paused: bool = False
    resumes_at: datetime | None = None
    ended_at: datetime | None = None
    ends_by: str | None = None
    latest_invoice_id: str | None = None
    latest_invoice_status: str | None = None
    schedule_id: str | None = None
    planned: PlannedChange | None = None
    ends_with_workspace: bool = False

    @property
    def is_live(self) -> bool:
        """Whether it runs: it has begun and has not ended."""
        return self.status in ("trialing", "active", "past_due", "unpaid", "paused")

    @property
    def is_latest_given_up(self) -> bool:
        """Whether nobody will pay the latest invoice, as one that was made during a pause."""
        return self.latest_invoice_status in ("void", "uncollectible")

    @property
    def is_payment_overdue(self) -> bool:
        """Whether a payment has failed and was not made up for, also when the subscription has ended by it."""
        return self.status in ("past_due", "unpaid") or self.ends_by == "payment_failed"


@dataclass(frozen=True, slots=True)
class LineFacts:
    """A line of an invoice. `amount` is before discounts; negative for unused time that is given back. `is_trial`: the
    line of a trial, which costs nothing. `is_credit`: Stripe names earlier lines whose unused time it gives back."""

    id: str
    price: PriceFacts | None
    amount: int
    is_proration: bool
    is_trial: bool
    period_start: datetime
    period_end: datetime
    is_credit: bool = False


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """An invoice. `id` is empty for a preview. `paid_by`: the payment intents that paid it.
    `from_balance`: what it took from the customer's balance, or left there to be paid later."""

    id: str
    customer_id: str
    subscription_id: str | None
    status: str
    reason: str
    number: str | None
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    amount_due: int
    amount_paid: int
    created_at: datetime
    period_start: datetime
    period_end: datetime
    lines: tuple[LineFacts, ...]
    finalized_at: datetime | None = None
    paid_at: datetime | None = None
    page_url: str | None = None
    file_url: str | None = None
    paid_by: tuple[str, ...] = ()
    from_balance: int = 0


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """A payment intent with its charge. `fee`: what Stripe keeps; None while it is not known. `workspace_id` and
    `checkout_id`: what we wrote into it when it began."""

    id: str
    customer_id: str | None
    status: str
    amount: int
    currency: str
    created_at: datetime
    charge_id: str | None = None
    refunded: int = 0
    is_disputed: bool = False
    fee: int | None = None
    receipt_url: str | None = None
    failure: str | None = None
    workspace_id: str | None = None
    checkout_id: str | None = None


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """A refund of a payment; `status` is Stripe's own."""

    id: str
    payment_id: str | None
    amount: int
    status: str
    created_at: datetime

    @property
    def returns_money(self) -> bool:
        """Whether the buyer gets, or got, the money back."""
        return self.status not in ("failed", "canceled")


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """A dispute of a payment; `status` is Stripe's own."""

    id: str
    payment_id: str | None
    amount: int
    status: str
    created_at: datetime

    @property
    def takes_money(self) -> bool:
        """Whether the bank holds, or keeps, the money. An inquiry (`warning_…`) takes nothing."""
        return self.status in ("needs_response", "under_review", "lost")

    @property
    def is_won(self) -> bool:
        return self.status == "won"


@dataclass(frozen=True, slots=True)
class CheckoutFacts:
    """A Checkout session. `url`: the page on which it is paid, None when it is over. `subtotal`: before discounts and
    taxes."""

    id: str
    customer_id: str | None
    status: str
    payment_status: str
    subtotal: int
    currency: str
    url: str | None = None
    subscription_id: str | None = None
    payment_id: str | None = None
    workspace_id: str | None = None
    checkout_id: str | None = None

    @property
    def is_paid(self) -> bool:
        """Whether it is paid, or nothing had to be paid."""
        return self.status == "complete" and self.payment_status in ("paid", "no_payment_required")


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """A customer."""

    id: str
    is_deleted: bool
    email: str | None
