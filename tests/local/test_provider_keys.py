"""Own provider keys over the whole stack, with a simulator for every provider; a key occurs only in its request."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.stack_process import RunningStack
from infra.simulators.anthropic import AnthropicSimulator
from infra.simulators.fal import FalSimulator
from infra.simulators.openai import OpenAISimulator
from infra.simulators.replicate import ReplicateSimulator
from infra.simulators.stability import StabilitySimulator
from infra.simulators.xai import XAISimulator
from tests.local.client import PASSWORD, AccountClient, run_concurrently
from tests.local.secret_scan import encodings, find_in_files, find_in_stack

# The path of the provider's API below its base address.
BELOW = {"openai": "/v1", "xai": "/v1", "custom": "/v1"}
JSON = {"Content-Type": "application/json"}
MODELS = [{"name": "llama", "kind": "text"}]


def new_key(provider: str) -> str:
    """A key that looks like the provider's and is unique."""
    return f"{provider[:3]}-canary-{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class House:
    """A stack, the simulator of each provider, and the one key that each simulator accepts."""

    running: RunningStack
    simulators: dict[str, Any]
    keys: dict[str, str]

    def person(self) -> AccountClient:
        return AccountClient(self.running.base_url)

    def add(self, person: AccountClient, provider: str, key: str, name: str = "ours", **headers: str) -> httpx.Response:
        body: dict[str, Any] = {"provider": provider, "key_name": name, "key": key}
        if provider == "custom":
            body |= {"base_url": self.simulators["custom"].url + BELOW["custom"], "models": MODELS}
        return person.http.post("/api/api-keys", json=body, headers=headers)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    keys = {name: new_key(name) for name in ("anthropic", "custom", "fal", "openai", "replicate", "stability", "xai")}
    with ExitStack() as opened:
        simulators = {
            "anthropic": opened.enter_context(AnthropicSimulator(api_key=keys["anthropic"])),
            "custom": opened.enter_context(OpenAISimulator(api_key=keys["custom"])),
            "fal": opened.enter_context(FalSimulator(api_key=keys["fal"])),
            "openai": opened.enter_context(OpenAISimulator(api_key=keys["openai"])),
            "replicate": opened.enter_context(ReplicateSimulator(api_key=keys["replicate"])),
            "stability": opened.enter_context(StabilitySimulator(api_key=keys["stability"])),
            "xai": opened.enter_context(XAISimulator(api_key=keys["xai"])),
        }
        arguments: list[str] = []
        for provider, simulator in simulators.items():
            arguments += ["--provider-url", f"{provider}={simulator.url}{BELOW.get(provider, '')}"]
        parameters = {"RequestsPerMinute": "100000", "SignInsPerAddress": "100000", "Providers": "local"}
        data = tmp_path_factory.mktemp("own-keys") / "data"
        running = RunningStack(data, parameters=parameters, arguments=arguments)
        opened.enter_context(running)
        yield House(running, simulators, keys)


def key_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["data"]["key"]
    return found


@pytest.mark.parametrize("provider", ["anthropic", "custom", "fal", "openai", "replicate", "stability", "xai"])
def test_every_provider_is_called_with_the_workspaces_key(house: House, provider: str) -> None:
    person = house.person()
    good = key_of(house.add(person, provider, house.keys[provider]))
    wrong = key_of(house.add(person, provider, new_key(provider), "wrong"))
    taken = person.http.post(f"/api/api-keys/{good['id']}/test").json()["data"]["test"]
    refused = person.http.post(f"/api/api-keys/{wrong['id']}/test").json()["data"]["test"]
    assert (taken["ok"], taken["error_class"]) == (True, None)
    assert (refused["ok"], refused["error_class"]) == (False, "auth")
    assert [key["last_test"]["ok"] for key in person.get("/api/api-keys").json()["data"]["items"]] == [True, False]


def test_a_provider_key_appears_only_in_its_providers_requests(house: House) -> None:
    person = house.person()
    good, wrong, refused, repeated = house.keys["openai"], *(new_key("openai") for _ in "123")
    answers = [
        house.add(person, "openai", good),
        house.add(person, "openai", wrong, "wrong", **{"Idempotency-Key": "once"}),
        house.add(person, "openai", wrong, "wrong", **{"Idempotency-Key": "once"}),
        house.add(person, "openai", repeated, "wrong", **{"Idempotency-Key": "once"}),
        house.add(person, "openai", repeated, "wrong"),
        house.add(person, "openai", refused + " with a blank"),
        house.add(person, refused, good),
        house.add(person, "openai", good, "name\n" + refused),
        person.http.post(
            "/api/api-keys", content=f'{{"key": "{refused}"', headers={"Content-Type": "application/json"}
        ),
        person.http.post("/api/api-keys", json={"provider": "openai", "key_name": "x", "key": {"key": refused}}),
        person.http.post("/api/api-keys", json={"provider": "openai", "key_name": "x", refused: refused, "key": good}),
        person.http.post("/api/api-keys", content=refused.encode(), headers={"Content-Type": "text/plain"}),
        person.http.put("/api/settings/providers", json={"providers": [{"id": refused}]}),
        person.http.put("/api/settings/providers", json={"providers": [{"id": "openai", "use_own_key": refused}]}),
        person.http.post("/api/generate/image", json={"prompt": "a lake", "model": "local/canvas", "key": refused}),
    ]
    refusals = [422, 409, 422, 422, 422, 400, 422, 422, 415, 422, 422, 422]
    assert [answer.status_code for answer in answers] == [201, 201, 201, *refusals]
    ids = [key_of(answer)["id"] for answer in answers[:2]]
    answers += [person.http.post(f"/api/api-keys/{key_id}/test") for key_id in ids]
    assert [answer.json()["data"]["test"]["ok"] for answer in answers[-2:]] == [True, False]
    wanted = {"providers": [{"id": "openai", "use_own_key": ids[0]}]}
    answers.append(person.http.put("/api/settings/providers", json=wanted))
    # A counter-check: the search does find a text that is stored.
    seen = secrets.token_hex(16)
    key_of(house.add(person, "anthropic", new_key("anthropic"), seen))
    assert find_in_stack(house.running, [seen])
    rotated = house.running.invoke("SchedulesRewrapProviderKeysFunction", {"new_master_key": True})
    assert rotated["resealed"] >= 2
    answers += [person.get("/api/api-keys"), person.get("/api/settings/providers"), person.get("/api/models")]
    answers += [person.http.delete(f"/api/api-keys/{ids[1]}")]
    keys = [good, wrong, refused, repeated]
    # A text that the caller sent as a field's name may come back to that caller, as the name of that field.
    responses = b"".join(answer.content + str(answer.headers).encode() for answer in answers)
    assert [key for key in (good, wrong, repeated) for dress in encodings(key) if dress in responses] == []
    assert find_in_stack(house.running, keys) == []
    calls = httpx.get(f"{house.simulators['openai'].url}/_simulator/calls").json()["calls"]
    assert [call for call in calls if good in json.dumps(call)]
    for call in calls:
        elsewhere = json.dumps({**call, "headers": {**call["headers"], "Authorization": "", "authorization": ""}})
        assert [key for key in keys if key in elsewhere] == []


def test_a_foreign_provider_key_gets_the_response_of_a_missing_one(house: House) -> None:
    owner, stranger = house.person(), house.person()
    key_id = key_of(house.add(owner, "openai", house.keys["openai"]))["id"]
    missing = f"{key_id[:-4]}0000"
    for method, path, body in (
        ("DELETE", "/api/api-keys/{}", None),
        ("POST", "/api/api-keys/{}/test", None),
        ("PUT", "/api/api-keys/{}", {"is_active": False}),
    ):
        answers = [
            stranger.http.request(method, path.format(each), json=body) for each in (key_id, missing, "nonsense")
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({json.dumps({**answer.json(), "request_id": ""}) for answer in answers}) == 1
    for path in ("/api/api-keys", "/api/settings/providers", "/api/models"):
        assert stranger.http.get(path, headers={"Atelier-Workspace": owner.workspace_id}).status_code == 404
    settings = {"providers": [{"id": "openai", "use_own_key": key_id}]}
    assert stranger.http.put("/api/settings/providers", json=settings).status_code == 422
    [still] = owner.get("/api/api-keys").json()["data"]["items"]
    assert (still["id"], still["is_active"], still["last_test"]) == (key_id, True, None)


def test_provider_settings_apply_from_the_next_request(house: House) -> None:
    person = house.person()
    assert person.generate().status_code == 202
    off = {"providers": [{"id": "local", "enabled": False}]}
    for wanted, status in ((off, 422), ({"providers": []}, 202), (off, 422)):
        assert person.http.put("/api/settings/providers", json=wanted).status_code == 200
        assert person.generate().status_code == status
    bare = {"kind": "image", "model": "local/canvas"}
    assert person.http.post("/api/quotes", json=bare).status_code == 422
    assert house.person().generate().status_code == 202


def test_a_provider_key_is_used_from_the_next_request(house: House) -> None:
    person, model = house.person(), "replicate/sdxl"
    assert person.generate(model=model, width=512, height=512).status_code == 422
    key_id = key_of(house.add(person, "replicate", house.keys["replicate"]))["id"]
    mine = person.generate(model=model, width=512, height=512)
    assert mine.status_code == 202, mine.text
    assert mine.json()["data"]["generation"]["credits_held"] == 0
    assert person.http.put(f"/api/api-keys/{key_id}", json={"is_active": False}).status_code == 200
    assert person.generate(model=model, width=512, height=512).status_code == 422


def test_concurrent_requests_with_one_idempotency_key_add_one_provider_key(house: House) -> None:
    person, key = house.person(), new_key("openai")
    answers = run_concurrently(8, lambda _: house.add(person, "openai", key, **{"Idempotency-Key": "at once"}))
    assert {answer.status_code for answer in answers} == {201}
    assert len({key_of(answer)["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len(person.get("/api/api-keys").json()["data"]["items"]) == 1


def test_provider_keys_are_sealed_with_kms_and_stored_nowhere_in_plain_text(tmp_path: Path) -> None:
    key = new_key("openai")
    with OpenAISimulator(api_key=key) as simulator:
        arguments = ["--provider-url", f"openai={simulator.url}/v1"]
        parameters = {"Providers": "local"}
        with RunningStack(tmp_path / "data", parameters=parameters, arguments=arguments) as running:
            arn = running.aws().client("kms").create_key()["KeyMetadata"]["Arn"]
            person = AccountClient(running.base_url)
            before = person.http.post("/api/api-keys", json={"provider": "openai", "key_name": "before", "key": key})
            assert before.status_code == 201
        # The emulator's folder now holds its whole state, including its secrets.
        assert find_in_files(tmp_path / "data", [key]) == []
        parameters["ProviderKeysKms"] = arn
        with RunningStack(tmp_path / "data", parameters=parameters, arguments=arguments) as running:
            # The stack has another address now, and tokens are valid only for the address where they were issued.
            person.http.base_url = running.base_url
            login = {"email": person.email, "password": PASSWORD, "token_delivery": "body"}
            token = person.http.post("/api/auth/login", json=login).json()["data"]["access_token"]
            person.http.headers["Authorization"] = f"Bearer {token}"
            after = person.http.post("/api/api-keys", json={"provider": "openai", "key_name": "after", "key": key})
            assert after.status_code == 201
            assert running.invoke("SchedulesRewrapProviderKeysFunction", {})["resealed"] == 1
            for made in (before, after):
                test = person.http.post(f"/api/api-keys/{made.json()['data']['key']['id']}/test")
                assert test.json()["data"]["test"]["ok"], test.text
            assert find_in_stack(running, [key]) == []
        assert find_in_files(tmp_path / "data", [key]) == []
