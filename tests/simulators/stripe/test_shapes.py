"""The simulator's objects, parameters and events are those of the API version that the SDK pins.

Stripe's published example objects are compared too, where a copy of `fixtures3.json` is: the folder is named by
STRIPE_FIXTURES. They are of an earlier version.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from infra.simulators.stripe.api import operations
from infra.simulators.stripe.server import StripeSimulator
from tests.simulators.stripe.flows import (
    DAY,
    NOW,
    Browser,
    advance,
    card,
    monthly,
    new_checkout,
    new_clock,
    new_customer,
    new_price,
    subscribe,
    yearly,
)
from tests.simulators.stripe.sdk_parameters import sdk_parameters, unknown_parameters
from tests.simulators.stripe.shape import deviations

FIXTURES = Path(os.environ.get("STRIPE_FIXTURES", "stripe-fixtures")) / "fixtures3.json"

# Fields of the examples that are elsewhere now, are shown on request only, or belong to a type of payment method.
MOVED = {"charge": {"refunds"}, "invoice": {"subscription"}, "payment_method": {"card"}}
# The calls by which Stripe's own page pays, and a list that an expanded charge links to.
NOT_IN_SDK = {"/v1/payment_pages/{}", "/v1/payment_pages/{}/confirm", "/v1/charges/{}/refunds"}
# What Stripe's CLI, which names no API version, still sends.
OLDER = {
    f"POST /v1/{path} payment_method_types"
    for path in ("checkout/sessions", "payment_intents", "payment_intents/{}", "setup_intents")
}


@pytest.fixture(scope="module")
def world() -> Iterator[dict[str, Any]]:
    """An account in which something of everything has happened: its objects, and the simulator's own."""
    with StripeSimulator(now=NOW) as simulator:
        client = stripe.StripeClient(simulator.api_key, base_addresses={"api": simulator.url}, max_network_retries=0)
        _live(client, simulator)
        yield {"objects": dict(simulator.account.objects), "client": client}


def _live(client: stripe.StripeClient, simulator: StripeSimulator) -> None:
    v1 = client.v1
    coupon = v1.coupons.create({"percent_off": 10, "duration": "once", "name": "Hello"})
    v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "HELLO"})
    address = {"country": "DE", "line1": "A street 1"}
    clock = new_clock(client)
    customer = new_customer(client, clock, name="Ada", email="ada@example.com", address=address, metadata={"a": "b"})
    v1.customers.tax_ids.create(customer, {"type": "eu_vat", "value": "DE123456789"})
    v1.customers.balance_transactions.create(customer, {"amount": -300, "currency": "usd"})
    starter, studio = monthly(client), monthly(client, 5000, "Studio", lookup_key="studio")
    taxed = {"automatic_tax": {"enabled": True}, "discounts": [{"coupon": coupon.id}]}
    subscription = subscribe(client, customer, starter.id, **taxed)
    item = subscription["items"]["data"][0].id
    v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": studio.id}]})
    advance(client, clock, NOW + 40 * DAY)
    v1.subscriptions.update(
        subscription.id,
        {"items": [{"id": item, "price": yearly(client).id}], "proration_behavior": "always_invoice"},
    )
    subscribe(client, customer, starter.id, trial_period_days=14)
    v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    for name in ("createDispute", "createDisputeInquiry", "createIssuerFraudWarning", "refundFail", "pendingRefund"):
        given: Any = {"amount": 1000, "currency": "usd", "confirm": True, "payment_method": f"pm_card_{name}"}
        intent = v1.payment_intents.create({**given, "return_url": "http://shop.example/"})
        if "efund" in name:
            v1.refunds.create({"payment_intent": intent.id, "amount": 400, "reason": "duplicate"})
    with pytest.raises(stripe.CardError):
        v1.payment_intents.create({**given, "payment_method": "pm_card_chargeDeclined"})
    v1.payment_intents.create({**given, "payment_method": "pm_card_threeDSecure2Required"})
    setup: Any = {"payment_method": "pm_card_visa", "confirm": True, "return_url": "http://shop.example/"}
    v1.setup_intents.create(setup)
    for mode, price in (("payment", new_price(client).id), ("subscription", starter.id)):
        session = new_checkout(client, price, mode, automatic_tax={"enabled": True}, allow_promotion_codes=True)
        verb = {"payment": "Pay", "subscription": "Subscribe"}[mode]
        Browser(session.url).press(verb, email="me@example.com", promotionCode="hello", billingCountry="FR", **card())
    session = new_checkout(client, new_price(client, currency="eur").id)
    Browser(session.url).press("Pay", email="me@example.com", iban="AT321904300235473204")
    other = new_customer(client)
    v1.subscription_schedules.create({"from_subscription": subscribe(client, other, starter.id).id})
    v1.subscriptions.pause(subscribe(client, other, studio.id).id)
    v1.billing_portal.sessions.create({"customer": customer, "return_url": "http://shop.example/"})
    v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["price.deleted"]})
    simulator.advance(days=1)


def test_every_object_has_the_fields_and_types_that_the_sdk_declares(world: dict[str, Any]) -> None:
    objects = [obj for obj in world["objects"].values() if not obj.get("deleted") and obj["object"] != "event"]
    kinds = {obj["object"] for obj in objects}
    assert len(kinds) >= 26, sorted(kinds)
    found = {each for obj in objects for each in deviations(obj, stripe.StripeObject)}
    assert sorted(found) == []


def test_a_deviation_is_found(world: dict[str, Any]) -> None:
    (subscription, *_) = [obj for obj in world["objects"].values() if obj["object"] == "subscription"]
    item, *_ = subscription["items"]["data"]
    changed = [
        {**subscription, "current_period_end": 1},
        {**subscription, "status": "resting"},
        {**subscription, "created": "yesterday"},
        {
            **subscription,
            "items": {**subscription["items"], "data": [{**item, "price": {**item["price"], "type": "gift"}}]},
        },
        {name: value for name, value in subscription.items() if name != "billing_mode"},
    ]
    for each in changed:
        assert deviations(each, stripe.Subscription), each


def test_every_event_has_a_type_that_the_sdk_knows(world: dict[str, Any]) -> None:
    events = [obj for obj in world["objects"].values() if obj["object"] == "event"]
    assert len({event["type"] for event in events}) >= 45
    # The announcement of an invoice shows one that has no id yet.
    whole = [event for event in events if event["type"] != "invoice.upcoming"]
    found = {each for event in whole for each in deviations(event, stripe.Event)}
    found |= {each for event in whole for each in deviations(event["data"]["object"], stripe.StripeObject)}
    assert sorted(found) == []


def test_expanded_fields_and_lists_have_their_shapes_too(world: dict[str, Any]) -> None:
    client: stripe.StripeClient = world["client"]
    expand = [
        "data.latest_invoice.payments",
        "data.customer.tax_ids",
        "data.discounts",
        "data.latest_invoice.confirmation_secret",
    ]
    page = client.v1.subscriptions.list({"status": "all", "expand": expand}).to_dict()
    sessions = client.v1.checkout.sessions.list(
        {"expand": ["data.line_items", "data.payment_intent.latest_charge.refunds"]}
    )
    found = {
        each for obj in [*page["data"], *sessions.to_dict()["data"]] for each in deviations(obj, stripe.StripeObject)
    }
    assert sorted(found) == []


def test_an_operation_takes_only_what_the_sdk_sends() -> None:
    """A parameter that the SDK does not know is one that Stripe refuses."""
    known = sdk_parameters()
    calls = {(each.method, re.sub(r"\{\w+\}", "{}", each.path)): each.shape for _, each in operations()}
    unknown = {
        f"{method} {path} {name}"
        for (method, path), shape in calls.items()
        if (method, path) in known
        for name in unknown_parameters(shape, known[method, path])
    }
    assert sorted(unknown - OLDER) == []
    assert {path for _, path in calls.keys() - known.keys()} == NOT_IN_SDK


@pytest.mark.skipif(not FIXTURES.exists(), reason=f"not run: Stripe's example objects are not at {FIXTURES}")
def test_objects_have_the_fields_of_stripes_published_examples(world: dict[str, Any]) -> None:
    examples: dict[str, Any] = json.loads(FIXTURES.read_text())["resources"]
    missing: dict[str, set[str]] = {}
    for obj in world["objects"].values():
        if not obj.get("deleted"):
            missing.setdefault(obj["object"], set()).update(examples[obj["object"]].keys() - obj.keys())
    assert {kind: names for kind, names in missing.items() if names} == MOVED
