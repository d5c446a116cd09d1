"""Our adapters against a third-party simulator: `@copilotkit/aimock` speaks OpenAI's API and xAI's video API.

These tests need Node.js and `npm ci --prefix tests/judges`; without them they are skipped with a message.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atelier.adapters.providers.custom import Custom
from atelier.adapters.providers.openai import OpenAI
from atelier.adapters.providers.xai import XAI
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_port import Accepted, Done, ErrorClass, Failed, Input, Job, Pending, Unknown
from infra.simulators.kit.samples import sample_png
from tests.lanes import need_node, not_run

PROGRAM = Path(__file__).parents[1] / "judges/node_modules/@copilotkit/aimock/dist/cli.js"

PICTURE = sample_png(16, 16, 1)
FIXTURES: list[dict[str, Any]] = [
    {"match": {"userMessage": "say hello"}, "response": {"content": "Hello!"}},
    {
        "match": {"userMessage": "too fast"},
        "response": {"error": {"message": "Rate limited", "type": "rate_limit_error"}, "status": 429},
    },
    {
        "match": {"userMessage": "broke"},
        "response": {"error": {"message": "No money", "type": "x", "code": "insufficient_quota"}, "status": 429},
    },
    {
        "match": {"userMessage": "a fox", "endpoint": "image"},
        "response": {"image": {"b64Json": base64.b64encode(PICTURE).decode()}},
    },
    {
        "match": {"userMessage": "speak", "endpoint": "speech"},
        "response": {"audio": base64.b64encode(b"sound").decode(), "format": "mp3"},
    },
    {
        "match": {"userMessage": "a fox", "endpoint": "video"},
        "response": {"video": {"id": "v", "status": "completed", "url": "https://vidgen.x.ai/film.mp4"}},
    },
]


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running aimock."""
    node = need_node()
    if not PROGRAM.exists():
        not_run("aimock is not installed (npm ci --prefix tests/judges)")
    fixtures = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
    order = [node, str(PROGRAM), "-p", "0", "-h", "127.0.0.1", "-f", str(fixtures), "--strict", "--validate-on-load"]
    child = subprocess.Popen(order, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # Kills a child that prints nothing, so that the reading below ends.
    watchdog = threading.Timer(60, child.kill)
    watchdog.start()
    try:
        assert child.stdout is not None
        lines: list[str] = []
        for line in child.stdout:
            lines.append(line)
            if found := re.search(r"listening on (http://\S+)", line):
                # The later output is discarded, but must be read, or the pipe fills and the child blocks.
                threading.Thread(target=child.stdout.read, daemon=True).start()
                yield f"{found[1]}/v1"
                break
        else:
            raise AssertionError("".join(lines))
    finally:
        watchdog.cancel()
        child.terminate()
        child.wait(timeout=10)


@pytest.fixture
def provider(aimock: str) -> OpenAI:
    return OpenAI(api_key="sk-any", base_url=aimock, answer_seconds_max=10)


def job(kind: str, api: str, prompt: str, **parameters: Any) -> Job:
    settings = {"model": "gpt-5.5", "api": api, "input": {"voice": "alloy"} if api == "speech" else {}}
    return Job(new_id("att", system_clock()), kind, "openai/any", prompt, parameters=parameters, settings=settings)


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_text_is_returned_by_the_responses_and_the_chat_api(provider: OpenAI, api: str) -> None:
    end = provider.submit(job("text", api, "say hello", system="be brief", max_tokens=50))
    assert isinstance(end, Done)
    assert end.outputs[0].data == b"Hello!"
    assert {"tokens_input", "tokens_output"} <= set(end.usage)


def test_an_image_is_generated_and_edited(provider: OpenAI) -> None:
    work = job("image", "images", "a fox", width=1024, height=1024)
    changed = Job(
        work.attempt_id,
        "image",
        work.model,
        "a fox",
        settings=work.settings,
        inputs={"image": (Input(PICTURE, "image/png"),)},
    )
    for one in (work, changed):
        end = provider.submit(one)
        assert isinstance(end, Done), end
        assert end.outputs[0].data == PICTURE


def test_speech_is_returned_as_audio_bytes(provider: OpenAI) -> None:
    end = provider.submit(job("audio", "speech", "speak"))
    assert isinstance(end, Done)
    assert end.outputs[0].data == b"sound"


@pytest.mark.parametrize(
    ("prompt", "error_class", "retry_after"),
    [("too fast", ErrorClass.RATE_LIMITED, 1), ("broke", ErrorClass.PROVIDER_BILLING, None)],
)
def test_an_error_status_maps_to_an_error_class_and_retry_after(
    provider: OpenAI, prompt: str, error_class: ErrorClass, retry_after: int | None
) -> None:
    end = provider.submit(job("text", "responses", prompt))
    assert isinstance(end, Failed)
    assert (end.error_class, end.retry_after_seconds) == (error_class, retry_after)


@pytest.mark.parametrize("fault", ["dropRate", "malformedRate", "disconnectRate"])
def test_a_broken_response_leaves_the_outcome_unknown(aimock: str, provider: OpenAI, fault: str) -> None:
    control = f"{aimock.removesuffix('/v1')}/__aimock/chaos"
    httpx.post(control, json={fault: 1}).raise_for_status()
    try:
        assert isinstance(provider.submit(job("text", "responses", "say hello")), Unknown)
    finally:
        httpx.delete(control).raise_for_status()


def test_the_key_check_passes_and_the_models_are_listed(provider: OpenAI) -> None:
    assert provider.check() is None
    listed = provider.models()
    assert listed
    assert all(model.shutdown_on is None for model in listed)


def test_a_custom_endpoint_answers_a_chat(aimock: str) -> None:
    host = aimock.partition("://")[2].partition("/")[0]
    custom = Custom(api_key="any", base_url=aimock, local_hosts=frozenset({host}))
    end = custom.submit(job("text", "chat", "say hello"))
    assert isinstance(end, Done)
    assert end.outputs[0].data == b"Hello!"


def test_an_xai_video_is_polled_until_it_has_its_url(aimock: str) -> None:
    provider = XAI(api_key="xai-any", base_url=aimock)
    work = job("video", "videos", "a fox", duration_seconds=5, resolution="480p", aspect_ratio="16:9")
    answer = provider.submit(work)
    assert isinstance(answer, Accepted), answer
    deadline = time.monotonic() + 30
    while isinstance(end := provider.poll(answer.reference, work), Pending):
        assert time.monotonic() < deadline, "the film never ended"
    assert isinstance(end, Done), end
    assert end.outputs[0].url == "https://vidgen.x.ai/film.mp4"
