"""An update with `pending_if_incomplete` waits for its payment, and for nothing else."""

from __future__ import annotations

from typing import Any

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

# A price of which some hours cost enough to be charged.
DEAR = 300_000
PENDING: Any = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}


@pytest.fixture
def clock(client: stripe.StripeClient) -> str:
    return new_clock(client, at(2026, 4, 1))


@pytest.fixture
def subscription(client: stripe.StripeClient, clock: str) -> stripe.Subscription:
    """One for 10.00 a month, whose card is declined from now on."""
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 1000).id)
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": method.id})
    return subscription


def upgrade(client: stripe.StripeClient, subscription: stripe.Subscription, amount: int = 3000, **fields: Any) -> Any:
    item = {"id": subscription["items"]["data"][0].id, "price": monthly(client, amount).id}
    return client.v1.subscriptions.update(subscription.id, {"items": [item], **PENDING, **fields})


def amount_of(subscription: stripe.Subscription) -> int:
    return subscription["items"]["data"][0].price.unit_amount


@pytest.mark.parametrize(
    ("moment", "expires_at"), [(at(2026, 4, 2), at(2026, 4, 3, 11)), (at(2026, 5, 1, 0), at(2026, 5, 1))]
)
def test_an_update_waits_for_23_hours_or_until_the_period_ends(
    client: stripe.StripeClient, clock: str, subscription: stripe.Subscription, moment: int, expires_at: int
) -> None:
    advance(client, clock, moment)
    waiting = upgrade(client, subscription, DEAR)
    assert waiting.pending_update.expires_at == expires_at
    advance(client, clock, expires_at)
    after = client.v1.subscriptions.retrieve(subscription.id)
    assert (after.pending_update, amount_of(after)) == (None, 1000)
    assert client.v1.invoices.retrieve(waiting.latest_invoice).status == "void"


@pytest.mark.parametrize("name", ["default_payment_method", "description", "off_session", "cancel_at"])
def test_what_cannot_wait_is_refused(client: stripe.StripeClient, subscription: stripe.Subscription, name: str) -> None:
    value = {"off_session": True, "cancel_at": at(2026, 6, 1)}.get(name, "pm_card_visa")
    with pytest.raises(stripe.InvalidRequestError, match=f"cannot be updated: `{name}`"):
        upgrade(client, subscription, **{name: value})
    assert client.v1.subscriptions.retrieve(subscription.id).pending_update is None


def test_metadata_and_a_planned_end_wait_with_the_update(
    client: stripe.StripeClient, subscription: stripe.Subscription
) -> None:
    client.v1.subscriptions.update(subscription.id, {"metadata": {"kept": "yes"}})
    waiting = upgrade(client, subscription, metadata={"new": "yes"}, cancel_at_period_end=True)
    assert (waiting.metadata.to_dict(), waiting.cancel_at_period_end) == ({"kept": "yes"}, False)
    assert waiting.pending_update.metadata.to_dict() == {"new": "yes"}
    assert waiting.pending_update.cancel_at_period_end
    client.v1.subscriptions.update(subscription.id, {"metadata": {"later": "yes"}})
    client.v1.invoices.pay(waiting.latest_invoice, {"payment_method": "pm_card_visa"})
    after = client.v1.subscriptions.retrieve(subscription.id)
    assert after.metadata.to_dict() == {"kept": "yes", "later": "yes", "new": "yes"}
    assert (after.cancel_at_period_end, amount_of(after), after.pending_update) == (True, 3000, None)


def test_a_voided_invoice_cancels_the_update(client: stripe.StripeClient, subscription: stripe.Subscription) -> None:
    waiting = upgrade(client, subscription)
    client.v1.invoices.void_invoice(waiting.latest_invoice)
    after = client.v1.subscriptions.retrieve(subscription.id)
    assert (after.pending_update, amount_of(after)) == (None, 1000)
    assert len(events(client, "customer.subscription.pending_update_expired")) == 1


def test_a_later_update_takes_the_place_of_the_earlier(
    client: stripe.StripeClient, subscription: stripe.Subscription
) -> None:
    first = upgrade(client, subscription)
    second = upgrade(client, subscription, 5000)
    assert client.v1.invoices.retrieve(first.latest_invoice).status == "void"
    client.v1.invoices.pay(second.latest_invoice, {"payment_method": "pm_card_visa"})
    assert amount_of(client.v1.subscriptions.retrieve(subscription.id)) == 5000


def test_an_update_of_a_subscription_that_has_ended_is_never_applied(
    client: stripe.StripeClient, clock: str, subscription: stripe.Subscription
) -> None:
    waiting = upgrade(client, subscription)
    client.v1.subscriptions.cancel(subscription.id)
    client.v1.invoices.pay(waiting.latest_invoice, {"payment_method": "pm_card_visa"})
    after = client.v1.subscriptions.retrieve(subscription.id)
    assert (after.status, amount_of(after)) == ("canceled", 1000)
    advance(client, clock, at(2026, 4, 1) + 2 * DAY)


def test_the_next_phase_of_a_schedule_drops_the_update(
    client: stripe.StripeClient, clock: str, subscription: stripe.Subscription
) -> None:
    start, end = period(subscription)
    current = subscription["items"]["data"][0].price.id
    schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})
    soon = end - 12 * 3600
    phases: Any = [
        {"items": [{"price": current}], "start_date": start, "end_date": soon},
        {"items": [{"price": monthly(client, 500).id}], "proration_behavior": "none"},
    ]
    client.v1.subscription_schedules.update(schedule.id, {"phases": phases})
    advance(client, clock, soon - 3600)
    waiting = upgrade(client, subscription, DEAR)
    advance(client, clock, soon + 60)
    assert client.v1.invoices.retrieve(waiting.latest_invoice).status == "void"
    after = client.v1.subscriptions.retrieve(subscription.id)
    assert (after.pending_update, amount_of(after)) == (None, 500)


def test_no_renewal_is_announced_while_collection_is_paused(
    client: stripe.StripeClient, clock: str, subscription: stripe.Subscription
) -> None:
    client.v1.subscriptions.update(subscription.id, {"pause_collection": {"behavior": "void"}})
    advance(client, clock, at(2026, 4, 28))
    assert events(client, "invoice.upcoming") == []
    client.v1.subscriptions.update(subscription.id, {"pause_collection": ""})
    advance(client, clock, at(2026, 4, 29))
    assert len(events(client, "invoice.upcoming")) == 1
