"""functions/webhooks/stripe and the inbox stream behind it: stored as it came, then queued for its handler."""

from __future__ import annotations

import json
import os
import time
from types import ModuleType
from typing import Any

import pytest
import stripe
from boto3.dynamodb.types import TypeSerializer

from atelier.adapters.aws.clients import client
from infra.simulators.stripe.server import WEBHOOK_SECRET as STRIPE_WEBHOOK_SECRET
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function

EXAMPLE = "webhooks/stripe/invoice_paid"
BODY: str = example_event(EXAMPLE)["body"]
EVENT: dict[str, Any] = json.loads(BODY)
MESSAGE = {"event": EVENT["id"], "type": "invoice.paid", "object": EVENT["data"]["object"]["id"]}


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("webhooks/stripe")


def signed(body: str = BODY, secret: str = STRIPE_WEBHOOK_SECRET) -> Reply:
    header = stripe.WebhookSignature.generate_signature_header(body, secret, timestamp=int(time.time()))
    return event(EXAMPLE, body=body, headers={"stripe-signature": header})


def inbox_records(cloud: AwsResources) -> dict[str, Any]:
    """The stored webhooks as the table's stream delivers them."""
    return {
        "Records": [
            {
                "eventName": "INSERT",
                "dynamodb": {"Keys": {"pk": item["pk"], "sk": item["sk"]}, "NewImage": item},
            }
            for item in cloud.items(cloud.tables.inbox)
        ]
    }


def test_a_signed_event_is_stored_once_unchanged_and_queued(app: ModuleType, cloud: AwsResources) -> None:
    answers = [success_data(invoke_app(app, signed())) for _ in range(2)]
    assert answers == [{"received": True}, {"received": False}]
    (item,) = cloud.items(cloud.tables.inbox)
    assert (item["pk"]["S"], item["sk"]["S"]) == (f"stripe#{MESSAGE['object']}", EVENT["id"])
    assert item["body"] == TypeSerializer().serialize(BODY.encode())

    load_function("streams/inbox").handler(inbox_records(cloud), None)
    assert cloud.take_messages(cloud.billing_queue, seconds_max=5) == [MESSAGE]


def test_a_forged_event_is_refused_and_not_stored(app: ModuleType, cloud: AwsResources) -> None:
    assert error_of(invoke_app(app, signed(secret="whsec_forged"))) == (400, "BAD_REQUEST")
    assert error_of(invoke_app(app, example_event(EXAMPLE))) == (400, "BAD_REQUEST")
    assert cloud.items(cloud.tables.inbox) == []


def test_an_event_of_live_mode_is_stored_and_never_queued(app: ModuleType, cloud: AwsResources) -> None:
    assert success_data(invoke_app(app, signed(json.dumps({**EVENT, "livemode": True})))) == {"received": True}
    load_function("streams/inbox").handler(inbox_records(cloud), None)
    assert cloud.take_messages(cloud.billing_queue) == []


def test_where_nothing_is_sold_there_is_no_such_webhook(
    app: ModuleType, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_PAYMENTS", "")
    clear_wiring_caches(clients=False)
    assert error_of(invoke_app(app, signed())) == (404, "NOT_FOUND")
    assert cloud.items(cloud.tables.inbox) == []


def test_an_event_waits_at_stripe_while_no_signing_secret_is_configured(app: ModuleType, cloud: AwsResources) -> None:
    client("secretsmanager").put_secret_value(SecretId=os.environ["ATELIER_SECRET_STRIPE"], SecretString="{}")
    assert error_of(invoke_app(app, signed())) == (503, "UNAVAILABLE")
    assert cloud.items(cloud.tables.inbox) == []


def test_a_change_of_the_plan_and_a_paid_invoice_are_published(cloud: AwsResources) -> None:
    outbox = load_function("streams/billing")
    outbox.handler(example_event("streams/billing/paid"), None)
    events = [*cloud.take_messages(cloud.events_queue, seconds_max=5), *cloud.take_messages(cloud.events_queue)]
    assert {event["detail-type"] for event in events} == {"subscription.started", "invoice.paid"}
