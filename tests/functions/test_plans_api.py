"""functions/api/billing: plans, checkouts, invoices and payments over HTTP, with Stripe's simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, WorkspaceItem
from atelier.adapters.payments.stripe_client import new_client
from infra.simulators.stripe.server import StripeSimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import PUBLIC_URL, AwsResources
from tests.functions.example_data import USER, WORKSPACE
from tests.functions.people import create_organization, create_person
from tests.functions.responses import Reply, error_of, foreign_event, invoke_app, success_data
from tests.integration.billing_world import sell
from tests.invoke import event, load_function
from tests.simulators.stripe.flows import Browser, card

URLS = {"success_url": f"{PUBLIC_URL}/billing?paid=yes", "cancel_url": f"{PUBLIC_URL}/billing"}


@pytest.fixture
def stripe(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeSimulator]:
    """Stripe's simulator with the price list."""
    with StripeSimulator() as running:
        sell(new_client(running.api_key, running.url, seconds_max=20))
        monkeypatch.setenv("ATELIER_STRIPE_URL", running.url)
        clear_wiring_caches(clients=False)
        yield running


@pytest.fixture
def app(stripe: StripeSimulator) -> ModuleType:
    return load_function("api/billing")


def call(app: ModuleType, name: str, **changes: Any) -> Reply:
    return invoke_app(app, event(f"api/billing/{name}", **changes))


def buy(app: ModuleType, key: str, **body: Any) -> dict[str, Any]:
    """Begin a checkout, and pay it."""
    answer = call(app, "start_checkout", body={**body, **URLS}, headers={"idempotency-key": key})
    assert answer["statusCode"] == 201, answer["body"]
    made: dict[str, Any] = success_data(answer)
    browser = Browser(made["url"])
    browser.press("Pay" if "pack" in body else "Subscribe", **card())
    assert browser.url == URLS["success_url"]
    return made


def get(app: ModuleType, path: str) -> Any:
    return success_data(invoke_app(app, at_path(event("api/billing/get_subscription"), path)))


def at_path(request: Reply, path: str) -> Reply:
    request["rawPath"] = request["requestContext"]["http"]["path"] = path
    return request


def test_what_was_bought_is_there_when_the_buyer_returns(app: ModuleType) -> None:
    """Without waiting for a webhook: nothing has delivered one here."""
    made = buy(app, "pack", pack="small", quantity=2)
    checkout = get(app, f"/api/billing/checkouts/{made['checkout_id']}")
    assert (checkout["state"], checkout["credits"]) == ("paid", made["credits"])
    credits = success_data(invoke_app(load_function("api/credits"), event("api/credits/balance")))
    assert credits["available"] >= made["credits"]
    (payment,) = get(app, "/api/billing/payments")["items"]
    assert (payment["status"], payment["amount_minor"], payment["credits_granted"]) == (
        "succeeded",
        made["amount_minor"],
        made["credits"],
    )


def test_a_plan_is_bought_changed_paused_resumed_and_cancelled(app: ModuleType) -> None:
    assert success_data(call(app, "get_subscription"))["status"] == "none"
    made = buy(app, "plan", tier="starter")
    get(app, f"/api/billing/checkouts/{made['checkout_id']}")
    plan = success_data(call(app, "get_subscription"))
    assert (plan["tier"], plan["tier_id"], plan["interval"]) == ("starter", "starter@1", "month")
    assert [invoice["status"] for invoice in get(app, "/api/billing/invoices")["items"]] == ["paid"]

    preview = success_data(call(app, "preview_change", body={"tier": "pro"}))
    body = {"tier": "pro", "quoted_at": preview["quoted_at"]}
    assert success_data(call(app, "change_plan", body=body))["tier"] == "pro"
    planned = success_data(call(app, "change_plan", body={"tier": "starter"}))["pending_change"]
    assert (planned["tier"], planned["effective_at"]) == ("starter", plan["current_period_end"])

    cancelled = success_data(call(app, "cancel_plan"))
    assert (cancelled["cancel_at_period_end"], cancelled["pending_change"]) == (True, None)
    assert error_of(call(app, "change_plan", body={"tier": "studio"})) == (409, "CONFLICT")
    assert not success_data(call(app, "resume_plan"))["cancel_at_period_end"]
    assert success_data(call(app, "open_portal"))["url"].startswith("http")
    found = AuditEventItem.query(WORKSPACE, AuditEventItem.sk.startswith("event#"))
    events = [(item.action, item.actor) for item in found if item.action.startswith("billing.")]
    # What the owner asks for is told with the owner, and what Stripe makes of it without a user.
    assert {action for action, actor in events if actor == USER} == {
        "billing.checkout_requested",
        "billing.change_requested",
        "billing.cancel_requested",
        "billing.resume_requested",
        "billing.portal_requested",
    }
    assert {(action, actor) for action, actor in events if actor != USER} == {("billing.plan_changed", None)}


def test_a_repeated_checkout_is_answered_as_before(app: ModuleType) -> None:
    body = {"pack": "small", **URLS}
    first, second = (call(app, "start_checkout", body=body, headers={"idempotency-key": "one"}) for _ in range(2))
    assert success_data(first) == success_data(second)
    assert "Idempotent-Replayed" not in first["headers"]
    assert second["headers"]["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, ""),
        ({"tier": "pro", "pack": "small"}, ""),
        ({"tier": "pro", "quantity": 2}, ""),
        ({"pack": "small", "quantity": 0}, "quantity"),
        ({"pack": "small", "quantity": 10**9}, "quantity"),
        ({"pack": "small", "amount": 1}, "amount"),
        ({"pack": "small", "credits": 1_000_000}, "credits"),
        ({"tier": "free"}, "tier"),
        ({"pack": "small", "success_url": "https://evil.example.com"}, "success_url"),
        ({"pack": "small", "success_url": f"{PUBLIC_URL}@evil.example.com/"}, "success_url"),
        ({"pack": "small", "cancel_url": "javascript:alert(1)"}, "cancel_url"),
    ],
)
def test_an_order_that_is_not_for_sale_is_refused_at_its_field(
    app: ModuleType, body: dict[str, Any], path: str
) -> None:
    answer = call(app, "start_checkout", body={**URLS, **body}, headers={"idempotency-key": json.dumps(body)})
    assert error_of(answer) == (422, "VALIDATION_FAILED")
    assert path in [field["path"] for field in json.loads(answer["body"])["details"]["fields"]]


def test_a_checkout_of_another_workspace_is_not_found(app: ModuleType) -> None:
    made = buy(app, "pack", pack="small")
    request = at_path(foreign_event("api/billing/get_checkout"), f"/api/billing/checkouts/{made['checkout_id']}")
    assert error_of(invoke_app(app, request)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("marker", ["429", "500", "503", "lost", "garbage"])
def test_an_answer_that_stripe_loses_does_not_sell_twice(app: ModuleType, stripe: StripeSimulator, marker: str) -> None:
    stripe.behave(f"create:{marker}", creations=1)
    answer = call(app, "start_checkout", body={"pack": "small", **URLS}, headers={"idempotency-key": "one"})
    if answer["statusCode"] != 201:
        assert error_of(answer) == (503, "UNAVAILABLE")
        answer = call(app, "start_checkout", body={"pack": "small", **URLS}, headers={"idempotency-key": "one"})
    assert answer["statusCode"] == 201, answer["body"]
    client = new_client(stripe.api_key, stripe.url, seconds_max=20)
    (session,) = client.v1.checkout.sessions.list().data
    assert session.url == success_data(answer)["url"]
    # A 500 is kept for its key, so the customer is made with another one; the first one is never charged.
    assert len(client.v1.customers.list().data) == (2 if marker == "500" else 1)


def test_the_price_list_is_read_without_stripes_sdk() -> None:
    """It is public, and its cold start must not pay for the SDK's import."""
    import subprocess
    import sys

    script = "import sys, functions.api.billing.app; sys.exit('stripe' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": ".:layers/atelier/python"}, check=False)
    assert found.returncode == 0


def test_the_plan_of_a_deleted_workspace_ends_and_goes_on_with_it(app: ModuleType) -> None:
    bought = buy(app, "plan", tier="pro", interval="month")
    get(app, f"/api/billing/checkouts/{bought['checkout_id']}")
    owner = create_person("ada")
    team = create_organization(load_function("api/workspaces"), owner)["id"]
    stored = WorkspaceItem.get(team, PROFILE, consistent_read=True)
    stored.pk = WORKSPACE
    deleted = event("events/follow_deletions/workspace_deleted")
    handler = load_function("events/follow_deletions").handler
    for deleted_at in ("2026-11-29T02:00:00.000Z", None):
        stored.deleted_at = deleted_at
        stored.save()
        for _ in range(2):
            handler(deleted, None)
        assert get(app, "/api/billing/subscription")["cancel_at_period_end"] is bool(deleted_at)
    # A workspace without a plan has nothing that could end.
    handler({**deleted, "detail": {**deleted["detail"], "workspace_id": team}}, None)
