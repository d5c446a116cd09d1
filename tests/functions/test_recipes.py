"""Runs of templates and generations with characters: from the request to what the provider receives."""

from __future__ import annotations

import base64
import json
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.clock import system_clock
from atelier.generations.model import DeliveredFile, Generation
from atelier.wiring import generations, library
from infra.simulators.kit.samples import sample_png
from infra.simulators.replicate import ReplicateSimulator
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    CHARACTER,
    TEMPLATE,
    WORKSPACE,
    create_character,
    create_template,
    stored_generation,
)
from tests.functions.example_data import submit_example as ask_example
from tests.functions.responses import error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function
from tests.recorded_assets import record_asset

OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
IDS = [f"ast_01M7XCN60Q{number:016}" for number in range(5)]
KEY = {"idempotency-key": "run"}
PERSON = {"kind": "image", "prompt": "a woman on a pier", "character_id": CHARACTER}


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/generations")


def generate_image(app: ModuleType, **body: Any) -> dict[str, Any]:
    request = event("api/generations/generate", body=body)
    request["headers"].pop("idempotency-key", None)
    return invoke_app(app, request)


def ran(app: ModuleType, **body: Any) -> dict[str, Any]:
    return invoke_app(app, event("api/generations/run_template", body=body))


def fields(response: dict[str, Any]) -> list[str]:
    assert error_of(response) == (422, "VALIDATION_FAILED")
    return [field["path"] for field in json.loads(response["body"])["details"]["fields"]]


def stored(response: dict[str, Any]) -> Generation:
    return generations.store().get(WORKSPACE, success_data(response)["generation"]["id"])


def show(cloud: AwsResources, count: int = 2, **more: Any) -> list[bytes]:
    """The example's character with `count` reference images, which are stored; returns the images."""
    from dataclasses import replace

    ask_example()
    shown: list[bytes] = []
    for number in range(count):
        shown.append(sample_png(64, 64, number))
        sha256 = f"{number:064}"
        client("s3").put_object(Bucket=cloud.bucket, Key=f"media/{WORKSPACE}/{sha256}.png", Body=shown[-1])
        picture = DeliveredFile(IDS[number], "image", sha256, "png", 1, 64, 64, has_thumbnail=True)
        record_asset(stored_generation(), picture, number)
    seen = create_character()
    after = replace(seen, reference_asset_ids=tuple(IDS[:count]), updated_at=seen.updated_at.replace(year=2030), **more)
    library.characters().change(seen, after)
    return shown


def sent(generation: Generation, cloud: AwsResources) -> None:
    """One run of the attempt's task."""
    task = cloud.start_waiting_execution()
    visit = json.loads(
        json.dumps(example_event("tasks/attempt_generation/first_candidate")).replace(
            stored_generation().id, generation.id
        )
    )
    load_function("tasks/attempt_generation").handler(visit | {"task_token": task.token}, None)


# ---- templates -------------------------------------------------------------------------------------------------------


def test_a_template_run_fills_its_variables_and_counts_the_use(app: ModuleType, cloud: AwsResources) -> None:
    create_template()
    response = invoke_app(app, example_event("api/generations/run_template"))
    assert response["statusCode"] == 202
    view = success_data(response)["generation"]
    assert (view["prompt"], view["model"], view["template_id"]) == (
        "a lighthouse at dusk, calm",
        "local/canvas",
        TEMPLATE,
    )
    assert (view["parameters"]["width"], view["parameters"]["height"]) == (512, 256)
    assert library.templates().get(WORKSPACE, TEMPLATE).uses == 1
    by_id = success_data(generate_image(app, template_id=TEMPLATE, variables={"thing": "ship", "mood": "{{thing}}"}))
    assert by_id["generation"]["prompt"] == "a ship at dusk, {{thing}}"
    assert library.templates().get(WORKSPACE, TEMPLATE).uses == 2
    library.templates().delete(WORKSPACE, TEMPLATE)
    assert stored(response).recipe.template_id == TEMPLATE


def test_an_invalid_template_run_is_refused_at_its_field(app: ModuleType, cloud: AwsResources) -> None:
    create_template()
    assert fields(ran(app)) == ["variables.thing"]
    assert fields(ran(app, variables={"thing": "x", "place": "y"})) == ["variables.place"]
    assert fields(ran(app, variables={"thing": "x" * 2001})) == ["variables.thing"]
    assert fields(ran(app, variables={"thing": 7})) == ["variables.thing"]
    assert fields(ran(app, variables={"thing": "x"}, prompt="mine")) == ["prompt"]
    assert fields(ran(app, variables={"thing": "x"}, kind="video")) == ["kind"]
    assert fields(ran(app, pipeline="talking_avatar", prompt="x")) == ["pipeline"]
    assert fields(ran(app, variables={"thing": "x"}, template_id=f"{TEMPLATE[:-1]}0")) == ["template_id"]
    assert fields(ran(app, variables={"thing": "x"}, parameters={"width": 9000})) == ["parameters.width"]
    assert fields(generate_image(app, kind="image", prompt="x", variables={"thing": "x"})) == ["variables"]
    assert fields(generate_image(app, kind="image")) == ["prompt"]
    assert fields(generate_image(app, prompt="x")) == ["kind"]
    assert library.templates().get(WORKSPACE, TEMPLATE).uses == 0


def test_a_foreign_template_is_not_run(app: ModuleType, cloud: AwsResources) -> None:
    create_template(OTHER)
    assert error_of(ran(app, variables={"thing": "x"})) == (404, "NOT_FOUND")
    assert error_of(generate_image(app, template_id=TEMPLATE, variables={"thing": "x"})) == (404, "NOT_FOUND")


def test_a_repeated_idempotency_key_is_one_run_even_if_the_template_changed(
    app: ModuleType, cloud: AwsResources
) -> None:
    from dataclasses import replace

    seen = create_template()
    request = event("api/generations/run_template", headers=KEY)
    first = invoke_app(app, request)
    after = replace(seen, prompt="a {{thing}}", updated_at=seen.updated_at.replace(year=2030))
    library.templates().change(seen, after)
    again = invoke_app(app, request)
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert success_data(again)["generation"]["id"] == success_data(first)["generation"]["id"]
    assert library.templates().get(WORKSPACE, TEMPLATE).uses == 1
    other = event("api/generations/run_template", headers=KEY, body={"variables": {"thing": "x"}})
    assert error_of(invoke_app(app, other)) == (422, "IDEMPOTENCY_MISMATCH")


# ---- characters ------------------------------------------------------------------------------------------------------


def test_a_characters_images_reach_photomaker_with_its_trigger_word(
    app: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    pictures = show(cloud, parameters={"style": "Cinematic"})
    response = generate_image(app, **PERSON, model="replicate/photomaker")
    view = success_data(response)["generation"]
    assert (view["character_id"], view["parameters"]["style"]) == (CHARACTER, "Cinematic")
    sent(stored(response), cloud)
    (prediction,) = replicate.predictions.values()
    given = prediction.shown["input"]
    assert given["prompt"] == "a woman img on a pier"
    assert given["style_name"] == "Cinematic"
    for name, picture in zip(("input_image", "input_image2"), pictures, strict=True):
        assert base64.b64decode(given[name].partition(",")[2]) == picture
    assert "input_image3" not in given


def test_a_model_gets_no_more_images_than_it_accepts(
    app: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    show(cloud, 5)
    sent(stored(generate_image(app, **PERSON, model="replicate/photomaker")), cloud)
    (prediction,) = replicate.predictions.values()
    assert {name for name in prediction.shown["input"] if name.startswith("input_image")} == {
        "input_image",
        "input_image2",
        "input_image3",
        "input_image4",
    }


def test_a_deleted_character_does_not_change_accepted_generations(
    app: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    (picture, _) = show(cloud)
    response = generate_image(app, **PERSON, model="replicate/photomaker")
    library.characters().delete(WORKSPACE, CHARACTER)
    generation = stored(response)
    sent(generation, cloud)
    (prediction,) = replicate.predictions.values()
    assert base64.b64decode(prediction.shown["input"]["input_image"].partition(",")[2]) == picture
    path = f"/api/generations/{generation.id}"
    reading = event("api/generations/get", rawPath=path)
    reading["requestContext"]["http"]["path"] = path
    assert success_data(invoke_app(app, reading))["generation"]["character_id"] == CHARACTER
    retrying = event("api/generations/retry", rawPath=f"{path}/retry")
    retrying["requestContext"]["http"]["path"] = f"{path}/retry"
    again = stored(invoke_app(app, retrying))
    assert again.recipe.inputs == generation.recipe.inputs
    assert error_of(generate_image(app, **PERSON)) == (404, "NOT_FOUND")


def test_a_character_is_shown_by_those_of_its_images_that_were_not_deleted(
    app: ModuleType, cloud: AwsResources
) -> None:
    show(cloud)
    first, second = library.characters().get(WORKSPACE, CHARACTER).reference_asset_ids
    library.assets().delete(WORKSPACE, first, system_clock())
    inputs = stored(generate_image(app, **PERSON)).recipe.inputs
    assert [each.asset_id for sources in inputs.values() for each in sources] == [second]
    library.assets().delete(WORKSPACE, second, system_clock())
    assert fields(generate_image(app, **PERSON)) == ["character_id"]


def test_models_without_character_images_are_refused_and_skipped_by_auto(app: ModuleType, cloud: AwsResources) -> None:
    show(cloud)
    assert fields(generate_image(app, **PERSON, model="replicate/sdxl")) == ["character_id"]
    assert stored(generate_image(app, **PERSON)).candidates == ("replicate/photomaker",)
    assert fields(generate_image(app, kind="text", prompt="x", character_id=CHARACTER)) == ["character_id"]


def test_the_local_provider_uses_the_characters_images(app: ModuleType, cloud: AwsResources) -> None:
    from atelier.provider_port import Done
    from atelier.wiring import workflow

    show(cloud)
    seeded = {"width": 64, "height": 64, "seed": 7}
    with_them = stored(generate_image(app, **PERSON, model="local/canvas", parameters=seeded))
    without = stored(
        generate_image(app, kind="image", prompt="a woman on a pier", model="local/canvas", parameters=seeded)
    )
    drawn: list[Any] = []
    for generation in (with_them, without):
        attempting = workflow.attempt_deps()
        from tests.functions.example_data import start_attempt

        begun = start_attempt(generation).attempt
        assert begun is not None
        answer = attempting.providers["local"].submit(attempting.job(generation, begun))
        assert isinstance(answer, Done), answer
        drawn.append(answer.outputs[0].data)
    assert drawn[0] != drawn[1]


def test_a_quote_for_a_character_is_redeemed_by_its_generation(app: ModuleType, cloud: AwsResources) -> None:
    show(cloud)
    quoted = success_data(
        invoke_app(app, event("api/generations/quote", body={**PERSON, "model": "replicate/photomaker"}))
    )
    made = stored(generate_image(app, **PERSON, model="replicate/photomaker", quote_id=quoted["quote_id"]))
    assert made.credits_held <= quoted["credits_max"]


def test_a_foreign_character_gets_the_response_of_a_missing_one(app: ModuleType, cloud: AwsResources) -> None:
    missing = generate_image(app, **PERSON)
    create_character(OTHER)
    foreign = generate_image(app, **PERSON)
    assert error_of(foreign) == (404, "NOT_FOUND")
    assert foreign["body"] == missing["body"]
    quoted = event("api/generations/quote", body=PERSON)
    assert error_of(invoke_app(app, quoted)) == (404, "NOT_FOUND")
