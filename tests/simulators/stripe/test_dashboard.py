"""The merchant's page: what a person tries there happens, and its events are shown with what became of them."""

from __future__ import annotations

import json

import httpx
import pytest
import stripe

from infra.simulators.stripe.server import WEBHOOK_SECRET, StripeSimulator
from tests.simulators.stripe.flows import (
    Browser,
    at,
    events,
    monthly,
    new_clock,
    new_customer,
    new_price,
    period,
    subscribe,
)
from tests.webhook_receiver import WebhookReceiver


@pytest.fixture
def dashboard(simulator: StripeSimulator) -> Browser:
    return Browser(f"{simulator.url}/")


def reloaded(browser: Browser) -> Browser:
    return Browser(browser.url)


def test_an_empty_account_shows_the_cards_to_try(dashboard: Browser) -> None:
    assert "4242 4242 4242 4242" in dashboard.text
    assert "Nobody has bought anything yet." in dashboard.text


def test_a_month_goes_by_at_a_customers_clock(client: stripe.StripeClient, dashboard: Browser) -> None:
    subscription = subscribe(
        client, new_customer(client, new_clock(client), email="ada@example.com"), monthly(client, name="Pro").id
    )
    page = reloaded(dashboard)
    assert "ada@example.com" in page.text
    assert "Pro, $20.00 / month active, next 28 Feb 2026, 12:00 UTC" in page.text
    page.press("A month later")
    assert period(client.v1.subscriptions.retrieve(subscription.id)) == (at(2026, 2, 28), at(2026, 3, 31))
    assert "Test clock: 28 Feb 2026, 12:00 UTC" in page.text
    assert "Test clock: 01 Mar 2026, 12:00 UTC" in page.press("A day later").text
    assert [event.data.object["amount_paid"] for event in events(client, "invoice.paid")] == [2000, 2000]


def test_a_month_goes_by_for_whoever_has_no_clock(client: stripe.StripeClient, dashboard: Browser) -> None:
    subscription = subscribe(client, new_customer(client), monthly(client).id)
    assert "lives at 31 Jan 2026" in reloaded(dashboard).text
    assert "lives at 28 Feb 2026" in reloaded(dashboard).press("A month later").text
    assert period(client.v1.subscriptions.retrieve(subscription.id))[0] == at(2026, 2, 28)


def charge(client: stripe.StripeClient) -> str:
    intent = client.v1.payment_intents.create(
        {"amount": 700, "currency": "usd", "customer": new_customer(client), "confirm": True, "off_session": True}
        | {"payment_method": "pm_card_visa"}
    )
    return str(intent.latest_charge)


@pytest.mark.parametrize("end", ["Won", "Lost"])
def test_a_cardholder_objects_and_the_bank_decides(client: stripe.StripeClient, dashboard: Browser, end: str) -> None:
    charged = charge(client)
    page = reloaded(dashboard).press("The cardholder objects")
    assert "The cardholder objects" not in page.text
    page.press(end)
    (dispute,) = client.v1.disputes.list({"charge": charged})
    assert dispute.status == end.lower()
    assert "Won" not in page.text
    assert len(events(client, "charge.dispute.funds_reinstated")) == (end == "Won")


def test_a_bank_warns_of_fraud_and_a_payment_is_refunded(client: stripe.StripeClient, dashboard: Browser) -> None:
    charged = charge(client)
    page = reloaded(dashboard).press("The bank warns of fraud").press("Refund")
    assert client.v1.charges.retrieve(charged).refunded
    assert len(events(client, "radar.early_fraud_warning.created", "charge.refunded")) == 2
    assert "refunded $7.00" in page.text


def test_a_failed_payment_says_why(client: stripe.StripeClient, dashboard: Browser) -> None:
    clock = new_clock(client)
    customer = new_customer(client, clock, "pm_card_chargeCustomerFail")
    subscribe(client, customer, monthly(client).id, trial_period_days=10)
    page = reloaded(dashboard).press("A month later")
    assert "Your card was declined." in page.text
    assert "The cardholder objects" not in page.text


def test_a_webhook_is_sent_again(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver, dashboard: Browser
) -> None:
    assert "nobody listens" not in dashboard.text
    simulator.add_endpoint(receiver.url, WEBHOOK_SECRET)
    receiver.statuses += [503] * 3
    simulator.behave("webhook:lost", "webhook:type=price.created")
    new_price(client)
    simulator.wait_for_deliveries()
    page = reloaded(dashboard)
    assert "price.created" in page.text
    assert "lost, as was asked for" in page.text
    assert "refused with 503, tried 1 times" in page.text
    page.press("Send again")
    simulator.wait_for_deliveries()
    assert json.loads(receiver.posts[-1][2])["type"] == "price.created"
    assert "accepted" in reloaded(dashboard).text


def test_what_is_not_there_is_refused_in_words(simulator: StripeSimulator, dashboard: Browser) -> None:
    for path in ("clocks/clock_none", "charges/ch_none", "disputes/dp_none", "events/evt_none"):
        answer = httpx.post(f"{simulator.url}/dashboard/{path}", data={"action": "day"})
        assert answer.is_client_error, path
        assert answer.text.startswith("No such "), path


def test_a_page_runs_no_script_and_escapes_what_the_shop_says(client: stripe.StripeClient, dashboard: Browser) -> None:
    client.v1.customers.create({"name": "<script>alert(1)</script>"})
    answer = httpx.get(dashboard.url)
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
