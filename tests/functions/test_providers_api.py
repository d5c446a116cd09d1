"""functions/api/providers and functions/schedules/rewrap_provider_keys, fed with events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import botocore.session
import pytest

from atelier.aws.clients import client
from atelier.clock import system_clock
from atelier.identity.permissions import Role
from atelier.routing.model import Scope
from atelier.settings import ProviderKeys, Waiting
from atelier.wiring import credentials, routing, waiting
from infra.local.standins.replicate import API_TOKEN, ReplicateStandIn
from tests.embedded_aws import forget_wiring
from tests.functions.answers import answered, data, refusal, stranger
from tests.functions.cast import KEY, OWN_KEY, USER, WORKSPACE, bring_key
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function

ROUTES = [
    "list_keys",
    "add_key",
    "switch_key",
    "remove_key",
    "test_key",
    "get_providers",
    "list_health",
    "put_providers",
    "list_models",
]
SERVED = [{"name": "a", "kind": "text"}]
ABOUT_ONE_KEY = ["switch_key", "remove_key", "test_key"]


@pytest.fixture(params=["master keys", "KMS"])
def sealing(request: pytest.FixtureRequest, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways to seal a provider key."""
    if request.param == "KMS":
        monkeypatch.setenv("ATELIER_PROVIDER_KEYS_KMS", client("kms").create_key()["KeyMetadata"]["Arn"])
        forget_wiring(clients=False)
    yield request.param
    forget_wiring(clients=False)


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("api/providers")


def add(app: ModuleType, bound: str | None = None, **body: Any) -> dict[str, Any]:
    """The response to a request that adds a provider key; without an Idempotency-Key unless `bound` is given."""
    request = event("api/providers/add_key")
    known = json.loads(request["body"])
    request["body"] = json.dumps({**known, **body})
    request["headers"] = {name: value for name, value in request["headers"].items() if name != "idempotency-key"}
    if bound:
        request["headers"]["idempotency-key"] = bound
    return answered(app, request)


def everything(cloud: Cloud) -> str:
    """All stored items of all tables."""
    return json.dumps([cloud.items(getattr(cloud.tables, table)) for table in cloud.tables.__dataclass_fields__])


def test_a_key_is_kept_and_never_shown(app: ModuleType, cloud: Cloud, sealing: str) -> None:
    response = answered(app, example("api/providers/add_key"))
    assert response["statusCode"] == 201
    view = data(response)["key"]
    assert response["headers"]["Location"] == f"/api/api-keys/{view['id']}"
    assert (view["provider"], view["key_name"], view["last_four"]) == ("replicate", "the team's", OWN_KEY[-4:])
    assert (view["is_active"], view["last_used_at"], view["last_test"]) == (True, None, None)
    assert data(answered(app, example("api/providers/list_keys"))) == {"items": [view], "next_cursor": None}
    stored = everything(cloud)
    assert OWN_KEY not in stored + json.dumps(response)
    assert OWN_KEY[:12] not in stored
    key = credentials.keys().get(WORKSPACE, view["id"])
    assert credentials.reveal(WORKSPACE, "replicate", key.id, key.created_at).key == OWN_KEY


def test_the_same_key_of_a_request_answers_with_the_same_record(app: ModuleType, cloud: Cloud) -> None:
    first, again = (answered(app, example("api/providers/add_key")) for _ in "12")
    assert (first["statusCode"], data(first)) == (again["statusCode"], data(again))
    assert "Idempotent-Replayed" not in first["headers"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    used = example("api/providers/add_key")["headers"]["idempotency-key"]
    assert refusal(add(app, used, key=OWN_KEY + "x")) == (422, "IDEMPOTENCY_MISMATCH")
    assert len(credentials.keys().own(WORKSPACE).keys) == 1


def test_a_name_that_is_taken_is_a_conflict(app: ModuleType) -> None:
    assert add(app)["statusCode"] == 201
    assert refusal(add(app)) == (409, "CONFLICT")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"key": "short"}, "key"),
        ({"key": OWN_KEY + " and more"}, "key"),
        ({"key": "x" * 600}, "key"),
        ({"key": 12345678901234}, "key"),
        ({"key_name": "new\nline"}, "key_name"),
        ({"key_name": "   "}, "key_name"),
        ({"provider": "nobody"}, "provider"),
        ({"base_url": "https://example.com"}, "base_url"),
        ({"provider": "custom", "models": SERVED}, "base_url"),
        (
            {"provider": "custom", "base_url": "https://127.0.0.1/v1", "models": SERVED},
            "base_url",
        ),
        (
            {
                "provider": "custom",
                "base_url": "https://[::ffff:169.254.169.254]",
                "models": SERVED,
            },
            "base_url",
        ),
        (
            {"provider": "custom", "base_url": "https://localhost", "models": SERVED},
            "base_url",
        ),
        ({"surprise": OWN_KEY}, "surprise"),
    ],
)
def test_what_cannot_be_a_key_is_refused_by_its_path_and_not_shown(
    app: ModuleType, cloud: Cloud, body: dict[str, Any], path: str
) -> None:
    response = add(app, **body)
    assert refusal(response) == (422, "VALIDATION_FAILED")
    assert [field["path"] for field in json.loads(response["body"])["details"]["fields"]] == [path]
    assert OWN_KEY not in response["body"]
    assert cloud.items(cloud.tables.providers) == []


def test_a_body_that_is_no_json_is_not_repeated(app: ModuleType) -> None:
    response = answered(app, event("api/providers/add_key", body=f'{{"key": "{OWN_KEY}"'))
    assert refusal(response) == (400, "BAD_REQUEST")
    assert OWN_KEY not in response["body"]


def test_a_key_that_the_provider_takes_is_told_to_be_good(
    app: ModuleType, replicate: ReplicateStandIn, sealing: str
) -> None:
    key_id = data(add(app, key=API_TOKEN))["key"]["id"]
    request = json.loads(json.dumps(example("api/providers/test_key")).replace(KEY, key_id))
    test = data(answered(app, request))["test"]
    assert (test["ok"], test["error_class"], test["message"]) == (True, None, None)
    [listed] = data(answered(app, example("api/providers/list_keys")))["items"]
    assert listed["last_test"] == {"ok": True, "error_class": None, "at": test["at"]}
    assert listed["last_used_at"] is not None
    assert refusal(answered(app, request)) == (429, "RATE_LIMITED")


def test_a_key_that_the_provider_refuses_is_told_to_be_bad(app: ModuleType, replicate: ReplicateStandIn) -> None:
    bring_key()
    response = answered(app, example("api/providers/test_key"))
    test = data(response)["test"]
    assert (test["ok"], test["error_class"]) == (False, "auth")
    assert OWN_KEY not in response["body"]


def test_a_provider_that_does_not_answer_says_nothing_of_the_key(app: ModuleType) -> None:
    bring_key()
    assert data(answered(app, example("api/providers/test_key")))["test"]["error_class"] == "transient"


def test_an_account_has_no_more_keys_tested_at_once_than_may_wait(app: ModuleType) -> None:
    bring_key()
    with ExitStack() as under_way:
        for _ in range(Waiting.read().at_once):
            under_way.enter_context(waiting.request_to_others(USER))
        assert refusal(answered(app, example("api/providers/test_key"))) == (429, "RATE_LIMITED")
    assert data(answered(app, example("api/providers/test_key")))["test"]["error_class"] == "transient"


def test_a_key_is_switched_off_and_on_and_removed(app: ModuleType, cloud: Cloud) -> None:
    bring_key()
    assert credentials.choose(WORKSPACE, "replicate") is not None
    assert data(answered(app, example("api/providers/switch_key")))["key"]["is_active"] is False
    assert credentials.choose(WORKSPACE, "replicate") is None
    on = event("api/providers/switch_key", body={"is_active": True})
    assert data(answered(app, on))["key"]["is_active"] is True
    removed = answered(app, example("api/providers/remove_key"))
    assert (removed["statusCode"], removed["body"]) == (204, "")
    assert refusal(answered(app, example("api/providers/remove_key"))) == (404, "NOT_FOUND")
    assert data(answered(app, example("api/providers/list_keys")))["items"] == []
    assert "record" not in everything(cloud)


@pytest.mark.parametrize("name", ABOUT_ONE_KEY)
def test_a_foreign_key_looks_like_a_missing_one(app: ModuleType, name: str) -> None:
    missing = answered(app, example(f"api/providers/{name}"))
    bring_key()
    request = stranger(f"api/providers/{name}")
    request["headers"]["atelier-workspace"] = WORKSPACE
    request["requestContext"]["authorizer"]["lambda"]["user_id"] = "usr_01M7XCN60QZZZZZZZZZZZZZZZZ"
    assert refusal(missing) == (404, "NOT_FOUND")
    assert refusal(answered(app, request)) in ((404, "NOT_FOUND"), (401, "UNAUTHENTICATED"))
    assert credentials.keys().get(WORKSPACE, KEY).is_active


@pytest.mark.parametrize("name", ROUTES)
def test_nobody_is_let_in_without_a_token(app: ModuleType, name: str) -> None:
    request = example(f"api/providers/{name}")
    request["requestContext"]["authorizer"] = {"lambda": {"reason": "This call needs an access token."}}
    assert refusal(answered(app, request)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", ROUTES)
def test_who_may_do_what(app: ModuleType, cloud: Cloud, name: str, role: Role) -> None:
    bring_key()
    client("dynamodb").update_item(
        TableName=cloud.tables.identity,
        Key={"pk": {"S": USER}, "sk": {"S": f"member#{WORKSPACE}"}},
        UpdateExpression="SET #role = :role",
        ExpressionAttributeNames={"#role": "role"},
        ExpressionAttributeValues={":role": {"S": role.value}},
    )
    request = event(f"api/providers/{name}", headers={"atelier-workspace": WORKSPACE})
    # Reads trust the claim of the personal workspace; the role in this workspace is looked up like in any other.
    request["requestContext"]["authorizer"]["lambda"]["workspace_id"] = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
    may = {
        "list_keys": role in (Role.OWNER, Role.ADMIN, Role.EDITOR),
        "get_providers": True,
        "list_health": True,
        "list_models": True,
    }.get(name, role in (Role.OWNER, Role.ADMIN))
    assert (answered(app, request)["statusCode"] < 300) is may


def test_settings_say_which_providers_are_wanted_and_with_whose_key(app: ModuleType) -> None:
    before = {each["id"]: each for each in data(answered(app, example("api/providers/get_providers")))["providers"]}
    assert set(before) >= {"openai", "anthropic", "replicate", "fal", "xai", "stability", "custom", "local"}
    assert before["replicate"] == {
        "id": "replicate",
        "enabled": True,
        "priority": 100,
        "kinds": before["replicate"]["kinds"],
        "health": "unknown",
        "has_key": False,
        "use_own_key": None,
        "platform_fallback": False,
        "is_offered": True,
    }
    assert "image" in before["replicate"]["kinds"]
    assert (before["openai"]["is_offered"], before["custom"]["kinds"]) == (False, [])
    bring_key()
    put = data(answered(app, example("api/providers/put_providers")))["providers"]
    assert put == data(answered(app, example("api/providers/get_providers")))["providers"]
    assert (put[0]["id"], put[0]["priority"], put[0]["has_key"], put[0]["use_own_key"]) == ("replicate", 10, True, KEY)
    assert [each["enabled"] for each in put if each["id"] == "local"] == [False]
    nothing = event("api/providers/put_providers", body={"providers": []})
    assert [each["priority"] for each in data(answered(app, nothing))["providers"]] == [100] * len(before)


def test_how_providers_are_is_told_for_each_access(app: ModuleType) -> None:
    bring_key()
    now = system_clock()
    for scope in (Scope("replicate"), Scope("replicate", WORKSPACE, KEY)):
        routing.book().succeeded(scope, 900, started_at=now, now=now)
    for _ in range(3):
        routing.book().failed(Scope("replicate"), "capacity", "It is full.", started_at=now, now=now)
    items = data(answered(app, example("api/providers/list_health")))["items"]
    cards = {(each["provider"], each["scope"]): each for each in items}
    platform, own = cards["replicate", "platform"], cards["replicate", KEY]
    assert (platform["status"], platform["success_percent"], platform["failure_count"]) == ("down", 25, 3)
    assert (platform["error_class"], platform["error_message"]) == ("capacity", "It is full.")
    assert platform["cooldown_until"] > platform["last_failure_at"] >= platform["last_success_at"]
    assert (own["status"], own["avg_response_time_ms"], own["cooldown_until"]) == ("healthy", 900, None)
    assert 900 <= own["p95_response_time_ms"] <= 1350
    assert cards["local", "platform"]["status"] == "healthy"
    # The provider settings show the health of the access that the workspace uses.
    shown = {each["id"]: each for each in data(answered(app, example("api/providers/get_providers")))["providers"]}
    assert (shown["replicate"]["use_own_key"], shown["replicate"]["health"]) == (KEY, "healthy")


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"id": "nobody"}, "providers.0.id"),
        ({"id": "replicate", "priority": -1}, "providers.0.priority"),
        ({"id": "replicate", "use_own_key": f"{KEY[:-1]}0"}, "providers.0.use_own_key"),
        ({"id": "openai", "use_own_key": KEY}, "providers.0.use_own_key"),
        ({"id": "openai", "key": OWN_KEY}, "providers.0.key"),
    ],
)
def test_settings_that_cannot_be_are_refused(app: ModuleType, wish: dict[str, Any], path: str) -> None:
    bring_key()
    response = answered(app, event("api/providers/put_providers", body={"providers": [wish]}))
    assert refusal(response) == (422, "VALIDATION_FAILED")
    assert [field["path"] for field in json.loads(response["body"])["details"]["fields"]] == [path]
    assert credentials.keys().own(WORKSPACE).wishes == {}


def test_the_catalogue_tells_what_is_to_be_had_for_how_much(app: ModuleType) -> None:
    listed = data(answered(app, example("api/providers/list_models")))
    by_id = {model["id"]: model for model in listed["items"]}
    assert all("image" in model["kinds"] for model in listed["items"])
    assert by_id["replicate/sdxl"]["prices"] == [{"unit": "megapixel", "credits": "8", "when": {}, "role": None}]
    assert by_id["local/canvas"]["is_offered"]
    assert listed["price_version"]
    everything_there_is = event("api/providers/list_models", queryStringParameters={})
    text = answered(app, everything_there_is)["body"]
    assert "margin" not in text
    assert "microusd" not in text
    items = {model["id"]: model for model in json.loads(text)["data"]["items"]}
    assert len(items) > len(by_id)
    assert "custom/endpoint" not in items


def test_a_workspaces_own_endpoint_is_in_its_catalogue(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_PROVIDER_URLS", "custom=http://127.0.0.1:9")
    forget_wiring(clients=False)
    models = [{"name": "llama-4", "kind": "text"}, {"name": "llama-4", "kind": "page"}]
    refused = add(app, provider="custom", base_url="http://127.0.0.1:9/v1", models=models)
    assert refusal(refused) == (422, "VALIDATION_FAILED")
    made = add(app, provider="custom", base_url="http://127.0.0.1:9/v1", models=models[:1])
    assert data(made)["key"]["models"] == models[:1]
    listed = data(answered(app, event("api/providers/list_models", queryStringParameters={"kind": "text"})))
    [own] = [model for model in listed["items"] if model["provider"] == "custom"]
    assert (own["id"], own["kinds"], own["is_offered"], own["prices"]) == ("custom/llama-4", ["text"], True, [])
    shown = {each["id"]: each for each in data(answered(app, example("api/providers/get_providers")))["providers"]}
    assert shown["custom"]["kinds"] == ["text"]


def test_a_key_of_ones_own_makes_its_providers_models_available(app: ModuleType) -> None:
    request = event("api/providers/list_models", queryStringParameters={"kind": "text"})

    def offered() -> bool:
        models = data(answered(app, request))["items"]
        return any(model["is_offered"] for model in models if model["provider"] == "openai")

    assert not offered()
    add(app, provider="openai")
    assert offered()
    answered(app, event("api/providers/put_providers", body={"providers": [{"id": "openai", "enabled": False}]}))
    assert not offered()


# ---- rotation --------------------------------------------------------------------------------------------------------


def test_an_operator_makes_a_new_master_key_and_everything_is_sealed_by_it(cloud: Cloud) -> None:
    rotation = function("schedules/rewrap_provider_keys")
    before = bring_key()
    told = rotation.handler(example("schedules/rewrap_provider_keys/new_master_key"), None)
    assert (told["resealed"], told["is_complete"]) == (1, True)
    after = credentials.keys().get(WORKSPACE, KEY)
    assert after.sealed_by != before.sealed_by
    forget_wiring(clients=False)
    assert credentials.reveal(WORKSPACE, "replicate", KEY, after.created_at).key == OWN_KEY
    assert rotation.handler(example("schedules/rewrap_provider_keys/daily"), None)["resealed"] == 0


def test_what_was_sealed_before_kms_is_sealed_by_it(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bring_key()
    monkeypatch.setenv("ATELIER_PROVIDER_KEYS_KMS", client("kms").create_key()["KeyMetadata"]["Arn"])
    forget_wiring(clients=False)
    rotation = function("schedules/rewrap_provider_keys")
    assert rotation.handler(example("schedules/rewrap_provider_keys/daily"), None)["resealed"] == 1
    after = credentials.keys().get(WORKSPACE, KEY)
    assert (before.record[0], after.record[0]) == (1, 2)
    assert credentials.reveal(WORKSPACE, "replicate", KEY, after.created_at).key == OWN_KEY


def test_a_record_that_was_changed_is_our_fault_and_is_told_as_that(
    app: ModuleType, cloud: Cloud, aws: botocore.session.Session
) -> None:
    key = bring_key()
    client("dynamodb").update_item(
        TableName=cloud.tables.providers,
        Key={"pk": {"S": WORKSPACE}, "sk": {"S": f"own#{KEY}"}},
        UpdateExpression="SET #r = :r",
        ExpressionAttributeNames={"#r": "record"},
        ExpressionAttributeValues={":r": {"S": "AAAA"}},
    )
    response = answered(app, example("api/providers/test_key"))
    assert refusal(response) == (500, "INTERNAL")
    assert key.last_four not in response["body"]


def test_a_master_secret_that_is_not_random_seals_nothing(app: ModuleType, cloud: Cloud) -> None:
    weak = {"keys": [{"kid": "00" * 8, "key": "00" * 32}], "fingerprint_key": "00" * 32}
    client("secretsmanager").put_secret_value(SecretId=ProviderKeys.read().secret, SecretString=json.dumps(weak))
    forget_wiring(clients=False)
    assert refusal(answered(app, example("api/providers/add_key"))) == (500, "INTERNAL")
    assert cloud.items(cloud.tables.providers) == []
