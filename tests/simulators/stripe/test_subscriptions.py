"""Subscriptions by test clock: renewals, trials, failed payments, pauses and ends happen when time says so."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from infra.simulators.stripe.server import StripeSimulator
from tests.simulators.stripe.flows import (
    DAY,
    NOW,
    Browser,
    advance,
    at,
    card,
    events,
    monthly,
    new_checkout,
    new_clock,
    new_customer,
    period,
    subscribe,
    yearly,
)


def test_a_year_of_a_subscription_is_thirteen_invoices(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client).id, metadata={"workspace": "ws_1"})
    assert (subscription.status, period(subscription)) == ("active", (NOW, at(2026, 2, 28)))
    advance(client, clock, at(2027, 1, 31) + 7200)

    invoices = list(client.v1.invoices.list({"customer": customer, "limit": 5}).auto_paging_iter())[::-1]
    assert [invoice.status for invoice in invoices] == ["paid"] * 13
    assert [invoice.billing_reason for invoice in invoices] == ["subscription_create", *["subscription_cycle"] * 12]
    # The 31st is the last day of months that lack it, and comes back afterwards.
    ends = [invoice.lines.data[0].period.end for invoice in invoices[:5]]
    assert ends == [at(2026, 2, 28), at(2026, 3, 31), at(2026, 4, 30), at(2026, 5, 31), at(2026, 6, 30)]
    assert sum(invoice.amount_paid for invoice in invoices) == 13 * 2000
    assert len({invoice.number for invoice in invoices}) == 13
    details = invoices[6].parent.subscription_details
    assert (details.subscription, details.metadata["workspace"]) == (subscription.id, "ws_1")
    for kind in ("invoice.paid", "invoice_payment.paid", "invoice.finalized", "payment_intent.succeeded"):
        assert len(events(client, kind)) == 13
    assert len(events(client, "invoice.upcoming")) == 12
    assert period(client.v1.subscriptions.retrieve(subscription.id)) == (at(2027, 1, 31), at(2027, 2, 28))


def test_a_renewal_is_a_draft_for_an_hour(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    subscription = subscribe(client, new_customer(client, clock), monthly(client).id)
    advance(client, clock, at(2026, 2, 28) + 60)
    draft = client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]}).latest_invoice
    assert (draft.status, draft.automatically_finalizes_at) == ("draft", at(2026, 2, 28) + 3600)
    client.v1.invoice_items.create({"customer": draft.customer, "amount": 500, "currency": "usd", "invoice": draft.id})
    advance(client, clock, at(2026, 2, 28) + 3600)
    assert client.v1.invoices.retrieve(draft.id).amount_paid == 2500


@pytest.mark.parametrize(
    ("after_retries", "status"), [("canceled", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")]
)
def test_a_failed_renewal_is_tried_again_until_the_policy_decides(
    client: stripe.StripeClient, simulator: StripeSimulator, after_retries: str, status: str
) -> None:
    simulator.account.policy.after_retries = after_retries
    clock = new_clock(client)
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client).id)
    failing = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": failing}})
    due = at(2026, 2, 28) + 3600
    advance(client, clock, due)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    invoice = client.v1.invoices.list({"customer": customer, "status": "open"}).data[0]
    assert (invoice.attempt_count, invoice.next_payment_attempt) == (1, due + 3 * DAY)
    advance(client, clock, due + 16 * DAY)
    assert len(events(client, "invoice.payment_failed")) == 4
    ended = client.v1.subscriptions.retrieve(subscription.id)
    assert ended.status == status
    if status == "canceled":
        assert ended.cancellation_details.reason == "payment_failed"


def test_a_customer_recovers_with_another_card(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client).id)
    failing = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": failing})
    advance(client, clock, at(2026, 2, 28) + 3600)
    invoice = client.v1.invoices.list({"customer": customer, "status": "open"}).data[0]
    with pytest.raises(stripe.CardError, match="declined"):
        client.v1.invoices.pay(invoice.id)
    assert client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"}).status == "paid"
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"


def test_a_trial_warns_three_days_before_and_is_then_paid(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    subscription = subscribe(client, new_customer(client, clock), monthly(client).id, trial_period_days=14)
    assert (subscription.status, subscription.trial_end) == ("trialing", NOW + 14 * DAY)
    first = client.v1.invoices.retrieve(subscription.latest_invoice)
    assert (first.status, first.total, first.lines.data[0].description) == ("paid", 0, "Trial period for Starter")
    advance(client, clock, NOW + 11 * DAY)
    (warning,) = events(client, "customer.subscription.trial_will_end")
    assert warning.created == NOW + 11 * DAY
    advance(client, clock, NOW + 14 * DAY + 3600)
    renewed = client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    assert (renewed.status, renewed.latest_invoice.amount_paid) == ("active", 2000)
    assert period(renewed) == (NOW + 14 * DAY, at(2026, 3, 14))


@pytest.mark.parametrize(
    ("behavior", "status", "event"),
    [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ],
)
def test_a_trial_without_a_card_ends_as_its_settings_say(
    client: stripe.StripeClient, behavior: str, status: str, event: str
) -> None:
    clock = new_clock(client)
    customer = client.v1.customers.create({"test_clock": clock}).id
    settings = {"end_behavior": {"missing_payment_method": behavior}}
    subscription = subscribe(client, customer, monthly(client).id, trial_period_days=7, trial_settings=settings)
    advance(client, clock, NOW + 7 * DAY + 3600)
    assert client.v1.subscriptions.retrieve(subscription.id).status == status
    assert events(client, event)
    if status == "paused":
        client.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
        method = client.v1.payment_methods.list({"customer": customer}).data[0].id
        client.v1.subscriptions.update(subscription.id, {"default_payment_method": method})
        resumed = client.v1.subscriptions.resume(subscription.id, {"payment_behavior": "resume_on_payment_success"})
        assert (resumed.status, period(resumed)[0]) == ("active", NOW + 7 * DAY + 3600)
        assert client.v1.invoices.retrieve(resumed.latest_invoice).amount_paid == 2000
        assert events(client, "customer.subscription.resumed")


def test_a_subscription_ends_with_its_period_unless_it_is_resumed(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    customer = new_customer(client, clock)
    price = monthly(client).id
    kept, ended = subscribe(client, customer, price), subscribe(client, customer, price)
    for subscription in (kept, ended):
        canceling = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        assert (canceling.status, canceling.cancel_at) == ("active", at(2026, 2, 28))
    client.v1.subscriptions.update(kept.id, {"cancel_at_period_end": False})
    advance(client, clock, at(2026, 2, 28) + 3600)
    assert client.v1.subscriptions.retrieve(kept.id).status == "active"
    gone = client.v1.subscriptions.retrieve(ended.id)
    assert (gone.status, gone.ended_at) == ("canceled", at(2026, 2, 28))
    (deleted,) = events(client, "customer.subscription.deleted")
    assert deleted.data.object["id"] == ended.id


@pytest.mark.parametrize(
    ("behavior", "status"), [("void", "void"), ("mark_uncollectible", "uncollectible"), ("keep_as_draft", "draft")]
)
def test_paused_collection_gives_up_invoices(client: stripe.StripeClient, behavior: str, status: str) -> None:
    clock = new_clock(client)
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client).id)
    pause = {"behavior": behavior, "resumes_at": at(2026, 3, 15)}
    client.v1.subscriptions.update(subscription.id, {"pause_collection": pause})
    advance(client, clock, at(2026, 3, 31) + 3600)
    assert [invoice.status for invoice in client.v1.invoices.list({"customer": customer})] == ["paid", status, "paid"]
    assert client.v1.subscriptions.retrieve(subscription.id).pause_collection is None


def test_a_first_payment_that_is_never_made_expires(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    customer = new_customer(client, clock)
    subscription = subscribe(
        client,
        customer,
        monthly(client).id,
        payment_behavior="default_incomplete",
        expand=["latest_invoice.confirmation_secret"],
    )
    assert subscription.status == "incomplete"
    assert subscription.latest_invoice.confirmation_secret.client_secret.startswith("pi_")
    advance(client, clock, NOW + 23 * 3600)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "incomplete_expired"
    assert client.v1.invoices.retrieve(subscription.latest_invoice.id).status == "void"


def test_a_declined_first_payment_leaves_nothing_when_it_must_not(client: stripe.StripeClient) -> None:
    customer = new_customer(client, card="pm_card_chargeCustomerFail")
    price = monthly(client).id
    with pytest.raises(stripe.CardError, match="declined"):
        subscribe(client, customer, price, payment_behavior="error_if_incomplete")
    assert client.v1.subscriptions.list({"customer": customer, "status": "all"}).data == []
    assert subscribe(client, customer, price).status == "incomplete"
    bare = client.v1.customers.create({}).id
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        subscribe(client, bare, price)


def test_a_renewal_that_wants_3d_secure_waits_for_the_customer(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client).id)
    asking = client.v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer}).id
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": asking})
    advance(client, clock, at(2026, 2, 28) + 3600)
    (event,) = events(client, "invoice.payment_action_required")
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    payment = client.v1.invoice_payments.list({"invoice": event.data.object["id"]}).data[0].payment
    intent = client.v1.payment_intents.retrieve(payment.payment_intent)
    Browser(intent.next_action.redirect_to_url.url).press("Complete")
    assert client.v1.invoices.retrieve(event.data.object["id"]).status == "paid"
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"


def test_a_coupon_for_three_months_ends(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    customer = new_customer(client, clock)
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "repeating", "duration_in_months": 3}).id
    subscribe(client, customer, monthly(client).id, discounts=[{"coupon": coupon}])
    advance(client, clock, at(2026, 5, 31) + 3600)
    totals = [invoice.total for invoice in client.v1.invoices.list({"customer": customer})][::-1]
    assert totals == [1000, 1000, 1000, 2000, 2000]
    assert len(events(client, "customer.discount.deleted")) == 1


def test_the_account_s_own_time_renews_what_has_no_clock(
    client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    customer = new_customer(client)
    subscribe(client, customer, yearly(client).id)
    simulator.advance(days=366)
    assert [invoice.amount_paid for invoice in client.v1.invoices.list({"customer": customer})] == [20000, 20000]


@pytest.mark.parametrize(("number", "status"), [("4242424242424242", "active"), ("4000000000000341", "incomplete")])
def test_a_subscription_is_bought_at_checkout(client: stripe.StripeClient, number: str, status: str) -> None:
    data = {"metadata": {"workspace": "ws_1"}}
    session = new_checkout(client, monthly(client).id, "subscription", subscription_data=data)
    browser = Browser(session.url).press("Subscribe", email="me@example.com", **card(number))
    (created,) = events(client, "customer.subscription.created")
    subscription = client.v1.subscriptions.retrieve(created.data.object["id"])
    assert (subscription.status, subscription.metadata["workspace"]) == (status, "ws_1")
    if status == "active":
        done = client.v1.checkout.sessions.retrieve(session.id)
        assert (done.status, done.payment_status, done.subscription) == ("complete", "paid", subscription.id)
        assert done.invoice == subscription.latest_invoice
        assert subscription.default_payment_method
    else:
        assert "Your card was declined." in browser.text
        browser.press("Subscribe", email="me@example.com", **card())
        assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
        assert len(client.v1.subscriptions.list({"status": "all"}).data) == 1


def test_a_trial_begins_at_checkout_without_a_card(client: stripe.StripeClient) -> None:
    data = {"trial_period_days": 7, "trial_settings": {"end_behavior": {"missing_payment_method": "cancel"}}}
    price = monthly(client).id
    session = new_checkout(
        client, price, "subscription", subscription_data=data, payment_method_collection="if_required"
    )
    browser = Browser(session.url)
    assert "Due today $0.00" in browser.text
    browser.press("Subscribe", email="me@example.com")
    done = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    assert (done.payment_status, done.subscription.status) == ("no_payment_required", "trialing")
    assert len(events(client, "checkout.session.completed")) == 1


def test_a_deleted_customer_ends_its_subscriptions(client: stripe.StripeClient) -> None:
    customer = new_customer(client)
    subscription = subscribe(client, customer, monthly(client).id)
    assert client.v1.customers.delete(customer).deleted
    assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"
    assert client.v1.customers.retrieve(customer).deleted
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        client.v1.customers.update(customer, {"name": "Ada"})


def downgrade_phases(subscription: stripe.Subscription, now: str, later: str) -> list[Any]:
    """The phases of a schedule: the price `now` until the period ends, then the price `later`."""
    start, end = period(subscription)
    return [
        {"start_date": start, "end_date": end, "items": [{"price": now}]},
        {"items": [{"price": later}], "proration_behavior": "none"},
    ]


def test_a_downgrade_waits_for_the_end_of_the_period(client: stripe.StripeClient) -> None:
    clock = new_clock(client, at(2026, 4, 1))
    customer = new_customer(client, clock)
    studio, starter = monthly(client, 5000, "Studio").id, monthly(client, 1000).id
    subscription = subscribe(client, customer, studio)
    schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})
    start, end = period(subscription)
    phases = downgrade_phases(subscription, studio, starter)
    planned = client.v1.subscription_schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})
    assert [phase.start_date for phase in planned.phases] == [start, end]
    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    advance(client, clock, end - 60)
    assert client.v1.subscriptions.retrieve(subscription.id)["items"]["data"][0].price.id == studio
    advance(client, clock, at(2026, 6, 1) + 3600)
    assert [invoice.total for invoice in client.v1.invoices.list({"customer": customer})] == [1000, 1000, 5000]
    after = client.v1.subscriptions.retrieve(subscription.id)
    assert (after["items"]["data"][0].price.id, after.schedule) == (starter, None)
    released = client.v1.subscription_schedules.retrieve(schedule.id)
    assert (released.status, released.released_subscription) == ("released", subscription.id)
    assert len(events(client, "subscription_schedule.released")) == 1


def test_a_planned_downgrade_can_be_taken_back(client: stripe.StripeClient) -> None:
    clock = new_clock(client, at(2026, 4, 1))
    customer = new_customer(client, clock)
    studio, starter = monthly(client, 5000, "Studio").id, monthly(client, 1000).id
    subscription = subscribe(client, customer, studio)
    schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})
    _, end = period(subscription)
    phases = downgrade_phases(subscription, studio, starter)
    client.v1.subscription_schedules.update(schedule.id, {"phases": phases})
    client.v1.subscription_schedules.release(schedule.id)
    advance(client, clock, end + 3600)
    assert [invoice.total for invoice in client.v1.invoices.list({"customer": customer})] == [5000, 5000]


def test_a_pause_credits_the_rest_and_begins_anew_afterwards(client: stripe.StripeClient) -> None:
    clock = new_clock(client, at(2026, 4, 1))
    customer = new_customer(client, clock)
    subscription = subscribe(client, customer, monthly(client, 3000).id)
    advance(client, clock, at(2026, 4, 11))
    paused = client.v1.subscriptions.pause(subscription.id)
    assert (paused.status, paused.status_details.paused.subscription.type) == ("paused", "pause_requested")
    assert period(paused) == (at(2026, 4, 1), at(2026, 4, 11))
    advance(client, clock, at(2026, 5, 20))
    assert len(client.v1.invoices.list({"customer": customer}).data) == 1
    waiting = client.v1.subscriptions.resume(subscription.id)
    invoice = client.v1.invoices.retrieve(waiting.latest_invoice)
    # Two thirds of the 30.00 for April are credited. Nothing is charged by the request itself.
    assert (waiting.status, sorted(line.amount for line in invoice.lines)) == ("paused", [-2000, 3000])
    assert (invoice.status, waiting.pending_update.expires_at) == ("open", at(2026, 5, 20) + 23 * 3600)
    assert client.v1.invoices.pay(invoice.id).amount_paid == 1000
    resumed = client.v1.subscriptions.retrieve(subscription.id)
    assert (resumed.status, resumed.pending_update, resumed.status_details) == ("active", None, None)
    assert period(resumed) == (at(2026, 5, 20), at(2026, 6, 20))
    assert len(events(client, "customer.subscription.paused", "customer.subscription.resumed")) == 2


def test_the_days_of_an_invoice_that_is_sent_run_out(client: stripe.StripeClient) -> None:
    clock = new_clock(client)
    customer = client.v1.customers.create({"test_clock": clock, "email": "me@example.com"}).id
    given = {"collection_method": "send_invoice", "days_until_due": 10}
    subscription = subscribe(client, customer, monthly(client).id, **given)
    invoice = client.v1.invoices.retrieve(subscription.latest_invoice)
    assert (subscription.status, invoice.status, invoice.due_date) == ("active", "open", NOW + 10 * DAY)
    advance(client, clock, NOW + 10 * DAY)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    assert len(events(client, "invoice.sent", "invoice.overdue")) == 2
