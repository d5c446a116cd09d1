"""atelier/billing/relay.py: which change of a plan or an invoice is which event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atelier.billing.model import Invoice, Payment, PlanStatus, Subscription
from atelier.billing.relay import BillingChange, events_of
from atelier.events.catalogue import InvoicePaid, PackPaid, parse
from atelier.events.event import payload

NOW = datetime(2026, 11, 28, tzinfo=UTC)
AT = "2026-11-28T00:00:01.000Z"
PLAN = Subscription(
    id="sub_ours",
    workspace_id="wsp_1",
    stripe_id="sub_stripes",
    tier="pro@1",
    interval="month",
    status=PlanStatus.ACTIVE,
    period_start=NOW,
    period_end=NOW + timedelta(days=30),
    started_at=NOW,
    revision=4,
)
INVOICE = Invoice(
    id="in_1",
    workspace_id="wsp_1",
    subscription_id="sub_stripes",
    number=None,
    status="paid",
    reason="",
    currency="jpy",
    subtotal=1500,
    discount=0,
    tax=100,
    total=1600,
    amount_paid=1600,
    credits=10,
    created_at=NOW,
    period_start=NOW,
    period_end=NOW,
    paid_at=NOW,
)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (None, PLAN, "started"),
        (replace(PLAN, stripe_id="sub_before", status=PlanStatus.ENDED), PLAN, "started"),
        (PLAN, replace(PLAN, tier="studio@1"), "changed"),
        (PLAN, replace(PLAN, cancel_at_period_end=True), "changed"),
        (PLAN, replace(PLAN, status=PlanStatus.PAST_DUE), "past_due"),
        (replace(PLAN, status=PlanStatus.PAST_DUE), PLAN, "changed"),
        (PLAN, replace(PLAN, status=PlanStatus.ENDED), "ended"),
    ],
)
def test_a_change_of_the_plan_is_one_event(before: Subscription | None, after: Subscription, change: str) -> None:
    (event,) = events_of(BillingChange(before, after, AT))
    assert (event.type, event.id, event.occurred_at) == (f"subscription.{change}", "wsp_1#4", AT)
    assert parse(event.type, payload(event)) == event


def test_an_invoice_is_paid_once() -> None:
    unpaid = replace(INVOICE, status="open")
    (event,) = events_of(BillingChange(unpaid, INVOICE, AT))
    assert isinstance(event, InvoicePaid)
    assert (event.id, event.total, event.tax, event.currency, event.credits) == ("in_1#paid", 1600, 100, "jpy", 10)
    assert list(events_of(BillingChange(None, INVOICE, AT))) == [event]
    for change in (BillingChange(INVOICE, INVOICE, AT), BillingChange(None, unpaid, AT)):
        assert list(events_of(change)) == []


def test_a_paid_pack_is_told_once_and_a_payment_with_an_invoice_by_the_invoice() -> None:
    pack = Payment("pi_1", "wsp_A", "succeeded", 600, "usd", NOW, checkout_id="chk_1", credits=500)
    (event,) = events_of(BillingChange(replace(pack, status="processing"), pack, AT))
    assert isinstance(event, PackPaid)
    assert (event.id, event.amount, event.credits) == ("pi_1#paid", 600, 500)
    assert list(events_of(BillingChange(None, pack, AT))) == [event]
    for change in (
        BillingChange(pack, replace(pack, refunded=600), AT),
        BillingChange(None, replace(pack, status="processing"), AT),
        BillingChange(None, replace(pack, invoice_id="in_1"), AT),
        BillingChange(None, replace(pack, credits=0), AT),
    ):
        assert list(events_of(change)) == []
