"""An account in a file: what anybody has seen of it outlives the process, and so do webhooks that were not accepted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import stripe

from infra.simulators.stripe.server import StripeSimulator
from infra.simulators.stripe.storage import AccountFile, UnreadableAccount
from tests.simulators.stripe.flows import (
    NOW,
    Browser,
    advance,
    at,
    card,
    monthly,
    new_checkout,
    new_clock,
    new_customer,
    new_price,
    subscribe,
)
from tests.webhook_receiver import WebhookReceiver

KEY = {"idempotency_key": "order-1"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "account.sqlite3"


@contextmanager
def running(file: Path, **options: object) -> Iterator[tuple[StripeSimulator, stripe.StripeClient]]:
    """A simulator that keeps its account in this file, and the SDK for it."""
    with StripeSimulator(now=NOW, file=file, webhook_pauses=(), **options) as simulator:
        addresses: stripe.BaseAddresses = {"api": simulator.url}
        yield simulator, stripe.StripeClient(simulator.api_key, base_addresses=addresses, max_network_retries=0)


def assert_saved(simulator: StripeSimulator, file: Path) -> None:
    """The file holds what the simulator does."""
    with simulator.lock:
        saved = AccountFile(file, ("http://pages.example", "http://api.example")).load("", int(time.time()))
        here = simulator.account
        assert saved
        there = json.loads(json.dumps(saved.account.objects).replace("http://pages.example", simulator.url))
        assert there == here.objects
        assert list(saved.account.ids["event"]) == [event["id"] for event in saved.account.events]
        assert saved.account.cards == here.cards
        notes = {id: facts for id, facts in here.private.items() if facts}
        known = json.dumps(saved.account.private).replace("http://pages.example", simulator.url)
        assert json.loads(known) == json.loads(json.dumps(notes))
        assert saved.keys.kept.keys() == simulator._keys.kept.keys()


def test_each_answer_is_saved_before_it_is_given(file: Path) -> None:
    with running(file) as (simulator, client):
        clock = new_clock(client)
        customer = new_customer(client, clock)
        assert_saved(simulator, file)
        subscription = subscribe(client, customer, monthly(client).id)
        assert_saved(simulator, file)
        client.v1.subscriptions.update(subscription.id, {"items": [{"price": monthly(client, 4000).id}]}, KEY)
        assert_saved(simulator, file)
        advance(client, clock, at(2026, 4, 2))
        assert_saved(simulator, file)
        session = new_checkout(client, new_price(client).id)
        Browser(session.url).press("Pay", **card())
        assert_saved(simulator, file)
        with pytest.raises(stripe.CardError):
            client.v1.subscriptions.create(
                {
                    "customer": new_customer(client, None, "pm_card_chargeCustomerFail"),
                    "items": [{"price": monthly(client).id}],
                    "payment_behavior": "error_if_incomplete",
                }
            )
        assert_saved(simulator, file)
        client.v1.customers.delete(customer)
        assert_saved(simulator, file)


def test_an_account_goes_on_after_a_restart(file: Path) -> None:
    with running(file) as (_, client):
        clock = new_clock(client)
        customer = new_customer(client, clock, "pm_card_chargeCustomerFail")
        ids = {customer, new_customer(client), new_price(client).id}
        order = {"amount": 900, "currency": "usd"}
        intent = client.v1.payment_intents.create(order, KEY)
        starter = monthly(client).id
        trial = subscribe(client, customer, starter, trial_period_days=10)
    with running(file) as (simulator, client):
        assert client.v1.payment_intents.create(order, KEY).id == intent.id
        assert client.v1.customers.create({}).id not in ids
        advance(client, clock, at(2026, 2, 12))
        # The card still behaves as its number says, and the account's own time goes on.
        assert client.v1.subscriptions.retrieve(trial.id).status == "past_due"
        assert 0 <= simulator.account.time - NOW < 600


def test_urls_follow_the_simulator_to_another_address(file: Path) -> None:
    shop = "http://localhost:80"
    with running(file, pages_url=f"{shop}/local/stripe") as (_, client):
        given = {"success_url": f"{shop}/done?of={shop}/", "cancel_url": "http://localhost:8081/"}
        price = new_price(client).id
        session = new_checkout(client, price, **given)
        order = {"mode": "payment", "line_items": [{"price": price, "quantity": 1}], "success_url": f"{shop}/"}
        kept = client.v1.checkout.sessions.create(order, KEY)
        assert session.url == f"{shop}/local/stripe/c/pay/{session.id}"
    moved = "http://localhost:9000"
    with running(file, pages_url=f"{moved}/local/stripe") as (simulator, client):
        found = client.v1.checkout.sessions.retrieve(session.id)
        assert found.url == f"{moved}/local/stripe/c/pay/{session.id}"
        assert (found.success_url, found.cancel_url) == (f"{moved}/done?of={moved}/", "http://localhost:8081/")
        page = httpx.get(f"{simulator.url}/c/pay/{session.id}").text
        assert f'action="/local/stripe/c/pay/{session.id}"' in page
        again = client.v1.checkout.sessions.create({**order, "success_url": f"{moved}/"}, KEY)
        assert (again.id, again.url) == (kept.id, f"{moved}/local/stripe/c/pay/{kept.id}")
    with running(file, pages_url=f"{moved}/local/stripe") as (_, client):
        assert client.v1.checkout.sessions.retrieve(session.id).url == found.url


def types(receiver: WebhookReceiver) -> list[str]:
    return [json.loads(body)["type"] for _, _, body in receiver.posts]


def test_webhooks_that_were_not_accepted_are_sent_after_a_restart(file: Path, receiver: WebhookReceiver) -> None:
    receiver.statuses += [200, 503]
    with running(file, webhook_url=receiver.url) as (simulator, client):
        new_price(client)
        simulator.wait_for_deliveries()
    with running(file, webhook_url=receiver.url, webhook_secret="whsec_other") as (simulator, client):
        simulator.wait_for_deliveries()
        assert types(receiver) == ["product.created", "price.created", "price.created"]
        assert [event.pending_webhooks for event in client.v1.events.list()] == [0, 0]
        (endpoint,) = client.v1.webhook_endpoints.list()
        assert endpoint.url == receiver.url
    _, headers, body = receiver.posts[-1]
    assert stripe.Webhook.construct_event(body, headers["stripe-signature"], "whsec_other")


def test_webhooks_wait_until_deliveries_begin(file: Path, receiver: WebhookReceiver) -> None:
    with running(file, webhook_url=receiver.url, with_deliveries=False) as (simulator, client):
        new_price(client)
        assert receiver.posts == []
        simulator.start_deliveries()
        simulator.wait_for_deliveries()
        assert types(receiver) == ["product.created", "price.created"]


@pytest.mark.parametrize(("ago", "sent_again"), [(60, True), (-60, False)])
def test_what_a_receiver_has_lost_is_sent_again(
    file: Path, receiver: WebhookReceiver, ago: int, sent_again: bool
) -> None:
    with running(file, webhook_url=receiver.url) as (simulator, client):
        new_price(client)
        simulator.wait_for_deliveries()
    with running(file, webhook_url=receiver.url, with_deliveries=False) as (simulator, client):
        simulator.start_deliveries(accepted_since=time.time() - ago)
        simulator.wait_for_deliveries()
    assert types(receiver) == ["product.created", "price.created"] * (2 if sent_again else 1)


def test_a_webhook_that_was_given_up_is_sent_again_later(file: Path, receiver: WebhookReceiver) -> None:
    receiver.statuses += [500, 200, 404]
    with running(file, webhook_url=receiver.url, sends_again_after=0) as (_, client):
        new_price(client)
        receiver.wait_for(4)
    assert sorted(types(receiver)) == ["price.created"] + ["product.created"] * 3


@pytest.mark.parametrize("damage", [lambda _: b"no database", lambda data: data[:5000]])
def test_a_damaged_file_is_named(file: Path, damage: Callable[[bytes], bytes]) -> None:
    with running(file) as (_, client):
        new_price(client)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UnreadableAccount, match=r"account\.sqlite3 cannot be read"):
        StripeSimulator(file=file)
