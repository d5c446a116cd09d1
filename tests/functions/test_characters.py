"""functions/api/library, fed with events."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.generations.model import DeliveredFile
from atelier.wiring import library
from tests.functions.conftest import AwsResources
from tests.functions.example_data import ASSET, CHARACTER, WORKSPACE, create_character, submit_example
from tests.functions.responses import error_of, foreign_event, invoke_app, success_data
from tests.integration.world import run_concurrently
from tests.invoke import event, example_event, load_function
from tests.recorded_assets import record_asset

OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
FILM = f"{ASSET[:-1]}0"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    """The function, over a library with the example's image and a video."""
    generation = submit_example()
    picture = DeliveredFile(ASSET, "image", "0" * 64, "png", 1, 512, 512, has_thumbnail=True)
    record_asset(generation, picture, 0)
    record_asset(generation, DeliveredFile(FILM, "video", "1" * 64, "png", 1, duration_ms=1), 1)
    return load_function("api/library")


def changed(app: ModuleType, body: dict[str, Any]) -> dict[str, Any]:
    return invoke_app(app, event("api/library/change_character", body=body))


def created(app: ModuleType, **body: Any) -> dict[str, Any]:
    given = {"name": "Mira", "reference_asset_ids": [ASSET], **body}
    return invoke_app(app, event("api/library/create_character", body=given))


def test_a_character_is_created_read_listed_changed_and_removed(app: ModuleType) -> None:
    response = invoke_app(app, example_event("api/library/create_character"))
    made = success_data(response)["character"]
    assert response["statusCode"] == 201
    assert response["headers"]["Location"] == f"/api/characters/{made['id']}"
    assert (made["name"], made["age"], made["reference_asset_ids"]) == ("Mira", 31, [ASSET])
    assert (made["parameters"], made["face_embedding"]) == ({"style": "Cinematic"}, None)
    create_character()
    assert success_data(invoke_app(app, example_event("api/library/get_character")))["character"]["style"] == "linocut"
    after = success_data(invoke_app(app, example_event("api/library/change_character")))["character"]
    assert (after["description"], after["age"]) == ("Red hair, cut short; a yellow coat.", None)
    assert (after["name"], after["style"], after["reference_asset_ids"]) == ("Mira", "linocut", [ASSET])
    assert after["updated_at"] > after["created_at"]
    listed = success_data(invoke_app(app, example_event("api/library/list_characters")))
    assert {character["id"] for character in listed["items"]} == {made["id"], CHARACTER}
    assert invoke_app(app, example_event("api/library/remove_character"))["statusCode"] == 204
    for name in ("get_character", "change_character", "remove_character"):
        assert error_of(invoke_app(app, example_event(f"api/library/{name}"))) == (404, "NOT_FOUND")


def test_a_repeated_idempotency_key_creates_one_character(app: ModuleType) -> None:
    asking = {"headers": {"Idempotency-Key": "c1"}}
    first, again = (invoke_app(app, event("api/library/create_character", **asking)) for _ in range(2))
    assert success_data(first) == success_data(again)
    assert again["headers"]["Idempotent-Replayed"] == "true"
    other = event("api/library/create_character", body={"name": "X", "reference_asset_ids": [ASSET]}, **asking)
    assert error_of(invoke_app(app, other)) == (422, "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize("wrong", [FILM, f"{ASSET[:-1]}1"])
def test_reference_assets_must_be_images_of_the_workspace(app: ModuleType, wrong: str) -> None:
    create_character()
    for response in (
        created(app, reference_asset_ids=[ASSET, wrong]),
        changed(app, {"reference_asset_ids": [ASSET, wrong]}),
    ):
        assert error_of(response) == (422, "VALIDATION_FAILED")
        (field,) = json.loads(response["body"])["details"]["fields"]
        assert field["path"] == "reference_asset_ids.1"


@pytest.mark.parametrize(
    "body",
    [
        {"name": " "},
        {"name": None},
        {"age": -1},
        {"age": 1.5},
        {"reference_asset_ids": []},
        {"reference_asset_ids": [f"ast_{number:026}" for number in range(9)]},
        {"reference_asset_ids": ["wallet"]},
        {"face_embedding": []},
        {"parameters": {"Style": "x"}},
        {"parameters": {"style": {"deep": 1}}},
        {"uses": 1},
    ],
)
def test_an_invalid_field_is_refused_on_create_and_change(app: ModuleType, body: dict[str, Any]) -> None:
    create_character()
    assert error_of(changed(app, body)) == (422, "VALIDATION_FAILED")
    assert error_of(created(app, **body)) == (422, "VALIDATION_FAILED")


def test_a_face_embedding_is_stored_unchanged(app: ModuleType) -> None:
    numbers = [0.125, -3.5, 1e-7]
    made = success_data(created(app, face_embedding=numbers))["character"]
    assert made["face_embedding"] == numbers
    create_character()
    assert success_data(changed(app, {"face_embedding": numbers}))["character"]["face_embedding"] == numbers
    assert success_data(changed(app, {"face_embedding": None}))["character"]["face_embedding"] is None


def test_a_change_that_lost_a_race_is_retried_on_the_newer_version(app: ModuleType) -> None:
    from dataclasses import replace
    from datetime import timedelta

    from atelier.clock import system_clock
    from atelier.resources import change_resource

    seen = create_character()
    overtaken: list[str] = []

    def to(now: Any) -> Any:
        if not overtaken:
            overtaken.append("once")
            later = replace(seen, gender="female", updated_at=seen.updated_at + timedelta(seconds=1))
            library.characters().change(seen, later)
        return replace(now, style="woodcut")

    change_resource(library.character_deps(), seen.workspace_id, CHARACTER, to, system_clock())
    kept = library.characters().get(seen.workspace_id, CHARACTER)
    assert (kept.gender, kept.style) == ("female", "woodcut")


def test_a_foreign_character_gets_the_response_of_a_missing_one(app: ModuleType) -> None:
    names = ["get_character", "change_character", "remove_character"]
    missing = {name: invoke_app(app, example_event(f"api/library/{name}")) for name in names}
    create_character(OTHER)
    for name in names:
        foreign = invoke_app(app, example_event(f"api/library/{name}"))
        assert error_of(foreign) == (404, "NOT_FOUND")
        assert foreign["body"] == missing[name]["body"]
    assert library.characters().get(OTHER, CHARACTER).name == "Mira"
    create_character()
    assert success_data(invoke_app(app, foreign_event("api/library/list_characters")))["items"] != []
    assert error_of(created(app, reference_asset_ids=[f"{ASSET[:-2]}00"])) == (422, "VALIDATION_FAILED")


def test_concurrent_changes_are_all_stored(app: ModuleType) -> None:
    create_character()
    bodies: list[dict[str, Any]] = [{"gender": "female"}, {"age": 40}, {"style": "etching"}, {"description": "Tall."}]
    answers = run_concurrently(len(bodies), lambda place: changed(app, bodies[place]))
    assert [answer["statusCode"] for answer in answers] == [200] * len(bodies)
    kept = library.characters().get(WORKSPACE, CHARACTER)
    assert (kept.gender, kept.age, kept.style, kept.description) == ("female", 40, "etching", "Tall.")


def test_concurrent_requests_with_one_idempotency_key_create_one_character(app: ModuleType) -> None:
    request = event("api/library/create_character", headers={"Idempotency-Key": "at once"})
    answers = run_concurrently(6, lambda _: invoke_app(app, json.loads(json.dumps(request))))
    assert {success_data(answer)["character"]["id"] for answer in answers} == {
        success_data(answers[0])["character"]["id"]
    }
    assert len(library.characters().list(WORKSPACE, None, 10).items) == 1
