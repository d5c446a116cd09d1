"""The xAI adapter against the simulator: its own request formats, exact costs, and videos that are polled."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av
import openai as sdk
import pytest
from PIL import Image

from atelier.adapters.media.fetch import Fetcher, FetchGone
from atelier.adapters.providers._openai_compatible.errors import Problem
from atelier.adapters.providers.xai import IMAGE_RATIOS, VIDEO_RATIOS, XAI, nearest_ratio
from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.model import Model
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_port import (
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    Pending,
    WebhookInvalid,
)
from infra.simulators.kit.samples import sample_png
from infra.simulators.xai import TOKEN_TICKS, XAISimulator
from tests.provider_jobs import accepted, made

IMAGES = {"model": "grok-imagine-image-2.0", "api": "images"}
VIDEOS = {"model": "grok-imagine-video", "api": "videos"}
RESPONSES = {"model": "grok-4.6", "api": "responses"}
CHAT = {"model": "grok-4.6", "api": "chat"}
OFFERED = catalogue(frozenset({"xai"}))
MODELS = [model for model in OFFERED.data.models if model.provider == "xai"]
KINDS = {"images": "image", "responses": "text", "chat": "text", "videos": "video"}


@pytest.fixture
def simulator() -> Iterator[XAISimulator]:
    with XAISimulator(run_seconds=0.02) as running:
        yield running


@pytest.fixture
def provider(simulator: XAISimulator) -> XAI:
    return XAI(api_key=simulator.api_key, base_url=simulator.base_url, answer_seconds_max=5)


def job(settings: dict[str, Any], prompt: str = "a fox", **parameters: Any) -> Job:
    return Job(
        new_id("att", system_clock()),
        KINDS[settings["api"]],
        f"xai/{settings['model']}",
        prompt,
        parameters=parameters,
        settings=settings,
    )


def done(provider: XAI, work: Job) -> Done:
    end = provider.submit(work)
    assert isinstance(end, Done), end
    return end


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_model_of_the_catalogue_is_accepted_and_settled(provider: XAI, model: Model) -> None:
    parameters = OFFERED.parameters_for(model.id, {})
    work = replace(job(IMAGES), kind=model.kind, parameters=parameters, settings=model.settings)
    end = made(provider, work) if model.kind == "video" else provider.submit(work)
    assert isinstance(end, Done)
    settled = OFFERED.settle(
        model.id, parameters, "succeeded", delivered=1, usage=end.usage, reported_microusd=end.cost_microusd
    )
    assert (settled.cost_microusd, settled.cost_source) == (end.cost_microusd, "provider")


# ---- images ----------------------------------------------------------------------------------------------------------


def test_an_image_job_becomes_the_documented_request_and_returns_its_exact_cost(
    provider: XAI, simulator: XAISimulator
) -> None:
    end = done(provider, job(IMAGES, width=1280, height=720, n=2, quality="low", seed=7))
    assert end.usage == {"images": 2}
    assert end.cost_microusd == 2 * 20_000
    assert [Image.open(io.BytesIO(output.data or b"")).size for output in end.outputs] == [(1024, 576)] * 2
    (call,) = simulator.calls
    assert (call["method"], call["path"]) == ("POST", "/v1/images/generations")
    assert call["headers"]["authorization"] == f"Bearer {simulator.api_key}"
    assert call["body"] == {
        "model": "grok-imagine-image-2.0",
        "prompt": "a fox",
        "n": 2,
        "quality": "low",
        "aspect_ratio": "16:9",
        "resolution": "1k",
        "response_format": "b64_json",
    }


def test_aspect_ratio_and_resolution_are_sent_unchanged(provider: XAI, simulator: XAISimulator) -> None:
    done(provider, job(IMAGES, aspect_ratio="2:3", resolution="2k"))
    body = simulator.calls[0]["body"]
    assert (body["aspect_ratio"], body["resolution"]) == ("2:3", "2k")


def test_a_result_by_url_can_be_fetched_until_it_expires(provider: XAI, simulator: XAISimulator) -> None:
    settings = IMAGES | {"input": {"response_format": "url"}}
    fetcher = Fetcher(local_hosts=frozenset({simulator.host}))
    (output,) = done(provider, job(settings)).outputs
    assert output.url is not None
    assert Image.open(io.BytesIO(fetcher.fetch(output.url, hosts=()))).size == (1024, 1024)
    (gone,) = done(provider, job(settings, "a fox [[output:gone]]")).outputs
    with pytest.raises(FetchGone):
        fetcher.fetch(gone.url or "", hosts=())


def test_an_image_edit_is_sent_as_json(provider: XAI, simulator: XAISimulator) -> None:
    drawn, far = Input(sample_png(64, 64, 1), "image/png"), Input(b"", "image/png", url="https://a.example/b.png")
    end = done(provider, replace(job(IMAGES), inputs={"image": (drawn,)}))
    assert end.cost_microusd == 22_000
    done(provider, replace(job(IMAGES), inputs={"image": (drawn,), "reference": (far,)}))
    first, second = (call["body"] for call in simulator.calls)
    encoded = f"data:image/png;base64,{base64.b64encode(drawn.data).decode()}"
    assert {call["path"] for call in simulator.calls} == {"/v1/images/edits"}
    assert first["image"] == {"url": encoded}
    assert second["images"] == [{"url": encoded}, {"url": "https://a.example/b.png"}]


def test_an_input_that_is_not_an_image_fails_as_invalid_input(provider: XAI) -> None:
    end = provider.submit(replace(job(IMAGES), inputs={"image": (Input(b"not a picture", "image/png"),)}))
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.INVALID_INPUT


@pytest.mark.parametrize(
    ("settings", "marker", "cost"),
    [
        (IMAGES, "run:blocked", 2 * 20_000),
        (IMAGES, "run:none", 2 * 20_000),
        (VIDEOS, "run:blocked", 8 * 50_000),
        (VIDEOS, "run:nowhere", 8 * 50_000),
    ],
)
def test_withheld_results_cost_as_much_as_delivered_ones(
    provider: XAI, settings: dict[str, Any], marker: str, cost: int
) -> None:
    work = job(settings, f"a fox [[{marker}]]", **({"n": 2} if settings is IMAGES else {}))
    end = made(provider, work) if settings is VIDEOS else provider.submit(work)
    assert isinstance(end, Failed)
    assert end.cost_microusd == cost


def test_images_that_pass_the_providers_filter_are_delivered_at_the_cost_of_all(provider: XAI) -> None:
    end = done(provider, job(IMAGES, "a fox [[run:some]]", n=3))
    assert (len(end.outputs), end.usage, end.cost_microusd) == (2, {"images": 2}, 60_000)


def test_a_size_maps_to_the_nearest_aspect_ratio() -> None:
    for size, ratio in (
        ((1024, 1024), "1:1"),
        ((1280, 720), "16:9"),
        ((720, 1280), "9:16"),
        ((832, 1216), "2:3"),
        ((4000, 1000), "20:9"),
        ((1, 4), "9:20"),
    ):
        assert nearest_ratio(*size, IMAGE_RATIOS) == ratio
    assert nearest_ratio(4000, 1000, VIDEO_RATIOS) == "16:9"


# ---- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [CHAT, RESPONSES], ids=["chat", "responses"])
def test_a_texts_cost_is_its_reported_ticks_rounded_up(
    provider: XAI, simulator: XAISimulator, settings: dict[str, Any]
) -> None:
    end = done(provider, job(settings, "say hello", system="be brief", max_tokens=100))
    assert end.outputs[0].data == b"The simulator heard: say hello"
    ticks = (end.usage["tokens_input"] + end.usage["tokens_output"]) * TOKEN_TICKS
    assert ticks % 10_000 != 0
    assert end.cost_microusd == ticks // 10_000 + 1
    assert "max_tokens" not in simulator.calls[0]["body"]


@pytest.mark.parametrize(("marker", "cost"), [("none", None), ("zero", 0), ("times=10", 200_000)])
def test_a_missing_cost_is_not_counted_as_zero(provider: XAI, marker: str, cost: int | None) -> None:
    assert done(provider, job(IMAGES, f"a fox [[cost:{marker}]]")).cost_microusd == cost


@pytest.mark.parametrize("ticks", [-1, True, 1.5, "7", 10**13, None])
def test_an_invalid_cost_is_ignored(provider: XAI, ticks: Any) -> None:
    assert provider._cost_microusd({"usage": {"cost_in_usd_ticks": ticks}}) is None


def test_a_filtered_text_fails_as_moderated_with_its_cost(provider: XAI) -> None:
    end = provider.submit(job(CHAT, "a fox [[run:filter]] [[run:none]]"))
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.MODERATED_BILLED
    assert end.cost_microusd


# ---- videos ----------------------------------------------------------------------------------------------------------


def test_a_video_job_becomes_the_documented_request_and_returns_a_playable_url(
    provider: XAI, simulator: XAISimulator
) -> None:
    picture = Input(sample_png(64, 64, 1), "image/png", url="https://a.example/b.png")
    work = job(VIDEOS, width=1280, height=720, duration_seconds=2)
    work = replace(work, inputs={"image": (picture,), "reference": (picture,)})
    end = made(provider, work)
    assert isinstance(end, Done)
    assert (end.usage, end.cost_microusd) == ({"output_milliseconds": 2000}, 2 * 70_000 + 2_000)
    assert simulator.calls[0]["path"] == "/v1/videos/generations"
    assert simulator.calls[0]["body"] == {
        "model": "grok-imagine-video",
        "prompt": "a fox",
        "duration": 2,
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "image": {"url": "https://a.example/b.png"},
        "reference_images": [{"url": "https://a.example/b.png"}],
    }
    file = Fetcher(local_hosts=frozenset({simulator.host})).fetch(end.outputs[0].url or "", hosts=())
    with av.open(io.BytesIO(file)) as film:
        shown = film.streams.video[0]
        assert (shown.codec_context.width, shown.codec_context.height) == (1280, 720)
        assert float(film.duration or 0) / 1e6 == pytest.approx(2, abs=0.2)


def test_a_videos_resolution_follows_its_shorter_side_or_its_parameter(provider: XAI, simulator: XAISimulator) -> None:
    for size in ((640, 480), (720, 1280), (1920, 1080)):
        accepted(provider, job(VIDEOS, width=size[0], height=size[1]))
    accepted(provider, job(VIDEOS, resolution="1080p", aspect_ratio="1:1"))
    assert [call["body"]["resolution"] for call in simulator.calls] == ["480p", "720p", "1080p", "1080p"]


def test_a_running_video_reports_its_progress(provider: XAI) -> None:
    work = job(VIDEOS, "a fox [[run:slow=0.5]]")
    reference = accepted(provider, work)
    seen: list[int] = []
    while isinstance(progress := provider.poll(reference, work), Pending):
        seen.append(progress.progress)
    assert isinstance(progress, Done)
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= 99


def test_a_missing_video_fails_as_unknown_outcome(provider: XAI, simulator: XAISimulator) -> None:
    for reference in ("neverwas", "../images", "a/b", ""):
        end = provider.poll(reference, job(VIDEOS))
        assert isinstance(end, Failed)
        assert end.error_class is ErrorClass.UNKNOWN_OUTCOME
    assert [call["path"] for call in simulator.calls] == ["/v1/videos/neverwas"]


# ---- rejected requests -----------------------------------------------------------------------------------------------


def test_a_wrong_key_answered_with_400_fails_as_auth(simulator: XAISimulator) -> None:
    wrong = XAI(api_key="xai-wrong", base_url=simulator.base_url)
    for end in (wrong.submit(job(IMAGES)), wrong.check()):
        assert isinstance(end, Failed)
        assert end.error_class is ErrorClass.AUTH


def test_both_error_formats_map_to_the_same_error_class() -> None:
    text = "The model gone does not exist."
    for answer in ({"code": "Not found", "error": text}, {"error": {"code": None, "type": "x", "message": text}}):
        assert Problem.from_body(404, answer).error_class is ErrorClass.MODEL_GONE


# ---- the rest of the provider port -----------------------------------------------------------------------------------


def test_the_key_check_reads_the_keys_state_and_reports_a_blocked_one(provider: XAI, simulator: XAISimulator) -> None:
    assert provider.check() is None
    assert [(call["method"], call["path"]) for call in simulator.calls] == [("GET", "/v1/api-key")]
    for fact in ("api_key_blocked", "api_key_disabled", "team_blocked"):
        simulator.key_facts = {fact: True}
        stopped = provider.check()
        assert stopped is not None
        assert stopped.error_class is ErrorClass.AUTH


def test_models_cancel_find_webhooks_and_speech_are_unsupported(provider: XAI) -> None:
    assert provider.models() is None
    assert provider.cancel("abc") is CancelResult.UNSUPPORTED
    assert provider.find(job(VIDEOS)) is None
    assert not provider.resend_safe
    with pytest.raises(WebhookInvalid):
        provider.parse_webhook({}, b"{}", 0)
    gone = provider.submit(replace(job(IMAGES), settings=IMAGES | {"api": "speech"}))
    assert isinstance(gone, Failed)
    assert gone.error_class is ErrorClass.MODEL_GONE


# ---- the simulator, tested with the OpenAI SDK -----------------------------------------------------------------------


@pytest.fixture
def client(simulator: XAISimulator) -> Iterator[sdk.OpenAI]:
    with sdk.OpenAI(api_key=simulator.api_key, base_url=simulator.base_url, max_retries=0, timeout=10) as made:
        yield made


def test_the_openai_sdk_can_chat_respond_generate_images_and_list_models(client: sdk.OpenAI) -> None:
    chat = client.chat.completions.create(model="grok-4.6", messages=[{"role": "user", "content": "hello"}])
    assert chat.usage is not None
    assert json.loads(chat.usage.to_json())["cost_in_usd_ticks"] == chat.usage.total_tokens * TOKEN_TICKS
    assert client.responses.create(model="grok-4.6", input="hello").output_text == "The simulator heard: hello"
    drawn = client.images.generate(model="grok-imagine-image", prompt="a fox", n=2)
    assert drawn.data is not None
    assert all((one.url or "").endswith(".png") for one in drawn.data)
    assert "grok-4.6" in {model.id for model in client.models.list()}


def test_the_openai_sdk_cannot_edit_because_edits_are_json(client: sdk.OpenAI) -> None:
    with pytest.raises(sdk.APIStatusError) as refused:
        client.images.edit(model="grok-imagine-image", image=("a.png", sample_png(64, 64, 1)), prompt="blue")
    assert refused.value.status_code == 415


@pytest.mark.parametrize(
    "given",
    [{"size": "64x64"}, {"aspect_ratio": "5:4"}, {"resolution": "4k"}, {"n": 11}, {"prompt": ""}],
    ids=lambda given: next(iter(given)),
)
def test_the_simulator_refuses_undocumented_parameters_in_xais_error_format(
    client: sdk.OpenAI, given: dict[str, Any]
) -> None:
    body: dict[str, Any] = {"model": "grok-imagine-image", "prompt": "a fox", **given}
    with pytest.raises(sdk.BadRequestError) as refused:
        client.post("/images/generations", body=body, cast_to=object)
    assert set(refused.value.response.json()) == {"code", "error"}
