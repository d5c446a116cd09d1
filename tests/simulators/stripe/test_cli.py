"""Stripe's own command line drives the simulator to every event that billing handles.

Most have a trigger: what `stripe trigger` does at Stripe happens here too. Resumed subscriptions, invoice payments,
`refund.*`, moved funds of disputes and fraud warnings have none; for those, `cli_fixtures` holds requests in the CLI's
own format, which `stripe fixtures` sends (to another address with `--api-base`, which its help does not list).

npm's @stripe/cli-linux-x64 (the program of @stripe/cli) is in tests/judges/node_modules; `make test` installs it. Where
it cannot be installed the tests are skipped with a message.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.simulators.stripe.server import StripeSimulator
from tests.lanes import not_run

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
# Events without a trigger, by the file that leads to them.
FIXTURES = {
    "dispute_won": ["charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"],
    "fraud_warning": ["radar.early_fraud_warning.created"],
    "invoice_payment_paid": ["invoice_payment.paid"],
    "refund_failed": ["refund.created", "refund.failed"],
    "refund_updated": ["refund.created", "refund.updated"],
    "subscription_resumed": ["customer.subscription.paused", "customer.subscription.resumed"],
}


@pytest.fixture(scope="module")
def account() -> Iterator[StripeSimulator]:
    if not CLI.exists():
        not_run("Stripe's CLI is not installed (npm ci --prefix tests/judges, on Linux with x64)")
    with StripeSimulator(api_key=KEY) as running:
        yield running


def types_of(account: StripeSimulator, folder: Path, *order: str) -> list[str]:
    """Runs the CLI; the types of the events that it caused. folder: where the CLI keeps its settings."""
    before = len(account.account.events)
    command = [str(CLI), *order, "--api-key", KEY, "--api-base", account.url]
    environment = {**os.environ, "STRIPE_CLI_TELEMETRY_OPTOUT": "1", "HOME": str(folder)}
    environment["XDG_CONFIG_HOME"] = str(folder)
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [event["type"] for event in account.account.events[before:]]


@pytest.mark.parametrize("event_type", TRIGGERS)
def test_a_trigger_of_the_cli_makes_its_event(account: StripeSimulator, event_type: str, tmp_path: Path) -> None:
    assert event_type in types_of(account, tmp_path, "trigger", event_type)


@pytest.mark.parametrize("name", FIXTURES)
def test_requests_in_the_clis_format_lead_to_events_without_a_trigger(
    account: StripeSimulator, name: str, tmp_path: Path
) -> None:
    file = Path(__file__).parent / "cli_fixtures" / f"{name}.json"
    assert set(FIXTURES[name]) <= set(types_of(account, tmp_path, "fixtures", str(file)))


def test_each_file_of_requests_is_used() -> None:
    files = (Path(__file__).parent / "cli_fixtures").iterdir()
    assert {file.stem for file in files} == FIXTURES.keys()
