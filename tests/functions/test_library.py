"""functions/api/library, fed with events."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.s3 import MediaStore
from atelier.adapters.media.delivery import Delivery
from atelier.adapters.media.fetch import Fetcher
from atelier.adapters.media.keys import media_key, thumbnail_key
from atelier.errors import NotFound
from atelier.generations.model import DeliveredFile, InputAsset, asset_id
from atelier.wiring import library
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    ASSET,
    GENERATION,
    PROJECT,
    PROMPT,
    WORKSPACE,
    create_project,
    stored_generation,
    submit_example,
)
from tests.functions.responses import error_of, foreign_event, invoke_app, success_data
from tests.invoke import event, example_event, load_function
from tests.recorded_assets import record_asset

SHA256 = "50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    """The function, over a library with the example's asset in it."""
    record_asset(
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
    record_asset(stored_generation(), picture, 1)
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
    record_asset(replace(stored_generation(), project_id=PROJECT), picture, 1)
    for wanted in ({"project_id": PROJECT}, {"project_id": PROJECT, "type": "image"}):
        items = success_data(invoke_app(app, event("api/library/list", queryStringParameters=wanted)))["items"]
        assert [(asset["id"], asset["project_id"]) for asset in items] == [(other, PROJECT)]


@pytest.fixture
def files(app: ModuleType, cloud: AwsResources) -> list[str]:
    """The keys of the example asset's file and thumbnail, which are stored in the bucket."""
    client("s3").put_bucket_versioning(Bucket=cloud.bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = [media_key(WORKSPACE, SHA256, "png"), thumbnail_key(WORKSPACE, SHA256)]
    for key in keys:
        MediaStore(cloud.bucket).put(key, key.encode(), "image/png")
    return keys


def test_a_deleted_asset_and_its_files_are_gone(app: ModuleType, cloud: AwsResources, files: list[str]) -> None:
    invoke_app(app, change(description="For the fair", tags=["poster"], name="Mine"))
    assert error_of(invoke_app(app, foreign_event("api/library/delete_asset"))) == (404, "NOT_FOUND")
    assert cloud.bucket_keys("media/") == files
    for _ in range(2):
        assert invoke_app(app, example_event("api/library/delete_asset"))["statusCode"] == 204
        assert (cloud.bucket_keys("media/"), listed(app)) == ([], [])
    for name in ("api/library/get", "api/library/change_asset"):
        assert error_of(invoke_app(app, example_event(name))) == (404, "NOT_FOUND")
    kept = json.dumps(cloud.items(cloud.tables.library))
    assert ASSET in kept
    assert not re.search("Mine|For the fair|poster|lighthouse", kept)


def test_a_file_is_kept_for_another_asset_with_the_same_bytes(
    app: ModuleType, cloud: AwsResources, files: list[str]
) -> None:
    other = f"{ASSET[:-1]}0"
    picture = DeliveredFile(other, "image", SHA256, "png", 183_211, 512, 512, has_thumbnail=True)
    record_asset(stored_generation(), picture, 1)
    assert invoke_app(app, example_event("api/library/delete_asset"))["statusCode"] == 204
    assert (cloud.bucket_keys("media/"), listed(app)) == (files, [other])
    of_the_other = json.loads(json.dumps(example_event("api/library/delete_asset")).replace(ASSET, other))
    assert invoke_app(app, of_the_other)["statusCode"] == 204
    assert cloud.bucket_keys("media/") == []


def test_recording_a_deleted_asset_again_does_not_bring_it_back(app: ModuleType, files: list[str]) -> None:
    invoke_app(app, example_event("api/library/delete_asset"))
    delivered = DeliveredFile(ASSET, "image", SHA256, "png", 183_211, 512, 512, has_thumbnail=True)
    record_asset(stored_generation(), delivered, 0)
    assert listed(app) == []
    assert error_of(invoke_app(app, example_event("api/library/get"))) == (404, "NOT_FOUND")


def test_a_removal_that_is_taken_back_serves_the_same_bytes(cloud: AwsResources, files: list[str]) -> None:
    stored = library.stored_files()
    removed = stored.remove(WORKSPACE, SHA256, "png")
    assert cloud.bucket_keys("media/") == []
    stored.restore(removed)
    assert [MediaStore(cloud.bucket).get(key, 999) for key in files] == [key.encode() for key in files]
    # A file that was stored in between stays as it is.
    removed = stored.remove(WORKSPACE, SHA256, "png")
    MediaStore(cloud.bucket).put(files[0], b"stored since", "image/png")
    stored.restore(removed)
    assert MediaStore(cloud.bucket).get(files[0], 999) == b"stored since"


def test_a_generation_that_was_accepted_before_still_gets_its_deleted_input(
    app: ModuleType, cloud: AwsResources, files: list[str]
) -> None:
    delivery = Delivery(MediaStore(cloud.bucket), Fetcher())
    source = InputAsset(ASSET, SHA256, "png")
    invoke_app(app, example_event("api/library/delete_asset"))
    assert delivery.read_input(WORKSPACE, source).data == files[0].encode()
    with pytest.raises(NotFound):
        delivery.read_input(WORKSPACE, replace(source, sha256="0" * 64))


def test_an_asset_is_moved_to_another_project_and_out_of_it(app: ModuleType) -> None:
    create_project()
    moved = success_data(invoke_app(app, change(project_id=PROJECT)))["asset"]
    assert (moved["project_id"], listed(app, project_id=PROJECT)) == (PROJECT, [ASSET])
    assert success_data(invoke_app(app, change(name="Mine")))["asset"]["project_id"] == PROJECT
    assert success_data(invoke_app(app, change(project_id=None)))["asset"]["project_id"] is None
    assert listed(app, project_id=PROJECT) == []


def test_an_asset_is_moved_only_to_an_open_project_of_its_workspace(app: ModuleType) -> None:
    create_project()
    projects = load_function("api/projects")
    archived = invoke_app(projects, event("api/projects/change_project", body={"archived": True}))
    assert archived["statusCode"] == 200
    for project_id in (PROJECT, f"{PROJECT[:-1]}0"):
        refused = invoke_app(app, change(project_id=project_id, name="Mine"))
        assert error_of(refused) == (422, "VALIDATION_FAILED")
        assert json.loads(refused["body"])["details"]["fields"][0]["path"] == "project_id"
    asset = success_data(invoke_app(app, example_event("api/library/get")))["asset"]
    assert (asset["project_id"], asset["name"]) == (None, PROMPT)


def record_made_from(number: int, *origins: str, of: str = WORKSPACE) -> str:
    """Records an asset that was made from these; returns its id."""
    made = replace(stored_generation(), workspace_id=of)
    inputs = {"reference": tuple(map(InputAsset, origins))}
    made_id = asset_id(GENERATION, number)
    picture = DeliveredFile(made_id, "image", f"{number:064}", "png", 1, 64, 64, has_thumbnail=True)
    record_asset(replace(made, recipe=replace(made.recipe, inputs=inputs)), picture, number)
    return made_id


def lineage(app: ModuleType, of: str = ASSET, **query: str) -> dict[str, Any]:
    request = event("api/library/get_lineage", queryStringParameters=query)
    return success_data(invoke_app(app, json.loads(json.dumps(request).replace(ASSET, of))))


def test_the_lineage_of_an_asset_is_what_it_was_made_of_and_what_was_made_from_it(app: ModuleType) -> None:
    poster = record_made_from(1, ASSET)
    both = record_made_from(2, poster, ASSET)
    record_made_from(3, ASSET, of="wsp_01M7XCN60QZZZZZZZZZZZZZZZZ")
    first = lineage(app)
    assert (first["origins"], first["origins_complete"]) == ([], True)
    assert {each["id"] for each in first["items"]} == {poster, both}
    last = lineage(app, both)
    assert [(each["id"], each["made_from"]) for each in last["origins"]] == [(poster, [ASSET]), (ASSET, [])]
    assert [each["asset"]["id"] for each in last["origins"]] == [poster, ASSET]
    assert (last["items"], last["origins_complete"]) == ([], True)
    assert error_of(invoke_app(app, foreign_event("api/library/get_lineage"))) == (404, "NOT_FOUND")


def test_a_deleted_asset_stays_in_the_lineage_of_what_was_made_from_it(app: ModuleType, files: list[str]) -> None:
    poster = record_made_from(1, ASSET)
    invoke_app(app, example_event("api/library/delete_asset"))
    (origin,) = lineage(app, poster)["origins"]
    assert (origin["id"], origin["type"], origin["asset"]) == (ASSET, "image", None)
    assert origin["deleted_at"]
    assert error_of(invoke_app(app, example_event("api/library/get_lineage"))) == (404, "NOT_FOUND")


def test_what_was_made_from_an_asset_comes_in_pages(app: ModuleType) -> None:
    made = {record_made_from(number, ASSET) for number in range(1, 6)}
    found: list[str] = []
    cursor = ""
    for _ in range(3):
        page = lineage(app, limit="2", **({"cursor": cursor} if cursor else {}))
        found += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert (sorted(found), cursor) == (sorted(made), None)


def test_a_foreign_asset_gets_the_response_of_a_missing_one(app: ModuleType) -> None:
    foreign = invoke_app(app, foreign_event("api/library/get"))
    missing: dict[str, Any] = json.loads(json.dumps(example_event("api/library/get")).replace(ASSET, f"{ASSET[:-1]}0"))
    assert error_of(foreign) == (404, "NOT_FOUND")
    assert foreign["body"] == invoke_app(app, missing)["body"]
    assert success_data(invoke_app(app, foreign_event("api/library/list")))["items"] == []
