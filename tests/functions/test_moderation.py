"""Moderation in a deployed function, configured by its settings and the providers secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from atelier.adapters.aws.clients import client
from atelier.environment import InvalidSettings
from atelier.provider_settings import ProviderSecrets
from atelier.settings import Moderation
from atelier.wiring import moderation
from infra.simulators.openai import OpenAISimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import USER, movement_kinds
from tests.functions.responses import error_of, invoke_app, success_data
from tests.functions.test_uploads import PICTURE, begun, completed, sent
from tests.invoke import event, load_function

FLAGGED = "a fox [[moderation:sexual]]"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/generations")


@pytest.fixture
def openai(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAISimulator]:
    """The simulator as the moderator of a deployment that refuses more categories than the mandatory ones."""
    with OpenAISimulator() as running:
        monkeypatch.setenv("ATELIER_PROVIDER_URLS", f"openai={running.base_url}")
        monkeypatch.setenv("ATELIER_MODERATOR", "openai")
        monkeypatch.setenv("ATELIER_MODERATION_CATEGORIES", "weapons, sexual")
        give_access({"openai": {"api_key": running.api_key}})
        yield running


def give_access(access: dict[str, dict[str, str]]) -> None:
    client("secretsmanager").put_secret_value(SecretId=ProviderSecrets.read().secret, SecretString=json.dumps(access))
    clear_wiring_caches(clients=False)


def asking(prompt: str) -> dict[str, object]:
    return event("api/generations/generate_image", body={"prompt": prompt, "model": "local/canvas"})


def test_the_blocklist_refuses_a_prompt_without_a_moderator(app: ModuleType, cloud: AwsResources) -> None:
    response = invoke_app(app, asking("child porn"))
    assert error_of(response) == (422, "VALIDATION_FAILED")
    details = json.loads(response["body"])["details"]
    assert details == {
        "fields": [{"path": "prompt", "message": "Not allowed here: sexual content with children."}],
        "path": "prompt",
        "category": "minors",
        "categories": ["minors"],
    }
    assert movement_kinds() == []
    stored = cloud.items(cloud.tables.generations)
    assert sorted(item["sk"]["S"][:4] for item in stored) == ["mod_", "refu"]
    assert "porn" not in json.dumps(stored)
    assert success_data(invoke_app(app, asking(FLAGGED)))["generation"]["status"] == "queued"


def test_a_refused_request_is_stored_once_under_its_key_without_its_text(app: ModuleType, cloud: AwsResources) -> None:
    asked = event(
        "api/generations/generate_image",
        headers={"idempotency-key": "order 7"},
        body={"prompt": "child porn", "model": "local/canvas"},
    )
    for _ in range(2):
        assert error_of(invoke_app(app, asked)) == (422, "VALIDATION_FAILED")
    [refusal] = [item for item in cloud.items(cloud.tables.generations) if item["pk"]["S"] != "moderation"]
    kept = {name: value["S"] for name, value in refusal.items() if name not in ("pk", "sk", "at")}
    assert kept == {"user_id": USER, "kind": "image", "model": "local/canvas", "category": "minors"}
    assert refusal["sk"]["S"].startswith("refusal#")
    assert "order 7" not in json.dumps(refusal)


def test_the_moderator_is_called_with_the_catalogues_model(app: ModuleType, openai: OpenAISimulator) -> None:
    assert error_of(invoke_app(app, asking(FLAGGED))) == (422, "VALIDATION_FAILED")
    assert success_data(invoke_app(app, asking("a fox [[moderation:hate]]")))["generation"]["status"] == "queued"
    assert [call["body"]["model"] for call in openai.calls] == ["omni-moderation-latest"] * 2
    assert movement_kinds() == ["hold", "grant"]


@pytest.mark.parametrize("access", [{}, {"openai": {}}, {"replicate": {"api_token": "r8"}}], ids=json.dumps)
def test_a_moderator_without_a_key_counts_as_unanswered(
    app: ModuleType, openai: OpenAISimulator, monkeypatch: pytest.MonkeyPatch, access: dict[str, dict[str, str]]
) -> None:
    give_access(access)
    assert success_data(invoke_app(app, asking(FLAGGED)))["generation"]["status"] == "queued"
    monkeypatch.setenv("ATELIER_MODERATION_UNANSWERED", "refuse")
    clear_wiring_caches(clients=False)
    assert error_of(invoke_app(app, asking("a fox"))) == (503, "UNAVAILABLE")
    assert error_of(invoke_app(app, asking("child porn"))) == (422, "VALIDATION_FAILED")
    assert openai.calls == []


def test_unanswered_and_refused_prompts_are_counted_and_not_logged(
    app: ModuleType, openai: OpenAISimulator, capsys: pytest.CaptureFixture[str], kept_secret: list[str]
) -> None:
    kept_secret.append("a fox")
    for prompt in ("a fox [[create:lost]]", FLAGGED):
        invoke_app(app, asking(prompt))
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    silent, refused = written
    # Only the service as dimension, because an alarm watches this metric.
    assert (silent["ModerationUnanswered"], silent["_aws"]["CloudWatchMetrics"][0]["Dimensions"]) == (
        [1],
        [["service"]],
    )
    assert (refused["ModerationRefused"], refused["category"], refused["by"]) == ([1], "sexual", "moderator")


def test_an_unreadable_providers_secret_counts_as_unanswered(
    app: ModuleType, openai: OpenAISimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_SECRET_PROVIDERS", "there-is-none")
    clear_wiring_caches(clients=False)
    assert success_data(invoke_app(app, asking(FLAGGED)))["generation"]["status"] == "queued"


def test_an_uploaded_image_of_a_refused_category_is_rejected(cloud: AwsResources, openai: OpenAISimulator) -> None:
    app = load_function("api/uploads")
    upload = success_data(begun(app))
    assert sent(upload["upload"], PICTURE) == 204
    openai.behave("moderation:sexual")
    refused = completed(app, upload["asset"]["id"])
    assert error_of(refused) == (422, "VALIDATION_FAILED")
    details = json.loads(refused["body"])["details"]
    assert (details["category"], details["path"], cloud.bucket_keys("media/")) == ("sexual", "file", [])
    assert success_data(completed(app, upload["asset"]["id"]))["asset"]["format"] == "png"
    assert [len(call["body"]["input"]) for call in openai.calls] == [1, 1]


def test_an_image_in_a_conversation_is_moderated_before_the_hold(cloud: AwsResources, openai: OpenAISimulator) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    said = [{"type": "text", "text": "Who?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "local/writer", "messages": [{"role": "user", "content": said}]}
    openai.behave("moderation:sexual")
    refused = invoke_app(load_function("v1"), event("v1/complete", body=body))
    error = json.loads(refused["body"])["error"]
    assert (refused["statusCode"], error["code"], error["param"]) == (400, "content_policy_violation", "messages")
    assert "sexual content" in error["message"]
    assert (movement_kinds(), cloud.items(cloud.tables.generations), cloud.bucket_keys("media/")) == ([], [], [])


def test_an_unknown_moderation_setting_is_refused(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_MODERATION_CATEGORIES", "weapons,rudeness")
    clear_wiring_caches(clients=False)
    with pytest.raises(ValueError, match="rudeness"):
        moderation.policy()
    monkeypatch.setenv("ATELIER_MODERATOR", "somebody")
    clear_wiring_caches(clients=False)
    with pytest.raises(InvalidSettings, match="ATELIER_MODERATOR"):
        Moderation.read()
