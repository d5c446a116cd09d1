"""The credits of the invoice of a change: the plan that was left takes, whatever its unused time is worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from atelier.billing.invoice_credits import invoice_credits
from atelier.billing.stripe_facts import InvoiceFacts, LineFacts, PriceFacts
from atelier.catalogue.catalogue import catalogue

CATALOGUE = catalogue(frozenset({"local"}))
PRO, STUDIO = (CATALOGUE.tier(name) for name in ("pro", "studio"))
BEGIN, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def line(tier: str, amount: int) -> LineFacts:
    """A prorated line for the whole period."""
    price = PriceFacts(f"price_{tier}", "usd", 1, "month", tier, None)
    return LineFacts(f"line of {tier}", price, amount, True, False, BEGIN, END)


def credits_of(*lines: LineFacts) -> int:
    invoice = InvoiceFacts(
        id="in_1",
        customer_id="cus_1",
        subscription_id="sub_1",
        status="paid",
        reason="subscription_update",
        number=None,
        currency="usd",
        subtotal=0,
        discount=0,
        tax=0,
        total=0,
        amount_due=0,
        amount_paid=0,
        created_at=BEGIN,
        period_start=BEGIN,
        period_end=END,
        lines=lines,
    )
    return sum(each.credits for each in invoice_credits(invoice, anchor=BEGIN, tier_of=CATALOGUE.tier))


@pytest.mark.parametrize("worth", [-PRO.price_month, 0])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_plan_that_was_left_takes_its_credits(worth: int, is_reversed: bool) -> None:
    lines = [line(PRO.id, worth), line(STUDIO.id, STUDIO.price_month)]
    assert credits_of(*(lines[::-1] if is_reversed else lines)) == STUDIO.monthly_credits - PRO.monthly_credits


def test_between_two_free_periods_the_line_that_credits_takes() -> None:
    left = replace(line(PRO.id, 0), is_credit=True)
    assert credits_of(left, line(STUDIO.id, 0)) == STUDIO.monthly_credits - PRO.monthly_credits
