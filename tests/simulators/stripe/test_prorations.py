"""Changes of a subscription cost what a calculation by hand says, in its preview and in its invoice."""

from __future__ import annotations

import pytest
import stripe

from tests.simulators.stripe.flows import (
    DAY,
    NOW,
    advance,
    at,
    events,
    monthly,
    new_clock,
    new_customer,
    period,
    subscribe,
    yearly,
)

# April has 30 days: a change on the 11th leaves 20 of them, two thirds.
APRIL, ELEVENTH = at(2026, 4, 1), at(2026, 4, 11)


@pytest.fixture
def clock(client: stripe.StripeClient) -> str:
    return new_clock(client, APRIL)


def change_to(
    client: stripe.StripeClient, subscription: stripe.Subscription, price: str, **fields: object
) -> stripe.Subscription:
    item = subscription["items"]["data"][0].id
    return client.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": price}], **fields})


def amounts(invoice: stripe.Invoice) -> list[int]:
    return [line.amount for line in invoice.lines]


def test_an_upgrade_is_previewed_and_then_costs_exactly_that(client: stripe.StripeClient, clock: str) -> None:
    subscription = subscribe(client, new_customer(client, clock), monthly(client, 1000).id)
    studio = monthly(client, 3100, "Studio").id
    advance(client, clock, ELEVENTH)
    item = subscription["items"]["data"][0].id
    preview = client.v1.invoices.create_preview(
        {
            "subscription": subscription.id,
            "subscription_details": {
                "items": [{"id": item, "price": studio}],
                "proration_behavior": "always_invoice",
                "proration_date": ELEVENTH,
            },
        }
    )
    # Two thirds of 10.00 come back, two thirds of 31.00 are charged: -6.67 + 20.67.
    assert (amounts(preview), preview.total, preview.amount_due) == ([-667, 2067], 1400, 1400)
    assert client.v1.subscriptions.retrieve(subscription.id)["items"]["data"][0].price.unit_amount == 1000
    advance(client, clock, ELEVENTH + 600)

    changed = change_to(client, subscription, studio, proration_behavior="always_invoice", proration_date=ELEVENTH)
    invoice = client.v1.invoices.retrieve(changed.latest_invoice)
    assert (amounts(invoice), invoice.amount_paid, invoice.billing_reason) == (
        [-667, 2067],
        1400,
        "subscription_update",
    )
    assert [line.description for line in invoice.lines] == [
        "Unused time on Starter after 11 Apr 2026",
        "Remaining time on Studio after 11 Apr 2026",
    ]
    assert all(line.parent.subscription_item_details.proration for line in invoice.lines)
    assert period(changed) == (APRIL, at(2026, 5, 1))


def test_a_change_in_between_is_on_the_next_invoice(client: stripe.StripeClient, clock: str) -> None:
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 3000).id)
    cheap = monthly(client, 900, "Small").id
    advance(client, clock, ELEVENTH)
    change_to(client, subscription, cheap)
    assert [item.amount for item in client.v1.invoice_items.list({"pending": True, "customer": customer})] == [
        600,
        -2000,
    ]
    preview = client.v1.invoices.create_preview({"subscription": subscription.id})
    advance(client, clock, at(2026, 5, 1) + 3600)
    invoice = client.v1.invoices.list({"customer": customer}).data[0]
    assert sorted(amounts(invoice)) == sorted(amounts(preview)) == [-2000, 600, 900]
    # The credit of 5.00 stays on the customer's balance.
    assert (invoice.total, invoice.amount_due, invoice.ending_balance) == (-500, 0, -500)
    assert client.v1.customers.retrieve(customer).balance == -500
    advance(client, clock, at(2026, 6, 1) + 3600)
    later = client.v1.invoices.list({"customer": customer}).data[0]
    assert (later.total, later.starting_balance, later.amount_paid) == (900, -500, 400)
    assert client.v1.customers.retrieve(customer).balance == 0


def test_another_quantity_is_prorated_by_the_second(client: stripe.StripeClient, clock: str) -> None:
    subscription = subscribe(client, new_customer(client, clock), monthly(client, 1000).id)
    advance(client, clock, APRIL + 1)
    item = subscription["items"]["data"][0].id
    changed = client.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item, "quantity": 3}], "proration_behavior": "always_invoice"}
    )
    invoice = client.v1.invoices.retrieve(changed.latest_invoice)
    # 2,591,999 of 2,592,000 seconds are left: 9.999996 and 29.999988.
    assert amounts(invoice) == [-1000, 3000]
    assert changed["items"]["data"][0].quantity == 3


def test_a_year_begins_at_once_and_the_rest_of_the_month_is_credited(client: stripe.StripeClient, clock: str) -> None:
    subscription = subscribe(client, new_customer(client, clock), monthly(client, 3000).id)
    year = yearly(client, 30000).id
    advance(client, clock, ELEVENTH)
    changed = change_to(client, subscription, year)
    invoice = client.v1.invoices.retrieve(changed.latest_invoice)
    assert (amounts(invoice), invoice.amount_paid) == ([-2000, 30000], 28000)
    assert period(changed) == (ELEVENTH, at(2027, 4, 11))
    assert changed.billing_cycle_anchor == ELEVENTH


def test_no_proration_changes_the_price_from_the_next_period_on(client: stripe.StripeClient, clock: str) -> None:
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 1000).id)
    advance(client, clock, ELEVENTH)
    change_to(client, subscription, monthly(client, 500).id, proration_behavior="none")
    advance(client, clock, at(2026, 5, 1) + 3600)
    assert [invoice.total for invoice in client.v1.invoices.list({"customer": customer})] == [500, 1000]


def test_yen_are_prorated_without_decimals(client: stripe.StripeClient, clock: str) -> None:
    subscription = subscribe(client, new_customer(client, clock), monthly(client, 1000, currency="jpy").id)
    advance(client, clock, ELEVENTH)
    changed = change_to(
        client, subscription, monthly(client, 2500, currency="jpy").id, proration_behavior="always_invoice"
    )
    invoice = client.v1.invoices.retrieve(changed.latest_invoice)
    # Two thirds of ¥1000 and of ¥2500, to the nearest yen.
    assert (amounts(invoice), invoice.currency, invoice.amount_paid) == ([-667, 1667], "jpy", 1000)


def test_a_percentage_off_counts_in_prorations(client: stripe.StripeClient, clock: str) -> None:
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "forever"}).id
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 3000).id, discounts=[{"coupon": coupon}])
    assert client.v1.invoices.retrieve(subscription.latest_invoice).amount_paid == 1500
    advance(client, clock, ELEVENTH)
    changed = change_to(client, subscription, monthly(client, 6000).id, proration_behavior="always_invoice")
    assert amounts(client.v1.invoices.retrieve(changed.latest_invoice)) == [-1000, 2000]


def test_an_amount_too_small_to_charge_is_owed_until_the_next_invoice(client: stripe.StripeClient, clock: str) -> None:
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 1000).id)
    advance(client, clock, ELEVENTH)
    changed = change_to(client, subscription, monthly(client, 1030).id, proration_behavior="always_invoice")
    invoice = client.v1.invoices.retrieve(changed.latest_invoice)
    # 2/3 of 0.30: 0.20 is less than the 0.50 that a card is charged at least.
    assert (invoice.total, invoice.amount_due, invoice.status) == (20, 0, "paid")
    assert client.v1.customers.retrieve(customer).balance == 20


@pytest.mark.parametrize(
    ("behavior", "status", "amount"),
    [
        ("allow_incomplete", "past_due", 3000),
        ("error_if_incomplete", "active", 1000),
        ("pending_if_incomplete", "active", 1000),
    ],
)
def test_an_upgrade_that_is_not_paid_does_what_was_chosen(
    client: stripe.StripeClient, clock: str, behavior: str, status: str, amount: int
) -> None:
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 1000).id)
    failing = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": failing}})
    advance(client, clock, ELEVENTH)
    given = {"proration_behavior": "always_invoice", "payment_behavior": behavior}
    studio = monthly(client, 3000).id
    if behavior == "error_if_incomplete":
        with pytest.raises(stripe.CardError):
            change_to(client, subscription, studio, **given)
        assert client.v1.invoice_items.list({"customer": customer}).data == []
    else:
        change_to(client, subscription, studio, **given)
    after = client.v1.subscriptions.retrieve(subscription.id)
    assert (after.status, after["items"]["data"][0].price.unit_amount) == (status, amount)
    if behavior == "pending_if_incomplete":
        assert after.pending_update.subscription_items[0].price.unit_amount == 3000
        client.v1.invoices.pay(after.latest_invoice, {"payment_method": "pm_card_visa"})
        applied = client.v1.subscriptions.retrieve(subscription.id)
        assert (applied.pending_update, applied["items"]["data"][0].price.unit_amount) == (None, 3000)
        assert events(client, "customer.subscription.pending_update_applied")


def test_a_pending_upgrade_expires_after_a_day(client: stripe.StripeClient, clock: str) -> None:
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 1000).id)
    failing = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": failing})
    given = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
    waiting = change_to(client, subscription, monthly(client, 3000).id, **given)
    advance(client, clock, APRIL + DAY)
    after = client.v1.subscriptions.retrieve(subscription.id)
    assert (after.pending_update, after["items"]["data"][0].price.unit_amount) == (None, 1000)
    assert client.v1.invoices.retrieve(waiting.latest_invoice).status == "void"
    assert events(client, "customer.subscription.pending_update_expired")


def test_canceling_at_once_may_credit_the_unused_time(client: stripe.StripeClient, clock: str) -> None:
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 3000).id)
    advance(client, clock, ELEVENTH)
    canceled = client.v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    assert canceled.status == "canceled"
    last = client.v1.invoices.list({"customer": customer}).data[0]
    assert (last.total, client.v1.customers.retrieve(customer).balance) == (-2000, -2000)


def test_a_free_plan_that_becomes_a_paid_one_is_charged_from_now_on(client: stripe.StripeClient, clock: str) -> None:
    subscription = subscribe(client, new_customer(client, clock), monthly(client, 0, "Free").id)
    advance(client, clock, ELEVENTH)
    changed = change_to(client, subscription, monthly(client, 1000).id)
    assert client.v1.invoices.retrieve(changed.latest_invoice).amount_paid == 1000
    assert period(changed) == (ELEVENTH, at(2026, 5, 11))


def test_a_trial_that_is_ended_by_hand_is_charged_and_credits_nothing(client: stripe.StripeClient, clock: str) -> None:
    subscription = subscribe(client, new_customer(client, clock), monthly(client, 1000).id, trial_period_days=14)
    advance(client, clock, APRIL + 3 * DAY)
    ended = client.v1.subscriptions.update(subscription.id, {"trial_end": "now"})
    invoice = client.v1.invoices.retrieve(ended.latest_invoice)
    assert (ended.status, amounts(invoice), period(ended)[0]) == ("active", [1000], APRIL + 3 * DAY)


def test_a_first_period_until_a_chosen_day_costs_its_part(client: stripe.StripeClient, clock: str) -> None:
    customer = new_customer(client, clock)
    anchor = at(2026, 4, 16)
    subscription = subscribe(client, customer, monthly(client, 3100).id, billing_cycle_anchor=anchor)
    # The 15 days before the 16th are part of a period of 31 days, from the 16th of March on.
    assert amounts(client.v1.invoices.retrieve(subscription.latest_invoice)) == [1500]
    advance(client, clock, anchor + 3600)
    assert period(client.v1.subscriptions.retrieve(subscription.id)) == (anchor, at(2026, 5, 16))


def test_a_preview_of_a_new_subscription_needs_no_subscription(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"address": {"country": "DE"}}).id
    price = monthly(client, 1000, tax_behavior="exclusive").id
    coupon = client.v1.coupons.create({"amount_off": 200, "currency": "usd"}).id
    preview = client.v1.invoices.create_preview(
        {
            "customer": customer,
            "subscription_details": {"items": [{"price": price, "quantity": 2}]},
            "discounts": [{"coupon": coupon}],
        }
    )
    assert (preview.subtotal, preview.total, preview.lines.data[0].quantity) == (2000, 1800, 2)
    assert preview.lines.data[0].period.end == at(2026, 2, 28)
    assert client.v1.subscriptions.list({"status": "all"}).data == []
    assert client.v1.invoices.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="No upcoming invoices"):
        client.v1.invoices.create_preview({"customer": customer})
    assert preview.created == NOW
