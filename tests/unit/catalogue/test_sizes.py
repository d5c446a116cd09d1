"""Shapes and sizes: the input image's or the nearest supported one, in the model's own parameters, and their price."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.model import Model
from atelier.catalogue.sizes import InputFacts, nearest_size
from atelier.errors import ValidationFailed
from atelier.openai_api.images import ImageRequest
from atelier.openai_api.request import compare_with_generation, fit_to_models
from atelier.openai_api.videos import VideoRequest

TODAY = date(2026, 11, 21)
ALL = catalogue(frozenset({"openai", "replicate", "fal", "xai", "stability", "local"}))
# The sizes that clients of OpenAI's API send by default.
SIZES = {
    "image": ["auto", "256x256", "512x512", "1024x1024", "1536x1024", "1024x1536", "1792x1024", "1024x1792"],
    "video": ["1280x720", "720x1280", "1920x1080", "1080x1920", "1024x1792", "1792x1024"],
}
MADE = [model for model in ALL.data.models if model.kind in SIZES and model.id != "custom/endpoint"]
SENT = [(model, size) for model in MADE for size in SIZES[model.kind]]
PORTRAIT = InputFacts(600, 1200)


def offered(
    model_id: str, parameters: dict[str, Any] | None = None, facts: InputFacts = PORTRAIT, **files: int
) -> tuple[dict[str, Any], int]:
    """The parameters that a model would get, and its maximum price."""
    model = ALL.model(model_id)
    needed = {role: rule["minimum"] for role, rule in model.inputs.items() if rule["minimum"]} | files
    facts = facts if "image" in needed else InputFacts(pending=facts.pending)
    complete, (offer,) = ALL.offers(
        model.kind, model_id, parameters or {}, today=TODAY, seed=1, prompt="a fox", files=needed, facts=facts
    )
    # The priced parameters are sent in every attempt and after a retry.
    again = ALL.parameters_for(model_id, complete, facts=facts)
    assert {name: value for name, value in complete.items() if name in model.parameters} == {
        name: value for name, value in again.items() if name in model.parameters
    }
    assert ALL.price(model_id, complete, prompt="a fox", files=needed, facts=facts).credits == offer.credits_max
    return complete, offer.credits_max


def refusal(model_id: str, parameters: dict[str, Any], **files: int) -> tuple[str, str]:
    with pytest.raises(ValidationFailed) as refused:
        offered(model_id, parameters, **files)
    (field,) = refused.value.facts["fields"]
    return field["path"], field["message"]


# ---- sizes that clients send -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "size"), SENT, ids=[f"{model.id} {size}" for model, size in SENT])
def test_every_model_accepts_common_sizes_and_reports_adjustments(model: Model, size: str) -> None:
    request = ImageRequest if model.kind == "image" else VideoRequest
    mapped = request(prompt="a fox", model=model.id, size=size).to_mapped_request()
    recipe = fit_to_models(mapped, [model])[0].to_recipe({})
    complete, credits = offered(model.id, recipe.parameters)
    near, ignored = compare_with_generation(mapped, complete)
    if size == "auto":
        assert (near, ignored) == ((), ())
        return
    across, down = map(int, size.split("x"))
    if "width" in complete:
        assert_near(across / down, complete["width"] / complete["height"])
        assert bool(near) is ((complete["width"], complete["height"]) != (across, down))
    elif "aspect_ratio" in complete:
        first, second = map(float, complete["aspect_ratio"].split(":"))
        assert_near(across / down, first / second)
        assert f"aspect_ratio={complete['aspect_ratio']}" in near[0]
    else:
        # The model follows the shape of its input image.
        assert "resolution" in complete or ignored == ("size",)
    assert complete["size"] == size
    assert credits >= 1


def assert_near(wanted: float, made: float) -> None:
    assert max(wanted / made, made / wanted) <= 1.25


@pytest.mark.parametrize(
    ("model", "size", "complete"),
    [
        ("xai/grok-imagine-image", "1024x1024", {"aspect_ratio": "1:1", "resolution": "1k"}),
        ("xai/grok-imagine-image", "2048x2048", {"aspect_ratio": "1:1", "resolution": "2k"}),
        ("xai/grok-imagine-video", "1280x720", {"aspect_ratio": "16:9", "resolution": "720p"}),
        ("xai/grok-imagine-video", "480x848", {"aspect_ratio": "9:16", "resolution": "480p"}),
        ("stability/core", "1792x1024", {"aspect_ratio": "16:9"}),
        ("fal/wan-2.5", "1920x1080", {"aspect_ratio": "16:9", "resolution": "1080p"}),
        ("openai/gpt-image-1.5", "1792x1024", {"width": 1536, "height": 1024}),
        ("openai/gpt-image-2", "1000x1000", {"width": 1008, "height": 1008}),
        ("local/film", "1920x1080", {"width": 1280, "height": 720}),
    ],
)
def test_a_size_becomes_the_models_nearest_size_in_its_own_parameters(
    model: str, size: str, complete: dict[str, Any]
) -> None:
    assert complete.items() <= offered(model, {"size": size})[0].items()


@pytest.mark.parametrize(
    ("model", "size", "names"),
    [
        ("fal/wan-2.5", "640x480", "16:9, 9:16, 1:1 in 480p, 720p, 1080p"),
        ("stability/core", "4000x1000", "21:9"),
        ("xai/grok-imagine-video", "3840x2160", "480p, 720p"),
        ("local/canvas", "8192x8192", "64 to 2048 pixels wide"),
        ("openai/gpt-image-2", "2048x256", "no side more than 3 times the other"),
    ],
)
def test_a_size_far_from_every_supported_one_is_refused_with_those(model: str, size: str, names: str) -> None:
    path, message = refusal(model, {"size": size})
    assert path == "parameters.size"
    assert names in message


@pytest.mark.parametrize("size", ["big", "0x0", "1024×1024", "1024x", 1024, ["1024x1024"]])
def test_an_invalid_size_is_refused(size: object) -> None:
    assert refusal("local/canvas", {"size": size}) == (
        "parameters.size",
        "must be auto, or a size like 1024x1024",
    )


def test_width_and_height_become_an_aspect_ratio_where_needed() -> None:
    complete, _ = offered("xai/grok-imagine-image", {"width": 1024, "height": 1024})
    assert (complete["aspect_ratio"], complete["resolution"], complete["width"]) == ("1:1", "1k", 1024)
    assert refusal("fal/wan-2.5", {"width": 640, "height": 480})[0] == "parameters.width"
    assert refusal("fal/kling-2.6-pro", {"width": 1280}) == ("parameters.width", "fal/kling-2.6-pro does not take this")
    _, offers = ALL.offers("image", "auto", {"width": 1024, "height": 512}, today=TODAY, seed=1)
    assert {offer.provider for offer in offers} == {"openai", "replicate", "fal"}


def test_a_size_is_refused_by_a_text_or_audio_model() -> None:
    for kind, model in (("text", "local/writer"), ("audio", "local/voice")):
        with pytest.raises(ValidationFailed) as refused:
            ALL.offers(kind, model, {"size": "64x64"}, today=TODAY, seed=1, prompt="Hello.")
        assert refused.value.facts["fields"] == [{"path": "parameters.size", "message": f"{model} does not take this"}]


def test_each_candidate_of_auto_maps_the_size_to_its_own_parameters() -> None:
    complete, offers = ALL.offers("image", "auto", {"size": "1792x1024"}, today=TODAY, seed=1, prompt="a fox")
    assert {"openai", "xai", "stability", "fal", "replicate"} == {offer.provider for offer in offers}
    for offer in offers:
        own = ALL.parameters_for(offer.model, complete)
        assert ALL.price(offer.model, complete, prompt="a fox").credits == offer.credits_max
        assert own.get("aspect_ratio", "16:9") == "16:9"
        assert own.get("width", 1792) > own.get("height", 1024)


@pytest.mark.parametrize(
    ("model", "seconds", "made"),
    [("fal/wan-2.5", 4, 5), ("fal/wan-2.5", 8, 10), ("fal/wan-2.5", 12, 10), ("xai/grok-imagine-video", 12, 12)],
)
def test_a_video_length_becomes_the_nearest_supported_one_and_is_reported(model: str, seconds: int, made: int) -> None:
    mapped = VideoRequest(prompt="a fox", model=model, seconds=seconds, size="1280x720").to_mapped_request()
    complete, _ = offered(model, fit_to_models(mapped, [ALL.model(model)])[0].to_recipe({}).parameters)
    assert complete["duration_seconds"] == made
    assert (f"seconds={seconds} ({made})" in compare_with_generation(mapped, complete)[0]) is (seconds != made)


def test_a_video_length_far_from_every_offered_one_is_refused() -> None:
    mapped = VideoRequest(prompt="a fox", seconds=60).to_mapped_request()
    with pytest.raises(ValidationFailed) as refused:
        fit_to_models(mapped, [ALL.model("fal/wan-2.5")])
    assert refused.value.facts["fields"][0]["message"] == "is too far from what can be made: 5 to 10"


def test_a_video_length_is_ignored_by_a_model_without_one() -> None:
    mapped = VideoRequest(prompt="a fox", seconds=60).to_mapped_request()
    still = ALL.model("replicate/stable-video-diffusion")
    complete, _ = offered(still.id, fit_to_models(mapped, [still])[0].to_recipe({}).parameters)
    assert compare_with_generation(mapped, complete) == ((), ("seconds",))


# ---- the input image's shape -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "picture", "complete"),
    [
        ("local/canvas", (600, 1200), {"width": 600, "height": 1200}),
        ("local/canvas", (4000, 3000), {"width": 2048, "height": 1536}),
        ("openai/gpt-image-2", (600, 1200), {"width": 608, "height": 1216}),
        ("openai/gpt-image-1.5", (600, 1200), {"width": 1024, "height": 1536}),
        ("local/film", (1080, 1920), {"width": 720, "height": 1280}),
        ("local/talker", (600, 1200), {"width": 362, "height": 724}),
        ("xai/grok-imagine-image", (600, 1200), {"aspect_ratio": "1:2"}),
        ("xai/grok-imagine-video", (1080, 1920), {"aspect_ratio": "9:16"}),
    ],
)
def test_a_missing_size_defaults_to_the_input_images_shape(
    model: str, picture: tuple[int, int], complete: dict[str, Any]
) -> None:
    for mapped in ({}, {"size": "auto"}):
        found, _ = offered(model, mapped, InputFacts(*picture), image=1)
        assert (complete | {"size": "auto"}).items() <= found.items()


@pytest.mark.parametrize("model", ["xai/grok-imagine-image", "xai/grok-imagine-video", "stability/ultra"])
def test_a_provider_that_follows_the_input_image_gets_no_aspect_ratio(model: str) -> None:
    found, _ = offered(model, facts=InputFacts(1000, 900), image=1)
    assert (found["size"], "aspect_ratio" in found) == ("auto", False)


def test_an_edits_price_depends_on_its_input_images_pixels() -> None:
    small, own, square = (
        offered("local/canvas", facts=InputFacts(*size), image=1)[1] for size in ((256, 256), (600, 1200), (1024, 1024))
    )
    assert (small, own, square) == (1, 3, 4)
    assert (
        offered("openai/gpt-image-2", facts=InputFacts(256, 256), image=1)[1]
        < offered("openai/gpt-image-2", facts=InputFacts(1024, 1024), image=1)[1]
    )


def test_a_requested_size_takes_precedence_over_the_input_images_shape() -> None:
    for mapped in ({"width": 512, "height": 512}, {"size": "512x512"}):
        found, _ = offered("local/canvas", mapped, image=1)
        assert (found["width"], found["height"]) == (512, 512)
    found, _ = offered("xai/grok-imagine-image", {"aspect_ratio": "16:9"}, image=1)
    assert found["aspect_ratio"] == "16:9"


def test_a_reference_image_does_not_set_the_shape() -> None:
    found, _ = offered("local/canvas", reference=1, facts=InputFacts())
    assert (found["width"], found["height"], found.get("size")) == (1024, 1024, None)


def test_a_pending_image_is_held_at_the_largest_size_and_settled_at_its_own() -> None:
    pending = InputFacts(pending=frozenset({"image"}))
    complete, most = offered("local/canvas", facts=pending, image=1)
    assert (complete["size"], "width" in complete, most) == ("auto", False, 16)
    own = ALL.parameters_for("local/canvas", complete, facts=PORTRAIT)
    assert (own["width"], own["height"]) == (600, 1200)
    end = ALL.settle("local/canvas", complete, "succeeded", files={"image": 1}, facts=PORTRAIT, delivered=1)
    assert end.credits == 3


sides = st.integers(1, 12_000)


@given(width=sides, height=sides)
def test_any_input_image_shape_fits_the_models_sizes(width: int, height: int) -> None:
    for model in MADE:
        if "width" not in model.parameters:
            continue
        across, down = nearest_size(model, width, height)
        complete = ALL.offers(
            model.kind,
            model.id,
            {"width": across, "height": down},
            today=TODAY,
            seed=1,
            files={"image": model.inputs.get("image", {"minimum": 0})["minimum"]},
        )[0]
        assert (complete["width"], complete["height"]) == (across, down)


@given(width=st.integers(300, 2000), height=st.integers(300, 2000))
def test_a_video_from_an_image_keeps_its_aspect_ratio(width: int, height: int) -> None:
    across, down = nearest_size(ALL.model("local/film"), width, height)
    assert math.isclose(across / down, width / height, rel_tol=0.02)
