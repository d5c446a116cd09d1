"""Pipelines on the whole stack without a provider key: each stage's file exists, has its source, and is paid once."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest
from PIL import Image

from tests.local.client import AccountClient
from tests.local.conftest import Stack

SMALL = {"width": 256, "height": 256}
CANVAS = {"model": "local/canvas", "parameters": SMALL}
WRITER = {"model": "local/writer"}


@pytest.fixture(scope="module")
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


def run(person: AccountClient, pipeline: str, prompt: str, **stages: Any) -> dict[str, Any]:
    """The run, when it has succeeded."""
    answer = person.http.post("/api/pipelines", json={"pipeline": pipeline, "prompt": prompt, "stages": stages})
    assert answer.status_code == 202, answer.text
    return succeeded(person, answer.json()["data"]["generation"])


def succeeded(person: AccountClient, begun: dict[str, Any]) -> dict[str, Any]:
    made = person.wait_for_end(begun["id"])
    assert made["status"] == "succeeded", made["error"]
    assert made["credits_charged"] == sum(stage["credits_charged"] for stage in made["stages"]) <= begun["credits_held"]
    assert made["assets"] == made["stages"][-1]["assets"]
    assert [attempt["status"] for attempt in made["attempts"]] == ["succeeded"] * len(made["stages"])
    return made


def made_from(person: AccountClient, stage: dict[str, Any]) -> list[str]:
    kept = person.get(f"/api/assets/{stage['assets'][0]['id']}").json()["data"]["asset"]
    assert kept["generation_id"] == stage["generation_id"]
    return list(kept["made_from"])


def content(person: AccountClient, asset: dict[str, Any]) -> io.BytesIO:
    answer = person.http.get(asset["url"])
    assert answer.status_code == 200, answer.text
    return io.BytesIO(answer.content)


def test_a_talking_avatar_uses_generated_speech(person: AccountClient) -> None:
    avatar = {"model": "local/talker", "parameters": {**SMALL, "fps": 8}}
    voice = {"model": "local/voice", "parameters": {"voice": "ben"}}
    made = run(person, "talking_avatar", "The lamp is lit.", speech=voice, avatar=avatar)
    speech, face = made["stages"]
    assert [speech["assets"][0]["type"], face["assets"][0]["type"]] == ["audio", "video"]
    assert made_from(person, face) == [speech["assets"][0]["id"]]
    with av.open(content(person, face["assets"][0])) as film:
        assert (len(film.streams.video), len(film.streams.audio)) == (1, 1)
    assert abs(face["assets"][0]["duration_ms"] - speech["assets"][0]["duration_ms"]) < 1000


def test_an_image_to_video_run_makes_its_video_from_its_image(person: AccountClient) -> None:
    film = {"model": "local/film", "parameters": {**SMALL, "duration_seconds": 1, "fps": 8}}
    made = run(person, "image_to_video", "waves at a lighthouse", image=CANVAS, video=film)
    image, video = made["stages"]
    assert made_from(person, video) == [image["assets"][0]["id"]]
    with av.open(content(person, video["assets"][0])) as opened:
        assert len(list(opened.decode(video=0))) == 8
    # A stage has its own address with its parent; the list shows only the run.
    stage = person.generation(image["generation_id"])
    assert (stage["parent_id"], stage["stage"]) == (made["id"], "image")
    listed = [each["id"] for each in person.get("/api/generations").json()["data"]["items"]]
    assert made["id"] in listed
    assert image["generation_id"] not in listed


def test_an_enhanced_upscale_run_enhances_generates_and_upscales(person: AccountClient) -> None:
    upscale = {"model": "local/enlarge", "parameters": {"factor": 2}}
    made = run(person, "enhanced_upscale", "a red boat", enhance=WRITER, image=CANVAS, upscale=upscale)
    enhance, image, large = made["stages"]
    assert made["prompt"] == "a red boat"
    assert made["enhanced_prompt"].startswith("a red boat, ")
    assert "procedural" not in made["enhanced_prompt"]
    assert person.generation(image["generation_id"])["prompt"] == made["enhanced_prompt"]
    assert made_from(person, large) == [image["assets"][0]["id"]]
    assert Image.open(content(person, large["assets"][0])).size == (512, 512)
    assert enhance["credits_charged"] == 1


def test_an_enhanced_prompt_shows_its_cost_and_keeps_the_original(person: AccountClient) -> None:
    body = {"prompt": "a green boat", "enhance_prompt": True, "model": "local/canvas", "parameters": SMALL}
    quote = person.http.post("/api/quotes", json={"kind": "image", **body}).json()["data"]
    answer = person.http.post("/api/generate/image", json={**body, "quote_id": quote["quote_id"]})
    assert answer.status_code == 202, answer.text
    made = succeeded(person, answer.json()["data"]["generation"])
    assert (made["kind"], made["prompt"], made["stages"][0]["name"]) == ("image", "a green boat", "enhance")
    assert made["enhanced_prompt"] != made["prompt"]
    assert made["credits_charged"] == made["stages"][0]["credits_charged"] + 1 <= quote["credits_max"]


def test_a_prompt_enhancement_alone_is_charged(person: AccountClient) -> None:
    before = person.balance()["available"]
    body = {"prompt": "a boat", "style": "linocut", "model": "local/writer"}
    answer = person.http.post("/api/prompts/enhance", json=body)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert data["prompt"].startswith("a boat, ")
    assert (data["original"], data["credits_charged"]) == ("a boat", 1)
    assert person.balance()["available"] == before - 1


def test_a_run_has_one_hold_and_one_settlement(person: AccountClient) -> None:
    film = {"model": "local/film", "parameters": {**SMALL, "duration_seconds": 1, "fps": 8}}
    made = run(person, "image_to_video", "a boat", image=CANVAS, video=film)
    moved = [each["kind"] for each in person.statement() if each["subject"] == made["id"]]
    assert sorted(moved) == ["hold", "settled"]
    for stage in made["stages"]:
        assert not any(each["subject"] == stage["generation_id"] for each in person.statement())
    person.assert_books_balance()


def test_a_cancelled_run_is_charged_only_its_finished_stages(person: AccountClient) -> None:
    film = {"model": "local/film", "parameters": {**SMALL, "duration_seconds": 2}}
    body = {"pipeline": "image_to_video", "prompt": "a boat", "stages": {"image": CANVAS, "video": film}}
    begun = person.http.post("/api/pipelines", json=body).json()["data"]["generation"]
    assert person.http.post(f"/api/generations/{begun['id']}/cancel").status_code in (200, 202, 409)
    ended = person.wait_for_end(begun["id"])
    assert ended["status"] in ("cancelled", "succeeded")
    assert ended["credits_charged"] == sum(stage["credits_charged"] for stage in ended["stages"])
    assert person.balance()["held"] == 0


def test_an_identical_request_with_reuse_returns_the_earlier_result_free(person: AccountClient) -> None:
    body = {"prompt": "a blue boat", "model": "local/canvas", "parameters": {**SMALL, "seed": 7}}
    first = person.wait_for_end(person.http.post("/api/generate/image", json=body).json()["data"]["generation"]["id"])
    before = person.balance()["available"]
    answer = person.http.post("/api/generate/image", json={**body, "reuse": True}, headers={"Prefer": "wait=10"})
    assert answer.status_code == 200, answer.text
    again = answer.json()["data"]["generation"]
    assert (again["status"], again["reused_from"]) == ("succeeded", first["id"])
    assert [asset["id"] for asset in again["assets"]] == [asset["id"] for asset in first["assets"]]
    assert (again["credits_charged"], person.balance()["available"]) == (0, before)
    assert content(person, again["assets"][0]).read() == content(person, first["assets"][0]).read()
    person.assert_books_balance()
