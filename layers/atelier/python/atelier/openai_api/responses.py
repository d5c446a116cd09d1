"""`/v1/responses`: map input items to a text generation, and the result to a response object."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Annotated, Any, cast

from pydantic import ConfigDict, Field

from atelier.errors import ValidationFailed
from atelier.generations.model import Kind
from atelier.lazy_model import LazyModel
from atelier.openai_api import sse
from atelier.openai_api.conversation import ConversationMessage, build_conversation, parse_message
from atelier.openai_api.errors import UnsupportedParameter
from atelier.openai_api.request import MappedRequest, ModelName, OpenAIRequest, set_fields
from atelier.openai_api.result import Result

MAX_TOKENS_FIELD = "max_output_tokens"
FIELD_NAMES = {
    "prompt": "input",
    "system": "instructions",
    "messages": "input",
    "image": "input",
    "max_tokens": MAX_TOKENS_FIELD,
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
ROLES = ("user", "assistant", "system", "developer")


class Reasoning(LazyModel):
    model_config = ConfigDict(extra="ignore")

    effort: str | None = None


class TextOptions(LazyModel):
    model_config = ConfigDict(extra="ignore")

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class ResponseRequest(OpenAIRequest):
    """The request body: instructions and the items to respond to."""

    REFUSED = {
        "background": (False,),
        "conversation": (),
        "previous_response_id": (),
        "prompt": (),
        "tools": ([],),
        "tool_choice": ("none", "auto"),
        "top_logprobs": (0,),
        "context_management": ([],),
        "image": (),
        "access_programs": (),
    }

    model: ModelName = "auto"
    input: str | Annotated[list[dict[str, Any]], Field(max_length=1000)]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    stream: bool | None = None

    @property
    def effort(self) -> str | None:
        """The requested reasoning effort, or None."""
        return self.reasoning.effort if self.reasoning else None

    def to_mapped_request(self) -> MappedRequest:
        """The request in our terms. Raises UnsupportedParameter, ValidationFailed."""
        ignored = self.ignored_fields()
        if self.text and self.text.format not in (None, {"type": "text"}):
            raise UnsupportedParameter("text.format")
        instructions = [ConversationMessage("system", (self.instructions,))] if self.instructions else []
        conversation = build_conversation([*instructions, *self._messages()], "input")
        parameters = conversation.parameters | set_fields(
            max_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            reasoning_effort=self.effort,
            verbosity=self.text.verbosity if self.text else None,
        )
        files = {"image": conversation.images} if conversation.images else {}
        return MappedRequest(Kind.TEXT, conversation.prompt, self.model, parameters, files, FIELD_NAMES, ignored)

    def _messages(self) -> Iterator[ConversationMessage]:
        if isinstance(self.input, str):
            yield ConversationMessage("user", (self.input,) if self.input else ())
            return
        for number, item in enumerate(self.input):
            path, item_type = f"input[{number}]", item.get("type") or "message"
            # Reasoning of an earlier response is dropped: only the model that wrote it could read it.
            if item_type == "reasoning":
                continue
            if item_type != "message":
                raise UnsupportedParameter(
                    path, f"Items of the type {str(item_type)[:60]!r} are not taken here: messages are."
                )
            role, content = item.get("role"), item.get("content")
            if role not in ROLES or not _is_content(content):
                raise ValidationFailed([{"path": path, "message": "must be a message with a role and content"}])
            yield parse_message(str(role), content, f"{path}.content")


def _is_content(content: Any) -> bool:
    is_list = isinstance(content, list) and all(isinstance(part, dict) for part in cast("list[Any]", content))
    return content is None or isinstance(content, str) or is_list


def response_body(request: ResponseRequest, result: Result) -> dict[str, Any]:
    """The response body."""
    completed_at = result.generation.completed_at
    incomplete_details = (
        {"reason": "content_filter"}
        if result.is_filtered
        else {"reason": MAX_TOKENS_FIELD}
        if result.is_truncated
        else None
    )
    return {
        **_started_body(request, result),
        "status": "incomplete" if incomplete_details else "completed",
        "completed_at": int(completed_at.timestamp()) if completed_at and not incomplete_details else None,
        "incomplete_details": incomplete_details,
        # A response that ended before any text has no message.
        "output": [_message_item(result, result.text, "incomplete" if incomplete_details else "completed")]
        if result.text or not incomplete_details
        else [],
        "usage": _usage(result),
    }


def stream(request: ResponseRequest, result: Result) -> bytes:
    """The response body of a streaming request: server-sent events with sequence numbers."""
    numbers = count()
    return sse.named_event_stream({**event, "sequence_number": next(numbers)} for event in _events(request, result))


def _events(request: ResponseRequest, result: Result) -> Iterator[dict[str, Any]]:
    finished, started = response_body(request, result), _started_body(request, result)
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    for item in finished["output"]:
        yield from _item_events(item, result.text)
    yield {"type": f"response.{finished['status']}", "response": finished}


def _item_events(item: dict[str, Any], text: str) -> Iterator[dict[str, Any]]:
    part = item["content"][0]
    kind = "refusal" if part["type"] == "refusal" else "output_text"
    text_field = "refusal" if kind == "refusal" else "text"
    extra: dict[str, Any] = {} if kind == "refusal" else {"logprobs": []}
    position: dict[str, Any] = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty_item: dict[str, Any] = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": empty_item}
    yield {"type": "response.content_part.added", **position, "part": {**part, text_field: ""}}
    for piece in sse.split_text(text):
        yield {"type": f"response.{kind}.delta", **position, "delta": piece, **extra}
    yield {"type": f"response.{kind}.done", **position, text_field: text, **extra}
    yield {"type": "response.content_part.done", **position, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}


def _started_body(request: ResponseRequest, result: Result) -> dict[str, Any]:
    return {
        "id": f"resp_{result.ulid}",
        "object": "response",
        "created_at": result.created,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "model": result.model,
        "output": [],
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "reasoning": {"effort": request.effort, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": request.temperature,
        "text": {"format": {"type": "text"}},
        "tool_choice": "none",
        "tools": [],
        "top_p": request.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": request.user,
        "metadata": request.metadata or {},
    }


def _message_item(result: Result, text: str, status: str) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    if result.is_refusal:
        part = {"type": "refusal", "refusal": text}
    return {"id": f"msg_{result.ulid}", "type": "message", "status": status, "role": "assistant", "content": [part]}


def _usage(result: Result) -> dict[str, Any]:
    usage = result.usage
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }
