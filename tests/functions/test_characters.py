"""functions/api/characters, fed with events."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.generations.model import Delivered
from atelier.wiring import characters, library
from tests.adapters.world import at_once
from tests.functions.answers import answered, data, refusal, stranger
from tests.functions.cast import ASSET, CHARACTER, WORKSPACE, ask, begin_character
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function

OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
FILM = f"{ASSET[:-1]}0"


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    """The function, over a library with the example's image and a video."""
    generation = ask()
    picture = Delivered(ASSET, "image", "0" * 64, "png", 1, 512, 512, has_thumbnail=True)
    library.assets().record(generation, picture, 0)
    library.assets().record(generation, Delivered(FILM, "video", "1" * 64, "png", 1, duration_ms=1), 1)
    return function("api/characters")


def changed(app: ModuleType, body: dict[str, Any]) -> dict[str, Any]:
    return answered(app, event("api/characters/change_character", body=body))


def created(app: ModuleType, **body: Any) -> dict[str, Any]:
    given = {"name": "Mira", "reference_asset_ids": [ASSET], **body}
    return answered(app, event("api/characters/create_character", body=given))


def test_a_character_is_made_read_listed_changed_and_removed(app: ModuleType) -> None:
    response = answered(app, example("api/characters/create_character"))
    made = data(response)["character"]
    assert response["statusCode"] == 201
    assert response["headers"]["Location"] == f"/api/characters/{made['id']}"
    assert (made["name"], made["age"], made["reference_asset_ids"]) == ("Mira", 31, [ASSET])
    assert (made["parameters"], made["face_embedding"]) == ({"style": "Cinematic"}, None)
    begin_character()
    assert data(answered(app, example("api/characters/get_character")))["character"]["style"] == "linocut"
    after = data(answered(app, example("api/characters/change_character")))["character"]
    assert (after["description"], after["age"]) == ("Red hair, cut short; a yellow coat.", None)
    assert (after["name"], after["style"], after["reference_asset_ids"]) == ("Mira", "linocut", [ASSET])
    assert after["updated_at"] > after["created_at"]
    listed = data(answered(app, example("api/characters/list_characters")))
    assert {character["id"] for character in listed["items"]} == {made["id"], CHARACTER}
    assert answered(app, example("api/characters/remove_character"))["statusCode"] == 204
    for name in ("get_character", "change_character", "remove_character"):
        assert refusal(answered(app, example(f"api/characters/{name}"))) == (404, "NOT_FOUND")


def test_the_same_key_makes_one_character(app: ModuleType) -> None:
    asking = {"headers": {"Idempotency-Key": "c1"}}
    first, again = (answered(app, event("api/characters/create_character", **asking)) for _ in range(2))
    assert data(first) == data(again)
    assert again["headers"]["Idempotent-Replayed"] == "true"
    other = event("api/characters/create_character", body={"name": "X", "reference_asset_ids": [ASSET]}, **asking)
    assert refusal(answered(app, other)) == (422, "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize("wrong", [FILM, f"{ASSET[:-1]}1"])
def test_only_pictures_of_the_workspace_show_a_character(app: ModuleType, wrong: str) -> None:
    begin_character()
    for response in (
        created(app, reference_asset_ids=[ASSET, wrong]),
        changed(app, {"reference_asset_ids": [ASSET, wrong]}),
    ):
        assert refusal(response) == (422, "VALIDATION_FAILED")
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
def test_what_makes_no_sense_is_refused(app: ModuleType, body: dict[str, Any]) -> None:
    begin_character()
    assert refusal(changed(app, body)) == (422, "VALIDATION_FAILED")
    assert refusal(created(app, **body)) == (422, "VALIDATION_FAILED")


def test_an_embedding_is_kept_as_it_is(app: ModuleType) -> None:
    numbers = [0.125, -3.5, 1e-7]
    made = data(created(app, face_embedding=numbers))["character"]
    assert made["face_embedding"] == numbers
    begin_character()
    assert data(changed(app, {"face_embedding": numbers}))["character"]["face_embedding"] == numbers
    assert data(changed(app, {"face_embedding": None}))["character"]["face_embedding"] is None


def test_a_change_that_another_one_overtook_is_made_again_on_top(app: ModuleType) -> None:
    from dataclasses import replace
    from datetime import timedelta

    from atelier.clock import system_clock
    from atelier.library import edit

    seen = begin_character()
    overtaken: list[str] = []

    def to(now: Any) -> Any:
        if not overtaken:
            overtaken.append("once")
            later = replace(seen, gender="female", updated_at=seen.updated_at + timedelta(seconds=1))
            characters.characters().change(seen, later)
        return replace(now, style="woodcut")

    edit.change(seen.workspace_id, CHARACTER, to, things=characters.characters(), now=system_clock())
    kept = characters.characters().get(seen.workspace_id, CHARACTER)
    assert (kept.gender, kept.style) == ("female", "woodcut")


def test_a_foreign_character_looks_like_a_missing_one(app: ModuleType) -> None:
    names = ["get_character", "change_character", "remove_character"]
    missing = {name: answered(app, example(f"api/characters/{name}")) for name in names}
    begin_character(OTHER)
    for name in names:
        foreign = answered(app, example(f"api/characters/{name}"))
        assert refusal(foreign) == (404, "NOT_FOUND")
        assert foreign["body"] == missing[name]["body"]
    assert characters.characters().get(OTHER, CHARACTER).name == "Mira"
    begin_character()
    assert data(answered(app, stranger("api/characters/list_characters")))["items"] != []
    assert refusal(created(app, reference_asset_ids=[f"{ASSET[:-2]}00"])) == (422, "VALIDATION_FAILED")


def test_changes_at_once_all_count(app: ModuleType) -> None:
    begin_character()
    bodies: list[dict[str, Any]] = [{"gender": "female"}, {"age": 40}, {"style": "etching"}, {"description": "Tall."}]
    answers = at_once(len(bodies), lambda place: changed(app, bodies[place]))
    assert [answer["statusCode"] for answer in answers] == [200] * len(bodies)
    kept = characters.characters().get(WORKSPACE, CHARACTER)
    assert (kept.gender, kept.age, kept.style, kept.description) == ("female", 40, "etching", "Tall.")


def test_the_same_request_at_once_makes_one_character(app: ModuleType) -> None:
    request = event("api/characters/create_character", headers={"Idempotency-Key": "at once"})
    answers = at_once(6, lambda _: answered(app, json.loads(json.dumps(request))))
    assert {data(answer)["character"]["id"] for answer in answers} == {data(answers[0])["character"]["id"]}
    assert len(characters.characters().list(WORKSPACE, None, 10).things) == 1
