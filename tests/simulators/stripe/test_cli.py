"""Stripe's own command line drives the simulator: what `stripe trigger` does at Stripe happens here too.

npm's @stripe/cli-linux-x64 (the program of @stripe/cli) is in tests/judges/node_modules; `make test` installs it. Where
it cannot be installed the tests are skipped with a message. Not every event has a trigger: resumed subscriptions,
`refund.*`, moved funds of disputes and fraud warnings have none.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.simulators.stripe.server import StripeSimulator

CLI = Path(__file__).parents[2] / "judges/node_modules/@stripe/cli-linux-x64/bin/stripe"
# The CLI takes only keys that look like a test account's.
KEY = "sk_test_51abcdefghijklmnop"
TRIGGERS = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.refund.updated",
    "charge.refunded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.voided",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "price.updated",
    "product.updated",
]


@pytest.fixture(scope="module")
def account() -> Iterator[StripeSimulator]:
    if not CLI.exists():
        pytest.skip("not run: Stripe's CLI is not installed (npm ci --prefix tests/judges, on Linux with x64)")
    with StripeSimulator(api_key=KEY) as running:
        yield running


@pytest.mark.parametrize("event_type", TRIGGERS)
def test_a_trigger_of_the_cli_makes_its_event(account: StripeSimulator, event_type: str, tmp_path: Path) -> None:
    before = len(account.account.events)
    order = [str(CLI), "trigger", event_type, "--api-key", KEY, "--api-base", account.url]
    environment = {**os.environ, "STRIPE_CLI_TELEMETRY_OPTOUT": "1", "HOME": str(tmp_path)}
    environment["XDG_CONFIG_HOME"] = str(tmp_path)
    ran = subprocess.run(order, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert event_type in [event["type"] for event in account.account.events[before:]], ran.stdout + ran.stderr
