"""functions/api/admin_money: the price list for administrators of the platform."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from urllib3 import HTTPResponse

from atelier.adapters.aws.clients import client
from atelier.audit_log.model import PLATFORM_LOG, Origin
from atelier.audit_log.ports import EventFilter
from atelier.billing.price_proposals import StripeSteps, publish
from atelier.clock import system_clock
from atelier.errors import Conflict
from atelier.ids import new_id
from atelier.wiring import audit_log, proposals
from atelier.wiring.prices import prices
from infra.simulators.stripe.server import StripeSimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_administrator, set_tier
from tests.functions.responses import Reply, error_of, success_data
from tests.integration.world import client_event_hook, run_concurrently
from tests.invoke import load_function

PROPOSALS = "/api/admin/tiers/proposals"
CHANGES = {"price_month": 3100, "monthly_credits": 3500}


@pytest.fixture
def app(stripe: StripeSimulator) -> Iterator[ModuleType]:
    load_function("tasks/sync_prices").handler({"apply": True}, None)
    with lambda_runs_sync():
        yield load_function("api/admin_money")


@contextmanager
def lambda_runs_sync() -> Iterator[None]:
    """Lambda's client calls the handler of the function, in this process."""
    events = client("lambda").meta.events

    def run(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        try:
            result, headers = load_function("tasks/sync_prices").handler(json.loads(request.body), None), {}
        except Exception as error:
            result, headers = {"errorMessage": str(error)}, {"X-Amz-Function-Error": "Unhandled"}
        body = HTTPResponse(io.BytesIO(json.dumps(result).encode()), preload_content=False)
        return AWSResponse(request.url, 200, headers, body)

    events.register_first("before-send.lambda.Invoke", run)
    try:
        yield
    finally:
        events.unregister("before-send.lambda.Invoke", run)


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_administrator("ada")


@pytest.fixture
def bob(cloud: AwsResources) -> Person:
    return create_administrator("bob")


def propose(app: ModuleType, by: Person, name: str = "pro", **changes: Any) -> Reply:
    return call(app, by, f"POST {PROPOSALS}", {"name": name, "changes": changes, "reason": "Dearer models"})


def publish_it(app: ModuleType, by: Person, id: str, *, apply: bool = True) -> Reply:
    return call(app, by, f"POST {PROPOSALS}/{id}/publish", {"apply": apply})


def actions() -> list[str]:
    found = audit_log.reads().page(PLATFORM_LOG, EventFilter(), None, 20).events
    return [each["action"] for each in found if each["action"].startswith("prices.")]


def test_a_version_is_proposed_by_one_and_published_by_another(
    app: ModuleType, ada: Person, bob: Person, stripe: StripeSimulator
) -> None:
    made = success_data(propose(app, ada, **CHANGES))["proposal"]
    assert (made["version"], made["present"], made["state"]) == ("pro@2", "pro@1", "open")
    assert {each["field"]: (each["before"], each["after"]) for each in made["differences"]} == {
        "price_month": ("2900", "3100"),
        "monthly_credits": ("3300", "3500"),
    }
    # The same again, as after a lost answer, is the same proposal.
    assert success_data(propose(app, ada, **CHANGES))["proposal"] == made
    assert error_of(propose(app, bob, **CHANGES)) == (409, "CONFLICT")
    assert error_of(publish_it(app, ada, made["id"])) == (403, "FORBIDDEN")

    shown = success_data(publish_it(app, bob, made["id"], apply=False))
    assert (shown["proposal"]["state"], shown["stripe"]["steps"]) == ("open", 3)
    assert "31.00 USD a month" in shown["stripe"]["table"]
    assert prices().tier("pro").id == "pro@1"

    done = success_data(publish_it(app, bob, made["id"]))
    assert (done["proposal"]["state"], done["proposal"]["decided_by"]) == ("published", bob.user_id)
    assert (done["stripe"]["steps"], done["stripe"]["left"]) == (3, 0)
    again = success_data(publish_it(app, bob, made["id"]))
    assert (again["proposal"], again["stripe"]["steps"]) == (done["proposal"], 0)
    assert actions() == ["prices.published", "prices.proposed"]

    listed = success_data(call(app, ada, "GET /api/admin/tiers"))
    [pro] = [tier for tier in listed["tiers"] if tier["name"] == "pro"]
    assert (pro["on_sale"], [tier["id"] for tier in pro["versions"]]) == ("pro@2", ["pro@1", "pro@2"])
    assert [each["id"] for each in listed["published"]] == ["pro@2"]
    assert success_data(call(app, ada, f"GET {PROPOSALS}"))["items"] == [done["proposal"]]


def test_what_is_published_is_on_sale_and_the_old_version_stays(
    app: ModuleType, ada: Person, bob: Person, stripe: StripeSimulator
) -> None:
    set_tier(ada.workspace_id, "pro@1")
    made = success_data(propose(app, ada, price_month=3100, projects_max=7))["proposal"]
    success_data(publish_it(app, bob, made["id"]))
    # As a process that has read the price list after it was published.
    clear_wiring_caches(clients=False)
    on_sale = success_data(call(load_function("api/billing"), ada, "GET /api/billing/tiers"))["items"]
    assert [(tier["id"], tier["prices"][0]["amount_minor"]) for tier in on_sale if tier["name"] == "pro"] == [
        ("pro@2", 3100)
    ]
    assert [tier["name"] for tier in on_sale] == ["free", "starter", "pro", "studio"]
    assert prices().tier("pro@1").projects_max == 1000
    assert prices().tier("pro@2").projects_max == 7
    # Nothing is left to do at Stripe, and the next version follows the published one.
    assert load_function("tasks/sync_prices").handler({}, None)["steps"] == 0
    assert success_data(propose(app, bob, **CHANGES))["proposal"]["version"] == "pro@3"


def test_a_version_that_a_process_does_not_know_yet_is_read_at_once(app: ModuleType, ada: Person, bob: Person) -> None:
    before = prices()
    assert before.tier("pro").id == "pro@1"
    made = success_data(propose(app, ada, **CHANGES))["proposal"]
    success_data(publish_it(app, bob, made["id"]))
    assert before.tier("pro@2").monthly_credits == 3500
    with pytest.raises(KeyError):
        before.tier("pro@9")


def test_published_prices_cost_a_process_one_small_read_a_minute(cloud: AwsResources) -> None:
    clear_wiring_caches(clients=False)
    sent = list[str]()
    with client_event_hook("before-call.dynamodb", lambda model, **_: sent.append(model.name)):
        for _ in range(50):
            prices().tier("free")
            prices().tiers_on_sale()
    assert sent == ["GetItem"]


@pytest.mark.parametrize(
    ("name", "changes", "path"),
    [
        ("pro", {"price_month": -1}, "changes.price_month"),
        ("pro", {"price_month": "31"}, "changes.price_month"),
        ("pro", {"price_month": True}, "changes.price_month"),
        ("pro", {"daily_reset": "sometimes"}, "changes.daily_reset"),
        ("pro", {"kinds": ["music"]}, "changes.kinds"),
        ("pro", {"models": ["nobody/knows"]}, "changes"),
        ("pro", {"currency": "eur"}, "changes"),
        ("pro", {"trial_days": 0}, "changes"),
        ("pro", {"discount": 5}, "changes.discount"),
        ("pro", {"id": "pro@7"}, "changes.id"),
        ("pro", {"price_month": 2900}, "changes"),
        ("free", {"price_month": 100}, "changes"),
        ("small", {"credits": 0}, "changes.credits"),
        ("small", {"price": None}, "changes.price"),
    ],
)
def test_a_version_is_checked_as_the_files_are(
    app: ModuleType, ada: Person, name: str, changes: dict[str, Any], path: str
) -> None:
    refused = propose(app, ada, name, **changes)
    assert error_of(refused) == (422, "VALIDATION_FAILED")
    assert {each["path"] for each in json.loads(refused["body"])["details"]["fields"]} == {path}
    assert actions() == []


def test_an_unknown_name_and_a_foreign_proposal_are_not_found(app: ModuleType, ada: Person) -> None:
    assert error_of(propose(app, ada, "gold", **CHANGES)) == (404, "NOT_FOUND")
    missing = new_id("prp", system_clock())
    for request in (f"GET {PROPOSALS}/{missing}", f"DELETE {PROPOSALS}/{missing}"):
        assert error_of(call(app, ada, request)) == (404, "NOT_FOUND")
    assert error_of(publish_it(app, ada, missing)) == (404, "NOT_FOUND")


def test_a_withdrawn_proposal_is_not_published_and_makes_room(app: ModuleType, ada: Person, bob: Person) -> None:
    made = success_data(propose(app, ada, **CHANGES))["proposal"]
    for _ in range(2):
        withdrawn = success_data(call(app, bob, f"DELETE {PROPOSALS}/{made['id']}"))["proposal"]
        assert (withdrawn["state"], withdrawn["decided_by"]) == ("withdrawn", bob.user_id)
    assert error_of(publish_it(app, bob, made["id"])) == (409, "CONFLICT")
    other = success_data(propose(app, bob, price_month=3200))["proposal"]
    success_data(publish_it(app, ada, other["id"]))
    assert error_of(call(app, ada, f"DELETE {PROPOSALS}/{other['id']}")) == (409, "CONFLICT")
    assert actions() == ["prices.published", "prices.proposed", "prices.withdrawn", "prices.proposed"]


def test_two_who_publish_at_once_publish_one_version(app: ModuleType, ada: Person, bob: Person) -> None:
    eve = create_administrator("eve")
    made = success_data(propose(app, ada, **CHANGES))["proposal"]
    replies = run_concurrently(2, lambda number: publish_it(app, (bob, eve)[number], made["id"]))
    assert [reply["statusCode"] for reply in replies] == [200, 200]
    assert actions() == ["prices.published", "prices.proposed"]
    assert [each.id for each in proposals.deps().published.read(consistent=True).versions] == ["pro@2"]


def test_nothing_is_published_while_stripe_is_silent_or_a_price_is_in_the_way(
    app: ModuleType, ada: Person, bob: Person, stripe: StripeSimulator
) -> None:
    made = success_data(propose(app, ada, **CHANGES))["proposal"]
    stripe.behave("read:403")
    assert error_of(publish_it(app, bob, made["id"])) == (503, "UNAVAILABLE")
    stripe.behave("read:403")
    assert success_data(call(app, ada, f"GET {PROPOSALS}/{made['id']}"))["proposal"]["state"] == "open"

    class Blocked:
        def __call__(self, proposed: Any, *, apply: bool) -> StripeSteps:
            return StripeSteps(2, 1, "blocked")

    deps = replace(proposals.deps(), sync=Blocked())
    with pytest.raises(Conflict, match="in the way"):
        publish(made["id"], Origin(user_id=bob.user_id), apply=True, deps=deps, now=system_clock())
    assert actions() == ["prices.proposed"]


def test_a_run_that_died_before_its_transaction_is_finished_by_the_next(
    app: ModuleType, ada: Person, bob: Person
) -> None:
    made = success_data(propose(app, ada, **CHANGES))["proposal"]

    class Died(BaseException):
        pass

    def die(params: dict[str, Any], **_: Any) -> None:
        if "prices.published" in str(params["body"]):
            raise Died

    with client_event_hook("before-call.dynamodb.TransactWriteItems", die), pytest.raises(Died):
        publish_it(app, bob, made["id"])
    done = success_data(publish_it(app, bob, made["id"]))
    # Stripe has the prices already.
    assert (done["proposal"]["state"], done["stripe"]["steps"]) == ("published", 0)
