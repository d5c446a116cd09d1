"""A burst of Stripe's webhooks through the deployed functions: signed deliveries in random order, a fifth of them
duplicates; each event has exactly one effect.

`BILLING_BURST=10000 pytest tests/integration/test_billing_burst.py` is the burst of the benchmark's row 10."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import stripe

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.inbox import WebhookItem
from infra.simulators.stripe.server import WEBHOOK_SECRET, StripeSimulator
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.integration.billing_world import CATALOGUE, BillingWorld, billing_world
from tests.invoke import event, load_function

DELIVERIES = int(os.environ.get("BILLING_BURST", "250"))
DUPLICATES = DELIVERIES // 5
# The queue delivers a message again that failed, for example because Stripe did not answer in time.
DELIVERIES_PER_MESSAGE_MAX = 5
EXAMPLE = "webhooks/stripe/invoice_paid"


@pytest.fixture
def world(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Iterator[BillingWorld]:
    """A deployment whose functions reach the simulator."""
    with ExitStack() as stack:
        world = stack.enter_context(billing_world(tables))
        secret = f"stripe-{tables.billing}"
        access = {"api_key": world.simulator.api_key, "webhook_secrets": [WEBHOOK_SECRET]}
        client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(access))
        for name, value in {
            "STAGE": "local",
            "PROVIDERS": "local",
            "PAYMENTS": "stripe",
            "SECRET_STRIPE": secret,
            "STRIPE_URL": world.simulator.url,
        }.items():
            monkeypatch.setenv(f"ATELIER_{name}", value)
        clear_wiring_caches(clients=False)
        yield world


def events_of(simulator: StripeSimulator, place: int) -> list[dict[str, Any]]:
    with simulator.lock:
        return [json.loads(json.dumps(each)) for each in simulator.account.events[place:]]


def delivery(body: str) -> dict[str, Any]:
    """The gateway's event of one signed delivery."""
    header = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET, timestamp=int(time.time()))
    return event(EXAMPLE, body=body, headers={"stripe-signature": header})


def queued(address: dict[str, str]) -> dict[str, Any]:
    """The batch with which the queue hands over one stored event."""
    return {"Records": [{"messageId": address["event"], "eventSource": "aws:sqs", "body": json.dumps(address)}]}


def test_each_event_of_a_burst_has_one_effect(world: BillingWorld) -> None:
    randomness = random.Random(10)
    begin, subscriptions = world.seen, dict[str, str]()
    while len(world.events_since(begin)) < DELIVERIES - DUPLICATES:
        workspace_id = world.new_workspace()
        subscriptions[workspace_id] = world.subscribe(workspace_id)
    bodies = [json.dumps(each) for each in events_of(world.simulator, begin)][: DELIVERIES - DUPLICATES]
    late = world.events_since(begin + len(bodies))
    burst = bodies + randomness.choices(bodies, k=DUPLICATES)
    randomness.shuffle(burst)

    receive, act = load_function("webhooks/stripe").handler, load_function("queues/billing_events").handler
    answers: Counter[tuple[int, bool]] = Counter()
    for body in burst:
        answer = receive(delivery(body), None)
        answers[answer["statusCode"], json.loads(answer["body"])["data"]["received"]] += 1
    assert answers == {(200, True): len(bodies), (200, False): DUPLICATES}

    addresses: list[dict[str, str]] = [dict(item.address) for item in WebhookItem.scan()]
    assert len(addresses) == len(bodies)
    # The queue delivers at least once, too, and in no order.
    messages = addresses + randomness.choices(addresses, k=len(addresses) // 5)
    randomness.shuffle(messages)
    for _ in range(DELIVERIES_PER_MESSAGE_MAX):
        messages = [each for each in messages if act(queued(each), None, lambda: world.now)["batchItemFailures"]]
    assert messages == []
    # The events of the last workspace that the burst had no place for.
    world.hand_over(late)

    monthly = CATALOGUE.tier("pro").monthly_credits
    found = {
        workspace_id: (world.granted(workspace_id), world.wallet(workspace_id).tier_name_at(world.now))
        for workspace_id in subscriptions
    }
    assert found == dict.fromkeys(subscriptions, (monthly, "pro"))
