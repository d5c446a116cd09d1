"""`/v1/chat/completions`: map a conversation to a text generation, and the result to a chat completion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from atelier.generations.model import Kind
from atelier.lazy_model import LazyModel
from atelier.openai_api import sse
from atelier.openai_api.conversation import build_conversation, parse_message
from atelier.openai_api.errors import UnsupportedParameter
from atelier.openai_api.request import MappedRequest, ModelName, OpenAIRequest, set_fields, valid_seed
from atelier.openai_api.result import Result

FIELD_NAMES = {"prompt": "messages", "system": "messages", "image": "messages"}


class ChatMessage(LazyModel):
    """One message of the conversation. The message of an earlier completion is accepted unchanged."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None
    audio: Any = None


class StreamOptions(LazyModel):
    model_config = ConfigDict(extra="ignore")

    include_usage: bool | None = None


class ChatRequest(OpenAIRequest):
    """The request body: a conversation to continue."""

    # Fields that no adapter supports, each with the values that have no effect.
    REFUSED = {
        "n": (1,),
        "tools": ([],),
        "tool_choice": ("none", "auto"),
        "functions": ([],),
        "function_call": ("none", "auto"),
        "response_format": ({"type": "text"},),
        "modalities": (["text"],),
        "audio": (),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "logit_bias": ({},),
        "web_search_options": (),
    }

    model: ModelName
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def to_mapped_request(self) -> MappedRequest:
        """The request in our terms. Raises UnsupportedParameter, ValidationFailed."""
        ignored = self.ignored_fields()
        for number, message in enumerate(self.messages):
            if message.role in ("tool", "function") or message.tool_calls or message.function_call:
                raise UnsupportedParameter(f"messages[{number}]", "Tools are not called here.")
            if message.audio:
                raise UnsupportedParameter(f"messages[{number}].audio", "Audio is not accepted in a conversation here.")

        conversation = build_conversation(
            [
                parse_message(message.role, message.content or message.refusal, f"messages[{number}].content")
                for number, message in enumerate(self.messages)
            ],
            "messages",
        )

        max_tokens_field = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        parameters = conversation.parameters | set_fields(
            max_tokens=getattr(self, max_tokens_field),
            temperature=self.temperature,
            top_p=self.top_p,
            seed=valid_seed(self.seed),
            reasoning_effort=self.reasoning_effort,
            verbosity=self.verbosity,
            stop=[self.stop] if self.stop and isinstance(self.stop, str) else self.stop or None,
        )

        files = {"image": conversation.images} if conversation.images else {}
        names = {**FIELD_NAMES, "max_tokens": max_tokens_field}
        return MappedRequest(Kind.TEXT, conversation.prompt, self.model, parameters, files, names, ignored)


def completion(request: ChatRequest, result: Result) -> dict[str, Any]:
    """The response body: a chat completion."""
    text, reason = result.text, _reason(result)
    content = {"content": None, "refusal": text} if result.is_refusal else {"content": text, "refusal": None}
    message: dict[str, Any] = {"role": "assistant", **content, "annotations": []}
    choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {**_head(result, "chat.completion"), "choices": [choice], "usage": _usage(result)}


def stream(request: ChatRequest, result: Result) -> bytes:
    """The response body of a streaming request: server-sent events of chunks."""
    return sse.unnamed_event_stream(_chunks(request, result))


def _chunks(request: ChatRequest, result: Result) -> Iterator[dict[str, Any]]:
    text, reason = result.text, _reason(result)
    with_usage = bool(request.stream_options and request.stream_options.include_usage)
    head = {**_head(result, "chat.completion.chunk"), **({"usage": None} if with_usage else {})}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]}

    text_field = "refusal" if result.is_refusal else "content"
    yield chunk({"role": "assistant", "content": "", "refusal": None})
    yield from (chunk({text_field: piece}) for piece in sse.split_text(text))
    yield chunk({}, reason)
    if with_usage:
        yield {**head, "choices": [], "usage": _usage(result)}


def _reason(result: Result) -> str:
    return "content_filter" if result.is_filtered else "length" if result.is_truncated else "stop"


def _head(result: Result, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{result.ulid}",
        "object": kind,
        "created": result.created,
        "model": result.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _usage(result: Result) -> dict[str, Any]:
    usage = result.usage
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
    }
