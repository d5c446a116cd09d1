"""Our generations as OpenAI's responses, validated by the models of its own SDK."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from openai.types import ImagesResponse, Video
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from atelier.catalogue.catalogue import FOLDER, load
from atelier.catalogue.schemas import ModelList, model_view
from atelier.errors import NotFound, ValidationFailed
from atelier.generations.model import Attempt, AttemptStatus, DeliveredFile, Failure, Generation, Kind, Recipe, Status
from atelier.openai_api import chat, images, model_names, models, responses, speech, videos
from atelier.openai_api.result import Result

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ULID = "01M7XCQ90TTWV90RHCSAQSAH7Q"
CATALOGUE = load(FOLDER, frozenset({"local", "openai"}))


def generation(kind: Kind = Kind.TEXT, *files: DeliveredFile, **changes: Any) -> Generation:
    model = "local/writer"
    attempt = Attempt("att_1", "local", model, AttemptStatus.SUCCEEDED, NOW, NOW)
    found = Generation(
        id=f"gen_{ULID}",
        workspace_id="wsp_1",
        user_id="usr_1",
        recipe=Recipe(kind, "a fox", "auto", None, {"max_tokens": 100}),
        candidates=(model,),
        price_version="1",
        watermark=False,
        credits_held=1,
        status=Status.SUCCEEDED,
        created_at=NOW,
        deadline_at=NOW + timedelta(hours=1),
        completed_at=NOW + timedelta(seconds=2),
        attempts=(attempt,),
        assets=files,
        usage={"tokens_input": 7, "tokens_output": 20, "tokens_cached": 2},
        progress=100,
    )
    return replace(found, **changes)


def events(stream: bytes) -> list[dict[str, Any]]:
    """The data of a stream's events; each event must have one data line, and a name only if it is its type."""
    found: list[dict[str, Any]] = []
    for block in stream.decode().strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        if lines["data"] == "[DONE]":
            break
        found.append(json.loads(lines["data"]))
        assert lines.get("event", found[-1].get("type")) == found[-1].get("type")
    return found


def ask(**more: Any) -> chat.ChatRequest:
    return chat.ChatRequest.model_validate({"model": "auto", "messages": [{"role": "user", "content": "hi"}], **more})


def test_a_chat_completion_is_valid_for_the_sdk() -> None:
    done = ChatCompletion.model_validate(chat.completion(ask(), Result(generation(), "Hello there.")), strict=True)
    assert (done.id, done.model, done.created) == (f"chatcmpl-{ULID}", "local/writer", int(NOW.timestamp()))
    assert (done.choices[0].message.content, done.choices[0].finish_reason) == ("Hello there.", "stop")
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens) == (7, 20, 27)


def test_a_completion_returns_the_whole_text_and_its_finish_reason() -> None:
    def ended(text: str, **more: Any) -> tuple[Any, Any]:
        cut = {"tokens_input": 7, "tokens_output": more.pop("tokens", 20)}
        [choice] = chat.completion(ask(**more), Result(generation(usage=cut), text))["choices"]
        return choice["message"]["content"], choice["finish_reason"]

    # The provider has stopped there; no text that is paid for is cut off here.
    assert ended("one two three", stop="two") == ("one two three", "stop")
    assert ended("one two three", stop=["four"], tokens=100) == ("one two three", "length")
    assert ended("one two three", tokens=100) == ("one two three", "length")


@pytest.mark.parametrize("text", ["", "short", "“long” and\n\nwide 🦊 " * 60])
def test_a_streamed_completion_has_the_same_text_and_usage(text: str) -> None:
    request = ask(stream=True, stream_options={"include_usage": True})
    stream = chat.stream(request, Result(generation(), text))
    assert stream.endswith(b"data: [DONE]\n\n")
    chunks = [ChatCompletionChunk.model_validate(event, strict=True) for event in events(stream)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "stop"
    assert (chunks[-1].choices, chunks[-1].usage is not None) == ([], True)
    assert all(chunk.usage is None for chunk in chunks[:-1])
    bare = events(chat.stream(ask(stream=True), Result(generation(), text)))
    assert not any("usage" in event for event in bare)


def test_a_response_and_its_stream_are_valid_for_the_sdk() -> None:
    request = responses.ResponseRequest.model_validate({"input": "hi", "metadata": {"a": "b"}})
    made = Result(generation(), "Hello there.")
    done = Response.model_validate(responses.response_body(request, made))
    assert (done.id, done.status, done.output_text) == (f"resp_{ULID}", "completed", "Hello there.")
    assert done.usage is not None
    assert (done.usage.input_tokens, done.usage.input_tokens_details.cached_tokens) == (7, 2)
    stream = events(responses.stream(request, made))
    for event in stream:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    assert [event["type"] for event in stream if "delta" not in event["type"]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert stream[-1]["response"] == responses.response_body(request, made)


def test_a_truncated_response_is_incomplete() -> None:
    request = responses.ResponseRequest.model_validate({"input": "hi"})
    made = Result(generation(usage={"tokens_input": 1, "tokens_output": 100}), "Hello th")
    done = responses.response_body(request, made)
    assert (done["status"], done["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert events(responses.stream(request, made))[-1]["type"] == "response.incomplete"


def test_an_empty_text_is_valid_in_both_response_shapes() -> None:
    made = Result(generation(finish_reason="length"), "")
    done = ChatCompletion.model_validate(chat.completion(ask(), made), strict=True)
    assert (done.choices[0].message.content, done.choices[0].finish_reason) == ("", "length")
    request = responses.ResponseRequest.model_validate({"input": "hi"})
    response = Response.model_validate(responses.response_body(request, made))
    assert (response.status, response.output_text, response.output) == ("incomplete", "", [])
    for event in events(responses.stream(request, made)):
        TypeAdapter(ResponseStreamEvent).validate_python(event)


def test_a_models_refusal_is_marked_in_both_response_shapes() -> None:
    made, words = Result(generation(finish_reason="refusal"), "I cannot help."), "I cannot help."
    choice = ChatCompletion.model_validate(chat.completion(ask(), made), strict=True).choices[0]
    assert (choice.message.content, choice.message.refusal, choice.finish_reason) == (None, words, "stop")
    chunks = [ChatCompletionChunk.model_validate(event) for event in events(chat.stream(ask(), made))]
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == words
    request = responses.ResponseRequest.model_validate({"input": "hi"})
    [item] = Response.model_validate(responses.response_body(request, made)).to_dict()["output"]  # pyright: ignore
    assert (item["content"], item["status"]) == ([{"type": "refusal", "refusal": words}], "completed")  # pyright: ignore
    for event in events(responses.stream(request, made)):
        TypeAdapter(ResponseStreamEvent).validate_python(event)


def test_a_content_filtered_text_is_marked_in_both_response_shapes() -> None:
    made = Result(generation(finish_reason="content_filter"), "Up to")
    assert chat.completion(ask(), made)["choices"][0]["finish_reason"] == "content_filter"
    request = responses.ResponseRequest.model_validate({"input": "hi"})
    assert responses.response_body(request, made)["incomplete_details"] == {"reason": "content_filter"}


def test_images_are_returned_as_base64_or_urls() -> None:
    file = DeliveredFile("ast_1", "image", "0" * 64, "png", 3, 64, 48)
    made = Result(generation(Kind.IMAGE, file, file), files=(b"one", b"two"), urls=("https://a/1", "https://a/2"))
    request = images.ImageRequest(prompt="a fox")
    inline = ImagesResponse.model_validate(images.images_body(request, made), strict=True)
    assert [base64.b64decode(each.b64_json or "") for each in inline.data or ()] == [b"one", b"two"]
    assert (inline.size, inline.output_format) == ("64x48", "png")
    linked = images.images_body(images.ImageRequest(prompt="a fox", response_format="url"), made)
    assert linked["data"] == [{"url": "https://a/1"}, {"url": "https://a/2"}]
    streamed = events(images.stream(request, made))
    assert [event["type"] for event in streamed] == ["image_generation.completed"] * 2


def test_speech_is_streamed_as_one_audio_delta() -> None:
    made = Result(generation(Kind.AUDIO), files=(b"sound",))
    delta, done = events(speech.stream(made))
    assert base64.b64decode(delta["audio"]) == b"sound"
    assert (done["type"], done["usage"]["total_tokens"]) == ("speech.audio.done", 27)


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        (Status.QUEUED, "queued"),
        (Status.RUNNING, "in_progress"),
        (Status.SUCCEEDED, "completed"),
        (Status.FAILED, "failed"),
        (Status.CANCELLED, "failed"),
        (Status.EXPIRED, "failed"),
    ],
)
def test_each_generation_status_maps_to_a_video_status(status: Status, seen: str) -> None:
    recipe = Recipe(Kind.VIDEO, "waves", "auto", None, {"duration_seconds": 5, "width": 640, "height": 360})
    failure = Failure("PROVIDER_FAILED", "transient", "It broke.") if status is Status.FAILED else None
    film = videos.video_body(generation(Kind.VIDEO, recipe=recipe, status=status, failure=failure))
    Video.model_validate({**film, "size": "720x1280"}, strict=True)
    assert (film["id"], film["status"], film["seconds"], film["size"]) == (f"video_{ULID}", seen, "5", "640x360")
    assert (film["error"] is not None) == (seen == "failed")


def test_a_video_id_contains_its_generation_id() -> None:
    assert videos.generation_id(f"video_{ULID}") == videos.generation_id(f"gen_{ULID}") == f"gen_{ULID}"
    for wrong in ("video_1", "gen_", "ast_" + ULID, "video_video_" + ULID):
        with pytest.raises(NotFound):
            videos.generation_id(wrong)
    with pytest.raises(ValidationFailed):
        videos.page_start(videos.VideoQuery(after="video_1"))
    with pytest.raises(videos.VideoNotReady):
        videos.video_file(generation(Kind.VIDEO, status=Status.RUNNING))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("auto", "auto"),
        ("local/writer", "local/writer"),
        ("openai/gpt-5.5", "openai/gpt-5.5"),
        ("gpt-5.5", "openai/gpt-5.5"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("tts-1", "openai/tts-1"),
        ("dall-e-3", "openai/dall-e-3"),
        ("sora-2", "openai/sora-2"),
        ("grok-imagine-image", "xai/grok-imagine-image"),
        ("writer", "local/writer"),
        ("custom/my-own", "custom/my-own"),
        ("custom/endpoint", None),
        ("endpoint", None),
        ("no/such", None),
        ("gpt-nothing", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_model_name_resolves_to_a_catalogue_model(name: str, found: str | None) -> None:
    assert model_names.resolve(name, CATALOGUE.data) == found


def test_offered_models_are_listed_with_their_shutdown_dates() -> None:
    views = [
        model_view(
            model, kinds=(model.kind, *model.also), sunset_at=model.sunset_at, is_offered=model.provider != "fal"
        )
        for model in CATALOGUE.data.models
    ]
    listed = models.list_body(ModelList(items=views, retired=[], price_version="2026-11-20-1a2b3c4d"))
    found = {each["id"]: each for each in listed["data"]}
    assert next(iter(found)) == "auto"
    assert found["openai/gpt-5"]["shutdown_date"] == "2026-12-11"
    assert found["local/writer"]["shutdown_date"] is None
    assert not {"local/enlarge", "local/talker", "openai/omni-moderation", "fal/flux-schnell"} & found.keys()
    assert {each["created"] for each in found.values()} == {int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())}
