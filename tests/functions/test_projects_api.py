"""functions/api/projects, fed with events; and how generations use projects, quotes and budgets."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.usage import UsageItem
from atelier.catalogue.catalogue import catalogue
from atelier.clock import rfc3339, system_clock
from atelier.projects.model import WORKSPACE as WHOLE
from atelier.wiring import generations, ledger, projects
from tests.functions.conftest import AwsResources
from tests.functions.example_data import ALERT, PROJECT, PROMPT, WORKSPACE, create_project, movement_kinds
from tests.functions.responses import error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function

PAID = {"prompt": PROMPT, "model": "replicate/sdxl", "parameters": {"width": 512, "height": 512}}
ESTIMATE = 1707
OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/projects")


@pytest.fixture
def generate(cloud: AwsResources) -> ModuleType:
    return load_function("api/generations")


def changed(app: ModuleType, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return invoke_app(app, event("api/projects/change_project", body=body, **changes))


def generate_image(generate: ModuleType, **body: Any) -> dict[str, Any]:
    return invoke_app(generate, event("api/generations/generate_image", body={**PAID, **body}))


def as_role(role: str) -> None:
    """The example's caller with another role in the workspace."""
    from atelier.adapters.aws.clients import client
    from atelier.settings import IdentityTable

    for item in client("dynamodb").scan(TableName=IdentityTable.read().name)["Items"]:
        if "role" in item:
            item["role"] = {"S": role}
            client("dynamodb").put_item(TableName=IdentityTable.read().name, Item=item)


def test_a_project_is_created_read_listed_changed_and_removed(app: ModuleType, cloud: AwsResources) -> None:
    response = invoke_app(app, example_event("api/projects/create_project"))
    made = success_data(response)["project"]
    assert response["statusCode"] == 201
    assert response["headers"]["Location"] == f"/api/projects/{made['id']}"
    assert made["settings"] == {"alert_thresholds": [80, 100]}
    assert (made["budget_microusd"], made["spent_microusd"], made["left_microusd"]) == (5_000_000, 0, 5_000_000)
    create_project()
    assert (
        success_data(invoke_app(app, example_event("api/projects/get_project")))["project"]["name"] == "Harbour lights"
    )
    after = success_data(invoke_app(app, example_event("api/projects/change_project")))["project"]
    assert (after["budget_microusd"], after["settings"]["alert_thresholds"]) == (8_000_000, [50, 100])
    listed = success_data(invoke_app(app, example_event("api/projects/list_projects")))
    assert {project["id"] for project in listed["items"]} == {made["id"], PROJECT}
    assert invoke_app(app, example_event("api/projects/remove_project"))["statusCode"] == 204
    assert error_of(invoke_app(app, example_event("api/projects/get_project"))) == (404, "NOT_FOUND")


def test_a_change_keeps_omitted_fields_and_null_clears_a_field(app: ModuleType, cloud: AwsResources) -> None:
    create_project()
    changed(app, {"description": "The spring campaign", "thumbnail_url": "/media/x.png"})
    after = success_data(changed(app, {"name": "Other", "thumbnail_url": None}))["project"]
    assert (after["name"], after["description"], after["thumbnail_url"]) == ("Other", "The spring campaign", None)
    assert after["budget_microusd"] == 5_000_000
    cleared = success_data(changed(app, {"budget_microusd": None}))["project"]
    assert (cleared["budget_microusd"], cleared["left_microusd"]) == (None, None)


def test_a_repeated_idempotency_key_creates_one_project(app: ModuleType, cloud: AwsResources) -> None:
    asking = {"headers": {"Idempotency-Key": "p1"}}
    first, again = (invoke_app(app, event("api/projects/create_project", **asking)) for _ in range(2))
    assert success_data(first) == success_data(again)
    assert again["headers"]["Idempotent-Replayed"] == "true"
    other = event("api/projects/create_project", body={"name": "Something else"}, **asking)
    assert error_of(invoke_app(app, other)) == (422, "IDEMPOTENCY_MISMATCH")


def test_an_archived_project_is_listed_apart_and_refuses_new_generations(
    app: ModuleType, generate: ModuleType, cloud: AwsResources
) -> None:
    create_project()
    archived = success_data(changed(app, {"archived": True}))["project"]["archived_at"]
    assert archived == success_data(changed(app, {"archived": True}))["project"]["archived_at"]
    for wanted, count in (("true", 1), ("false", 0)):
        listing = event("api/projects/list_projects", queryStringParameters={"archived": wanted})
        assert len(success_data(invoke_app(app, listing))["items"]) == count
    assert error_of(generate_image(generate, project_id=PROJECT)) == (409, "CONFLICT")
    changed(app, {"archived": False})
    assert generate_image(generate, project_id=PROJECT)["statusCode"] == 202


def test_a_generation_reserves_its_projects_budget_and_is_listed_by_project(
    app: ModuleType, generate: ModuleType, cloud: AwsResources
) -> None:
    create_project()
    made = success_data(generate_image(generate, project_id=PROJECT))["generation"]
    success_data(generate_image(generate))
    assert made["project_id"] == PROJECT
    project = success_data(invoke_app(app, example_event("api/projects/get_project")))["project"]
    assert (project["reserved_microusd"], project["left_microusd"]) == (ESTIMATE, 5_000_000 - ESTIMATE)
    listing = event("api/generations/list", queryStringParameters={"project_id": PROJECT})
    assert [each["id"] for each in success_data(invoke_app(generate, listing))["items"]] == [made["id"]]
    assert error_of(invoke_app(app, example_event("api/projects/remove_project"))) == (409, "CONFLICT")
    path = f"/api/generations/{made['id']}/retry"
    retry = event("api/generations/retry", rawPath=path)
    retry["requestContext"]["http"]["path"] = path
    assert success_data(invoke_app(generate, retry))["generation"]["project_id"] == PROJECT


def test_a_budget_refusal_names_the_budget(app: ModuleType, generate: ModuleType, cloud: AwsResources) -> None:
    create_project(1000)
    response = generate_image(generate, project_id=PROJECT)
    assert error_of(response) == (402, "BUDGET_EXCEEDED")
    details = json.loads(response["body"])["details"]
    assert details == {"limit": f"project:{PROJECT}", "needed": ESTIMATE, "available": 1000}
    put = event("api/projects/put_budget", body={"budget_microusd": ESTIMATE + 5})
    assert success_data(invoke_app(app, put))["left_microusd"] == ESTIMATE + 5
    assert generate_image(generate)["statusCode"] == 202
    response = generate_image(generate)
    assert json.loads(response["body"])["details"] == {"limit": "workspace", "needed": ESTIMATE, "available": 5}
    assert success_data(invoke_app(app, example_event("api/projects/get_budget")))["reserved_microusd"] == ESTIMATE
    lifted = event("api/projects/put_budget", body={"budget_microusd": None})
    assert success_data(invoke_app(app, lifted))["left_microusd"] is None
    assert generate_image(generate)["statusCode"] == 202


def test_a_budget_change_needs_the_budgets_permission(app: ModuleType, cloud: AwsResources) -> None:
    create_project()
    as_role("editor")
    assert changed(app, {"name": "Mine"})["statusCode"] == 200
    assert error_of(changed(app, {"budget_microusd": 1})) == (403, "FORBIDDEN")
    assert error_of(changed(app, {"settings": {}})) == (403, "FORBIDDEN")
    assert error_of(invoke_app(app, example_event("api/projects/create_project"))) == (403, "FORBIDDEN")
    assert error_of(invoke_app(app, example_event("api/projects/put_budget"))) == (403, "FORBIDDEN")
    assert invoke_app(app, event("api/projects/create_project", body={"name": "Mine"}))["statusCode"] == 201
    as_role("viewer")
    assert error_of(changed(app, {"name": "Mine"})) == (403, "FORBIDDEN")
    assert invoke_app(app, example_event("api/projects/get_project"))["statusCode"] == 200


def test_alerts_are_read_and_acknowledged_once(app: ModuleType, cloud: AwsResources) -> None:
    create_project()
    (alert,) = success_data(invoke_app(app, example_event("api/projects/list_alerts")))["items"]
    assert (alert["id"], alert["alert_type"], alert["acknowledged_at"]) == (ALERT, "threshold_reached", None)
    first, again = (
        success_data(invoke_app(app, example_event("api/projects/acknowledge_alert")))["alert"] for _ in range(2)
    )
    assert first == again
    assert first["acknowledged_at"] is not None
    (whole,) = success_data(invoke_app(app, example_event("api/projects/list_workspace_alerts")))["items"]
    assert (whole["project_id"], whole["acknowledged_at"]) == (None, None)


def test_a_missing_alert_is_raised_when_alerts_are_listed(app: ModuleType, cloud: AwsResources) -> None:
    from atelier.adapters.aws.dynamodb.projects import BudgetItem

    create_project()
    budget = BudgetItem.get(WORKSPACE, f"budget#{PROJECT}")
    budget.update([BudgetItem.spent_microusd.set(4_900_000), BudgetItem.left_microusd.set(100_000)])
    for _ in range(2):
        found = success_data(invoke_app(app, example_event("api/projects/list_alerts")))["items"]
        assert sorted(alert["current_spend_microusd"] for alert in found) == [4_000_000, 4_900_000]


NAMES = ["get_project", "change_project", "remove_project", "list_alerts", "acknowledge_alert"]


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_project_gets_the_response_of_a_missing_one(app: ModuleType, cloud: AwsResources, name: str) -> None:
    missing = invoke_app(app, example_event(f"api/projects/{name}"))
    create_project(workspace_id=OTHER)
    foreign = invoke_app(app, example_event(f"api/projects/{name}"))
    assert error_of(missing) == error_of(foreign) == (404, "NOT_FOUND")
    assert missing["body"] == foreign["body"]
    assert projects.projects().get(OTHER, PROJECT).name == "Harbour lights"
    assert [alert.acknowledged_at for alert in projects.projects().alerts(OTHER, PROJECT)] == [None]


@pytest.mark.parametrize("name", [*NAMES, "list_projects", "create_project", "get_budget", "put_budget"])
def test_a_request_without_a_token_is_unauthenticated(app: ModuleType, cloud: AwsResources, name: str) -> None:
    request = example_event(f"api/projects/{name}")
    request["requestContext"]["authorizer"] = {"lambda": {"reason": "This call needs an access token."}}
    assert error_of(invoke_app(app, request)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "body",
    [
        {"budget_microusd": -1},
        {"budget_microusd": 1.5},
        {"name": " "},
        {"settings": {"alert_thresholds": [0]}},
        {"thumbnail_url": "javascript:alert(1)"},
        {"spent_microusd": 0},
    ],
)
def test_an_invalid_field_is_refused(app: ModuleType, cloud: AwsResources, body: dict[str, Any]) -> None:
    create_project()
    assert error_of(changed(app, body)) == (422, "VALIDATION_FAILED")


# ---- quotes ----------------------------------------------------------------------------------------------------------


def quoted(generate: ModuleType, **body: Any) -> dict[str, Any]:
    return success_data(invoke_app(generate, event("api/generations/quote", body={"kind": "image", **PAID, **body})))


def test_a_quote_is_redeemed_once_and_explains_the_charge(generate: ModuleType, cloud: AwsResources) -> None:
    promise = quoted(generate)
    assert (promise["cost_microusd"], promise["credits"]) == (ESTIMATE, promise["credits_max"])
    assert promise["candidates"] == [
        {"provider": "replicate", "model": "replicate/sdxl", "credits": promise["credits_max"]}
    ]
    assert movement_kinds() == []
    made = success_data(generate_image(generate, quote_id=promise["quote_id"]))["generation"]
    assert (made["credits_held"], made["quote_id"]) == (promise["credits_max"], promise["quote_id"][:30])
    assert error_of(generate_image(generate, quote_id=promise["quote_id"])) == (409, "CONFLICT")
    hold = ledger.wallets().movements_of(WORKSPACE, made["id"])[0]
    assert hold.facts["quote"] == made["quote_id"]
    assert success_data(generate_image(generate))["generation"]["credits_held"] == promise["credits_max"]


def test_an_invalid_or_mismatched_quote_is_refused_at_its_field(generate: ModuleType, cloud: AwsResources) -> None:
    promise = quoted(generate)["quote_id"]
    for body in (
        {"quote_id": "quo_x"},
        {"quote_id": promise[:-1]},
        {"quote_id": promise, "prompt": "something else"},
        {"quote_id": promise, "parameters": {}},
    ):
        response = generate_image(generate, **body)
        assert error_of(response) == (422, "VALIDATION_FAILED")
        assert json.loads(response["body"])["details"]["fields"][0]["path"] == "quote_id"
    assert movement_kinds() == []


def test_a_quote_without_a_prompt_covers_any_prompt(generate: ModuleType, cloud: AwsResources) -> None:
    promise = quoted(generate, prompt=None)["quote_id"]
    assert generate_image(generate, quote_id=promise, prompt="whatever it is")["statusCode"] == 202


def test_an_unknown_model_is_not_quoted(generate: ModuleType, cloud: AwsResources) -> None:
    response = invoke_app(generate, event("api/generations/quote", body={"kind": "image", "model": "no/1"}))
    assert error_of(response) == (422, "VALIDATION_FAILED")


# ---- what the end of a generation triggers ---------------------------------------------------------------------------


def test_an_ended_generation_that_crosses_a_threshold_raises_one_alert(
    generate: ModuleType, cloud: AwsResources
) -> None:
    create_project(2000)
    made = success_data(generate_image(generate, project_id=PROJECT))["generation"]
    before = generations.store().get(WORKSPACE, made["id"])
    created_at = rfc3339(before.created_at)
    shared = {"kind": {"S": "image"}, "user_id": {"S": before.user_id}, "created_at": {"S": created_at}}
    image = {**shared, "status": {"S": "queued"}, "budgets": {"S": json.dumps(before.budgets)}}
    ended = {**image, "status": {"S": "cancelled"}}
    spend(PROJECT, 1700)
    stream = load_function("streams/generations")
    keys = {"pk": {"S": WORKSPACE}, "sk": {"S": made["id"]}}
    record = {"dynamodb": {"Keys": keys, "NewImage": ended, "OldImage": image, "SequenceNumber": "1"}}
    for _ in range(2):
        stream.handler({"Records": [record]}, None)
    messages = cloud.take_messages(cloud.events_queue, seconds_max=5) + cloud.take_messages(cloud.events_queue)
    alerts = [message["detail"] for message in messages if message["detail-type"] == "budget.alert"]
    assert [(alert["budget"], alert["threshold"], alert["alert_type"]) for alert in alerts] == [
        (PROJECT, 80, "threshold_reached")
    ]
    (kept,) = [alert for alert in projects.projects().alerts(WORKSPACE, PROJECT) if alert.id != ALERT]
    assert kept.id == alerts[0]["id"]
    assert kept.published_at is not None
    assert kept.triggered_at <= system_clock()
    assert [alert.id for alert in projects.projects().alerts(WORKSPACE, WHOLE)] == [ALERT]


def spend(name: str, microusd: int) -> None:
    from atelier.adapters.aws.dynamodb import transaction
    from atelier.adapters.aws.dynamodb.projects import put_spending

    with transaction() as write:
        put_spending(write, WORKSPACE, [name], released=0, spent=microusd)


def test_a_project_beyond_the_tiers_number_is_refused_until_the_tier_allows_more(app: ModuleType) -> None:
    limit = catalogue(frozenset()).tier("free").projects_max
    create_project()
    UsageItem(WORKSPACE, "usage#projects").update([UsageItem.used.set(limit)])
    refused = invoke_app(app, example_event("api/projects/create_project"))
    assert error_of(refused) == (403, "QUOTA_EXCEEDED")
    assert json.loads(refused["body"])["details"] == {
        "quota": "projects",
        "limit": limit,
        "used": limit,
        "tiers": ["starter@1", "pro@1", "studio@1"],
    }
    WalletItem(WORKSPACE, "wallet").update([WalletItem.tier.set("starter@1")])
    assert invoke_app(app, example_event("api/projects/create_project"))["statusCode"] == 201
    listed = success_data(invoke_app(app, example_event("api/projects/list_projects")))
    assert len(listed["items"]) == 2
