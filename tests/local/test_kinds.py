"""Every kind of media, generated on the whole stack without a provider key, and opened with common libraries."""

from __future__ import annotations

import io
from array import array
from typing import Any

import av
import pytest
from PIL import Image, ImageChops

from tests.local.client import AccountClient
from tests.local.conftest import Stack


@pytest.fixture(scope="module")
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


MODELS = {
    "text": "writer",
    "page": "page",
    "image": "canvas",
    "audio": "voice",
    "video": "film",
    "avatar": "talker",
    "upscale": "enlarge",
}


def make(person: AccountClient, kind: str, prompt: str, **parameters: Any) -> dict[str, Any]:
    """The generation, when it has succeeded."""
    body = {"prompt": prompt, "model": f"local/{MODELS[kind]}", "parameters": parameters}
    answer = person.http.post(f"/api/generate/{kind}", json=body)
    assert answer.status_code == 202, answer.text
    made = person.wait_for_end(answer.json()["data"]["generation"]["id"])
    assert made["status"] == "succeeded", made["error"]
    assert made["kind"] == kind
    return made


def asset_of(made: dict[str, Any], asset_type: str) -> dict[str, Any]:
    (asset,) = made["assets"]
    assert asset["type"] == asset_type
    return asset


def content(person: AccountClient, asset: dict[str, Any], content_type: str) -> bytes:
    answer = person.http.get(asset["url"])
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, content_type)
    assert len(answer.content) == asset["size_bytes"]
    return answer.content


def loudest(stream: Any) -> float:
    """The largest amplitude of an audio stream, from 0 to 1."""
    resampler = av.AudioResampler(format="flt", layout="mono")
    parts = [part for frame in stream.container.decode(stream) for part in resampler.resample(frame)]
    return max(max(map(abs, array("f", bytes(part.planes[0])[: part.samples * 4]))) for part in parts)


def test_a_text_is_returned_with_its_generation(person: AccountClient) -> None:
    made = make(person, "text", "Write two lines about a lighthouse.", max_tokens=200)
    asset = asset_of(made, "text")
    assert content(person, asset, "text/plain").decode() == made["text"] != ""
    assert made["usage"]["tokens_total"] > made["usage"]["tokens_output"] > 0
    (listed,) = [each for each in person.get("/api/generations").json()["data"]["items"] if each["id"] == made["id"]]
    assert listed["text"] is None


def test_a_page_is_served_as_sandboxed_html(person: AccountClient) -> None:
    made = make(person, "page", "A page for a lighthouse museum")
    page = content(person, asset_of(made, "page"), "text/html").decode()
    assert page.lower().startswith("<!doctype html>")
    assert page == made["text"]
    policy = person.http.get(made["assets"][0]["url"]).headers["content-security-policy"]
    assert "sandbox" in policy


def test_generated_speech_is_audible(person: AccountClient) -> None:
    asset = asset_of(make(person, "audio", "The lamp is lit at dusk.", voice="cora", format="mp3"), "audio")
    with av.open(io.BytesIO(content(person, asset, "audio/mpeg"))) as sound:
        (stream,) = sound.streams.audio
        assert loudest(stream) > 0.05
    assert 500 < asset["duration_ms"] < 10_000


def test_a_generated_video_has_its_size_length_and_motion(person: AccountClient) -> None:
    made = make(person, "video", "waves at a lighthouse", duration_seconds=2, width=320, height=180, fps=12)
    asset = asset_of(made, "video")
    with av.open(io.BytesIO(content(person, asset, "video/mp4"))) as film:
        (stream,) = film.streams.video
        frames = [frame.to_image() for frame in film.decode(stream)]
    assert (asset["width"], asset["height"]) == (320, 180) == frames[0].size
    assert len(frames) == 24
    assert abs(asset["duration_ms"] - 2000) < 100
    assert ImageChops.difference(frames[0], frames[-1]).getbbox(), "nothing moves"
    poster = Image.open(io.BytesIO(person.http.get(asset["thumbnail_url"]).content))
    assert poster.format == "WEBP"
    assert made["credits_charged"] == 4


def test_assets_derived_from_an_image_name_it_as_their_source(person: AccountClient) -> None:
    still = make(person, "image", "a red boat", width=256, height=400)["assets"][0]
    film = make(person, "video", "a slow zoom", image_asset_id=still["id"], duration_seconds=1, fps=8)
    large = make(person, "upscale", "larger", image_asset_id=still["id"], factor=2)
    quote = person.http.post(
        "/api/quotes",
        json={"kind": "image", "model": "local/canvas", "parameters": {"image_asset_id": still["id"]}},
    ).json()["data"]
    changed = make(person, "image", "a blue boat", image_asset_id=still["id"])
    # Without a size the edit has the input image's size, and its price.
    assert (quote["credits_max"], changed["credits_charged"]) == (1, 1)
    assert (asset_of(large, "image")["width"], asset_of(large, "image")["height"]) == (512, 800)
    for made, kind in ((film, "video"), (changed, "image")):
        assert (asset_of(made, kind)["width"], asset_of(made, kind)["height"]) == (256, 400)
        assert {"size": "auto", "width": 256, "height": 400}.items() <= made["parameters"].items()
    assert changed["assets"][0]["sha256"] != still["sha256"]
    for made in (film, large, changed):
        assert made["parameters"]["image_asset_id"] == still["id"]
        kept = person.get(f"/api/assets/{made['assets'][0]['id']}").json()["data"]["asset"]
        assert kept["made_from"] == [still["id"]]
    picture = Image.open(io.BytesIO(content(person, asset_of(large, "image"), "image/png")))
    assert picture.size == (512, 800)


def test_an_avatar_uses_a_face_image_and_a_speech_asset(person: AccountClient) -> None:
    speech = make(person, "audio", "Good evening from the harbour.")["assets"][0]
    face = make(person, "image", "a portrait", width=256, height=256)["assets"][0]
    made = make(
        person,
        "avatar",
        "Good evening from the harbour.",
        audio_asset_id=speech["id"],
        image_asset_id=face["id"],
        width=256,
        height=256,
        fps=12,
    )
    asset = asset_of(made, "video")
    with av.open(io.BytesIO(content(person, asset, "video/mp4"))) as film:
        assert len(film.streams.video) == 1
        (voice,) = film.streams.audio
        assert loudest(voice) > 0.05
    assert abs(asset["duration_ms"] - speech["duration_ms"]) < 1000
    kept = person.get(f"/api/assets/{asset['id']}").json()["data"]["asset"]
    assert set(kept["made_from"]) == {face["id"], speech["id"]}


def test_an_input_asset_that_is_foreign_or_of_the_wrong_type_is_refused(person: AccountClient, stack: Stack) -> None:
    other = AccountClient(stack.base_url)
    theirs = make(other, "image", "a boat", width=64, height=64)["assets"][0]["id"]
    spoken = make(person, "audio", "a word")["assets"][0]["id"]
    before = person.balance()
    for asset_id in (theirs, spoken, theirs[:-1] + ("0" if theirs[-1] != "0" else "1")):
        body = {"prompt": "larger", "parameters": {"image_asset_id": asset_id}}
        refused = person.http.post("/api/generate/upscale", json=body)
        assert (refused.status_code, refused.json()["error"]) == (422, "VALIDATION_FAILED")
        assert refused.json()["details"]["fields"][0]["path"] == "parameters.image_asset_id"
    lacking = person.http.post("/api/generate/upscale", json={"prompt": "larger"})
    assert lacking.status_code == 422
    wrong = person.http.post("/api/generate/video", json={"prompt": "x", "kind": "image"})
    assert wrong.status_code == 422
    assert person.http.post("/api/generate/hologram", json={"prompt": "x"}).status_code == 404
    assert person.balance() == before


def test_a_generation_is_charged_at_most_its_quote(person: AccountClient) -> None:
    body = {"kind": "audio", "prompt": "One short sentence.", "model": "local/voice"}
    quote = person.http.post("/api/quotes", json=body).json()["data"]
    answer = person.http.post("/api/generate", json={**body, "quote_id": quote["quote_id"]})
    made = person.wait_for_end(answer.json()["data"]["generation"]["id"])
    assert made["status"] == "succeeded"
    assert 0 < made["credits_charged"] <= quote["credits_max"]
    person.assert_books_balance()
