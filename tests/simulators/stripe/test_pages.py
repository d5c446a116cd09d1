"""The portal, an invoice's page and a saved card: what a customer does by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import stripe

from tests.simulators.stripe.flows import (
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
    subscribe,
)


def portal(client: stripe.StripeClient, customer: str, **fields: str) -> Browser:
    session = client.v1.billing_portal.sessions.create(
        {"customer": customer, "return_url": "http://shop.example/", **fields}
    )
    return Browser(session.url)


def test_a_plan_is_canceled_and_kept_in_the_portal(client: stripe.StripeClient) -> None:
    customer = new_customer(client)
    subscription = subscribe(client, customer, monthly(client).id)
    browser = portal(client, customer)
    assert browser.page is not None
    assert browser.page.links["Back"] == "http://shop.example/"
    browser.press("Cancel plan")
    assert client.v1.subscriptions.retrieve(subscription.id).cancel_at_period_end
    browser.press("Don't cancel")
    assert not client.v1.subscriptions.retrieve(subscription.id).cancel_at_period_end


def test_a_card_and_an_address_are_changed_in_the_portal(client: stripe.StripeClient) -> None:
    customer = new_customer(client, email="old@example.com")
    subscription = subscribe(client, customer, monthly(client).id)
    browser = portal(client, customer)
    browser.press("Use this card", **card("5555555555554444"))
    browser.press("Save", email="new@example.com", taxId="DE123456789")
    changed = client.v1.customers.retrieve(customer, {"expand": ["invoice_settings.default_payment_method", "tax_ids"]})
    assert (changed.email, [each.value for each in changed.tax_ids]) == ("new@example.com", ["DE123456789"])
    assert changed.invoice_settings.default_payment_method.card.brand == "mastercard"
    default = client.v1.subscriptions.retrieve(subscription.id).default_payment_method
    assert default == changed.invoice_settings.default_payment_method.id
    assert "card number is incorrect" in browser.press("Use this card", **card("4242424242424241")).text


def test_the_portal_offers_what_its_configuration_lists(client: stripe.StripeClient) -> None:
    clock = new_clock(client, at(2026, 4, 1))
    customer = new_customer(client, clock)
    starter, studio = monthly(client, 1000), monthly(client, 4000, "Studio")
    subscription = subscribe(client, customer, starter.id)
    offered = [{"product": price.product, "prices": [price.id]} for price in (starter, studio)]
    update = {
        "enabled": True,
        "products": offered,
        "default_allowed_updates": ["price"],
        "proration_behavior": "always_invoice",
    }
    configuration = client.v1.billing_portal.configurations.create({"features": {"subscription_update": update}})
    advance(client, clock, at(2026, 4, 11))
    browser = portal(client, customer, configuration=configuration.id)
    assert "Cancel plan" not in browser.text
    browser.press("Change to Studio ($40.00 / month)")
    changed = client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    assert changed["items"]["data"][0].price.id == studio.id
    # Two thirds of 10.00 and of 40.00.
    assert changed.latest_invoice.amount_paid == 2000


def test_an_invoice_is_paid_on_its_own_page(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada"}).id
    client.v1.invoice_items.create({"customer": customer, "amount": 1500, "currency": "eur", "description": "Work"})
    draft = client.v1.invoices.create(
        {"customer": customer, "pending_invoice_items_behavior": "include", "currency": "eur"}
    )
    invoice = client.v1.invoices.finalize_invoice(draft.id)
    browser = Browser(invoice.hosted_invoice_url)
    assert "Amount due €15.00" in browser.text
    assert "Your card was declined." in browser.press("Pay", **card("4000000000000002")).text
    browser.press("Pay", **card("4000002760003184")).press("Complete")
    assert client.v1.invoices.retrieve(invoice.id).status == "paid"


@pytest.mark.parametrize("number", ["4242424242424242", "4000002500003155"])
def test_a_card_is_saved_at_checkout_for_later(client: stripe.StripeClient, number: str) -> None:
    customer = client.v1.customers.create({"email": "me@example.com"}).id
    session = client.v1.checkout.sessions.create(
        {"mode": "setup", "customer": customer, "currency": "usd", "success_url": "http://shop.example/"}
    )
    browser = Browser(session.url).press("Save card", **card(number))
    if browser.page is not None:
        browser.press("Complete")
    saved = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]})
    assert (saved.status, saved.setup_intent.status) == ("complete", "succeeded")
    # A card that was set up may be charged without its owner.
    intent = client.v1.payment_intents.create(
        {
            "amount": 1000,
            "currency": "usd",
            "customer": customer,
            "payment_method": saved.setup_intent.payment_method,
            "confirm": True,
            "off_session": True,
        }
    )
    assert intent.status == "succeeded"


def test_text_of_the_shop_is_no_html_on_a_page(client: stripe.StripeClient) -> None:
    price = monthly(client, name="<script>alert(1)</script>")
    session = new_checkout(client, price.id, "subscription")
    browser = Browser(session.url)
    assert "<script>alert(1)</script>" in browser.text


def test_invoices_are_voided_given_up_and_paid_elsewhere(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada"}).id

    def an_invoice() -> stripe.Invoice:
        draft = client.v1.invoices.create({"customer": customer})
        client.v1.invoice_items.create({"customer": customer, "amount": 900, "currency": "usd", "invoice": draft.id})
        return client.v1.invoices.finalize_invoice(draft.id)

    assert client.v1.invoices.void_invoice(an_invoice().id).status == "void"
    assert client.v1.invoices.mark_uncollectible(an_invoice().id).status == "uncollectible"
    outside = client.v1.invoices.pay(an_invoice().id, {"paid_out_of_band": True})
    assert (outside.status, outside.amount_paid) == ("paid", 900)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.invoices.void_invoice(outside.id)
    assert refused.value.code == "invoice_not_editable"
    draft = client.v1.invoices.create({"customer": customer})
    assert client.v1.invoices.delete(draft.id).deleted
    for kind in ("invoice.voided", "invoice.marked_uncollectible", "invoice.deleted"):
        assert len(events(client, kind)) == 1
    assert draft.created == NOW


def test_the_simulator_runs_as_a_program_that_prints_its_url() -> None:
    root = Path(__file__).parents[3]
    order = [sys.executable, "-m", "infra.simulators.stripe", "--api-key", "sk_test_program"]
    process = subprocess.Popen(order, cwd=root, env={**os.environ}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        program = stripe.StripeClient("sk_test_program", base_addresses={"api": url})
        assert program.v1.products.create({"name": "Pack"}).name == "Pack"
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
