"""The Anthropic adapter against its simulator: it sends documented requests and returns typed outcomes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from atelier.adapters.providers.anthropic import Anthropic
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
    Output,
    Unknown,
    WebhookInvalid,
)
from infra.simulators.anthropic import CACHE_READ, CACHE_WRITTEN, GONE_MODEL, AnthropicSimulator
from infra.simulators.kit.samples import sample_png

MODEL = "claude-of-the-tests"


@pytest.fixture
def simulator() -> Iterator[AnthropicSimulator]:
    with AnthropicSimulator() as running:
        yield running


@pytest.fixture
def provider(simulator: AnthropicSimulator) -> Anthropic:
    return Anthropic(api_key=simulator.api_key, base_url=simulator.url, answer_seconds_max=3)


def job(prompt: str = "Write a line about a fox.", kind: str = "text", **parameters: Any) -> Job:
    settings = {"model": MODEL}
    return Job(new_id("att", system_clock()), kind, "anthropic/x", prompt, parameters=parameters, settings=settings)


# ---- requests --------------------------------------------------------------------------------------------------------


def test_a_prompt_is_the_documented_request_and_is_sent_once(
    provider: Anthropic, simulator: AnthropicSimulator
) -> None:
    provider.submit(job("A fox.", max_tokens=100, system="Be brief.", temperature_percent=50, stop=["END"]))
    (call,) = simulator.calls
    assert (call["method"], call["path"]) == ("POST", "/v1/messages")
    assert call["headers"]["x-api-key"] == simulator.api_key
    assert call["headers"]["anthropic-version"] == "2023-06-01"
    assert call["headers"]["content-type"] == "application/json"
    assert call["body"] == {
        "model": MODEL,
        "max_tokens": 100,
        "system": "Be brief.",
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "A fox."}]}],
    }


def test_max_tokens_is_always_sent_because_the_api_requires_it(
    provider: Anthropic, simulator: AnthropicSimulator
) -> None:
    provider.submit(job())
    provider.submit(replace(job(), settings={"model": MODEL, "input": {"max_tokens": 9, "thinking": {"type": "x"}}}))
    assert [call["body"]["max_tokens"] for call in simulator.calls] == [1024, 9]
    assert simulator.calls[1]["body"]["thinking"] == {"type": "x"}


def test_messages_keep_their_order_and_the_system_message_has_its_own_field(
    provider: Anthropic, simulator: AnthropicSimulator
) -> None:
    parts = [{"type": "image", "image": 1}, {"type": "text", "text": "And this?"}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello."}, {"type": "image", "image": 0}]},
        {"role": "assistant", "content": "Good day."},
        {"role": "user", "content": parts},
    ]
    pictures = (Input(b"first", "image/png"), Input(b"second", "image/jpeg"))
    work = replace(job("", messages=messages), inputs={"image": pictures})
    assert isinstance(provider.submit(work), Done)
    body = simulator.calls[0]["body"]
    assert body["system"] == "Be brief."

    def shown(data: bytes, media_type: str) -> dict[str, Any]:
        source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
        return {"type": "image", "source": source}

    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hello."}, shown(b"first", "image/png")]},
        {"role": "assistant", "content": [{"type": "text", "text": "Good day."}]},
        {"role": "user", "content": [shown(b"second", "image/jpeg"), {"type": "text", "text": "And this?"}]},
    ]


def test_an_input_image_is_sent_in_the_message(provider: Anthropic, simulator: AnthropicSimulator) -> None:
    picture = Input(sample_png(8, 8, 1), "image/png")
    assert isinstance(provider.submit(replace(job(), inputs={"image": (picture,)})), Done)
    shown, text = simulator.calls[0]["body"]["messages"][0]["content"]
    assert shown["source"]["media_type"] == "image/png"
    assert text["type"] == "text"


# ---- responses -------------------------------------------------------------------------------------------------------


def test_a_text_is_returned_with_its_token_counts(provider: Anthropic) -> None:
    done = provider.submit(job("A fox."))
    assert done == Done(
        (Output(b"You said: A fox.", content_type="text/plain"),), {"tokens_input": 2, "tokens_output": 4}
    )


def test_a_page_is_html(provider: Anthropic) -> None:
    done = provider.submit(job("A page about a fox.", kind="page"))
    assert isinstance(done, Done)
    (output,) = done.outputs
    assert output.content_type == "text/html"
    assert (output.data or b"").startswith(b"<!doctype html>")


def test_input_tokens_include_cache_reads_and_cache_writes(provider: Anthropic) -> None:
    done = provider.submit(job("A fox. [[usage:cached]]"))
    assert isinstance(done, Done)
    plain = done.usage["tokens_input"] - CACHE_READ - CACHE_WRITTEN
    assert plain > 0
    assert (done.usage["tokens_cached"], done.usage["tokens_cache_write"]) == (CACHE_READ, CACHE_WRITTEN)


def test_missing_usage_is_not_counted_as_zero(provider: Anthropic) -> None:
    done = provider.submit(job("A fox. [[usage:none]]"))
    assert isinstance(done, Done)
    assert done.usage == {}


def test_impossible_token_counts_are_ignored(provider: Anthropic) -> None:
    done = provider.submit(job("A fox. [[usage:absurd]]"))
    assert isinstance(done, Done)
    assert done.usage == {}


def test_a_text_cut_at_max_tokens_is_done_with_finish_reason_length(provider: Anthropic) -> None:
    done = provider.submit(job("A fox in the snow.", max_tokens=2))
    assert isinstance(done, Done)
    assert (done.outputs[0].data, done.finish_reason) == (b"You said", FinishReason.LENGTH)


def test_text_after_a_stop_sequence_is_neither_returned_nor_billed(provider: Anthropic) -> None:
    done = provider.submit(job("A fox in the snow.", stop=["in the"]))
    assert isinstance(done, Done)
    assert done.outputs[0].data == b"You said: A fox "
    assert done.usage["tokens_output"] == 4


@pytest.mark.parametrize(("marker", "reason"), [("think", FinishReason.LENGTH), ("none", None)])
def test_a_response_without_text_is_done_without_output_and_is_billed(
    provider: Anthropic, marker: str, reason: FinishReason | None
) -> None:
    end = provider.submit(job(f"A fox. [[run:{marker}]]", max_tokens=50))
    assert isinstance(end, Done)
    assert (end.outputs, end.finish_reason) == ((), reason)
    assert end.usage["tokens_output"] > 0


def test_a_conversation_that_is_too_long_fails_with_the_providers_message(provider: Anthropic) -> None:
    failed = provider.submit(job("A fox. [[create:long]]"))
    assert isinstance(failed, Failed)
    assert (failed.error_class, failed.code) == (ErrorClass.INVALID_INPUT, "context_length_exceeded")
    assert "250000 tokens" in failed.message


def test_a_callers_text_cannot_fake_a_billing_error(provider: Anthropic) -> None:
    quoted = [{"role": "user", "content": [{"type": "credit balance is too low"}]}]
    failed = provider.submit(job("", messages=quoted))
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.INVALID_INPUT


def test_a_removed_model_fails_as_model_gone(provider: Anthropic) -> None:
    failed = provider.submit(replace(job(), settings={"model": GONE_MODEL}))
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.MODEL_GONE


def test_a_slow_response_is_awaited_until_the_timeout(provider: Anthropic, simulator: AnthropicSimulator) -> None:
    assert isinstance(provider.submit(job("A fox. [[run:slow=0.1]]")), Done)
    impatient = Anthropic(api_key=simulator.api_key, base_url=simulator.url, answer_seconds_max=0.2)
    assert isinstance(impatient.submit(job("A fox. [[run:slow=60]]")), Unknown)


def test_poll_cancel_find_and_webhooks_are_unsupported(provider: Anthropic) -> None:
    assert provider.resend_safe is False
    failed = provider.poll("msg_1", job())
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.UNKNOWN_OUTCOME
    assert provider.cancel("msg_1") is CancelResult.UNSUPPORTED
    assert provider.find(job()) is None
    with pytest.raises(WebhookInvalid):
        provider.parse_webhook({}, b"{}", 1000)


# ---- the key check and the list of models ----------------------------------------------------------------------------


def test_the_key_is_checked_by_a_call_that_costs_nothing(provider: Anthropic, simulator: AnthropicSimulator) -> None:
    assert provider.check() is None
    assert [(call["method"], call["path"]) for call in simulator.calls] == [("GET", "/v1/models?limit=1")]
    wrong = Anthropic(api_key="other", base_url=simulator.url).check()
    assert isinstance(wrong, Failed)
    assert wrong.error_class is ErrorClass.AUTH
    simulator.stop()
    gone = provider.check()
    assert isinstance(gone, Failed)
    assert gone.error_class is ErrorClass.TRANSIENT


def test_the_list_of_models_is_read_page_by_page_and_has_no_dates() -> None:
    names = tuple(f"claude-{number}" for number in range(2100))
    with AnthropicSimulator(models=names) as simulator:
        provider = Anthropic(api_key=simulator.api_key, base_url=simulator.url)
        assert provider.models() == tuple(ListedModel(name, None) for name in names)
        assert len(simulator.calls) == 3
        wrong = Anthropic(api_key="other", base_url=simulator.url)
        assert wrong.models() is None


# ---- the simulator ---------------------------------------------------------------------------------------------------


def test_the_simulator_refuses_what_the_api_refuses(simulator: AnthropicSimulator) -> None:
    headers = {"x-api-key": simulator.api_key, "anthropic-version": "2023-06-01"}
    good = {"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": "Hello."}]}
    bad: list[dict[str, Any]] = [
        {key: value for key, value in good.items() if key != "max_tokens"},
        good | {"prompt": "Hello."},
        good | {"messages": []},
        good | {"temperature": 1.5},
        good | {"messages": [{"role": "system", "content": "Hello."}]},
        good | {"messages": [{"role": "user", "content": ""}]},
    ]

    def send(body: dict[str, Any], **more: str) -> httpx.Response:
        return httpx.post(f"{simulator.url}/v1/messages", json=body, headers=headers | more)

    assert send(good).status_code == 200
    for body in bad:
        refused = send(body)
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert send(good, **{"x-api-key": "other"}).status_code == 401
    counted = httpx.post(f"{simulator.url}/v1/messages/count_tokens", json=good, headers=headers)
    assert counted.json() == {"input_tokens": send(good).json()["usage"]["input_tokens"]}
