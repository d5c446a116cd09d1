"""The Stability adapter against its simulator: multipart requests, immediate and polled results, filtered results."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from PIL import Image

from atelier.adapters.providers.stability import Stability
from atelier.catalogue.catalogue import catalogue
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_port import (
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    WebhookInvalid,
)
from infra.simulators.kit.samples import sample_png
from infra.simulators.stability import RATIOS, StabilitySimulator
from tests.provider_jobs import made

PICTURE = Input(sample_png(96, 64, 1), "image/png")


@pytest.fixture
def simulator() -> Iterator[StabilitySimulator]:
    with StabilitySimulator(run_seconds=0.05) as running:
        yield running


@pytest.fixture
def provider(simulator: StabilitySimulator) -> Stability:
    return Stability(api_key=simulator.api_key, base_url=simulator.url, answer_seconds_max=3)


def job(
    model: str = "core", prompt: str = "a fox", *, inputs: dict[str, tuple[Input, ...]] | None = None, **parameters: Any
) -> Job:
    entry = catalogue(frozenset({"stability"})).model(f"stability/{model}")
    return Job(
        new_id("att", system_clock()),
        entry.kind,
        entry.id,
        prompt,
        parameters=parameters,
        settings=entry.settings,
        run_seconds_max=entry.run_seconds_max,
        inputs=inputs or {},
    )


def upscaling(prompt: str = "a fox", model: str = "upscale-creative", **parameters: Any) -> Job:
    return job(model, prompt, inputs={"image": (PICTURE,)}, **parameters)


def pictured(done: object) -> Image.Image:
    assert isinstance(done, Done), done
    (output,) = done.outputs
    return Image.open(io.BytesIO(output.data or b""))


# ---- requests --------------------------------------------------------------------------------------------------------


def test_a_request_without_a_file_is_multipart_and_is_sent_once(
    provider: Stability, simulator: StabilitySimulator
) -> None:
    work = replace(job(aspect_ratio="16:9", seed=7, style="anime", format="webp"), negative_prompt="blur")
    done = provider.submit(work)
    (call,) = simulator.calls
    assert (call["method"], call["path"]) == ("POST", "/v2beta/stable-image/generate/core")
    assert call["headers"]["authorization"] == f"Bearer {simulator.api_key}"
    assert call["headers"]["accept"] == "application/json"
    assert call["headers"]["content-type"].startswith("multipart/form-data")
    fields = {name: value for name, value in call["body"]["fields"].items() if name != "none"}
    assert call["body"]["files"] == []
    assert fields == {
        "prompt": "a fox",
        "negative_prompt": "blur",
        "aspect_ratio": "16:9",
        "seed": "7",
        "style_preset": "anime",
        "output_format": "webp",
    }
    picture = pictured(done)
    assert (picture.format, picture.size) == ("WEBP", RATIOS["16:9"])


@pytest.mark.parametrize(
    ("width", "height", "ratio"),
    [
        (1024, 1024, "1:1"),
        (1920, 1080, "16:9"),
        (1000, 1500, "2:3"),
        (640, 1536, "9:21"),
        (1, 100, "9:21"),
        (1100, 1000, "1:1"),
    ],
)
def test_width_and_height_become_the_nearest_aspect_ratio(
    provider: Stability, simulator: StabilitySimulator, width: int, height: int, ratio: str
) -> None:
    provider.submit(job(width=width, height=height))
    fields = simulator.calls[0]["body"]["fields"]
    assert fields["aspect_ratio"] == ratio
    assert "width" not in fields


def test_an_input_image_sends_a_strength_and_no_aspect_ratio(
    provider: Stability, simulator: StabilitySimulator
) -> None:
    done = provider.submit(job("ultra", inputs={"image": (PICTURE,)}, aspect_ratio="1:1"))
    assert pictured(done).size == (96, 64)
    body = simulator.calls[0]["body"]
    assert body["files"] == [
        {"field": "image", "name": "image.png", "content_type": "image/png", "bytes": len(PICTURE.data)}
    ]
    assert body["fields"]["strength"] == "0.5"
    assert "aspect_ratio" not in body["fields"]


# ---- responses -------------------------------------------------------------------------------------------------------


def test_an_image_is_returned_at_once_and_counts_as_one(provider: Stability) -> None:
    done = provider.submit(job(seed=7))
    assert isinstance(done, Done)
    assert done.usage == {"images": 1}
    assert done.outputs[0].content_type == "image/png"
    assert pictured(done).size == (1024, 1024)
    assert provider.submit(job(seed=7)) == done


@pytest.mark.parametrize("model", ["upscale-fast", "upscale-conservative"])
def test_a_fast_or_conservative_upscale_is_returned_at_once(provider: Stability, model: str) -> None:
    assert pictured(provider.submit(upscaling(model=model))).size == (384, 256)


def test_audio_is_returned_at_once_without_usage(provider: Stability) -> None:
    done = provider.submit(job("stable-audio-2.5", "rain", duration_seconds=1, format="wav"))
    assert isinstance(done, Done)
    assert done.usage == {}
    (output,) = done.outputs
    assert output.content_type == "audio/wav"
    assert (output.data or b"").startswith(b"RIFF")


def test_a_creative_upscale_is_polled_until_it_is_done(provider: Stability, simulator: StabilitySimulator) -> None:
    assert pictured(made(provider, upscaling("a fox [[run:slow=1]]"))).size == (384, 256)
    polls = [call for call in simulator.calls if call["method"] == "GET"]
    assert len(polls) > 1
    assert polls[0]["path"].startswith("/v2beta/results/")
    assert polls[0]["headers"]["accept"] == "application/json"


# ---- polled results --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["neverwas", "../user/balance", "", "a b"])
def test_an_unknown_reference_fails_as_unknown_outcome(provider: Stability, reference: str) -> None:
    failed = provider.poll(reference, upscaling())
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.UNKNOWN_OUTCOME


def test_cancel_find_models_and_webhooks_are_unsupported(provider: Stability) -> None:
    assert provider.resend_safe is False
    assert provider.cancel("abc") is CancelResult.UNSUPPORTED
    assert provider.find(job()) is None
    assert provider.models() is None
    with pytest.raises(WebhookInvalid):
        provider.parse_webhook({}, b"{}", 1000)


# ---- the key check ---------------------------------------------------------------------------------------------------


def test_the_key_is_checked_by_the_balance(provider: Stability, simulator: StabilitySimulator) -> None:
    assert provider.check() is None
    assert [(call["method"], call["path"]) for call in simulator.calls] == [("GET", "/v1/user/balance")]
    simulator.credits = 0.0
    broke = provider.check()
    assert isinstance(broke, Failed)
    assert broke.error_class is ErrorClass.PROVIDER_BILLING
    wrong = Stability(api_key="other", base_url=simulator.url).check()
    assert isinstance(wrong, Failed)
    assert wrong.error_class is ErrorClass.AUTH
    simulator.stop()
    gone = provider.check()
    assert isinstance(gone, Failed)
    assert gone.error_class is ErrorClass.TRANSIENT


# ---- the simulator ---------------------------------------------------------------------------------------------------


def test_the_simulator_accepts_only_multipart_and_returns_bytes_on_request(simulator: StabilitySimulator) -> None:
    url, headers = (
        f"{simulator.url}/v2beta/stable-image/generate/ultra",
        {"authorization": f"Bearer {simulator.api_key}"},
    )
    plain = httpx.post(url, data={"prompt": "a fox"}, headers=headers)
    assert (plain.status_code, plain.json()["name"]) == (400, "bad_request")
    answer = httpx.post(
        url, data={"prompt": "a fox", "seed": "7"}, files={"none": ""}, headers={**headers, "accept": "image/*"}
    )
    assert (answer.headers["finish-reason"], answer.headers["seed"]) == ("SUCCESS", "7")
    assert Image.open(io.BytesIO(answer.content)).size == (1024, 1024)
    assert httpx.post(url, files={"none": ""}, headers=headers).json()["errors"] == ["prompt: is required"]


def test_the_simulator_charges_its_account_for_successes_only(
    provider: Stability, simulator: StabilitySimulator
) -> None:
    simulator.credits = 6.0
    provider.submit(job(prompt="a fox [[output:filtered]]"))
    assert simulator.credits == 6.0
    assert isinstance(provider.submit(job()), Done)
    assert isinstance(provider.submit(job()), Done)
    failed = provider.submit(job())
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.PROVIDER_BILLING
    assert simulator.credits == 0.0


def test_the_simulator_charges_nothing_for_a_refused_request(
    provider: Stability, simulator: StabilitySimulator
) -> None:
    before = simulator.credits
    for name in simulator.refusals:
        assert isinstance(provider.submit(job(prompt=f"a fox [[create:{name}]]")), Failed)
    assert simulator.credits == before


def test_the_simulator_rate_limits_a_key() -> None:
    with StabilitySimulator(requests_max=3) as simulator:
        provider = Stability(api_key=simulator.api_key, base_url=simulator.url)
        assert [provider.check() for _ in range(3)] == [None] * 3
        failed = provider.check()
        assert isinstance(failed, Failed)
        assert (failed.error_class, failed.retry_after_seconds) == (ErrorClass.RATE_LIMITED, 60)
        httpx.post(f"{simulator.url}/_simulator/reset")
        assert provider.check() is None
