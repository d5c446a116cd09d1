"""Uploads, characters and templates as an outside client uses them, on the whole stack with its IAM policies."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import httpx
import pytest
from PIL import Image

from infra.simulators.kit.samples import sample_png
from tests.local.client import AccountClient, run_concurrently
from tests.local.conftest import Stack

pytestmark = pytest.mark.usefixtures("healthy_provider")

PHOTOGRAPH = sample_png(96, 128, 7)


@pytest.fixture(scope="module")
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


def begun(person: AccountClient, size: int = len(PHOTOGRAPH), content_type: str = "image/png") -> dict[str, Any]:
    body = {"name": "mira.png", "content_type": content_type, "size": size}
    answer = person.http.post("/api/assets/uploads", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def sent(upload: dict[str, Any], file: bytes, **fields: str) -> int:
    form = {**upload["fields"], **fields}
    return httpx.post(upload["url"], data=form, files={"file": ("x", file)}, timeout=20).status_code


def complete(person: AccountClient, asset_id: str) -> httpx.Response:
    return person.http.post(f"/api/assets/{asset_id}/complete")


def uploaded(person: AccountClient, file: bytes = PHOTOGRAPH) -> dict[str, Any]:
    """An image that the person has uploaded with the form."""
    made = begun(person, len(file))
    assert sent(made["upload"], file) == 204
    done = complete(person, made["asset"]["id"])
    assert done.status_code == 200, done.text
    return done.json()["data"]["asset"]


def test_an_image_is_uploaded_completed_and_served(person: AccountClient) -> None:
    made = begun(person)
    asset_id = made["asset"]["id"]
    assert complete(person, asset_id).status_code == 409
    assert person.get(f"/api/assets/{asset_id}").status_code == 404
    assert asset_id not in [each["id"] for each in person.get("/api/assets").json()["data"]["items"]]
    assert sent(made["upload"], PHOTOGRAPH) == 204
    answers = run_concurrently(3, lambda _: complete(person, asset_id))
    assert [answer.status_code for answer in answers] == [200] * 3, [answer.text for answer in answers]
    asset = answers[0].json()["data"]["asset"]
    assert {answer.json()["data"]["asset"]["sha256"] for answer in answers} == {asset["sha256"]}
    assert (asset["generation_id"], asset["width"], asset["height"]) == (None, 96, 128)
    seen = person.http.get(asset["url"]).content
    assert hashlib.sha256(seen).hexdigest() == asset["sha256"]
    assert Image.open(io.BytesIO(seen)).size == (96, 128)
    assert Image.open(io.BytesIO(person.http.get(asset["thumbnail_url"]).content)).format == "WEBP"
    assert person.get(f"/api/assets/{asset_id}").json()["data"]["asset"]["name"] == "mira.png"


def test_a_deleted_file_is_no_longer_served_and_can_be_uploaded_again(person: AccountClient) -> None:
    photograph = sample_png(64, 96, 11)
    twins = [uploaded(person, photograph) for _ in range(2)]
    assert {twin["sha256"] for twin in twins} == {twins[0]["sha256"]}
    for number, twin in enumerate(twins):
        assert person.http.delete(f"/api/assets/{twin['id']}").status_code == 204
        assert person.get(f"/api/assets/{twin['id']}").status_code == 404
        assert complete(person, twin["id"]).status_code == 404
        served = [person.http.get(twin[url]).status_code for url in ("url", "thumbnail_url")]
        assert served == ([200, 200] if number == 0 else [403, 403])
    again = uploaded(person, photograph)
    assert again["id"] not in {twin["id"] for twin in twins}
    assert person.http.get(again["url"]).status_code == 200


def test_the_upload_form_accepts_only_its_size_key_and_type(person: AccountClient) -> None:
    made = begun(person)
    upload = made["upload"]
    assert sent(upload, PHOTOGRAPH + b"x") == 400
    assert sent(upload, PHOTOGRAPH, key=f"media/{person.workspace_id}/{'0' * 64}.png") == 403
    assert sent(upload, PHOTOGRAPH, **{"Content-Type": "text/html"}) == 403
    assert sent(upload, PHOTOGRAPH, **{"x-amz-signature": "0" * 64}) == 403
    assert httpx.get(f"{upload['url']}/{upload['fields']['key']}").status_code == 403
    assert complete(person, made["asset"]["id"]).status_code == 409
    assert sent(upload, b"<svg/>".ljust(len(PHOTOGRAPH))) == 204
    refused = complete(person, made["asset"]["id"])
    assert (refused.status_code, refused.json()["details"]["fields"][0]["path"]) == (422, "file")


def test_a_browser_may_upload_from_any_origin(person: AccountClient) -> None:
    upload = begun(person)["upload"]
    asking = {"Origin": "http://localhost:8080", "Access-Control-Request-Method": "POST"}
    allowed = httpx.options(upload["url"], headers=asking)
    assert (allowed.status_code, allowed.headers.get("access-control-allow-origin")) == (200, "*")


def test_a_characters_images_reach_the_provider_and_outlive_the_character(stack: Stack, person: AccountClient) -> None:
    asset = uploaded(person)
    body = {"name": "Mira", "description": "Red hair.", "reference_asset_ids": [asset["id"]]}
    made = person.http.post("/api/characters", json=body)
    assert made.status_code == 201, made.text
    character_id = made.json()["data"]["character"]["id"]
    request_body = {"prompt": "a woman on a pier", "model": "replicate/photomaker", "character_id": character_id}
    generation = person.http.post("/api/generate/image", json=request_body).json()["data"]["generation"]
    assert person.wait_for_end(generation["id"])["status"] == "succeeded"
    calls = httpx.get(f"{stack.simulator_url}/_simulator/calls").json()["calls"]
    inputs = [call["body"]["input"] for call in calls if call["method"] == "POST" and "input" in (call["body"] or {})]
    (given,) = [each for each in inputs if each.get("prompt") == "a woman img on a pier"]
    assert given["input_image"].startswith("data:image/png;base64,")
    recipe = person.get(f"/api/generations/{generation['id']}/recipe").json()["data"]["recipe"]
    assert recipe["character_id"] == character_id
    delivered = person.generation(generation["id"])["assets"][0]["id"]
    assert person.get(f"/api/assets/{delivered}").json()["data"]["asset"]["made_from"] == [asset["id"]]
    assert person.http.put(f"/api/characters/{character_id}", json={"name": "Mira B."}).status_code == 200
    assert person.http.delete(f"/api/characters/{character_id}").status_code == 204
    assert person.generation(generation["id"])["character_id"] == character_id
    assert person.http.post(f"/api/generations/{generation['id']}/retry").status_code == 202
    assert person.http.post("/api/generate/image", json=request_body).status_code == 404


def test_a_template_runs_by_path_and_by_id(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    body = {
        "name": "At dusk",
        "kind": "image",
        "prompt": "a {{thing}} at dusk, {{mood}}",
        "model": "local/canvas",
        "parameters": {"width": 128, "height": 128},
        "variables": {"mood": {"default": "calm"}},
    }
    template = person.http.post("/api/templates", json=body).json()["data"]["template"]
    path = f"/api/templates/{template['id']}"
    ran = person.http.post(f"{path}/run", json={"variables": {"thing": "ship"}}, headers={"Prefer": "wait=25"})
    generation = ran.json()["data"]["generation"]
    assert (generation["status"], generation["prompt"]) == ("succeeded", "a ship at dusk, calm")
    by_id = {"template_id": template["id"], "variables": {"thing": "{{mood}}", "mood": "wild"}}
    made = person.http.post("/api/generate", json=by_id)
    assert made.status_code == 202, made.text
    assert person.wait_for_end(made.json()["data"]["generation"]["id"])["prompt"] == "a {{mood}} at dusk, wild"
    assert person.http.post(f"{path}/run", json={}).json()["details"]["fields"][0]["path"] == "variables.thing"
    assert person.get(path).json()["data"]["template"]["uses"] == 2
    assert person.http.put(path, json={"prompt": "a {{thing}}"}).status_code == 200
    assert person.http.delete(path).status_code == 204
    assert person.get("/api/templates").json()["data"]["items"] == []
    person.assert_books_balance()
