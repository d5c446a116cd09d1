"""Moderation in a deployed function, configured by its settings and the providers secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from atelier.aws.clients import client
from atelier.settings import InvalidSettings, Moderation, ProviderSecrets
from atelier.wiring import moderation
from infra.local.standins.openai import OpenAIStandIn
from tests.embedded_aws import forget_wiring
from tests.functions.answers import answered, data, refusal
from tests.functions.cast import movements
from tests.functions.conftest import Cloud
from tests.functions.test_uploads import PICTURE, begun, completed, sent
from tests.invoke import event, function

FLAGGED = "a fox [[moderation:sexual]]"


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("api/generations")


@pytest.fixture
def openai(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIStandIn]:
    """The stand-in as the moderator of a deployment that refuses more categories than the mandatory ones."""
    with OpenAIStandIn() as running:
        monkeypatch.setenv("ATELIER_PROVIDER_URLS", f"openai={running.base_url}")
        monkeypatch.setenv("ATELIER_MODERATOR", "openai")
        monkeypatch.setenv("ATELIER_MODERATION_CATEGORIES", "weapons, sexual")
        give_access({"openai": {"api_key": running.api_key}})
        yield running


def give_access(access: dict[str, dict[str, str]]) -> None:
    client("secretsmanager").put_secret_value(SecretId=ProviderSecrets.read().secret, SecretString=json.dumps(access))
    forget_wiring(clients=False)


def asking(prompt: str) -> dict[str, object]:
    return event("api/generations/generate_image", body={"prompt": prompt, "model": "local/canvas"})


def test_without_a_moderator_the_blocklist_refuses_alone(app: ModuleType, cloud: Cloud) -> None:
    response = answered(app, asking("child porn"))
    assert refusal(response) == (422, "VALIDATION_FAILED")
    details = json.loads(response["body"])["details"]
    assert details == {
        "fields": [{"path": "prompt", "message": "This may not be asked for here: sexual content with children."}],
        "path": "prompt",
        "category": "minors",
        "categories": ["minors"],
    }
    assert (movements(), cloud.items(cloud.tables.generations)) == ([], [])
    assert data(answered(app, asking(FLAGGED)))["generation"]["status"] == "queued"


def test_the_moderator_is_asked_with_the_platforms_key_and_the_catalogues_model(
    app: ModuleType, openai: OpenAIStandIn
) -> None:
    assert refusal(answered(app, asking(FLAGGED))) == (422, "VALIDATION_FAILED")
    assert data(answered(app, asking("a fox [[moderation:hate]]")))["generation"]["status"] == "queued"
    assert [call["body"]["model"] for call in openai.calls] == ["omni-moderation-latest"] * 2
    assert movements() == ["hold", "grant"]


@pytest.mark.parametrize("access", [{}, {"openai": {}}, {"replicate": {"api_token": "r8"}}], ids=json.dumps)
def test_a_moderator_without_a_key_is_a_silent_one(
    app: ModuleType, openai: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch, access: dict[str, dict[str, str]]
) -> None:
    give_access(access)
    assert data(answered(app, asking(FLAGGED)))["generation"]["status"] == "queued"
    monkeypatch.setenv("ATELIER_MODERATION_UNANSWERED", "refuse")
    forget_wiring(clients=False)
    assert refusal(answered(app, asking("a fox"))) == (503, "UNAVAILABLE")
    assert refusal(answered(app, asking("child porn"))) == (422, "VALIDATION_FAILED")
    assert openai.calls == []


def test_silence_and_refusals_are_counted_and_no_prompt_is_written_to_the_log(
    app: ModuleType, openai: OpenAIStandIn, capsys: pytest.CaptureFixture[str], kept_secret: list[str]
) -> None:
    kept_secret.append("a fox")
    for prompt in ("a fox [[create:lost]]", FLAGGED):
        answered(app, asking(prompt))
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    silent, refused = written
    # Only the service as dimension, because an alarm watches this metric.
    assert (silent["ModerationUnanswered"], silent["_aws"]["CloudWatchMetrics"][0]["Dimensions"]) == (
        [1],
        [["service"]],
    )
    assert (refused["ModerationRefused"], refused["category"], refused["by"]) == ([1], "sexual", "moderator")


def test_a_secret_that_cannot_be_read_is_silence_too(
    app: ModuleType, openai: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_SECRET_PROVIDERS", "there-is-none")
    forget_wiring(clients=False)
    assert data(answered(app, asking(FLAGGED)))["generation"]["status"] == "queued"


def test_a_picture_that_may_not_be_made_is_not_taken_as_an_upload_either(cloud: Cloud, openai: OpenAIStandIn) -> None:
    app = function("api/uploads")
    upload = data(begun(app))
    assert sent(upload["upload"], PICTURE) == 204
    openai.behave("moderation:sexual")
    refused = completed(app, upload["asset"]["id"])
    assert refusal(refused) == (422, "VALIDATION_FAILED")
    details = json.loads(refused["body"])["details"]
    assert (details["category"], details["path"], cloud.keys("media/")) == ("sexual", "file", [])
    assert data(completed(app, upload["asset"]["id"]))["asset"]["format"] == "png"
    assert [len(call["body"]["input"]) for call in openai.calls] == [1, 1]


def test_a_picture_in_a_conversation_is_judged_before_anything_is_held(cloud: Cloud, openai: OpenAIStandIn) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    said = [{"type": "text", "text": "Who?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "local/writer", "messages": [{"role": "user", "content": said}]}
    openai.behave("moderation:sexual")
    refused = answered(function("v1"), event("v1/complete", body=body))
    error = json.loads(refused["body"])["error"]
    assert (refused["statusCode"], error["code"], error["param"]) == (400, "content_policy_violation", "messages")
    assert "sexual content" in error["message"]
    assert (movements(), cloud.items(cloud.tables.generations), cloud.keys("media/")) == ([], [], [])


def test_a_setting_that_means_nothing_is_refused(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_MODERATION_CATEGORIES", "weapons,rudeness")
    forget_wiring(clients=False)
    with pytest.raises(ValueError, match="rudeness"):
        moderation.policy()
    monkeypatch.setenv("ATELIER_MODERATOR", "somebody")
    forget_wiring(clients=False)
    with pytest.raises(InvalidSettings, match="ATELIER_MODERATOR"):
        Moderation.read()
