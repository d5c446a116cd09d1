"""HTTP schemas of plans, checkouts, invoices and payments. Amounts are integers in the currency's minor unit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from atelier import cursors
from atelier.billing.change_plan import ChangePreview
from atelier.billing.model import Checkout, CheckoutState, Invoice, Payment, PlanStatus, Subscription
from atelier.billing.return_urls import URL_CHARACTERS_MAX
from atelier.billing.start_checkout import CheckoutOrder
from atelier.catalogue.tiers import FREE, Interval, name_of
from atelier.lazy_model import LazyModel

Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_-]*$")]
Url = Annotated[str, Field(min_length=1, max_length=URL_CHARACTERS_MAX)]
Minor = Annotated[int, Field(description="In the currency's minor unit: cents, but whole yen.")]
INVOICES, PAYMENTS = "invoice#", "payment#"


class CheckoutRequest(LazyModel):
    """Buy a tier (`tier`, `interval`), or packs of credits (`pack`, `quantity`)."""

    model_config = ConfigDict(extra="forbid")

    tier: Name | None = Field(default=None, examples=["pro"])
    interval: Interval = "month"
    pack: Name | None = Field(default=None, examples=["small"])
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    success_url: Url = Field(
        description="Where the buyer returns after paying: a page of this deployment. `{checkout_id}` is replaced."
    )
    cancel_url: Url = Field(description="Where the buyer returns without paying.")

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.tier is None) == (self.pack is None):
            raise ValueError("name either a tier or a pack")
        if self.tier is not None and self.quantity != 1:
            raise ValueError("a tier is bought once: leave out the quantity")
        return self

    def order(self, workspace_id: str, idempotency_key: str | None) -> CheckoutOrder:
        """The order of a verified caller's workspace."""
        return CheckoutOrder(workspace_id=workspace_id, idempotency_key=idempotency_key, **self.model_dump())


class CheckoutView(LazyModel):
    """A checkout. `url` is the page on which it is paid."""

    checkout_id: str
    session_id: str | None = Field(description="Stripe's.")
    url: str | None
    state: CheckoutState
    item: str = Field(examples=["pro@1"])
    quantity: int
    currency: str
    amount_minor: Minor
    credits: int = Field(description="Of packs; a tier's come with each paid period.")
    trial_days: int


class PortalRequest(LazyModel):
    """Open Stripe's page for cards, address, tax id and invoices."""

    model_config = ConfigDict(extra="forbid")

    return_url: Url


class PortalView(LazyModel):
    """Stripe's page; it is valid for some minutes."""

    url: str


class PreviewChangeRequest(LazyModel):
    """The plan to change to."""

    model_config = ConfigDict(extra="forbid")

    tier: Name = Field(examples=["studio"])
    interval: Interval = "month"


class ChangePlanRequest(PreviewChangeRequest):
    """The plan to change to. The present plan withdraws a planned change."""

    quoted_at: Annotated[AwareDatetime, Field(strict=True)] | None = Field(
        default=None, description="Of a preview not older than ten minutes: its amounts then hold exactly."
    )


class PreviewView(LazyModel):
    """What a change of plan costs and gives."""

    amount_due_minor: Minor
    currency: str
    credits_now: int
    effective_at: datetime
    quoted_at: datetime


class PausePlanRequest(LazyModel):
    """Charge nothing for a while."""

    model_config = ConfigDict(extra="forbid")

    resumes_at: Annotated[AwareDatetime, Field(strict=True)] | None = Field(
        default=None, description="When it goes on by itself; without it, when you resume it."
    )


class PlannedChangeView(LazyModel):
    tier: str
    interval: Interval
    effective_at: datetime


class SubscriptionView(LazyModel):
    """The workspace's plan. `tier` is the one whose rules count now."""

    id: str | None
    tier: str = Field(examples=["pro"])
    tier_id: str = Field(description="The tier with the version that it was sold under.", examples=["pro@1"])
    status: Literal["none"] | PlanStatus
    interval: Interval | None
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    trial_ends_at: datetime | None
    grace_ends_at: datetime | None = Field(description="After a failed payment: when the plan falls to free.")
    paid_until: datetime | None = Field(
        description="Of a plan that is paused, or was when its present period began, which is not paid."
    )
    resumes_at: datetime | None
    pending_change: PlannedChangeView | None


class InvoiceView(LazyModel):
    id: str
    number: str | None
    status: str
    created_at: datetime
    period_start: datetime
    period_end: datetime
    currency: str
    total_minor: Minor
    tax_minor: Minor
    discount_minor: Minor
    paid_minor: Minor
    paid_at: datetime | None
    credits_granted: int
    page_url: str | None = Field(description="Stripe's page, on which an open invoice is paid.")
    file_url: str | None = Field(description="As PDF.")


class InvoiceList(LazyModel):
    items: list[InvoiceView]
    next_cursor: str | None


class PaymentView(LazyModel):
    id: str
    status: str
    created_at: datetime
    currency: str
    amount_minor: Minor
    refunded_minor: Minor
    is_disputed: bool
    invoice_id: str | None
    checkout_id: str | None
    credits_granted: int = Field(description="Of packs; those of a period are with its invoice.")
    failure: str | None
    receipt_url: str | None


class PaymentList(LazyModel):
    items: list[PaymentView]
    next_cursor: str | None


def subscription_view(record: Subscription | None, now: datetime) -> SubscriptionView:
    """The API's view of a workspace's plan."""
    if record is None:
        return SubscriptionView(
            id=None,
            tier=FREE,
            tier_id=FREE,
            status="none",
            interval=None,
            current_period_start=None,
            current_period_end=None,
            cancel_at_period_end=False,
            trial_ends_at=None,
            grace_ends_at=None,
            paid_until=None,
            resumes_at=None,
            pending_change=None,
        )
    until = record.entitles_until
    tier_id = record.entitled_tier if until is None or now < until else FREE
    planned = record.planned
    return SubscriptionView(
        id=record.id,
        tier=name_of(tier_id),
        tier_id=tier_id,
        status=record.status,
        interval=record.interval,
        current_period_start=record.period_start,
        current_period_end=record.period_end,
        cancel_at_period_end=record.cancel_at_period_end,
        trial_ends_at=record.trial_ends_at,
        grace_ends_at=record.grace_ends_at,
        paid_until=record.paid_until,
        resumes_at=record.resumes_at,
        pending_change=PlannedChangeView(tier=name_of(planned.tier), interval=planned.interval, effective_at=planned.at)
        if planned
        else None,
    )


def checkout_view(checkout: Checkout) -> CheckoutView:
    """The API's view of a checkout."""
    return CheckoutView(
        checkout_id=checkout.id,
        session_id=checkout.session_id,
        url=checkout.url,
        state=checkout.state,
        item=checkout.item,
        quantity=checkout.quantity,
        currency=checkout.currency,
        amount_minor=checkout.amount,
        credits=checkout.credits,
        trial_days=checkout.trial_days,
    )


def preview_view(preview: ChangePreview) -> PreviewView:
    """The API's view of a preview."""
    return PreviewView(
        amount_due_minor=preview.amount_due,
        currency=preview.currency,
        credits_now=preview.credits_now,
        effective_at=preview.effective_at,
        quoted_at=preview.quoted_at,
    )


def invoice_list(page: tuple[list[Invoice], str | None]) -> InvoiceList:
    """The API's view of a page of invoices."""
    invoices, next_key = page
    items = [
        InvoiceView(
            id=invoice.id,
            number=invoice.number,
            status=invoice.status,
            created_at=invoice.created_at,
            period_start=invoice.period_start,
            period_end=invoice.period_end,
            currency=invoice.currency,
            total_minor=invoice.total,
            tax_minor=invoice.tax,
            discount_minor=invoice.discount,
            paid_minor=invoice.amount_paid,
            paid_at=invoice.paid_at,
            credits_granted=invoice.credits,
            page_url=invoice.page_url,
            file_url=invoice.file_url,
        )
        for invoice in invoices
    ]
    return InvoiceList(items=items, next_cursor=cursors.encode(next_key))


def payment_list(page: tuple[list[Payment], str | None]) -> PaymentList:
    """The API's view of a page of payments."""
    payments, next_key = page
    items = [
        PaymentView(
            id=payment.id,
            status=payment.status,
            created_at=payment.created_at,
            currency=payment.currency,
            amount_minor=payment.amount,
            refunded_minor=payment.refunded,
            is_disputed=payment.is_disputed,
            invoice_id=payment.invoice_id,
            checkout_id=payment.checkout_id,
            credits_granted=payment.credits,
            failure=payment.failure,
            receipt_url=payment.receipt_url,
        )
        for payment in payments
    ]
    return PaymentList(items=items, next_cursor=cursors.encode(next_key))
