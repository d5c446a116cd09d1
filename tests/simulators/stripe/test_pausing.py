"""A paused subscription goes on only when what that costs is paid, given up, or nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import stripe

from tests.simulators.stripe.flows import (
    DAY,
    advance,
    at,
    events,
    monthly,
    new_clock,
    new_customer,
    period,
    subscribe,
)

SUCCESS = {"payment_behavior": "resume_on_payment_success"}


@pytest.fixture
def clock(client: stripe.StripeClient) -> str:
    return new_clock(client, at(2026, 4, 1))


@pytest.fixture
def paused(client: stripe.StripeClient, clock: str) -> stripe.Subscription:
    """A subscription for 30.00 a month that was paused after ten days, without credit; it is 20 May."""
    subscription = subscribe(client, new_customer(client, clock), monthly(client, 3000).id)
    advance(client, clock, at(2026, 4, 11))
    client.v1.subscriptions.pause(subscription.id, {"bill_for": {"unused_time_from": {"type": "none"}}})
    advance(client, clock, at(2026, 5, 20))
    return subscription


def give_failing_card(client: stripe.StripeClient, subscription: stripe.Subscription) -> None:
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": str(subscription.customer)})
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": method.id})


def test_a_resumption_that_insists_on_payment_charges_at_once(
    client: stripe.StripeClient, paused: stripe.Subscription
) -> None:
    resumed = client.v1.subscriptions.resume(paused.id, SUCCESS)
    assert (resumed.status, period(resumed)) == ("active", (at(2026, 5, 20), at(2026, 6, 20)))
    assert client.v1.invoices.retrieve(str(resumed.latest_invoice)).amount_paid == 3000


@pytest.mark.parametrize(("options", "status", "is_tried_again"), [(SUCCESS, "paused", True), ({}, "past_due", False)])
def test_a_failed_payment_of_a_resumption_leads_to_its_own_status(
    client: stripe.StripeClient,
    clock: str,
    paused: stripe.Subscription,
    options: stripe.params.SubscriptionResumeParams,
    status: str,
    is_tried_again: bool,
) -> None:
    give_failing_card(client, paused)
    waiting = client.v1.subscriptions.resume(paused.id, options)
    invoice = str(waiting.latest_invoice)
    if not options:
        with pytest.raises(stripe.CardError):
            client.v1.invoices.pay(invoice)
    assert client.v1.subscriptions.retrieve(paused.id).status == status
    assert (client.v1.invoices.retrieve(invoice).next_payment_attempt is not None) == is_tried_again
    assert len(events(client, "customer.subscription.resumed")) == (status == "past_due")
    # Another card pays the invoice, and the subscription is active.
    client.v1.invoices.pay(invoice, {"payment_method": "pm_card_visa"})
    assert client.v1.subscriptions.retrieve(paused.id).status == "active"
    assert len(events(client, "customer.subscription.resumed")) == 1
    advance(client, clock, at(2026, 6, 1))
    assert client.v1.subscriptions.retrieve(paused.id).status == "active"


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda client, invoice: client.v1.invoices.mark_uncollectible(invoice), "active"),
        (lambda client, invoice: client.v1.invoices.void_invoice(invoice), "paused"),
    ],
)
def test_an_invoice_that_is_given_up_ends_the_waiting(
    client: stripe.StripeClient,
    paused: stripe.Subscription,
    end: Callable[[stripe.StripeClient, str], object],
    status: str,
) -> None:
    waiting = client.v1.subscriptions.resume(paused.id)
    end(client, str(waiting.latest_invoice))
    after = client.v1.subscriptions.retrieve(paused.id)
    assert (after.status, after.pending_update) == (status, None)
    assert after.latest_invoice == waiting.latest_invoice


def test_a_resumption_that_nobody_pays_is_dropped_after_a_day(
    client: stripe.StripeClient, clock: str, paused: stripe.Subscription
) -> None:
    waiting = client.v1.subscriptions.resume(paused.id)
    advance(client, clock, at(2026, 5, 20) + DAY)
    assert client.v1.invoices.retrieve(str(waiting.latest_invoice)).status == "void"
    assert client.v1.subscriptions.retrieve(paused.id).status == "paused"
    again = client.v1.subscriptions.resume(paused.id, SUCCESS)
    assert (again.status, period(again)[0]) == ("active", at(2026, 5, 21))


def test_a_second_resumption_takes_the_place_of_the_first(
    client: stripe.StripeClient, paused: stripe.Subscription
) -> None:
    first = client.v1.subscriptions.resume(paused.id)
    second = client.v1.subscriptions.resume(paused.id, SUCCESS)
    assert second.status == "active"
    assert client.v1.invoices.retrieve(str(first.latest_invoice)).status == "void"


def test_a_resumption_within_the_old_cycle_costs_the_rest_of_it(
    client: stripe.StripeClient, paused: stripe.Subscription
) -> None:
    resumed = client.v1.subscriptions.resume(paused.id, {"billing_cycle_anchor": {"type": "unchanged"}})
    assert (resumed.status, period(resumed)) == ("active", (at(2026, 5, 1), at(2026, 6, 1)))
    # Twelve of the 31 days of May, with the next invoice.
    waiting = client.v1.invoice_items.list({"pending": True, "customer": str(paused.customer)})
    assert [item.amount for item in waiting] == [1161]


def test_a_pause_or_resumption_that_cannot_be_is_refused(client: stripe.StripeClient, clock: str) -> None:
    bare = client.v1.customers.create({"test_clock": clock, "email": "me@example.com"}).id
    trial = subscribe(client, bare, monthly(client).id, trial_period_days=7)
    sent = subscribe(client, bare, monthly(client).id, collection_method="send_invoice", days_until_due=9)
    for subscription in (trial, sent):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.subscriptions.pause(subscription.id)
        with pytest.raises(stripe.InvalidRequestError, match="Only subscriptions with status `paused`"):
            client.v1.subscriptions.resume(subscription.id)
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    ended = subscribe(client, bare, monthly(client).id, trial_period_days=7, trial_settings=settings)
    advance(client, clock, at(2026, 4, 9))
    with pytest.raises(stripe.InvalidRequestError, match="no default payment method"):
        client.v1.subscriptions.resume(ended.id, SUCCESS)
    assert client.v1.subscriptions.retrieve(ended.id).status == "paused"
