"""API tokens of functions/api/account, and what a token may do, fed with events. The authorizer's response is kept, as
the gateway caches it."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.clock import parse_rfc3339, system_clock
from atelier.generations.pipeline_run import plan_stage
from atelier.generations.ports import Filters
from atelier.identity.api_tokens import TOKEN_LIFETIME_MAX
from atelier.wiring import generations, identity, runs
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    PROJECT,
    TOKEN,
    TOKEN_TEXT,
    USER,
    WORKSPACE,
    add_api_token,
    create_project,
    submit_example,
)
from tests.functions.responses import Reply, authorized_event, error_of, foreign_event, invoke_app, success_data
from tests.invoke import event, example_event, load_function

ROUTES = ["list_tokens", "issue_token", "revoke_token"]
ASK = {"name": "n8n", "scopes": ["all"]}
OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/account")


@pytest.fixture
def authorizer(cloud: AwsResources) -> ModuleType:
    return load_function("authorizer")


def issued(app: ModuleType, kept_secret: list[str], **body: Any) -> dict[str, Any]:
    """A token that the example's user issued; no log line may contain it."""
    response = invoke_app(app, event("api/account/issue_token", body={**ASK, **body}, headers={"idempotency-key": "a"}))
    assert response["statusCode"] == 201, response["body"]
    made: dict[str, Any] = success_data(response)
    kept_secret.append(made["token"][56:])
    return made


def context(authorizer: ModuleType, text: str) -> dict[str, Any]:
    header = f"Bearer {text}"
    changes = {"headers": {"authorization": header}, "identitySource": [header]}
    answer = authorizer.handler(event("authorizer/program", **changes), None)
    assert answer["isAuthorized"] is True
    found: dict[str, Any] = answer["context"]
    return found


def call(name: str, claims: dict[str, Any], **changes: Any) -> Reply:
    """The example, sent by a program with these claims."""
    return invoke_app(load_function(name.rpartition("/")[0]), authorized_event(name, claims, **changes))


def change_item(cloud: AwsResources, pk: str, sk: str, **attributes: str) -> None:
    """What no route can do yet: change a role, suspend a user."""
    for name, value in attributes.items():
        client("dynamodb").update_item(
            TableName=cloud.tables.identity,
            Key={"pk": {"S": pk}, "sk": {"S": sk}},
            UpdateExpression="SET #name = :value",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": {"S": value}},
        )


def test_a_token_is_shown_once(app: ModuleType, kept_secret: list[str]) -> None:
    response = invoke_app(app, example_event("api/account/issue_token"))
    made = success_data(response)
    kept_secret.append(made["token"][56:])
    assert response["statusCode"] == 201
    assert response["headers"]["Location"] == f"/api/tokens/{made['id']}"
    assert response["headers"]["Cache-Control"] == "no-store"
    assert made["token"].startswith("atl_")
    assert (made["name"], made["scopes"], made["user_id"]) == ("n8n", ["generations.create", "read"], USER)
    assert parse_rfc3339(made["expires_at"]) - parse_rfc3339(made["created_at"]) == TOKEN_LIFETIME_MAX
    assert made["last_used_at"] is None
    listed = invoke_app(app, example_event("api/account/list_tokens"))
    assert success_data(listed) == {"items": [{key: made[key] for key in made if key != "token"}], "next_cursor": None}
    assert made["token"][56:] not in listed["body"]


def test_a_repeated_idempotency_key_returns_no_second_token(app: ModuleType, kept_secret: list[str]) -> None:
    first, again = (invoke_app(app, example_event("api/account/issue_token")) for _ in "ab")
    kept_secret.append(success_data(first)["token"][56:])
    assert (again["statusCode"], again["headers"]["Idempotent-Replayed"]) == (201, "true")
    assert success_data(again) == {**success_data(first), "token": None}
    other = invoke_app(app, event("api/account/issue_token", body={**ASK, "name": "another"}))
    assert error_of(other) == (422, "IDEMPOTENCY_MISMATCH")
    assert len(success_data(invoke_app(app, example_event("api/account/list_tokens")))["items"]) == 1


def test_no_part_of_a_tokens_secret_is_stored(app: ModuleType, cloud: AwsResources, kept_secret: list[str]) -> None:
    text = issued(app, kept_secret)["token"]
    kept = json.dumps([cloud.items(cloud.tables.identity), cloud.items(cloud.tables.requests)])
    assert "generations" not in kept, "a group is kept as it was given"
    assert '"n8n"' in kept
    assert [part for part in (text, text[56:], text[56:99], text[56:78]) if part in kept] == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "all"}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"scopes": ["read", "tokens.manage"]}, "scopes.1"),
        ({"scopes": ["account.read"]}, "scopes.0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59.999999-12:00"}, "expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": 4102444800}, "expires_at"),
        ({"token": "atl_chosen"}, "token"),
    ],
    ids=repr,
)
def test_an_invalid_token_request_names_the_field(app: ModuleType, change: dict[str, Any], path: str) -> None:
    response = invoke_app(app, event("api/account/issue_token", body={**ASK, **change}))
    assert error_of(response) == (422, "VALIDATION_FAILED")
    assert [field["path"] for field in json.loads(response["body"])["details"]["fields"]] == [path]


def test_tokens_are_paged(app: ModuleType) -> None:
    for number in range(3):
        body = {**ASK, "name": f"program {number}"}
        invoke_app(app, event("api/account/issue_token", body=body, headers={"idempotency-key": f"{number}"}))
    first = success_data(invoke_app(app, event("api/account/list_tokens", queryStringParameters={"limit": "2"})))
    rest = {"limit": "2", "cursor": first["next_cursor"]}
    second = success_data(invoke_app(app, event("api/account/list_tokens", queryStringParameters=rest)))
    assert [len(page["items"]) for page in (first, second)] == [2, 1]
    assert second["next_cursor"] is None
    assert {item["name"] for page in (first, second) for item in page["items"]} == {f"program {n}" for n in range(3)}
    wrong = invoke_app(app, event("api/account/list_tokens", queryStringParameters={"cursor": "c2Vzc2lvbiM"}))
    assert error_of(wrong) == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize("route", ROUTES)
def test_a_foreign_user_finds_no_tokens(app: ModuleType, route: str) -> None:
    add_api_token()
    request = event(f"api/account/{route}", headers={"atelier-workspace": WORKSPACE})
    request["requestContext"]["authorizer"]["lambda"] |= {
        "user_id": "usr_01M7XCN60QZZZZZZZZZZZZZZZZ",
        "workspace_id": OTHER,
    }
    # Outside of the personal workspace every request checks the session first, which the invented user does not have.
    assert error_of(invoke_app(app, request))[0] == 401
    if route == "list_tokens":
        assert success_data(invoke_app(app, foreign_event("api/account/list_tokens")))["items"] == []


def test_the_authorizer_accepts_the_example_token_and_logs_only_its_id(
    authorizer: ModuleType, cloud: AwsResources, log: io.StringIO
) -> None:
    add_api_token()
    claims = context(authorizer, TOKEN_TEXT)
    assert {name: claims[name] for name in ("user_id", "token_id", "workspace_id")} == {
        "user_id": USER,
        "token_id": TOKEN,
        "workspace_id": WORKSPACE,
    }
    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["message"], line["user_id"], line["token_id"]) == ("authorize", USER, TOKEN)


@pytest.mark.parametrize("wrong", [TOKEN_TEXT[:-1], TOKEN_TEXT + "x", TOKEN_TEXT.lower(), "atl_", TOKEN_TEXT[:56]])
def test_the_authorizer_refuses_an_invalid_token(authorizer: ModuleType, wrong: str) -> None:
    add_api_token()
    assert context(authorizer, wrong) == {"reason": "The API token is not valid."}


def test_a_token_is_limited_to_its_scopes_and_logged_by_id(
    authorizer: ModuleType, cloud: AwsResources, log: io.StringIO
) -> None:
    add_api_token("generations.create", "credits.read")
    claims = context(authorizer, TOKEN_TEXT)
    assert call("api/credits/balance", claims)["statusCode"] == 200
    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["user_id"], line["workspace_id"], line["token_id"]) == (USER, WORKSPACE, TOKEN)
    assert call("api/generations/generate_image", claims)["statusCode"] == 202
    small = call("api/generations/list", claims)
    assert error_of(small) == (403, "FORBIDDEN")
    assert json.loads(small["body"])["details"] == {"permission": "generations.read"}


@pytest.mark.parametrize("name", ["api/generations/generate_image", "api/generations/retry", "v1/complete"])
def test_a_generation_keeps_the_token_that_sent_it(authorizer: ModuleType, cloud: AwsResources, name: str) -> None:
    add_api_token("all")
    of_session = submit_example()
    call(name, context(authorizer, TOKEN_TEXT), headers={"prefer": "wait=0"})
    stored = generations.store().list(WORKSPACE, Filters(), None, 10).generations
    assert {each.token_id for each in stored if each.id != of_session.id} == {TOKEN}
    assert generations.store().get(WORKSPACE, of_session.id).token_id is None


def test_the_stages_of_a_tokens_run_keep_its_token(authorizer: ModuleType, cloud: AwsResources) -> None:
    add_api_token("all")
    run = success_data(call("api/generations/run_pipeline", context(authorizer, TOKEN_TEXT)))["generation"]
    stage = plan_stage(WORKSPACE, run["id"], None, deps=runs.plan_stage_deps(), now=system_clock())
    assert stage is not None
    assert generations.store().get(WORKSPACE, stage.id).token_id == TOKEN


@pytest.mark.parametrize("name", [*(f"api/account/{route}" for route in ROUTES), "api/account/me"])
def test_no_token_can_use_the_account_and_token_routes(authorizer: ModuleType, cloud: AwsResources, name: str) -> None:
    add_api_token("all", "read", "api-keys.manage", "providers.manage", "budgets.manage")
    response = call(name, context(authorizer, TOKEN_TEXT))
    assert error_of(response) == (403, "FORBIDDEN")


@pytest.mark.parametrize("name", ["api/providers/add_key", "api/providers/put_providers", "api/projects/put_budget"])
def test_the_all_scope_excludes_administrative_routes(authorizer: ModuleType, cloud: AwsResources, name: str) -> None:
    add_api_token("all", "read")
    assert error_of(call(name, context(authorizer, TOKEN_TEXT))) == (403, "FORBIDDEN")


def test_a_project_change_cannot_lift_a_budget_without_the_budgets_scope(
    authorizer: ModuleType, cloud: AwsResources
) -> None:
    """A project's budget needs a second permission on the same route: the token's scopes are checked there, too."""
    add_api_token("all")
    create_project()
    claims = context(authorizer, TOKEN_TEXT)
    lifted = call("api/projects/change_project", claims, body={"budget_microusd": None})
    assert error_of(lifted) == (403, "FORBIDDEN")
    renamed = call("api/projects/change_project", claims, body={"name": "Harbour fog"})
    assert (renamed["statusCode"], success_data(renamed)["project"]["id"]) == (200, PROJECT)


def test_a_token_in_another_workspace_gets_the_response_of_a_missing_one(
    authorizer: ModuleType, cloud: AwsResources
) -> None:
    add_api_token("all")
    claims = context(authorizer, TOKEN_TEXT)
    found = [
        call(name, claims, headers={"atelier-workspace": workspace_id})
        for name in ("api/credits/balance", "api/generations/generate_image")
        for workspace_id in (OTHER, "wsp_1", USER)
    ]
    assert {error_of(response) for response in found} == {(404, "NOT_FOUND")}
    assert len({json.loads(response["body"])["message"] for response in found}) == 1
    assert call("api/credits/balance", claims, headers={"atelier-workspace": WORKSPACE})["statusCode"] == 200


def test_a_reduced_role_reduces_the_users_tokens(authorizer: ModuleType, cloud: AwsResources) -> None:
    add_api_token("all", "providers.manage")
    claims = context(authorizer, TOKEN_TEXT)
    change_item(cloud, USER, f"member#{WORKSPACE}", role="viewer")
    assert call("api/credits/balance", claims)["statusCode"] == 200
    for name in ("api/generations/generate_image", "api/providers/put_providers", "api/providers/list_keys"):
        assert error_of(call(name, claims)) == (403, "FORBIDDEN")


@pytest.mark.parametrize("end", ["revoked", "expired", "left", "suspended"])
def test_an_ended_token_is_refused_despite_the_cached_authorizer(
    app: ModuleType, authorizer: ModuleType, cloud: AwsResources, end: str
) -> None:
    add_api_token("all")
    claims = context(authorizer, TOKEN_TEXT)
    if end == "revoked":
        assert invoke_app(app, example_event("api/account/revoke_token"))["statusCode"] == 204
    if end == "expired":
        change_item(cloud, WORKSPACE, f"token#{TOKEN}", ends_at="2026-01-01T00:00:00.000Z")
    if end == "left":
        client("dynamodb").delete_item(
            TableName=cloud.tables.identity, Key={"pk": {"S": USER}, "sk": {"S": f"member#{WORKSPACE}"}}
        )
    if end == "suspended":
        change_item(cloud, USER, "profile", status="suspended")
    for name in ("api/credits/balance", "api/generations/generate_image"):
        assert error_of(call(name, claims)) == (401, "UNAUTHENTICATED")
    if end in ("revoked", "expired"):
        assert context(authorizer, TOKEN_TEXT) == {"reason": f"The API token has {'been ' * (end == 'revoked')}{end}."}


def test_a_second_revocation_is_not_found(app: ModuleType) -> None:
    add_api_token()
    answers = [invoke_app(app, example_event("api/account/revoke_token")) for _ in "abc"]
    assert [answer["statusCode"] for answer in answers] == [204, 404, 404]
    request = event("api/account/revoke_token")
    request["requestContext"]["http"]["path"] = "/api/tokens/tok_1"
    assert invoke_app(app, request)["body"] == answers[1]["body"]
    assert success_data(invoke_app(app, example_event("api/account/list_tokens")))["items"] == []


def test_another_users_token_is_revoked_only_by_an_admin(app: ModuleType, cloud: AwsResources) -> None:
    add_api_token()
    change_item(cloud, WORKSPACE, f"token#{TOKEN}", user_id="usr_01M7XCN60QZZZZZZZZZZZZZZZZ")
    change_item(cloud, USER, f"member#{WORKSPACE}", role="editor")
    assert error_of(invoke_app(app, example_event("api/account/revoke_token"))) == (403, "FORBIDDEN")
    change_item(cloud, USER, f"member#{WORKSPACE}", role="admin")
    assert invoke_app(app, example_event("api/account/revoke_token"))["statusCode"] == 204


def test_a_token_cannot_exceed_its_issuers_role(app: ModuleType, cloud: AwsResources) -> None:
    change_item(cloud, USER, f"member#{WORKSPACE}", role="viewer")
    assert error_of(invoke_app(app, example_event("api/account/issue_token"))) == (403, "FORBIDDEN")
    change_item(cloud, USER, f"member#{WORKSPACE}", role="editor")
    wider = invoke_app(app, event("api/account/issue_token", body={**ASK, "scopes": ["read", "providers.manage"]}))
    assert error_of(wider) == (403, "FORBIDDEN")
    assert invoke_app(app, event("api/account/issue_token", body=ASK))["statusCode"] == 201


def test_a_tokens_last_use_is_updated_at_intervals(
    app: ModuleType, authorizer: ModuleType, cloud: AwsResources
) -> None:
    def shown() -> str:
        [item] = success_data(invoke_app(app, example_event("api/account/list_tokens")))["items"]
        return str(item["last_used_at"])

    add_api_token()
    context(authorizer, TOKEN_TEXT)
    first = shown()
    assert abs(system_clock() - parse_rfc3339(first)) < timedelta(minutes=5)
    for _ in range(3):
        context(authorizer, TOKEN_TEXT)
    assert shown() == first
    token = identity.api_tokens().token(WORKSPACE, TOKEN)
    assert token is not None
    identity.api_tokens().note_use(token, system_clock() - timedelta(minutes=11))
    context(authorizer, TOKEN_TEXT)
    assert shown() > first
