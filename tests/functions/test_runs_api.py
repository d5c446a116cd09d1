"""Runs over HTTP: how stages are requested, stored, held and shown."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from atelier.clock import system_clock
from atelier.generations.finish import finish
from atelier.generations.model import Delivered, Generation, Status, asset_id
from atelier.generations.outcome import Outcome
from atelier.generations.run import finish_run, plan_stage
from atelier.wiring import generations, library, runs, workflow
from tests.functions.answers import answered, data, refusal
from tests.functions.cast import PROMPT, WORKSPACE, movements
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function

FAILED = Outcome("failed", error_class="transient", message="It broke.")


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("api/generations")


def at(path: str, **changes: Any) -> dict[str, Any]:
    """A request to another path than the example's."""
    request = event("api/generations/generate_image", **changes)
    request["requestContext"]["http"]["path"] = path
    return request | {"rawPath": path}


def get(app: ModuleType, run_id: str) -> dict[str, Any]:
    request = example("api/generations/get")
    request["requestContext"]["http"]["path"] = f"/api/generations/{run_id}"
    return data(answered(app, request | {"rawPath": f"/api/generations/{run_id}"}))["generation"]


def asked(app: ModuleType) -> dict[str, Any]:
    response = answered(app, example("api/generations/run_pipeline"))
    assert response["statusCode"] == 202, response["body"]
    return data(response)["generation"]


def plan(run_id: str) -> Generation:
    stage = plan_stage(WORKSPACE, run_id, None, to=runs.planning(), now=system_clock())
    assert stage is not None
    return stage


def test_a_run_is_stored_whole_with_one_hold_for_its_stages(app: ModuleType, cloud: Cloud) -> None:
    run = asked(app)
    assert (run["kind"], run["pipeline"], run["status"], run["credits_held"]) == (
        "video",
        "image_to_video",
        "queued",
        5,
    )
    stored = generations.store().get(WORKSPACE, run["id"])
    assert stored.pipeline is not None
    assert [stage.candidates for stage in stored.pipeline.stages] == [("local/canvas",), ("local/film",)]
    assert movements() == ["hold", "grant"]


def test_the_pipelines_are_told_with_their_stages(app: ModuleType, cloud: Cloud) -> None:
    request = example("api/generations/list")
    request["requestContext"]["http"]["path"] = "/api/pipelines"
    items = data(answered(app, request | {"rawPath": "/api/pipelines", "rawQueryString": ""}))["items"]
    told = {item["name"]: [stage["name"] for stage in item["stages"]] for item in items}
    assert told["talking_avatar"] == ["speech", "avatar"]
    assert told["enhanced_upscale"] == ["enhance", "image", "upscale"]


def test_a_run_shows_its_stages_as_they_come(app: ModuleType, cloud: Cloud) -> None:
    run = asked(app)
    assert run["stages"] == []
    stage = plan(run["id"])
    shown = get(app, run["id"])
    assert [(each["name"], each["generation_id"], each["status"]) for each in shown["stages"]] == [
        ("image", stage.id, "queued")
    ]
    of_stage = get(app, stage.id)
    assert (of_stage["parent_id"], of_stage["stage"]) == (run["id"], "image")
    listed = data(answered(app, event("api/generations/list", queryStringParameters={})))["items"]
    assert [each["id"] for each in listed] == [run["id"]]


def test_a_recipe_of_a_run_asked_for_again_makes_the_same(app: ModuleType, cloud: Cloud) -> None:
    run = asked(app)
    request = example("api/generations/recipe")
    path = f"/api/generations/{run['id']}/recipe"
    request["requestContext"]["http"]["path"] = path
    recipe = data(answered(app, request | {"rawPath": path}))["recipe"]
    again = data(answered(app, at("/api/generate", body=recipe)))["generation"]
    stored = [generations.store().get(WORKSPACE, each) for each in (run["id"], again["id"])]
    assert again["id"] != run["id"]
    assert stored[0].pipeline == stored[1].pipeline


def test_a_prompt_that_is_to_be_enhanced_makes_a_run_whose_recipe_is_plain(app: ModuleType, cloud: Cloud) -> None:
    body = {"prompt": PROMPT, "model": "local/canvas", "enhance_prompt": True, "parameters": {"seed": 7}}
    headers = {"idempotency-key": "k1"}
    first = answered(app, at("/api/generate/image", body=body, headers=headers))
    run = data(first)["generation"]
    assert (run["kind"], run["pipeline"], run["enhanced_prompt"]) == ("image", "enhanced", None)
    again = answered(app, at("/api/generate/image", body=body, headers=headers))
    assert data(again)["generation"]["id"] == run["id"]
    other = answered(app, at("/api/generate/image", body={**body, "enhance_prompt": False}, headers=headers))
    assert refusal(other) == (422, "IDEMPOTENCY_MISMATCH")
    path = f"/api/generations/{run['id']}/recipe"
    request = example("api/generations/recipe")
    request["requestContext"]["http"]["path"] = path
    recipe = data(answered(app, request | {"rawPath": path}))["recipe"]
    assert (recipe["enhance_prompt"], recipe["pipeline"], recipe["model"]) == (True, None, "local/canvas")


def test_a_quote_for_a_run_is_redeemed_by_it(app: ModuleType, cloud: Cloud) -> None:
    body = {"pipeline": "talking_avatar", "prompt": PROMPT, "stages": {"avatar": {"model": "local/talker"}}}
    quoted = data(answered(app, at("/api/quotes", body=body)))
    assert quoted["credits_max"] == 7
    run = data(answered(app, at("/api/pipelines", body={**body, "quote_id": quoted["quote_id"]})))["generation"]
    assert (run["credits_held"], run["quote_id"]) == (7, quoted["quote_id"].partition(".")[0])
    plain = {"kind": "image", "prompt": PROMPT, "model": "local/canvas", "enhance_prompt": True}
    quoted = data(answered(app, at("/api/quotes", body=plain)))
    made = answered(app, at("/api/generate", body={**plain, "quote_id": quoted["quote_id"]}))
    assert data(made)["generation"]["credits_held"] == quoted["credits_max"] == 5


def test_what_does_not_fit_a_run_is_named_by_its_stage(app: ModuleType, cloud: Cloud) -> None:
    for body, path in (
        ({"stages": {"image": {"parameters": {"width": 5000}}}}, "stages.image.parameters.width"),
        ({"stages": {"speech": {}}}, "stages.speech"),
        ({"pipeline": "talking_avatar", "enhance_prompt": True}, "enhance_prompt"),
    ):
        asked = {"pipeline": "image_to_video", "prompt": PROMPT, **body}
        answer = answered(app, at("/api/pipelines", body=asked))
        assert refusal(answer) == (422, "VALIDATION_FAILED")
        assert f'"path":"{path}"' in answer["body"].replace(" ", "")
    foreign = {"pipeline": "image_to_video", "prompt": PROMPT, "parameters": {"width": 512}}
    assert refusal(answered(app, at("/api/generate", body=foreign))) == (422, "VALIDATION_FAILED")
    assert cloud.items(cloud.tables.generations) == []


def test_a_retry_of_a_run_takes_over_what_it_has_made(app: ModuleType, cloud: Cloud) -> None:
    run = asked(app)
    image = plan(run["id"])
    delivered = Delivered(asset_id(image.id, 0), "image", "0" * 64, "png", 5, 256, 256)
    library.assets().record(image, delivered, 0)
    done = image.succeeded((delivered,), 1, system_clock())
    generations.store().close_as_ended(done)
    film = plan(run["id"])
    finish(WORKSPACE, film.id, FAILED, to=workflow.finishing(), now=system_clock())
    ended = finish_run(WORKSPACE, run["id"], to=generations.closing(), now=system_clock())
    assert (ended.status, ended.credits_charged) == (Status.FAILED, 1)
    # A retry of a stage is a retry of its run.
    for tried in (run["id"], film.id):
        again = data(answered(app, at(f"/api/generations/{tried}/retry", body="")))["generation"]
        assert again["credits_held"] == 4
        shown = get(app, again["id"])["stages"]
        assert [(stage["name"], stage["generation_id"]) for stage in shown] == [("image", image.id)]
        # The stage was paid in the run that generated it.
        assert (shown[0]["credits_charged"], shown[0]["cost_microusd"]) == (0, 0)


def test_a_retry_with_a_key_stays_the_same_whatever_is_left_to_be_made(app: ModuleType, cloud: Cloud) -> None:
    run = asked(app)
    path = f"/api/generations/{run['id']}/retry"
    request = at(path, body="", headers={"idempotency-key": "again-1"})
    first = data(answered(app, request))["generation"]
    # Meanwhile the run has finished a stage that a retry would reuse now.
    image = plan(run["id"])
    delivered = Delivered(asset_id(image.id, 0), "image", "0" * 64, "png", 5, 256, 256)
    library.assets().record(image, delivered, 0)
    generations.store().close_as_ended(image.succeeded((delivered,), 1, system_clock()))
    again = answered(app, request)
    assert (again["statusCode"], data(again)["generation"]["id"]) == (202, first["id"])
    assert movements().count("hold") == 2


def test_the_retry_of_a_served_result_makes_what_was_made_for_it(app: ModuleType, cloud: Cloud) -> None:
    body = {"pipeline": "image_to_video", "prompt": PROMPT, "reuse": True}
    run = data(answered(app, at("/api/generate", body=body)))["generation"]
    for form in ("png", "mp4"):
        stage = plan(run["id"])
        delivered = Delivered(asset_id(stage.id, 0), "image" if form == "png" else "video", "0" * 64, form, 5, 256, 256)
        library.assets().record(stage, delivered, 0)
        generations.store().close_as_ended(stage.succeeded((delivered,), 1, system_clock()))
    finish_run(WORKSPACE, run["id"], to=generations.closing(), now=system_clock())
    served = data(answered(app, at("/api/generate", body=body)))["generation"]
    assert (served["status"], served["credits_held"]) == ("succeeded", 0)
    again = data(answered(app, at(f"/api/generations/{served['id']}/retry", body="")))["generation"]
    assert (again["pipeline"], again["credits_held"]) == ("image_to_video", run["credits_held"])
