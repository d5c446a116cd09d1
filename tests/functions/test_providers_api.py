"""functions/api/providers and functions/schedules/rewrap_provider_keys, fed with events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import botocore.session
import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.identity.second_factors import DynamoSecondFactors
from atelier.audit_log.model import Origin
from atelier.clock import system_clock
from atelier.identity.manage_factors import FactorOwner
from atelier.identity.permissions import Role
from atelier.provider_settings import ProviderKeySecret
from atelier.routing.circuit_breaker import Scope
from atelier.settings import WaitLimits
from atelier.wiring import provider_key_store, provider_keys, routing, second_factors, waiting
from infra.simulators.replicate import API_TOKEN, ReplicateSimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import KEY, OWN_KEY, USER, WORKSPACE, add_provider_key
from tests.functions.people import create_person
from tests.functions.responses import error_of, foreign_event, invoke_app, success_data
from tests.invoke import event, example_event, load_function

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
def sealing(request: pytest.FixtureRequest, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways to seal a provider key."""
    if request.param == "KMS":
        monkeypatch.setenv("ATELIER_PROVIDER_KEYS_KMS", client("kms").create_key()["KeyMetadata"]["Arn"])
        clear_wiring_caches(clients=False)
    yield request.param
    clear_wiring_caches(clients=False)


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/providers")


def add(app: ModuleType, bound: str | None = None, **body: Any) -> dict[str, Any]:
    """The response to a request that adds a provider key; without an Idempotency-Key unless `bound` is given."""
    request = event("api/providers/add_key")
    known = json.loads(request["body"])
    request["body"] = json.dumps({**known, **body})
    request["headers"] = {name: value for name, value in request["headers"].items() if name != "idempotency-key"}
    if bound:
        request["headers"]["idempotency-key"] = bound
    return invoke_app(app, request)


def everything(cloud: AwsResources) -> str:
    """All stored items of all tables."""
    return json.dumps([cloud.items(getattr(cloud.tables, table)) for table in cloud.tables.__dataclass_fields__])


def test_a_provider_key_is_stored_sealed_and_never_returned(app: ModuleType, cloud: AwsResources, sealing: str) -> None:
    response = invoke_app(app, example_event("api/providers/add_key"))
    assert response["statusCode"] == 201
    view = success_data(response)["key"]
    assert response["headers"]["Location"] == f"/api/api-keys/{view['id']}"
    assert (view["provider"], view["key_name"], view["last_four"]) == ("replicate", "the team's", OWN_KEY[-4:])
    assert (view["is_active"], view["last_used_at"], view["last_test"]) == (True, None, None)
    assert success_data(invoke_app(app, example_event("api/providers/list_keys"))) == {
        "items": [view],
        "next_cursor": None,
    }
    stored = everything(cloud)
    assert OWN_KEY not in stored + json.dumps(response)
    assert OWN_KEY[:12] not in stored
    key = provider_key_store.keys().get(WORKSPACE, view["id"])
    assert provider_keys.decrypt_key(WORKSPACE, "replicate", key.id, key.created_at).key == OWN_KEY


def test_a_repeated_idempotency_key_returns_the_same_provider_key(app: ModuleType, cloud: AwsResources) -> None:
    first, again = (invoke_app(app, example_event("api/providers/add_key")) for _ in "12")
    assert (first["statusCode"], success_data(first)) == (again["statusCode"], success_data(again))
    assert "Idempotent-Replayed" not in first["headers"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    used = example_event("api/providers/add_key")["headers"]["idempotency-key"]
    assert error_of(add(app, used, key=OWN_KEY + "x")) == (422, "IDEMPOTENCY_MISMATCH")
    assert len(provider_key_store.keys().read_workspace(WORKSPACE).keys) == 1


def test_a_duplicate_key_name_is_a_conflict(app: ModuleType) -> None:
    assert add(app)["statusCode"] == 201
    assert error_of(add(app)) == (409, "CONFLICT")


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
def test_an_invalid_provider_key_is_refused_at_its_field_and_not_echoed(
    app: ModuleType, cloud: AwsResources, body: dict[str, Any], path: str
) -> None:
    response = add(app, **body)
    assert error_of(response) == (422, "VALIDATION_FAILED")
    assert [field["path"] for field in json.loads(response["body"])["details"]["fields"]] == [path]
    assert OWN_KEY not in response["body"]
    assert cloud.items(cloud.tables.providers) == []


def test_a_body_that_is_not_json_is_not_echoed(app: ModuleType) -> None:
    response = invoke_app(app, event("api/providers/add_key", body=f'{{"key": "{OWN_KEY}"'))
    assert error_of(response) == (400, "BAD_REQUEST")
    assert OWN_KEY not in response["body"]


def test_a_key_test_succeeds_for_a_key_that_the_provider_accepts(
    app: ModuleType, replicate: ReplicateSimulator, sealing: str
) -> None:
    key_id = success_data(add(app, key=API_TOKEN))["key"]["id"]
    request = json.loads(json.dumps(example_event("api/providers/test_key")).replace(KEY, key_id))
    test = success_data(invoke_app(app, request))["test"]
    assert (test["ok"], test["error_class"], test["message"]) == (True, None, None)
    [listed] = success_data(invoke_app(app, example_event("api/providers/list_keys")))["items"]
    assert listed["last_test"] == {"ok": True, "error_class": None, "at": test["at"]}
    assert listed["last_used_at"] is not None
    assert error_of(invoke_app(app, request)) == (429, "RATE_LIMITED")


def test_a_key_test_fails_for_a_key_that_the_provider_refuses(app: ModuleType, replicate: ReplicateSimulator) -> None:
    add_provider_key()
    response = invoke_app(app, example_event("api/providers/test_key"))
    test = success_data(response)["test"]
    assert (test["ok"], test["error_class"]) == (False, "auth")
    assert OWN_KEY not in response["body"]


def test_a_key_test_is_transient_when_the_provider_does_not_answer(app: ModuleType) -> None:
    add_provider_key()
    assert success_data(invoke_app(app, example_event("api/providers/test_key")))["test"]["error_class"] == "transient"


def test_concurrent_key_tests_of_an_account_are_limited(app: ModuleType) -> None:
    add_provider_key()
    with ExitStack() as under_way:
        for _ in range(WaitLimits.read().concurrent_waits_max):
            under_way.enter_context(waiting.bounded_outside_request(USER))
        assert error_of(invoke_app(app, example_event("api/providers/test_key"))) == (429, "RATE_LIMITED")
    assert success_data(invoke_app(app, example_event("api/providers/test_key")))["test"]["error_class"] == "transient"


def test_a_provider_key_is_disabled_enabled_and_removed(app: ModuleType, cloud: AwsResources) -> None:
    add_provider_key()
    assert provider_key_store.keys().read_workspace(WORKSPACE).key_in_use("replicate") is not None
    assert success_data(invoke_app(app, example_event("api/providers/switch_key")))["key"]["is_active"] is False
    assert provider_key_store.keys().read_workspace(WORKSPACE).key_in_use("replicate") is None
    on = event("api/providers/switch_key", body={"is_active": True})
    assert success_data(invoke_app(app, on))["key"]["is_active"] is True
    removed = invoke_app(app, example_event("api/providers/remove_key"))
    assert (removed["statusCode"], removed["body"]) == (204, "")
    assert error_of(invoke_app(app, example_event("api/providers/remove_key"))) == (404, "NOT_FOUND")
    assert success_data(invoke_app(app, example_event("api/providers/list_keys")))["items"] == []
    assert "record" not in everything(cloud)


@pytest.mark.parametrize("name", ABOUT_ONE_KEY)
def test_a_foreign_provider_key_is_not_found(app: ModuleType, name: str) -> None:
    missing = invoke_app(app, example_event(f"api/providers/{name}"))
    add_provider_key()
    request = foreign_event(f"api/providers/{name}")
    request["headers"]["atelier-workspace"] = WORKSPACE
    request["requestContext"]["authorizer"]["lambda"]["user_id"] = "usr_01M7XCN60QZZZZZZZZZZZZZZZZ"
    assert error_of(missing) == (404, "NOT_FOUND")
    assert error_of(invoke_app(app, request)) in ((404, "NOT_FOUND"), (401, "UNAUTHENTICATED"))
    assert provider_key_store.keys().get(WORKSPACE, KEY).is_active


@pytest.mark.parametrize("name", ROUTES)
def test_a_request_without_a_token_is_unauthenticated(app: ModuleType, name: str) -> None:
    request = example_event(f"api/providers/{name}")
    request["requestContext"]["authorizer"] = {"lambda": {"reason": "This call needs an access token."}}
    assert error_of(invoke_app(app, request)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", ROUTES)
def test_each_route_is_allowed_by_role(app: ModuleType, cloud: AwsResources, name: str, role: Role) -> None:
    add_provider_key()
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
    assert (invoke_app(app, request)["statusCode"] < 300) is may


def test_provider_settings_store_priority_enabled_state_and_own_key(app: ModuleType) -> None:
    before = {
        each["id"]: each
        for each in success_data(invoke_app(app, example_event("api/providers/get_providers")))["providers"]
    }
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
    add_provider_key()
    put = success_data(invoke_app(app, example_event("api/providers/put_providers")))["providers"]
    assert put == success_data(invoke_app(app, example_event("api/providers/get_providers")))["providers"]
    assert (put[0]["id"], put[0]["priority"], put[0]["has_key"], put[0]["use_own_key"]) == ("replicate", 10, True, KEY)
    assert [each["enabled"] for each in put if each["id"] == "local"] == [False]
    nothing = event("api/providers/put_providers", body={"providers": []})
    assert [each["priority"] for each in success_data(invoke_app(app, nothing))["providers"]] == [100] * len(before)


def test_provider_health_is_listed_by_scope(app: ModuleType) -> None:
    add_provider_key()
    now = system_clock()
    for scope in (Scope("replicate"), Scope("replicate", WORKSPACE, KEY)):
        routing.health_cache().record_success(scope, 900, started_at=now, now=now)
    for _ in range(3):
        routing.health_cache().record_failure(Scope("replicate"), "capacity", "It is full.", started_at=now, now=now)
    items = success_data(invoke_app(app, example_event("api/providers/list_health")))["items"]
    cards = {(each["provider"], each["scope"]): each for each in items}
    platform, own = cards["replicate", "platform"], cards["replicate", KEY]
    assert (platform["status"], platform["success_percent"], platform["failure_count"]) == ("down", 25, 3)
    assert (platform["error_class"], platform["error_message"]) == ("capacity", "It is full.")
    assert platform["cooldown_until"] > platform["last_failure_at"] >= platform["last_success_at"]
    assert (own["status"], own["avg_response_time_ms"], own["cooldown_until"]) == ("healthy", 900, None)
    assert 900 <= own["p95_response_time_ms"] <= 1350
    assert cards["local", "platform"]["status"] == "healthy"
    # The provider settings show the health of the access that the workspace uses.
    shown = {
        each["id"]: each
        for each in success_data(invoke_app(app, example_event("api/providers/get_providers")))["providers"]
    }
    assert (shown["replicate"]["use_own_key"], shown["replicate"]["health"]) == (KEY, "healthy")


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ({"id": "nobody"}, "providers.0.id"),
        ({"id": "replicate", "priority": -1}, "providers.0.priority"),
        ({"id": "replicate", "use_own_key": f"{KEY[:-1]}0"}, "providers.0.use_own_key"),
        ({"id": "openai", "use_own_key": KEY}, "providers.0.use_own_key"),
        ({"id": "openai", "key": OWN_KEY}, "providers.0.key"),
    ],
)
def test_invalid_provider_settings_are_refused(app: ModuleType, setting: dict[str, Any], path: str) -> None:
    add_provider_key()
    response = invoke_app(app, event("api/providers/put_providers", body={"providers": [setting]}))
    assert error_of(response) == (422, "VALIDATION_FAILED")
    assert [field["path"] for field in json.loads(response["body"])["details"]["fields"]] == [path]
    assert provider_key_store.keys().read_workspace(WORKSPACE).preferences == {}


def test_settings_that_were_changed_since_they_were_read_are_a_conflict(app: ModuleType) -> None:
    def put(version: int, provider: str) -> dict[str, Any]:
        body = {"providers": [{"id": provider, "enabled": False}], "version": version}
        return invoke_app(app, event("api/providers/put_providers", body=body))

    read = success_data(invoke_app(app, example_event("api/providers/get_providers")))
    assert success_data(put(read["version"], "fal"))["version"] == read["version"] + 1
    refused = put(read["version"], "openai")
    assert error_of(refused) == (409, "VERSION_CONFLICT")
    assert json.loads(refused["body"])["details"] == {"current": read["version"] + 1}
    assert list(provider_key_store.keys().read_workspace(WORKSPACE).preferences) == ["fal"]


def test_the_model_list_shows_credits_and_no_provider_costs(app: ModuleType) -> None:
    listed = success_data(invoke_app(app, example_event("api/providers/list_models")))
    by_id = {model["id"]: model for model in listed["items"]}
    assert all("image" in model["kinds"] for model in listed["items"])
    assert by_id["replicate/sdxl"]["prices"] == [{"unit": "megapixel", "credits": "8", "when": {}, "role": None}]
    assert by_id["local/canvas"]["is_offered"]
    assert by_id["local/canvas"]["tiers"] == ["free@1", "starter@1", "pro@1", "studio@1"]
    assert listed["price_version"]
    everything_there_is = event("api/providers/list_models", queryStringParameters={})
    text = invoke_app(app, everything_there_is)["body"]
    assert "margin" not in text
    assert "microusd" not in text
    items = {model["id"]: model for model in json.loads(text)["data"]["items"]}
    assert len(items) > len(by_id)
    assert "custom/endpoint" not in items


def test_a_custom_endpoints_models_are_listed_for_its_workspace(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_PROVIDER_URLS", "custom=http://127.0.0.1:9")
    clear_wiring_caches(clients=False)
    models = [{"name": "llama-4", "kind": "text"}, {"name": "llama-4", "kind": "page"}]
    refused = add(app, provider="custom", base_url="http://127.0.0.1:9/v1", models=models)
    assert error_of(refused) == (422, "VALIDATION_FAILED")
    made = add(app, provider="custom", base_url="http://127.0.0.1:9/v1", models=models[:1])
    assert success_data(made)["key"]["models"] == models[:1]
    listed = success_data(invoke_app(app, event("api/providers/list_models", queryStringParameters={"kind": "text"})))
    [own] = [model for model in listed["items"] if model["provider"] == "custom"]
    assert (own["id"], own["kinds"], own["is_offered"], own["prices"]) == ("custom/llama-4", ["text"], True, [])
    shown = {
        each["id"]: each
        for each in success_data(invoke_app(app, example_event("api/providers/get_providers")))["providers"]
    }
    assert shown["custom"]["kinds"] == ["text"]


def test_a_workspaces_provider_key_makes_that_providers_models_available(app: ModuleType) -> None:
    request = event("api/providers/list_models", queryStringParameters={"kind": "text"})

    def offered() -> bool:
        models = success_data(invoke_app(app, request))["items"]
        return any(model["is_offered"] for model in models if model["provider"] == "openai")

    assert not offered()
    add(app, provider="openai")
    assert offered()
    invoke_app(app, event("api/providers/put_providers", body={"providers": [{"id": "openai", "enabled": False}]}))
    assert not offered()


# ---- rotation --------------------------------------------------------------------------------------------------------


def test_a_new_master_key_reseals_every_provider_key(cloud: AwsResources) -> None:
    rotation = load_function("schedules/rewrap_provider_keys")
    before = add_provider_key()
    report = rotation.handler(example_event("schedules/rewrap_provider_keys/new_master_key"), None)
    assert (report["resealed"], report["is_complete"]) == (1, True)
    after = provider_key_store.keys().get(WORKSPACE, KEY)
    assert after.sealed_by != before.sealed_by
    clear_wiring_caches(clients=False)
    assert provider_keys.decrypt_key(WORKSPACE, "replicate", KEY, after.created_at).key == OWN_KEY
    assert rotation.handler(example_event("schedules/rewrap_provider_keys/daily"), None)["resealed"] == 0


def test_a_new_master_key_reseals_authenticators_too(cloud: AwsResources) -> None:
    ada = create_person("ada")
    second_factors.begin_totp(FactorOwner(ada.user_id, ada.session_id, ada.workspace_id, Origin()), system_clock())
    before = DynamoSecondFactors().totp(ada.user_id)
    rotation = load_function("schedules/rewrap_provider_keys")
    report = rotation.handler(example_event("schedules/rewrap_provider_keys/new_master_key"), None)
    assert (report["resealed"], report["is_complete"]) == (1, True)
    after = DynamoSecondFactors().totp(ada.user_id)
    assert before is not None
    assert after is not None
    assert before.factor_id == after.factor_id
    assert before.sealed_by != after.sealed_by


def test_a_record_sealed_before_kms_is_resealed_with_kms(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> None:
    before = add_provider_key()
    monkeypatch.setenv("ATELIER_PROVIDER_KEYS_KMS", client("kms").create_key()["KeyMetadata"]["Arn"])
    clear_wiring_caches(clients=False)
    rotation = load_function("schedules/rewrap_provider_keys")
    assert rotation.handler(example_event("schedules/rewrap_provider_keys/daily"), None)["resealed"] == 1
    after = provider_key_store.keys().get(WORKSPACE, KEY)
    assert (before.record[0], after.record[0]) == (1, 2)
    assert provider_keys.decrypt_key(WORKSPACE, "replicate", KEY, after.created_at).key == OWN_KEY


def test_a_tampered_record_is_an_internal_error(
    app: ModuleType, cloud: AwsResources, aws: botocore.session.Session
) -> None:
    key = add_provider_key()
    client("dynamodb").update_item(
        TableName=cloud.tables.providers,
        Key={"pk": {"S": WORKSPACE}, "sk": {"S": f"own#{KEY}"}},
        UpdateExpression="SET #r = :r",
        ExpressionAttributeNames={"#r": "record"},
        ExpressionAttributeValues={":r": {"S": "AAAA"}},
    )
    response = invoke_app(app, example_event("api/providers/test_key"))
    assert error_of(response) == (500, "INTERNAL")
    assert key.last_four not in response["body"]


def test_a_weak_master_key_is_refused_and_no_provider_key_is_stored(app: ModuleType, cloud: AwsResources) -> None:
    weak = {"keys": [{"kid": "00" * 8, "key": "00" * 32}], "fingerprint_key": "00" * 32}
    client("secretsmanager").put_secret_value(SecretId=ProviderKeySecret.read().secret, SecretString=json.dumps(weak))
    clear_wiring_caches(clients=False)
    assert error_of(invoke_app(app, example_event("api/providers/add_key"))) == (500, "INTERNAL")
    assert cloud.items(cloud.tables.providers) == []
