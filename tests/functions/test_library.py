"""functions/api/library, fed with events."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from atelier.generations.model import DeliveredFile
from atelier.wiring import library
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    ASSET,
    GENERATION,
    PROJECT,
    PROMPT,
    WORKSPACE,
    stored_generation,
    submit_example,
)
from tests.functions.responses import error_of, foreign_event, invoke_app, success_data
from tests.invoke import event, example_event, load_function

SHA256 = "50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    """The function, over a library with the example's asset in it."""
    library.assets().record(
        submit_example(), DeliveredFile(ASSET, "image", SHA256, "png", 183_211, 512, 512, has_thumbnail=True), 0
    )
    return load_function("api/library")


def test_an_asset_is_read_with_signed_urls(app: ModuleType) -> None:
    asset = success_data(invoke_app(app, example_event("api/library/get")))["asset"]
    assert (asset["id"], asset["generation_id"], asset["name"]) == (ASSET, GENERATION, PROMPT)
    assert (asset["width"], asset["height"], asset["size_bytes"]) == (512, 512, 183_211)
    signed = r"\?Expires=\d+&Signature=[\w~-]+&Key-Pair-Id=K2EXAMPLE"
    assert re.fullmatch(rf"/media/{WORKSPACE}/{SHA256}\.png{signed}", asset["url"])
    assert re.fullmatch(rf"/media/{WORKSPACE}/{SHA256}\.thumb\.webp{signed}", asset["thumbnail_url"])


def test_assets_are_listed_by_type(app: ModuleType) -> None:
    listed = success_data(invoke_app(app, example_event("api/library/list")))
    assert [asset["id"] for asset in listed["items"]] == [ASSET]
    assert listed["next_cursor"] is None
    assert (
        success_data(invoke_app(app, event("api/library/list", queryStringParameters={"type": "video"})))["items"] == []
    )


def change(**body: Any) -> dict[str, Any]:
    """The event of a change of the example's asset, with this body."""
    return event("api/library/change_asset", body=body)


def listed(app: ModuleType, **query: str) -> list[str]:
    found = success_data(invoke_app(app, event("api/library/list", queryStringParameters=query)))
    return [asset["id"] for asset in found["items"]]


def test_an_asset_is_named_tagged_archived_and_brought_back(app: ModuleType) -> None:
    changed = success_data(invoke_app(app, example_event("api/library/change_asset")))["asset"]
    assert (changed["name"], changed["tags"], changed["favorite"]) == ("Lighthouse, final", ["poster", "spring"], True)
    assert changed["archived_at"]
    again = success_data(invoke_app(app, change(archived=True, description="For the fair")))["asset"]
    assert (again["archived_at"], again["description"]) == (changed["archived_at"], "For the fair")
    assert again["name"] == "Lighthouse, final"
    back = success_data(invoke_app(app, change(archived=False, favorite=False, tags=[], description=None)))["asset"]
    assert (back["archived_at"], back["favorite"], back["tags"], back["description"]) == (None, False, [], None)
    assert success_data(invoke_app(app, change()))["asset"] == back


def test_assets_are_listed_by_what_was_said_of_them(app: ModuleType) -> None:
    other = f"{ASSET[:-1]}0"
    picture = DeliveredFile(other, "image", SHA256, "png", 183_211, 512, 512, has_thumbnail=True)
    library.assets().record(stored_generation(), picture, 1)
    invoke_app(app, example_event("api/library/change_asset"))
    for query in ({"tag": "Spring"}, {"favorite": "true"}, {"archived": "true"}, {"q": "HOUSE, F"}, {"q": "oster"}):
        assert listed(app, **query) == [ASSET], query
    for query in ({"favorite": "false"}, {"archived": "false"}):
        assert listed(app, **query) == [other], query
    assert listed(app, tag="spr") == listed(app, q="spring", archived="false") == []
    assert sorted(listed(app)) == sorted([ASSET, other])


def test_a_change_of_an_asset_is_checked(app: ModuleType) -> None:
    wrong = {"name": "", "tags": ["x" * 41], "favorite": "perhaps", "url": "https://example.com"}
    for name, value in wrong.items():
        assert error_of(invoke_app(app, change(**{name: value}))) == (422, "VALIDATION_FAILED"), name
    assert error_of(invoke_app(app, foreign_event("api/library/change_asset"))) == (404, "NOT_FOUND")
    assert listed(app, q="lighthouse, final") == []


def test_assets_are_listed_by_project(app: ModuleType) -> None:
    other = f"{ASSET[:-1]}0"
    picture = DeliveredFile(other, "image", SHA256, "png", 183_211, 512, 512, has_thumbnail=True)
    library.assets().record(replace(stored_generation(), project_id=PROJECT), picture, 1)
    for wanted in ({"project_id": PROJECT}, {"project_id": PROJECT, "type": "image"}):
        items = success_data(invoke_app(app, event("api/library/list", queryStringParameters=wanted)))["items"]
        assert [(asset["id"], asset["project_id"]) for asset in items] == [(other, PROJECT)]


def test_a_foreign_asset_gets_the_response_of_a_missing_one(app: ModuleType) -> None:
    foreign = invoke_app(app, foreign_event("api/library/get"))
    missing: dict[str, Any] = json.loads(json.dumps(example_event("api/library/get")).replace(ASSET, f"{ASSET[:-1]}0"))
    assert error_of(foreign) == (404, "NOT_FOUND")
    assert foreign["body"] == invoke_app(app, missing)["body"]
    assert success_data(invoke_app(app, foreign_event("api/library/list")))["items"] == []
