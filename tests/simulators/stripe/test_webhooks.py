"""Events reach the shop as signed webhooks, as reliably or unreliably as a test wants it."""

from __future__ import annotations

import json

import httpx
import pytest
import stripe

from infra.simulators.stripe.server import WEBHOOK_SECRET, StripeSimulator
from tests.simulators.stripe.flows import NOW, advance, monthly, new_clock, new_customer, subscribe
from tests.webhook_receiver import WebhookReceiver

TOLERANCE = 300


@pytest.fixture
def endpoint(simulator: StripeSimulator, receiver: WebhookReceiver) -> str:
    return simulator.add_endpoint(receiver.url, WEBHOOK_SECRET)


def delivered(simulator: StripeSimulator, receiver: WebhookReceiver) -> list[str]:
    """The types of the events that arrived, in order."""
    simulator.wait_for_deliveries()
    return [json.loads(body)["type"] for _, _, body in receiver.posts]


def is_accepted(post: tuple[str, dict[str, str], bytes], secret: str = WEBHOOK_SECRET) -> bool:
    """Whether the SDK accepts the signature of a post."""
    _, headers, body = post
    try:
        stripe.Webhook.construct_event(body, headers["stripe-signature"], secret, tolerance=TOLERANCE)
    except stripe.SignatureVerificationError:
        return False
    return True


@pytest.mark.usefixtures("endpoint")
def test_every_event_is_delivered_in_order_with_a_valid_signature(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver
) -> None:
    clock = new_clock(client)
    subscribe(client, new_customer(client, clock), monthly(client).id)
    advance(client, clock, NOW + 40 * 86400)
    types = delivered(simulator, receiver)
    assert types == [event.type for event in client.v1.events.list({"limit": 100}).auto_paging_iter()][::-1]
    assert all(is_accepted(post) for post in receiver.posts)
    assert all(event.pending_webhooks == 0 for event in client.v1.events.list({"limit": 100}))


@pytest.mark.usefixtures("endpoint")
def test_a_webhook_that_is_refused_is_sent_again_and_then_given_up(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver
) -> None:
    receiver.statuses += [500, 302]
    client.v1.customers.create({"name": "Ada"})
    assert delivered(simulator, receiver) == ["customer.created"] * 3
    receiver.statuses += [500] * 3
    client.v1.customers.create({"name": "Bob"})
    assert len(delivered(simulator, receiver)) == 6
    (lost,) = client.v1.events.list({"delivery_success": False})
    httpx.post(f"{simulator.url}/_simulator/resend", json={"event": lost.id})
    simulator.wait_for_deliveries()
    assert json.loads(receiver.posts[-1][2])["id"] == lost.id
    assert client.v1.events.list({"delivery_success": False}).data == []


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize(
    ("marker", "accepted"),
    [("lost", []), ("twice", [True, True]), ("forged", [False]), ("stale", [False]), ("late=0.01", [True])],
)
def test_a_marker_spoils_the_delivery(
    client: stripe.StripeClient,
    simulator: StripeSimulator,
    receiver: WebhookReceiver,
    marker: str,
    accepted: list[bool],
) -> None:
    simulator.behave(f"webhook:{marker}")
    client.v1.customers.create({"name": "Ada"})
    simulator.wait_for_deliveries()
    assert [is_accepted(post) for post in receiver.posts] == accepted


@pytest.mark.usefixtures("endpoint")
def test_a_reordered_event_arrives_after_the_next_one(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver
) -> None:
    simulator.behave("webhook:reordered", "webhook:type=invoice.created")
    subscribe(client, new_customer(client), monthly(client).id)
    types = [
        kind
        for kind in delivered(simulator, receiver)
        if kind.startswith(("invoice.created", "invoice.f", "payment_intent.c"))
    ]
    assert types == ["payment_intent.created", "invoice.created", "invoice.finalized"]


@pytest.mark.usefixtures("endpoint")
def test_an_early_webhook_is_there_before_the_answer(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver
) -> None:
    simulator.behave("webhook:early")
    customer = client.v1.customers.create({"name": "Ada"})
    assert [json.loads(body)["data"]["object"]["id"] for _, _, body in receiver.posts] == [customer.id]


@pytest.mark.usefixtures("endpoint")
def test_events_of_another_mode_version_or_account_can_be_made(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver
) -> None:
    simulator.behave("webhook:live", "webhook:version=2020-08-27", "webhook:account=acct_other")
    client.v1.customers.create({"name": "Ada"})
    simulator.wait_for_deliveries()
    event = json.loads(receiver.posts[0][2])
    assert (event["livemode"], event["api_version"], event["account"]) == (True, "2020-08-27", "acct_other")
    assert is_accepted(receiver.posts[0])


def test_a_rolled_secret_signs_beside_the_old_one_for_a_day(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver, endpoint: str
) -> None:
    httpx.post(f"{simulator.url}/_simulator/roll_secret", json={"endpoint": endpoint, "secret": "whsec_new"})
    client.v1.customers.create({"name": "Ada"})
    simulator.wait_for_deliveries()
    simulator.advance(days=1, seconds=1)
    client.v1.customers.create({"name": "Bob"})
    simulator.wait_for_deliveries()
    first, second = receiver.posts
    assert (is_accepted(first), is_accepted(first, "whsec_new")) == (True, True)
    assert (is_accepted(second), is_accepted(second, "whsec_new")) == (False, True)


def test_an_endpoint_gets_the_events_that_it_wants_while_it_is_enabled(
    client: stripe.StripeClient, simulator: StripeSimulator, receiver: WebhookReceiver
) -> None:
    endpoint = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["product.created"]})
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in client.v1.webhook_endpoints.retrieve(endpoint.id).to_dict()
    client.v1.customers.create({"name": "Ada"})
    client.v1.products.create({"name": "Pack"})
    client.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    client.v1.products.create({"name": "Other"})
    client.v1.webhook_endpoints.update(endpoint.id, {"disabled": False, "enabled_events": ["*"]})
    client.v1.customers.create({"name": "Bob"})
    assert delivered(simulator, receiver) == ["product.created", "customer.created"]
    assert client.v1.webhook_endpoints.delete(endpoint.id).deleted
    client.v1.customers.create({"name": "Eve"})
    assert len(delivered(simulator, receiver)) == 2


def test_a_reset_clears_the_account(client: stripe.StripeClient, simulator: StripeSimulator) -> None:
    client.v1.customers.create({"name": "Ada"})
    httpx.post(f"{simulator.url}/_simulator/reset")
    assert client.v1.customers.list().data == []
    assert client.v1.events.list().data == []
