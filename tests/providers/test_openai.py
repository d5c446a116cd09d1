"""The OpenAI adapter against the simulator, and the simulator against the unmodified SDK."""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import av
import openai as sdk
import pytest
from PIL import Image

from atelier.adapters.media import audio
from atelier.adapters.providers._openai_compatible.errors import Problem
from atelier.adapters.providers._speech_parts import split_text
from atelier.adapters.providers.openai import OpenAI
from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.model import Model
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_port import (
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    FinishReason,
    Input,
    Job,
    ListedModel,
    Unknown,
    WebhookInvalid,
)
from infra.simulators.kit.samples import sample_image, sample_png
from infra.simulators.openai import OpenAISimulator

IMAGES = {"model": "gpt-image-2.5-flare", "api": "images"}
RESPONSES = {"model": "gpt-5.5", "api": "responses"}
CHAT = {"model": "gpt-4o", "api": "chat"}
SPEECH = {"model": "gpt-4o-mini-tts", "api": "speech", "input": {"voice": "alloy"}}
OFFERED = catalogue(frozenset({"openai"}))
MODELS = [model for model in OFFERED.data.models if model.provider == "openai" and model.kind != "moderation"]
KINDS = {"images": "image", "responses": "text", "chat": "text", "speech": "audio"}


@pytest.fixture
def simulator() -> Iterator[OpenAISimulator]:
    with OpenAISimulator() as running:
        yield running


@pytest.fixture
def provider(simulator: OpenAISimulator) -> OpenAI:
    return OpenAI(api_key=simulator.api_key, base_url=simulator.base_url, answer_seconds_max=20)


def job(settings: dict[str, Any], prompt: str = "a fox", **parameters: Any) -> Job:
    return Job(
        new_id("att", system_clock()),
        KINDS[settings["api"]],
        f"openai/{settings['model']}",
        prompt,
        parameters=parameters,
        settings=settings,
    )


def done(provider: OpenAI, work: Job) -> Done:
    end = provider.submit(work)
    assert isinstance(end, Done), end
    return end


def data(end: Done, number: int = 0) -> bytes:
    found = end.outputs[number].data
    assert found is not None
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_model_of_the_catalogue_is_accepted_and_settled(provider: OpenAI, model: Model) -> None:
    parameters = OFFERED.parameters_for(model.id, {})
    end = done(provider, replace(job(IMAGES), kind=model.kind, parameters=parameters, settings=model.settings))
    settled = OFFERED.settle(model.id, parameters, "succeeded", prompt="a fox", delivered=1, usage=end.usage)
    assert 0 < settled.credits <= OFFERED.price(model.id, parameters, prompt="a fox").credits


# ---- images ----------------------------------------------------------------------------------------------------------


def test_an_image_job_becomes_the_documented_request_and_returns_bytes_and_tokens(
    provider: OpenAI, simulator: OpenAISimulator
) -> None:
    work = replace(job(IMAGES, "a red fox", width=512, height=768, n=2, quality="low", seed=7), negative_prompt="snow")
    end = done(provider, work)
    assert [Image.open(io.BytesIO(output.data or b"")).size for output in end.outputs] == [(512, 768)] * 2
    assert [output.content_type for output in end.outputs] == ["image/png"] * 2
    assert end.usage == {"tokens_input": 7, "tokens_image": 0, "tokens_output": 204, "images": 2}
    assert end.cost_microusd is None
    (call,) = simulator.calls
    assert (call["method"], call["path"]) == ("POST", "/v1/images/generations")
    assert call["headers"]["authorization"] == f"Bearer {simulator.api_key}"
    assert call["body"] == {
        "model": "gpt-image-2.5-flare",
        "prompt": "a red fox\n\nWithout: snow",
        "size": "512x768",
        "n": 2,
        "quality": "low",
    }


def test_the_catalogues_settings_of_a_model_are_sent_in_each_request(
    provider: OpenAI, simulator: OpenAISimulator
) -> None:
    settings = IMAGES | {"input": {"output_format": "webp", "moderation": "low"}}
    end = done(provider, job(settings, width=64, height=64))
    assert Image.open(io.BytesIO(data(end))).format == "WEBP"
    assert end.outputs[0].content_type == "image/webp"
    assert simulator.calls[0]["body"]["moderation"] == "low"


def test_input_images_and_a_mask_are_sent_to_the_edits_endpoint(provider: OpenAI, simulator: OpenAISimulator) -> None:
    inputs = {
        "image": (Input(sample_png(96, 64, 1), "image/png"),),
        "reference": (Input(sample_image(32, 32, 2, "jpeg"), "image/jpeg"),),
        "mask": (Input(sample_png(96, 64, 3), "image/png"),),
    }
    work = replace(job(IMAGES | {"input": {"input_fidelity": "high"}}, n=2), inputs=inputs)
    end = done(provider, work)
    assert len(end.outputs) == 2
    assert end.usage["tokens_image"] == 2 * 765
    (call,) = simulator.calls
    assert call["path"] == "/v1/images/edits"
    assert call["body"]["fields"] == {
        "model": "gpt-image-2.5-flare",
        "prompt": "a fox",
        "n": "2",
        "input_fidelity": "high",
    }
    files = [(file["field"], file["name"], file["content_type"]) for file in call["body"]["files"]]
    assert files == [
        ("image[]", "image-0.png", "image/png"),
        ("image[]", "image-1.jpg", "image/jpeg"),
        ("mask", "mask.png", "image/png"),
    ]


def test_an_input_that_is_not_an_image_fails_as_invalid_input(provider: OpenAI) -> None:
    work = replace(job(IMAGES), inputs={"image": (Input(b"not a picture", "image/png"),)})
    end = provider.submit(work)
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.INVALID_INPUT


def test_missing_token_usage_is_not_counted_as_zero(provider: OpenAI) -> None:
    assert done(provider, job(IMAGES, "a fox [[usage:none]]", width=64, height=64)).usage == {"images": 1}


# ---- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [RESPONSES, CHAT], ids=["responses", "chat"])
def test_a_text_is_returned_with_its_token_counts(provider: OpenAI, settings: dict[str, Any]) -> None:
    end = done(provider, job(settings, "say hello", system="be brief", temperature=0.5))
    assert data(end) == b"The simulator heard: say hello"
    assert end.outputs[0].content_type == "text/plain"
    assert set(end.usage) - {"tokens_cache_write"} == {"tokens_input", "tokens_output", "tokens_cached"}
    assert end.usage["tokens_output"] == 5


def test_the_responses_request_is_the_documented_one_and_is_not_stored(
    provider: OpenAI, simulator: OpenAISimulator
) -> None:
    talk = [
        {"role": "user", "content": "what is this?"},
        {"role": "assistant", "content": [{"type": "text", "text": "a fox"}, {"type": "text", "text": "or a dog"}]},
        {"role": "user", "content": [{"type": "image", "image": 0}]},
    ]
    work = job(
        RESPONSES, system="be brief", messages=talk, max_tokens=50, temperature=0, top_p=0.5, reasoning_effort="low"
    )
    done(provider, replace(work, inputs={"image": (Input(b"picture", "image/png"),)}))
    url = f"data:image/png;base64,{base64.b64encode(b'picture').decode()}"
    assert simulator.calls[0]["body"] == {
        "model": "gpt-5.5",
        "input": [
            {"role": "user", "content": "what is this?"},
            {
                "role": "assistant",
                "content": [{"type": "output_text", "text": "a fox"}, {"type": "output_text", "text": "or a dog"}],
            },
            {"role": "user", "content": [{"type": "input_image", "image_url": url}]},
        ],
        "instructions": "be brief",
        "max_output_tokens": 50,
        "temperature": 0,
        "top_p": 0.5,
        "reasoning": {"effort": "low"},
        "store": False,
    }


def test_the_chat_request_is_the_documented_one(provider: OpenAI, simulator: OpenAISimulator) -> None:
    talk = [{"role": "user", "content": "hello"}]
    done(provider, job(CHAT, system="be brief", messages=talk, max_tokens=50, temperature=0, stop=["!"]))
    assert simulator.calls[0]["body"] == {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "be brief"}, *talk],
        "max_completion_tokens": 50,
        "temperature": 0,
        "stop": ["!"],
    }


def test_a_job_with_stop_sequences_uses_the_chat_api(provider: OpenAI, simulator: OpenAISimulator) -> None:
    settings = {"model": "gpt-4o", "api": "responses"}
    end = done(provider, job(settings, "one two three four", stop=["three"]))
    assert (simulator.calls[0]["path"], simulator.calls[0]["body"]["stop"]) == ("/v1/chat/completions", ["three"])
    assert data(end) == b"The simulator heard: one two "
    # Only the tokens before the stop sequence are counted.
    assert end.usage["tokens_output"] == 5


def test_verbosity_is_sent_in_each_apis_own_field(provider: OpenAI, simulator: OpenAISimulator) -> None:
    done(provider, job(RESPONSES, verbosity="low"))
    done(provider, job(CHAT, verbosity="low"))
    assert simulator.calls[0]["body"]["text"] == {"verbosity": "low"}
    assert simulator.calls[1]["body"]["verbosity"] == "low"


@pytest.mark.parametrize("settings", [RESPONSES, CHAT], ids=["responses", "chat"])
def test_an_input_image_is_sent_as_a_data_url(
    provider: OpenAI, simulator: OpenAISimulator, settings: dict[str, Any]
) -> None:
    shown = Input(b"picture", "image/png")
    done(provider, replace(job(settings, "what is this?"), inputs={"image": (shown,)}))
    sent = json.dumps(simulator.calls[0]["body"])
    assert f"data:image/png;base64,{base64.b64encode(b'picture').decode()}" in sent
    assert "what is this?" in sent


@pytest.mark.parametrize("settings", [RESPONSES, CHAT], ids=["responses", "chat"])
def test_a_text_cut_at_max_tokens_is_delivered(provider: OpenAI, settings: dict[str, Any]) -> None:
    end = done(provider, job(settings, "one two three four five", max_tokens=4))
    assert data(end) == b"The simulator heard: one"
    assert end.usage["tokens_output"] == 4


def test_a_page_is_html(provider: OpenAI) -> None:
    assert done(provider, replace(job(RESPONSES), kind="page")).outputs[0].content_type == "text/html"


@pytest.mark.parametrize("settings", [RESPONSES, CHAT], ids=["responses", "chat"])
def test_a_models_own_refusal_is_a_text_with_finish_reason_refusal(provider: OpenAI, settings: dict[str, Any]) -> None:
    end = done(provider, job(settings, "a fox [[run:refuse]]"))
    assert (data(end), end.finish_reason) == (b"I cannot help with that.", FinishReason.REFUSAL)
    assert end.usage["tokens_output"] > 0


@pytest.mark.parametrize("settings", [RESPONSES, CHAT], ids=["responses", "chat"])
def test_a_text_cut_by_the_content_filter_is_delivered_up_to_the_cut(
    provider: OpenAI, settings: dict[str, Any]
) -> None:
    end = done(provider, job(settings, "a fox [[run:filter]]"))
    assert (data(end), end.finish_reason) == (b"The simulator heard: a fox", FinishReason.CONTENT_FILTER)


def test_an_empty_text_after_the_content_filter_fails_as_moderated_and_billed(provider: OpenAI) -> None:
    end = provider.submit(job(CHAT, "a fox [[run:filter]] [[run:none]]"))
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.MODERATED_BILLED
    assert end.usage["tokens_output"] > 0


@pytest.mark.parametrize("settings", [RESPONSES, CHAT], ids=["responses", "chat"])
@pytest.mark.parametrize("kind", ["text", "page"])
def test_reasoning_that_uses_all_tokens_gives_an_empty_text_of_length_reason(
    provider: OpenAI, settings: dict[str, Any], kind: str
) -> None:
    end = done(provider, replace(job(settings, "a fox [[run:think]]", max_tokens=40), kind=kind))
    assert (end.outputs, end.finish_reason, end.usage["tokens_output"]) == ((), FinishReason.LENGTH, 40)


@pytest.mark.parametrize("settings", [RESPONSES, CHAT], ids=["responses", "chat"])
def test_an_empty_text_without_usage_is_a_failure(provider: OpenAI, settings: dict[str, Any]) -> None:
    ran = done(provider, job(settings, "a fox [[run:none]]"))
    assert (ran.outputs, ran.finish_reason) == ((), None)
    end = provider.submit(job(settings, "a fox [[run:none]] [[usage:none]]"))
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.TRANSIENT


# ---- speech ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["mp3", "wav", "aac", "opus", "flac"])
def test_speech_is_playable_audio(provider: OpenAI, form: str) -> None:
    end = done(provider, job(SPEECH, "x" * 100, format=form))
    assert end.usage["characters"] == 100
    assert end.outputs[0].content_type is not None
    assert end.outputs[0].content_type.startswith("audio/")
    assert seconds(data(end)) == pytest.approx(1, abs=0.15)


def seconds(sound: bytes) -> float:
    with av.open(io.BytesIO(sound)) as opened:
        return sum(frame.samples / frame.sample_rate for frame in opened.decode(audio=0))


def test_the_speech_request_is_the_documented_one(provider: OpenAI, simulator: OpenAISimulator) -> None:
    done(provider, job(SPEECH, "hello", voice="nova", speed=1.5, instructions="softly"))
    assert simulator.calls[0]["body"] == {
        "model": "gpt-4o-mini-tts",
        "input": "hello",
        "voice": "nova",
        "speed": 1.5,
        "instructions": "softly",
        "response_format": "mp3",
    }


@pytest.mark.parametrize("form", ["mp3", "wav", "pcm", "flac", "opus", "aac"])
def test_a_long_speech_text_is_sent_in_parts_and_the_audio_is_joined(
    provider: OpenAI, simulator: OpenAISimulator, form: str
) -> None:
    text = " ".join(["A sentence of some length, spoken slowly."] * 150)
    end = done(provider, job(SPEECH, text, format=form))
    parts = [call["body"]["input"] for call in simulator.calls]
    assert len(parts) == 2
    assert all(len(part) <= 4096 for part in parts)
    assert end.usage["characters"] == sum(len(part) for part in parts)
    # Processed as it is delivered to the creator.
    lasting = (audio.process(data(end)).duration_ms or 0) / 1000
    assert lasting == pytest.approx(len(text) / 100, abs=0.5)
    if form in ("wav", "pcm", "flac"):
        assert end.usage["output_milliseconds"] == pytest.approx(lasting * 1000, abs=50)


def test_speech_parts_keep_every_word_in_order_within_the_limit() -> None:
    for text in ("one. two! three? " * 20, "word " * 100, "x" * 95, "", "a. " + "y" * 31 + " b."):
        parts = split_text(text, 30)
        assert all(len(part) <= 30 for part in parts)
        assert "".join("".join(parts).split()) == "".join(text.split())
    assert split_text("One sentence. Another one here.", 30) == ["One sentence.", "Another one here."]


def test_a_refused_speech_part_fails_with_the_usage_of_the_earlier_parts(
    provider: OpenAI, simulator: OpenAISimulator
) -> None:
    text = "x " * 2048 + "[[create:moderated]]"
    end = provider.submit(job(SPEECH, text))
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.MODERATED_BILLED
    assert end.usage["characters"] >= 4000


def test_an_unsupported_audio_format_is_refused_before_sending(provider: OpenAI, simulator: OpenAISimulator) -> None:
    end = provider.submit(job(SPEECH, format="midi"))
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.INVALID_INPUT
    assert simulator.calls == []


# ---- rejected requests and lost responses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marker", "code", "words"),
    [
        ("400", "invalid_value", "Invalid value: 'enormous'."),
        ("long", "context_length_exceeded", "maximum context length is 128000 tokens"),
        ("large", "request_too_large", "Limit 30000, Requested 50000"),
        ("moderated", "moderation_blocked", "rejected by the safety system"),
        ("policy", "content_policy_violation", "violates our policies"),
    ],
)
def test_a_refused_request_keeps_the_providers_words_and_code(
    provider: OpenAI, marker: str, code: str, words: str
) -> None:
    end = provider.submit(job(CHAT, f"a fox [[create:{marker}]]"))
    assert isinstance(end, Failed)
    assert end.code == code
    assert words in end.message
    assert "org-a1b2c3d4" not in end.message


def test_a_response_after_the_timeout_is_unknown(simulator: OpenAISimulator) -> None:
    impatient = OpenAI(api_key=simulator.api_key, base_url=simulator.base_url, answer_seconds_max=0.2)
    assert isinstance(impatient.submit(job(RESPONSES, "a fox [[run:slow=2]]")), Unknown)


def test_an_unknown_model_or_api_fails_as_model_gone(provider: OpenAI) -> None:
    for settings in (IMAGES | {"model": "dall-e-3"}, IMAGES | {"api": "videos"}):
        end = provider.submit(replace(job(IMAGES), settings=settings))
        assert isinstance(end, Failed)
        assert end.error_class is ErrorClass.MODEL_GONE


def test_a_key_that_is_not_a_valid_header_value_fails_as_auth(simulator: OpenAISimulator) -> None:
    for key in ("sk-other", "sk\n-evil: yes", "schlüssel", ""):
        end = OpenAI(api_key=key, base_url=simulator.base_url).submit(job(RESPONSES))
        assert isinstance(end, Failed)
        assert end.error_class is ErrorClass.AUTH


def test_a_callers_words_in_an_error_message_do_not_change_its_class() -> None:
    for text in ("invalid value: 'credits'", "invalid value: 'spending limit, billing'", "no such size: 'overloaded'"):
        assert Problem(400, "invalid_value invalid_request_error", text).error_class is ErrorClass.INVALID_INPUT


# ---- the rest of the provider port -----------------------------------------------------------------------------------


def test_the_key_check_lists_the_models_and_reports_a_wrong_key(provider: OpenAI, simulator: OpenAISimulator) -> None:
    assert provider.check() is None
    assert [(call["method"], call["path"]) for call in simulator.calls] == [("GET", "/v1/models")]
    wrong = OpenAI(api_key="sk-wrong", base_url=simulator.base_url).check()
    assert wrong is not None
    assert wrong.error_class is ErrorClass.AUTH


def test_the_list_of_models_has_their_shutdown_dates(provider: OpenAI, simulator: OpenAISimulator) -> None:
    simulator.shutdown_dates = {"gpt-image-2": None, "gpt-4o": "2027-01-14", "gpt-odd": "soon"}
    assert provider.models() == (
        ListedModel("gpt-image-2", None),
        ListedModel("gpt-4o", date(2027, 1, 14)),
        ListedModel("gpt-odd", None),
    )
    assert OpenAI(api_key="sk-wrong", base_url=simulator.base_url).models() is None


def test_poll_cancel_find_and_webhooks_are_unsupported(provider: OpenAI) -> None:
    lost = provider.poll("resp_1", job(RESPONSES))
    assert isinstance(lost, Failed)
    assert lost.error_class is ErrorClass.UNKNOWN_OUTCOME
    assert provider.cancel("resp_1") is CancelResult.UNSUPPORTED
    assert provider.find(job(RESPONSES)) is None
    assert not provider.resend_safe
    with pytest.raises(WebhookInvalid):
        provider.parse_webhook({}, b"{}", 0)


# ---- the simulator, tested with the SDK ------------------------------------------------------------------------------


@pytest.fixture
def client(simulator: OpenAISimulator) -> Iterator[sdk.OpenAI]:
    with sdk.OpenAI(api_key=simulator.api_key, base_url=simulator.base_url, max_retries=0, timeout=10) as made:
        yield made


def test_the_sdk_lists_and_gets_models(client: sdk.OpenAI) -> None:
    listed = {model.id: model.shutdown_date for model in client.models.list()}
    assert listed["gpt-4o"] == "2027-01-14"
    assert client.models.retrieve("gpt-image-2").shutdown_date is None
    with pytest.raises(sdk.NotFoundError):
        client.models.retrieve("gpt-none")


def test_the_sdk_generates_and_edits_images(client: sdk.OpenAI) -> None:
    made = client.images.generate(model="gpt-image-2", prompt="a fox", size="64x96", n=2, quality="low")
    assert made.data is not None
    assert [Image.open(io.BytesIO(base64.b64decode(one.b64_json or ""))).size for one in made.data] == [(64, 96)] * 2
    assert made.usage is not None
    assert made.usage.output_tokens_details is not None
    assert made.usage.output_tokens == made.usage.output_tokens_details.image_tokens
    files = [("a.png", sample_png(64, 64, 1), "image/png"), ("b.png", sample_png(32, 32, 2), "image/png")]
    for given in (files[0], files):
        edited = client.images.edit(
            model="gpt-image-2",
            image=given,
            prompt="blue",
            mask=("m.png", sample_png(64, 64, 1)) if given != files else sdk.omit,
        )
        assert edited.usage is not None
        assert edited.usage.input_tokens_details.image_tokens == (1530 if given == files else 765)


def test_the_sdk_gets_a_response_and_a_chat(client: sdk.OpenAI) -> None:
    response = client.responses.create(model="gpt-5.5", input="say hello", instructions="be brief")
    assert (response.status, response.output_text) == ("completed", "The simulator heard: say hello")
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert client.responses.retrieve(response.id).output_text == response.output_text
    client.responses.delete(response.id)
    with pytest.raises(sdk.NotFoundError):
        client.responses.retrieve(response.id)
    chat = client.chat.completions.create(model="gpt-5.5", messages=[{"role": "user", "content": "say hello"}])
    assert chat.choices[0].message.content == "The simulator heard: say hello"
    assert chat.choices[0].finish_reason == "stop"
    assert chat.usage is not None
    assert chat.usage.completion_tokens == 5


def test_the_sdk_sees_failed_and_incomplete_responses(client: sdk.OpenAI) -> None:
    failed = client.responses.create(model="gpt-5.5", input="a fox [[run:fail]]")
    assert failed.error is not None
    assert (failed.status, failed.error.code) == ("failed", "server_error")
    cut = client.responses.create(model="gpt-5.5", input="one two three", max_output_tokens=4)
    assert cut.incomplete_details is not None
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_the_sdk_creates_speech_and_moderates_text(client: sdk.OpenAI) -> None:
    spoken = client.audio.speech.create(model="gpt-4o-mini-tts", voice="nova", input="x" * 50, response_format="wav")
    assert seconds(spoken.content) == pytest.approx(0.5, abs=0.05)
    judged = client.moderations.create(input=["a fox", "[[moderation:flagged]]"])
    assert [result.flagged for result in judged.results] == [False, True]
    assert judged.results[1].categories.violence


@pytest.mark.parametrize(
    ("marker", "error", "code"),
    [
        ("400", sdk.BadRequestError, "invalid_value"),
        ("401", sdk.AuthenticationError, "invalid_api_key"),
        ("403", sdk.PermissionDeniedError, None),
        ("404", sdk.NotFoundError, "model_not_found"),
        ("429", sdk.RateLimitError, "rate_limit_exceeded"),
        ("quota", sdk.RateLimitError, "insufficient_quota"),
        ("moderated", sdk.BadRequestError, "moderation_blocked"),
        ("503", sdk.InternalServerError, None),
        ("500", sdk.InternalServerError, None),
        ("lost", sdk.APIConnectionError, None),
    ],
)
def test_the_sdk_reads_refusals_as_its_errors(
    client: sdk.OpenAI, marker: str, error: type[sdk.APIError], code: str | None
) -> None:
    with pytest.raises(error) as refused:
        client.images.generate(model="gpt-image-2", prompt=f"a fox [[create:{marker}]]", size="64x64")
    assert refused.value.code == code


def test_the_sdk_retries_after_the_time_that_a_429_gives(simulator: OpenAISimulator) -> None:
    simulator.behave("create:429-ms")
    with sdk.OpenAI(api_key=simulator.api_key, base_url=simulator.base_url, max_retries=1) as patient:
        began = time.monotonic()
        assert patient.responses.create(model="gpt-5.5", input="hello").status == "completed"
    assert time.monotonic() - began >= 1.4
    assert len(simulator.calls) == 2


@pytest.mark.parametrize(
    "given",
    [
        {"size": "65x64"},
        {"size": "64x640"},
        {"size": "huge"},
        {"n": 11},
        {"quality": "best"},
        {"response_format": "b64_json"},
        {"seed": 7},
        {"prompt": ""},
        {"prompt": "x" * 32_001},
        {"output_format": "bmp"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_the_simulator_refuses_what_the_documentation_does_not_allow(
    simulator: OpenAISimulator, given: dict[str, Any]
) -> None:
    with sdk.OpenAI(api_key=simulator.api_key, base_url=simulator.base_url, max_retries=0) as client:
        order: dict[str, Any] = {"model": "gpt-image-2", "prompt": "a fox", **given}
        with pytest.raises(sdk.BadRequestError):
            client.post("/images/generations", body=order, cast_to=object)


def test_the_simulators_behaviour_is_set_and_reset_over_http(simulator: OpenAISimulator, client: sdk.OpenAI) -> None:
    control(simulator, "behave", {"markers": ["create:503"], "creations": 1})
    with pytest.raises(sdk.InternalServerError):
        client.responses.create(model="gpt-5.5", input="hello")
    client.responses.create(model="gpt-5.5", input="hello")
    assert len(simulator.calls) == 2
    control(simulator, "reset", {})
    assert simulator.calls == []


def control(simulator: OpenAISimulator, verb: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(f"{simulator.url}/_simulator/{verb}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
