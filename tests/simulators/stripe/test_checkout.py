"""A customer pays at the simulator's Checkout page, like a browser does; the SDK sees what it sees at Stripe."""

from __future__ import annotations

import json

import pytest
import stripe

from infra.simulators.stripe.server import StripeSimulator
from tests.simulators.stripe.flows import Browser, card, new_checkout, new_price
from tests.webhook_receiver import WebhookReceiver


def test_a_pack_is_paid_and_the_browser_comes_back_to_the_shop(client: stripe.StripeClient) -> None:
    session = new_checkout(client, new_price(client, lookup_key="pack_100").id, metadata={"workspace": "ws_1"})
    assert (session.status, session.payment_status, session.amount_total, session.currency) == (
        "open",
        "unpaid",
        2000,
        "usd",
    )
    browser = Browser(session.url)
    assert "1 × Pack $20.00" in browser.text
    browser.press("Pay", email="me@example.com", billingName="Ada", billingCountry="DE", **card())
    assert browser.url == f"http://shop.example/done?session={session.id}"

    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge", "line_items"]})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.customer_details.email == "me@example.com"
    assert paid.customer_details.address.country == "DE"
    assert paid.payment_intent.status == "succeeded"
    assert paid.payment_intent.latest_charge.payment_method_details.card.last4 == "4242"
    assert [(item.quantity, item.price.lookup_key) for item in paid.line_items] == [(1, "pack_100")]


def test_a_declined_card_can_be_replaced_on_the_same_page(client: stripe.StripeClient) -> None:
    session = new_checkout(client, new_price(client).id)
    browser = Browser(session.url).press("Pay", email="me@example.com", **card("4000000000009995"))
    assert "Your card has insufficient funds." in browser.text
    declined = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert declined.status == "open"
    assert declined.payment_intent.last_payment_error.decline_code == "insufficient_funds"

    browser.press("Pay", email="me@example.com", **card())
    assert browser.page is None
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.payment_status, paid.payment_intent) == ("paid", declined.payment_intent.id)
    charges = client.v1.charges.list({"payment_intent": declined.payment_intent.id})
    assert [charge.status for charge in charges] == ["succeeded", "failed"]


@pytest.mark.parametrize(("button", "status"), [("Complete", "complete"), ("Fail", "open")])
def test_3d_secure_is_asked_of_the_customer(client: stripe.StripeClient, button: str, status: str) -> None:
    session = new_checkout(client, new_price(client).id)
    browser = Browser(session.url).press("Pay", email="me@example.com", **card("4000002760003184"))
    assert "confirm $20.00?" in browser.text
    browser.press(button)
    assert client.v1.checkout.sessions.retrieve(session.id).status == status
    if status == "open":
        assert "We are unable to authenticate your payment method." in browser.text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"cardNumber": "4242424242424241"}, "Your card number is incorrect."),
        ({"cardExpiry": "12 / 20"}, "Your card's expiration year is invalid."),
        ({"cardExpiry": "13 / 34"}, "Your card's expiration month is invalid."),
        ({"cardExpiry": "soon"}, "Your card's expiration date is incomplete."),
        ({"cardNumber": "4111111111111111"}, "used a non test card"),
        ({"cardNumber": ""}, "Enter a payment method."),
    ],
)
def test_a_card_that_is_none_is_refused_on_the_page(
    client: stripe.StripeClient, fields: dict[str, str], text: str
) -> None:
    session = new_checkout(client, new_price(client).id)
    browser = Browser(session.url).press("Pay", email="me@example.com", **{**card(), **fields})
    assert text in browser.text
    assert client.v1.checkout.sessions.retrieve(session.id).payment_intent is None


def test_a_bank_takes_its_time_and_the_session_hears_later(
    client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    price = new_price(client, currency="eur")
    for iban, event in (
        ("AT321904300235473204", "checkout.session.async_payment_succeeded"),
        ("AT051904300235473205", "checkout.session.async_payment_failed"),
    ):
        session = new_checkout(client, price.id)
        Browser(session.url).press("Pay", email="me@example.com", iban=iban)
        waiting = client.v1.checkout.sessions.retrieve(session.id)
        assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
        simulator.advance(seconds=200)
        (told,) = client.v1.events.list({"type": event})
        assert told.data.object["id"] == session.id


def test_a_session_is_expired_by_the_shop_and_by_time(client: stripe.StripeClient, simulator: StripeSimulator) -> None:
    price = new_price(client)
    first, second = new_checkout(client, price.id), new_checkout(client, price.id)
    assert client.v1.checkout.sessions.expire(first.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        client.v1.checkout.sessions.expire(first.id)
    simulator.advance(days=1)
    assert client.v1.checkout.sessions.retrieve(second.id).status == "expired"
    assert "has expired" in Browser(second.url).text
    assert len(client.v1.events.list({"type": "checkout.session.expired"}).data) == 2


def test_a_promotion_code_and_a_quantity_change_what_is_due(client: stripe.StripeClient) -> None:
    coupon = client.v1.coupons.create({"percent_off": 25, "duration": "once"})
    code = client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "SPRING"})
    price = new_price(client, 1999)
    items = [{"price": price.id, "quantity": 1, "adjustable_quantity": {"enabled": True, "maximum": 5}}]
    session = new_checkout(client, price.id, line_items=items, allow_promotion_codes=True)
    browser = Browser(session.url).press("Apply", promotionCode="winter")
    assert "This code is invalid." in browser.text
    browser.press("Apply", promotionCode="spring", quantity_0="3")
    # 3 × 19.99 = 59.97, a quarter of which is 14.9925.
    assert "Discount -$14.99" in browser.text
    assert "Due today $44.98" in browser.text
    browser.press("Pay", email="me@example.com", **card())
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.amount_subtotal, paid.total_details.amount_discount, paid.amount_total) == (5997, 1499, 4498)
    assert [discount.promotion_code for discount in paid.discounts] == [code.id]
    assert client.v1.payment_intents.retrieve(paid.payment_intent).amount_received == 4498


def test_a_price_in_yen_has_no_decimals(client: stripe.StripeClient) -> None:
    session = new_checkout(client, new_price(client, 1500, currency="jpy").id)
    browser = Browser(session.url)
    assert "Due today ¥1,500" in browser.text
    browser.press("Pay", email="me@example.com", **card())
    expand = ["payment_intent.latest_charge.balance_transaction"]
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": expand})
    entry = paid.payment_intent.latest_charge.balance_transaction
    # 2.9 % of 1500 is 43.5.
    assert (paid.amount_total, entry.amount, entry.fee, entry.net) == (1500, 1500, 44, 1456)


def test_a_value_added_tax_follows_the_address(client: stripe.StripeClient) -> None:
    price = new_price(client, 1000, currency="eur", tax_behavior="exclusive")
    session = new_checkout(client, price.id, automatic_tax={"enabled": True}, customer_creation="always")
    Browser(session.url).press("Pay", email="me@example.com", billingCountry="DE", **card())
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.amount_subtotal, paid.total_details.amount_tax, paid.amount_total) == (1000, 190, 1190)
    assert client.v1.customers.retrieve(paid.customer).address.country == "DE"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"success_url": "shop.example"}, "Not a valid URL"),
        ({"subscription_data": {"trial_period_days": 7}}, "You can not pass `subscription_data` in `payment` mode."),
        ({"line_items": [{"price": "price_none", "quantity": 1}]}, "No such price: 'price_none'"),
        ({"color": "red"}, "Received unknown parameter: color"),
        ({"line_items": [{"price": "x", "quantity": "many"}]}, "Invalid integer: many"),
        ({"mode": "gift"}, "Invalid mode: must be one of payment, setup, or subscription"),
    ],
)
def test_what_checkout_does_not_take_is_refused(
    client: stripe.StripeClient, fields: dict[str, object], text: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=text) as refused:
        new_checkout(client, new_price(client).id, **fields)
    assert refused.value.http_status == 400


def test_the_shop_is_told_by_a_signed_webhook(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver
) -> None:
    endpoint = client.v1.webhook_endpoints.create(
        {"url": f"{receiver.url}/hooks", "enabled_events": ["checkout.session.completed"]}
    )
    session = new_checkout(client, new_price(client).id)
    Browser(session.url).press("Pay", email="me@example.com", **card())
    ((path, headers, body),) = receiver.wait_for(1)
    assert path == "/hooks"
    event = stripe.Webhook.construct_event(body, headers["stripe-signature"], endpoint.secret)
    assert (event.type, event.api_version, event.livemode) == ("checkout.session.completed", stripe.api_version, False)
    assert event.data.object.id == session.id
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", headers["stripe-signature"], endpoint.secret)
    assert json.loads(body)["id"] == client.v1.events.list({"type": "checkout.session.completed"}).data[0].id
