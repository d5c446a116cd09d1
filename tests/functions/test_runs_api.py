"""Runs over HTTP: how stages are requested, stored, held and shown."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from atelier.clock import system_clock
from atelier.generations.finish import finish
from atelier.generations.model import DeliveredFile, Generation, Status, asset_id
from atelier.generations.outcome import Outcome
from atelier.generations.pipeline_run import finish_run, plan_stage
from atelier.wiring import generations, runs, workflow
from tests.functions.conftest import AwsResources
from tests.functions.example_data import PROMPT, WORKSPACE, movement_kinds
from tests.functions.responses import error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function
from tests.recorded_assets import record_asset

FAILED = Outcome("failed", error_class="transient", message="It broke.")


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/generations")


def at(path: str, **changes: Any) -> dict[str, Any]:
    """A request to another path than the example's."""
    request = event("api/generations/generate_image", **changes)
    request["requestContext"]["http"]["path"] = path
    return request | {"rawPath": path}


def get(app: ModuleType, run_id: str) -> dict[str, Any]:
    request = example_event("api/generations/get")
    request["requestContext"]["http"]["path"] = f"/api/generations/{run_id}"
    return success_data(invoke_app(app, request | {"rawPath": f"/api/generations/{run_id}"}))["generation"]


def request_run(app: ModuleType) -> dict[str, Any]:
    response = invoke_app(app, example_event("api/generations/run_pipeline"))
    assert response["statusCode"] == 202, response["body"]
    return success_data(response)["generation"]


def plan(run_id: str) -> Generation:
    stage = plan_stage(WORKSPACE, run_id, None, deps=runs.plan_stage_deps(), now=system_clock())
    assert stage is not None
    return stage


def test_a_run_is_stored_with_one_hold_for_all_its_stages(app: ModuleType, cloud: AwsResources) -> None:
    run = request_run(app)
    assert (run["kind"], run["pipeline"], run["status"], run["credits_held"]) == (
        "video",
        "image_to_video",
        "queued",
        5,
    )
    stored = generations.store().get(WORKSPACE, run["id"])
    assert stored.pipeline is not None
    assert [stage.candidates for stage in stored.pipeline.stages] == [("local/canvas",), ("local/film",)]
    assert movement_kinds() == ["hold", "grant"]


def test_pipelines_are_listed_with_their_stages(app: ModuleType, cloud: AwsResources) -> None:
    request = example_event("api/generations/list")
    request["requestContext"]["http"]["path"] = "/api/pipelines"
    items = success_data(invoke_app(app, request | {"rawPath": "/api/pipelines", "rawQueryString": ""}))["items"]
    stages_by_pipeline = {item["name"]: [stage["name"] for stage in item["stages"]] for item in items}
    assert stages_by_pipeline["talking_avatar"] == ["speech", "avatar"]
    assert stages_by_pipeline["enhanced_upscale"] == ["enhance", "image", "upscale"]


def test_a_run_shows_each_stage_once_it_is_planned(app: ModuleType, cloud: AwsResources) -> None:
    run = request_run(app)
    assert run["stages"] == []
    stage = plan(run["id"])
    shown = get(app, run["id"])
    assert [(each["name"], each["generation_id"], each["status"]) for each in shown["stages"]] == [
        ("image", stage.id, "queued")
    ]
    of_stage = get(app, stage.id)
    assert (of_stage["parent_id"], of_stage["stage"]) == (run["id"], "image")
    listed = success_data(invoke_app(app, event("api/generations/list", queryStringParameters={})))["items"]
    assert [each["id"] for each in listed] == [run["id"]]


def test_a_runs_recipe_sent_again_creates_a_run_with_the_same_stages(app: ModuleType, cloud: AwsResources) -> None:
    run = request_run(app)
    request = example_event("api/generations/recipe")
    path = f"/api/generations/{run['id']}/recipe"
    request["requestContext"]["http"]["path"] = path
    recipe = success_data(invoke_app(app, request | {"rawPath": path}))["recipe"]
    again = success_data(invoke_app(app, at("/api/generate", body=recipe)))["generation"]
    stored = [generations.store().get(WORKSPACE, each) for each in (run["id"], again["id"])]
    assert again["id"] != run["id"]
    assert stored[0].pipeline == stored[1].pipeline


def test_an_enhanced_prompt_creates_a_run_whose_recipe_names_no_pipeline(app: ModuleType, cloud: AwsResources) -> None:
    body = {"prompt": PROMPT, "model": "local/canvas", "enhance_prompt": True, "parameters": {"seed": 7}}
    headers = {"idempotency-key": "k1"}
    first = invoke_app(app, at("/api/generate/image", body=body, headers=headers))
    run = success_data(first)["generation"]
    assert (run["kind"], run["pipeline"], run["enhanced_prompt"]) == ("image", "enhanced", None)
    again = invoke_app(app, at("/api/generate/image", body=body, headers=headers))
    assert success_data(again)["generation"]["id"] == run["id"]
    other = invoke_app(app, at("/api/generate/image", body={**body, "enhance_prompt": False}, headers=headers))
    assert error_of(other) == (422, "IDEMPOTENCY_MISMATCH")
    path = f"/api/generations/{run['id']}/recipe"
    request = example_event("api/generations/recipe")
    request["requestContext"]["http"]["path"] = path
    recipe = success_data(invoke_app(app, request | {"rawPath": path}))["recipe"]
    assert (recipe["enhance_prompt"], recipe["pipeline"], recipe["model"]) == (True, None, "local/canvas")


def test_a_run_redeems_its_quote(app: ModuleType, cloud: AwsResources) -> None:
    body = {"pipeline": "talking_avatar", "prompt": PROMPT, "stages": {"avatar": {"model": "local/talker"}}}
    quoted = success_data(invoke_app(app, at("/api/quotes", body=body)))
    assert quoted["credits_max"] == 7
    run = success_data(invoke_app(app, at("/api/pipelines", body={**body, "quote_id": quoted["quote_id"]})))[
        "generation"
    ]
    assert (run["credits_held"], run["quote_id"]) == (7, quoted["quote_id"].partition(".")[0])
    plain = {"kind": "image", "prompt": PROMPT, "model": "local/canvas", "enhance_prompt": True}
    quoted = success_data(invoke_app(app, at("/api/quotes", body=plain)))
    made = invoke_app(app, at("/api/generate", body={**plain, "quote_id": quoted["quote_id"]}))
    assert success_data(made)["generation"]["credits_held"] == quoted["credits_max"] == 5


def test_an_invalid_run_is_refused_at_its_stages_field(app: ModuleType, cloud: AwsResources) -> None:
    for body, path in (
        ({"stages": {"image": {"parameters": {"width": 5000}}}}, "stages.image.parameters.width"),
        ({"stages": {"speech": {}}}, "stages.speech"),
        ({"pipeline": "talking_avatar", "enhance_prompt": True}, "enhance_prompt"),
    ):
        request_body = {"pipeline": "image_to_video", "prompt": PROMPT, **body}
        answer = invoke_app(app, at("/api/pipelines", body=request_body))
        assert error_of(answer) == (422, "VALIDATION_FAILED")
        assert f'"path":"{path}"' in answer["body"].replace(" ", "")
    foreign = {"pipeline": "image_to_video", "prompt": PROMPT, "parameters": {"width": 512}}
    assert error_of(invoke_app(app, at("/api/generate", body=foreign))) == (422, "VALIDATION_FAILED")
    assert cloud.items(cloud.tables.generations) == []


def test_a_runs_retry_reuses_its_finished_stages(app: ModuleType, cloud: AwsResources) -> None:
    run = request_run(app)
    image = plan(run["id"])
    delivered = DeliveredFile(asset_id(image.id, 0), "image", "0" * 64, "png", 5, 256, 256)
    record_asset(image, delivered, 0)
    done = image.as_succeeded((delivered,), 1, system_clock())
    generations.store().close_as_ended(done)
    film = plan(run["id"])
    finish(WORKSPACE, film.id, FAILED, deps=workflow.finish_deps(), now=system_clock())
    ended = finish_run(WORKSPACE, run["id"], deps=generations.close_deps(), now=system_clock())
    assert (ended.status, ended.credits_charged) == (Status.FAILED, 1)
    # A retry of a stage is a retry of its run.
    for tried in (run["id"], film.id):
        again = success_data(invoke_app(app, at(f"/api/generations/{tried}/retry", body="")))["generation"]
        assert again["credits_held"] == 4
        shown = get(app, again["id"])["stages"]
        assert [(stage["name"], stage["generation_id"]) for stage in shown] == [("image", image.id)]
        # The stage was paid in the run that generated it.
        assert (shown[0]["credits_charged"], shown[0]["cost_microusd"]) == (0, 0)


def test_a_repeated_retry_returns_the_same_run_when_more_stages_are_done(app: ModuleType, cloud: AwsResources) -> None:
    run = request_run(app)
    path = f"/api/generations/{run['id']}/retry"
    request = at(path, body="", headers={"idempotency-key": "again-1"})
    first = success_data(invoke_app(app, request))["generation"]
    # Meanwhile the run has finished a stage that a retry would reuse now.
    image = plan(run["id"])
    delivered = DeliveredFile(asset_id(image.id, 0), "image", "0" * 64, "png", 5, 256, 256)
    record_asset(image, delivered, 0)
    generations.store().close_as_ended(image.as_succeeded((delivered,), 1, system_clock()))
    again = invoke_app(app, request)
    assert (again["statusCode"], success_data(again)["generation"]["id"]) == (202, first["id"])
    assert movement_kinds().count("hold") == 2


def test_a_retry_of_a_reused_result_runs_the_original_pipeline(app: ModuleType, cloud: AwsResources) -> None:
    body = {"pipeline": "image_to_video", "prompt": PROMPT, "reuse": True}
    run = success_data(invoke_app(app, at("/api/generate", body=body)))["generation"]
    for form in ("png", "mp4"):
        stage = plan(run["id"])
        delivered = DeliveredFile(
            asset_id(stage.id, 0), "image" if form == "png" else "video", "0" * 64, form, 5, 256, 256
        )
        record_asset(stage, delivered, 0)
        generations.store().close_as_ended(stage.as_succeeded((delivered,), 1, system_clock()))
    finish_run(WORKSPACE, run["id"], deps=generations.close_deps(), now=system_clock())
    served = success_data(invoke_app(app, at("/api/generate", body=body)))["generation"]
    assert (served["status"], served["credits_held"]) == ("succeeded", 0)
    again = success_data(invoke_app(app, at(f"/api/generations/{served['id']}/retry", body="")))["generation"]
    assert (again["pipeline"], again["credits_held"]) == ("image_to_video", run["credits_held"])
