"""functions/api/generations, fed with events: what is stored, what is held, and the responses."""

from __future__ import annotations

import io
import json
from types import ModuleType

import pytest

from atelier.generations.model import Status
from atelier.wiring import generations, ledger
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    GENERATION,
    PROMPT,
    USER,
    WORKSPACE,
    movement_kinds,
    start_attempt,
    stored_generation,
    submit_example,
)
from tests.functions.responses import error_of, foreign_event, invoke_app, success_data
from tests.invoke import event, example_event, load_function

DAILY = 50


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/generations")


@pytest.mark.parametrize("name", ["generate", "generate_image"])
def test_a_request_stores_a_queued_generation_with_its_hold(app: ModuleType, cloud: AwsResources, name: str) -> None:
    response = invoke_app(app, example_event(f"api/generations/{name}"))
    assert response["statusCode"] == 202
    view = success_data(response)["generation"]
    assert response["headers"]["Location"] == f"/api/generations/{view['id']}"
    stored = generations.store().get(WORKSPACE, view["id"])
    assert (stored.status, stored.user_id, stored.recipe.prompt) == (Status.QUEUED, USER, PROMPT)
    assert stored.recipe.parameters == {"width": 512, "height": 512, "n": 1, "seed": 7}
    assert movement_kinds() == ["hold", "grant"]
    wallet = ledger.wallets().wallet(WORKSPACE)
    assert (wallet.available, wallet.held) == (DAILY - view["credits_held"], view["credits_held"])


def test_the_request_log_line_names_user_workspace_and_generation(
    app: ModuleType, cloud: AwsResources, log: io.StringIO
) -> None:
    made = success_data(invoke_app(app, example_event("api/generations/generate")))["generation"]["id"]
    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["user_id"], line["workspace_id"], line["made"]) == (USER, WORKSPACE, made)


def test_a_repeated_idempotency_key_returns_the_same_generation(app: ModuleType, cloud: AwsResources) -> None:
    first, again = (invoke_app(app, example_event("api/generations/generate")) for _ in range(2))
    assert success_data(first) == success_data(again)
    assert "Idempotent-Replayed" not in first["headers"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert movement_kinds() == ["hold", "grant"]
    other = event("api/generations/generate", body={"kind": "image", "prompt": "something else"})
    assert error_of(invoke_app(app, other)) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_request_beyond_the_credits_stores_no_generation(app: ModuleType, cloud: AwsResources) -> None:
    body = {"prompt": PROMPT, "model": "local/canvas", "parameters": {"width": 2048, "height": 2048, "n": 4}}
    response = invoke_app(app, event("api/generations/generate_image", body=body))
    assert error_of(response) == (402, "INSUFFICIENT_CREDITS")
    assert json.loads(response["body"])["details"] == {"limit": "wallet", "needed": 64, "available": DAILY}
    assert cloud.items(cloud.tables.generations) == []
    assert movement_kinds() == ["grant"]


def test_a_refused_body_is_not_logged(app: ModuleType, cloud: AwsResources) -> None:
    # After the test, the fixture `log` searches the log for the prompt.
    for body in (
        {"prompt": PROMPT, "surprise": PROMPT},
        f'{{"prompt": "{PROMPT}"',
        {"prompt": PROMPT, "model": "no/1"},
    ):
        assert invoke_app(app, event("api/generations/generate_image", body=body))["statusCode"] in (400, 422)
    assert cloud.items(cloud.tables.generations) == []


def test_a_generation_is_read_and_listed(app: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    one = success_data(invoke_app(app, example_event("api/generations/get")))["generation"]
    assert (one["id"], one["status"], one["prompt"], one["assets"]) == (GENERATION, "queued", PROMPT, [])
    assert success_data(invoke_app(app, example_event("api/generations/list"))) == {"items": [one], "next_cursor": None}
    start_attempt(stored_generation())
    assert success_data(invoke_app(app, example_event("api/generations/list")))["items"] == []


def test_a_recipe_sent_again_creates_a_generation_with_the_same_recipe(app: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    recipe = success_data(invoke_app(app, example_event("api/generations/recipe")))["recipe"]
    again = success_data(invoke_app(app, event("api/generations/generate", body=recipe)))["generation"]
    assert again["id"] != GENERATION
    assert generations.store().get(WORKSPACE, again["id"]).recipe == stored_generation().recipe


def test_a_retry_is_a_new_generation_of_the_same_recipe(app: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    response = invoke_app(app, example_event("api/generations/retry"))
    assert response["statusCode"] == 202
    again = generations.store().get(WORKSPACE, success_data(response)["generation"]["id"])
    assert again.id != GENERATION
    assert again.recipe == stored_generation().recipe
    assert movement_kinds() == ["hold", "hold", "grant"]


def test_cancelling_a_queued_generation_releases_its_hold(app: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    first, again = (invoke_app(app, example_event("api/generations/cancel")) for _ in range(2))
    assert [response["statusCode"] for response in (first, again)] == [200, 200]
    assert success_data(again)["generation"]["status"] == "cancelled"
    assert movement_kinds() == ["released", "hold", "grant"]
    assert ledger.wallets().wallet(WORKSPACE).available == DAILY


def test_cancelling_a_running_generation_records_the_request(app: ModuleType, cloud: AwsResources) -> None:
    start_attempt(submit_example())
    response = invoke_app(app, example_event("api/generations/cancel"))
    assert response["statusCode"] == 202
    assert success_data(response)["generation"]["cancel_requested"] is True
    assert stored_generation().status is Status.RUNNING
    assert stored_generation().cancel_requested_at is not None
    assert movement_kinds() == ["hold", "grant"]


@pytest.mark.parametrize("name", ["get", "recipe"])
def test_a_foreign_generation_gets_the_response_of_a_missing_one(
    app: ModuleType, cloud: AwsResources, name: str
) -> None:
    missing = invoke_app(app, example_event(f"api/generations/{name}"))
    submit_example()
    foreign = invoke_app(app, foreign_event(f"api/generations/{name}"))
    assert error_of(missing) == error_of(foreign) == (404, "NOT_FOUND")
    assert missing["body"] == foreign["body"]


@pytest.mark.parametrize("name", ["generate", "list", "get", "cancel", "retry", "recipe"])
def test_a_request_without_a_token_is_unauthenticated(app: ModuleType, cloud: AwsResources, name: str) -> None:
    submit_example()
    request = example_event(f"api/generations/{name}")
    request["requestContext"]["authorizer"] = {"lambda": {"reason": "This call needs an access token."}}
    assert error_of(invoke_app(app, request)) == (401, "UNAUTHENTICATED")
    assert stored_generation().status is Status.QUEUED
    assert movement_kinds() == ["hold", "grant"]


def test_a_request_too_large_to_store_is_refused_at_its_longest_field(app: ModuleType, cloud: AwsResources) -> None:
    said = [{"role": "user", "content": "\x01" * 40_000}]
    body = {"kind": "text", "prompt": "go on", "parameters": {"messages": said}, "enhance_prompt": True}
    response = app.handler(event("api/generations/generate", body=body), None)
    assert response["statusCode"] == 422
    assert json.loads(response["body"])["details"]["fields"][0]["path"] == "parameters.messages"
    assert cloud.items(cloud.tables.generations) == []
