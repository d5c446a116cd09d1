"""functions/api/generations, fed with events: what is stored, what is held, and the responses."""

from __future__ import annotations

import io
import json
from types import ModuleType

import pytest

from atelier.generations.model import Status
from atelier.wiring import generations, ledger
from tests.functions.answers import answered, data, refusal, stranger
from tests.functions.cast import GENERATION, PROMPT, USER, WORKSPACE, ask, attempted, current, movements
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function

DAILY = 50


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("api/generations")


@pytest.mark.parametrize("name", ["generate", "generate_image"])
def test_asking_stores_a_queued_generation_with_its_hold(app: ModuleType, cloud: Cloud, name: str) -> None:
    response = answered(app, example(f"api/generations/{name}"))
    assert response["statusCode"] == 202
    view = data(response)["generation"]
    assert response["headers"]["Location"] == f"/api/generations/{view['id']}"
    stored = generations.store().get(WORKSPACE, view["id"])
    assert (stored.status, stored.user_id, stored.recipe.prompt) == (Status.QUEUED, USER, PROMPT)
    assert stored.recipe.parameters == {"width": 512, "height": 512, "n": 1, "seed": 7}
    assert movements() == ["hold", "grant"]
    wallet = ledger.wallets().wallet(WORKSPACE)
    assert (wallet.available, wallet.held) == (DAILY - view["credits_held"], view["credits_held"])


def test_the_line_about_a_request_tells_whose_it_was_and_what_it_made(
    app: ModuleType, cloud: Cloud, log: io.StringIO
) -> None:
    made = data(answered(app, example("api/generations/generate")))["generation"]["id"]
    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["user_id"], line["workspace_id"], line["made"]) == (USER, WORKSPACE, made)


def test_the_same_key_is_answered_with_the_same_generation(app: ModuleType, cloud: Cloud) -> None:
    first, again = (answered(app, example("api/generations/generate")) for _ in range(2))
    assert data(first) == data(again)
    assert "Idempotent-Replayed" not in first["headers"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert movements() == ["hold", "grant"]
    other = event("api/generations/generate", body={"kind": "image", "prompt": "something else"})
    assert refusal(answered(app, other)) == (422, "IDEMPOTENCY_MISMATCH")


def test_without_credits_nothing_is_stored(app: ModuleType, cloud: Cloud) -> None:
    body = {"prompt": PROMPT, "model": "local/canvas", "parameters": {"width": 2048, "height": 2048, "n": 4}}
    response = answered(app, event("api/generations/generate_image", body=body))
    assert refusal(response) == (402, "INSUFFICIENT_CREDITS")
    assert json.loads(response["body"])["details"] == {"limit": "wallet", "needed": 64, "available": DAILY}
    assert cloud.items(cloud.tables.generations) == []
    assert movements() == ["grant"]


def test_a_body_that_is_refused_is_not_echoed_into_the_log(app: ModuleType, cloud: Cloud) -> None:
    # After the test, the fixture `log` searches the log for the prompt.
    for body in (
        {"prompt": PROMPT, "surprise": PROMPT},
        f'{{"prompt": "{PROMPT}"',
        {"prompt": PROMPT, "model": "no/1"},
    ):
        assert answered(app, event("api/generations/generate_image", body=body))["statusCode"] in (400, 422)
    assert cloud.items(cloud.tables.generations) == []


def test_a_generation_is_read_and_listed(app: ModuleType, cloud: Cloud) -> None:
    ask()
    one = data(answered(app, example("api/generations/get")))["generation"]
    assert (one["id"], one["status"], one["prompt"], one["assets"]) == (GENERATION, "queued", PROMPT, [])
    assert data(answered(app, example("api/generations/list"))) == {"items": [one], "next_cursor": None}
    attempted(current())
    assert data(answered(app, example("api/generations/list")))["items"] == []


def test_a_recipe_asked_for_again_makes_the_same(app: ModuleType, cloud: Cloud) -> None:
    ask()
    recipe = data(answered(app, example("api/generations/recipe")))["recipe"]
    again = data(answered(app, event("api/generations/generate", body=recipe)))["generation"]
    assert again["id"] != GENERATION
    assert generations.store().get(WORKSPACE, again["id"]).recipe == current().recipe


def test_a_retry_is_a_new_generation_of_the_same_recipe(app: ModuleType, cloud: Cloud) -> None:
    ask()
    response = answered(app, example("api/generations/retry"))
    assert response["statusCode"] == 202
    again = generations.store().get(WORKSPACE, data(response)["generation"]["id"])
    assert again.id != GENERATION
    assert again.recipe == current().recipe
    assert movements() == ["hold", "hold", "grant"]


def test_cancelling_what_waits_is_final_and_free(app: ModuleType, cloud: Cloud) -> None:
    ask()
    first, again = (answered(app, example("api/generations/cancel")) for _ in range(2))
    assert [response["statusCode"] for response in (first, again)] == [200, 200]
    assert data(again)["generation"]["status"] == "cancelled"
    assert movements() == ["released", "hold", "grant"]
    assert ledger.wallets().wallet(WORKSPACE).available == DAILY


def test_cancelling_what_runs_is_written_for_its_provider_to_be_told(app: ModuleType, cloud: Cloud) -> None:
    attempted(ask())
    response = answered(app, example("api/generations/cancel"))
    assert response["statusCode"] == 202
    assert data(response)["generation"]["cancel_requested"] is True
    assert current().status is Status.RUNNING
    assert current().cancel_requested_at is not None
    assert movements() == ["hold", "grant"]


@pytest.mark.parametrize("name", ["get", "recipe"])
def test_a_foreign_generation_looks_like_a_missing_one(app: ModuleType, cloud: Cloud, name: str) -> None:
    missing = answered(app, example(f"api/generations/{name}"))
    ask()
    foreign = answered(app, stranger(f"api/generations/{name}"))
    assert refusal(missing) == refusal(foreign) == (404, "NOT_FOUND")
    assert missing["body"] == foreign["body"]


@pytest.mark.parametrize("name", ["generate", "list", "get", "cancel", "retry", "recipe"])
def test_nobody_is_let_in_without_a_token(app: ModuleType, cloud: Cloud, name: str) -> None:
    ask()
    request = example(f"api/generations/{name}")
    request["requestContext"]["authorizer"] = {"lambda": {"reason": "This call needs an access token."}}
    assert refusal(answered(app, request)) == (401, "UNAUTHENTICATED")
    assert current().status is Status.QUEUED
    assert movements() == ["hold", "grant"]


def test_a_request_larger_than_can_be_kept_is_refused_at_its_longest_text(app: ModuleType, cloud: Cloud) -> None:
    said = [{"role": "user", "content": "\x01" * 40_000}]
    body = {"kind": "text", "prompt": "go on", "parameters": {"messages": said}, "enhance_prompt": True}
    response = app.handler(event("api/generations/generate", body=body), None)
    assert response["statusCode"] == 422
    assert json.loads(response["body"])["details"]["fields"][0]["path"] == "parameters.messages"
    assert cloud.items(cloud.tables.generations) == []
