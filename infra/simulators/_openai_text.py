"""Texts of the simulators that speak OpenAI's API: what the Responses API and the chat API check and answer, and the
format of errors."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any, cast

from infra.simulators.kit.faults import number_option, options_of
from infra.simulators.kit.messages import Response

# Models that accept `stop`: those that do not reason before they answer.
STOP_MODELS = re.compile(r"(?!gpt-5|o\d|grok-4).*")


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


RESPONSE_FIELDS = word_set(
    "model input instructions background max_output_tokens metadata previous_response_id service_tier store stream "
    "text tools tool_choice reasoning temperature top_p truncation include parallel_tool_calls safety_identifier user "
    "prompt_cache_key moderation"
)
CHAT_FIELDS = word_set(
    "model messages max_tokens max_completion_tokens temperature top_p n stop stream stream_options seed user store "
    "metadata presence_penalty frequency_penalty reasoning_effort response_format tools tool_choice logprobs verbosity "
    "safety_identifier service_tier"
)
# The `run:` markers that make the result empty.
EMPTY_RESULT = {"none", "silent"}


def problem(
    status: int,
    message: str,
    code: str | None = None,
    type: str = "invalid_request_error",
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An error in OpenAI's envelope."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return Response(status, {"error": error}, headers or {})


def invalid_value(name: str, value: object) -> Response:
    return problem(400, f"Invalid value: '{value}'.", "invalid_value", param=name)


def response_content(body: dict[str, Any], markers: list[str]) -> dict[str, Any]:
    """The body of a response of the Responses API."""
    prompt, text, cut = _reply_to(body["input"], body.get("max_output_tokens"))
    run = options_of(markers, "run")
    thinks, limit = "think" in run, int(body.get("max_output_tokens") or 4096)
    text, cut = ("", True) if thinks else (text, cut)

    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    if "refuse" in run:
        part = {"type": "refusal", "refusal": "I cannot help with that."}
    message = {
        "type": "message",
        "id": f"msg_{secrets.token_hex(8)}",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }

    failures = {
        "fail": ("server_error", "The model failed to answer."),
        "limit": ("rate_limit_exceeded", "Rate limit reached."),
        "flagged": ("invalid_prompt", "Your prompt was flagged as potentially violating our usage policy."),
    }
    failure = next((failures[name] for name in run if name in failures), None)
    reason = "content_filter" if "filter" in run else "max_output_tokens" if cut else None
    return {
        "id": f"resp_{secrets.token_hex(12)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "failed" if failure else "incomplete" if reason else "completed",
        "error": {"code": failure[0], "message": failure[1]} if failure else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "model": body["model"],
        "output": [{"type": "reasoning", "summary": []}]
        if thinks
        else []
        if failure or EMPTY_RESULT & set(run)
        else [message],
        "parallel_tool_calls": True,
        "temperature": body.get("temperature", 1.0),
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None
        if failure and "flagged" not in run
        else _text_usage(prompt, text, markers, "input", "output", limit if thinks else 0),
    }


def chat_content(body: dict[str, Any], markers: list[str]) -> dict[str, Any]:
    """The body of a chat completion."""
    prompt, text, cut = _reply_to(body["messages"], body.get("max_completion_tokens") or body.get("max_tokens"))
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text, stopped, _ = text.partition(stop)
        cut = cut and not stopped

    run = options_of(markers, "run")
    thinks, limit = "think" in run, int(body.get("max_completion_tokens") or body.get("max_tokens") or 4096)
    text, cut = ("", True) if thinks else (text, cut)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if "refuse" in run:
        message |= {"content": None, "refusal": "I cannot help with that."}
    if EMPTY_RESULT & set(run):
        message["content"] = ""

    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": "content_filter" if "filter" in run else "length" if cut else "stop",
    }
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [choice],
        "usage": _text_usage(prompt, text, markers, "prompt", "completion", limit if thinks else 0),
    }


def response_problem(body: dict[str, Any]) -> Response | None:
    limit = body.get("max_output_tokens")
    return invalid_value("max_output_tokens", limit) if limit is not None and int(limit) < 1 else None


def chat_problem(body: dict[str, Any]) -> Response | None:
    messages = body["messages"]
    if body.get("stop") and not STOP_MODELS.fullmatch(str(body["model"])):
        text = "Unsupported parameter: 'stop' is not supported with this model."
        return problem(400, text, "unsupported_parameter", param="stop")
    roles = {"system", "developer", "user", "assistant", "tool"}
    is_valid = isinstance(messages, list) and all(
        isinstance(turn, dict) and turn.get("role") in roles for turn in messages
    )
    return None if is_valid else invalid_value("messages", "malformed")


def _reply_to(conversation: Any, limit: int | None) -> tuple[str, str, bool]:
    """The whole input as text, the reply to its last message, and whether the reply was cut at the limit of tokens
    (words count as tokens here)."""
    last = conversation if isinstance(conversation, str) else conversation[-1].get("content")
    if isinstance(last, list):
        last = " ".join(str(part.get("text", "a picture")) for part in cast("list[dict[str, Any]]", last))
    words = re.sub(r"\[\[[^\]]*\]\]", "", f"The simulator heard: {last}").split()
    cut = limit is not None and len(words) > limit
    return str(conversation), " ".join(words[:limit] if cut else words), cut


def _text_usage(
    prompt: str, text: str, markers: list[str], input_name: str, output_name: str, thought: int = 0
) -> dict[str, Any]:
    input_tokens, output_tokens = (
        len(prompt) // 4 + 1,
        round(len(text.split()) * number_option(markers, "usage", "times", 1)) + thought,
    )
    cached = {"cached_tokens": input_tokens // 2}
    return {
        f"{input_name}_tokens": input_tokens,
        f"{input_name}_tokens_details": {**cached, "cache_write_tokens": 0} if input_name == "input" else cached,
        f"{output_name}_tokens": output_tokens,
        f"{output_name}_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": input_tokens + output_tokens,
    }
