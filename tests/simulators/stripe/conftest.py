"""A running simulator of Stripe, and the unmodified SDK for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from infra.simulators.stripe.server import StripeSimulator
from tests.simulators.stripe.flows import NOW
from tests.webhook_receiver import WebhookReceiver, webhook_receiver


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as running:
        yield running


@pytest.fixture
def simulator() -> Iterator[StripeSimulator]:
    with StripeSimulator(now=NOW, stands_still=True, webhook_pauses=(0.01, 0.01)) as running:
        yield running


@pytest.fixture
def client(simulator: StripeSimulator) -> stripe.StripeClient:
    return stripe.StripeClient(simulator.api_key, base_addresses={"api": simulator.url}, max_network_retries=0)
