"""A simulator for Anthropic's HTTP API: messages, token counts, the list of models.

    python -m infra.simulators.anthropic --port 9102        # prints its URL, serves until it is stopped

It answers as Anthropic documents, refuses fields that are not documented, and returns an HTML page when the prompt asks
for a page, else plain text. Markers in the user's last message, besides those of `kit.server`:

    create:400 401 402 403 404 409 413     refused with that status
    create:429 429-ms 429-date 429-reset 429-bare    refused by the rate limit; when to retry is in one header, in the
                                           headers that show each limit's state, or not said
    create:spend credit                    the spending limit is reached; no credit is left (as an invalid request)
    create:filtered                        the output was withheld, as an invalid request
    create:failed 503 504 529              status 500 and others, in the API's own error format
    create:error                           status 200 with an error in the body
    create:long                            too long for the model's context
    run:refusal none silent                a refusal, with its usage; an empty result; an empty result without usage
    run:think                              the model spent all its output tokens on thinking
    usage:none cached absurd               no usage; a part of the input read from a cache; impossible counts
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

from infra.simulators.kit.faults import LOST_ANSWERS, Fault, Refusal, http_date_in, number_option, options_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import Route, Simulator, main

MODELS = ("claude-opus-5", "claude-sonnet-5", "claude-haiku-4-5")
# Any model name of this form is accepted, listed or not, except GONE_MODEL.
MODEL = re.compile(r"claude-[a-z0-9-]+")
GONE_MODEL = "claude-gone"
FIELDS = {"model", "max_tokens", "messages", "system", "temperature", "top_p", "top_k", "stop_sequences", "stream"}
FIELDS |= {"tools", "tool_choice", "thinking", "output_config", "service_tier", "metadata", "inference_geo"}
FIELDS |= {"cache_control", "container"}
CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = 1600
CACHE_WRITTEN, CACHE_READ = 40, 200


def problem(status: int, kind: str, message: str, headers: dict[str, str] | None = None, **details: str) -> Response:
    """An error in Anthropic's envelope."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if details:
        error["details"] = details
    request_id = f"req_{secrets.token_hex(8)}"
    return Response(
        status,
        {"type": "error", "error": error, "request_id": request_id},
        {"request-id": request_id, **(headers or {})},
    )


def rate_limited(headers: dict[str, str] | None = None, **details: str) -> Response:
    """A 429 answer."""
    return problem(429, "rate_limit_error", "This request would exceed your rate limit.", headers, **details)


def _limited_until_reset() -> Response:
    reset = (datetime.now(UTC) + timedelta(seconds=30)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return rate_limited(
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2020-01-01T00:00:00Z",
            "anthropic-ratelimit-output-tokens-limit": "8000",
            "anthropic-ratelimit-output-tokens-remaining": "0",
            "anthropic-ratelimit-output-tokens-reset": reset,
        }
    )


INVALID = "invalid_request_error"
NO_CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."


class AnthropicSimulator(Simulator):
    """Anthropic, stood in for."""

    api_key_default = "sk-ant-standin"
    example_marker = "create:529"
    tried_with = (
        ("anthropic/claude-haiku-4-5", "text"),
        ("anthropic/claude-sonnet-5", "page"),
    )
    refusals: ClassVar[dict[str, Refusal]] = {
        "400": Refusal(problem(400, INVALID, "temperature: range: 0..1"), "invalid_input", row="bad parameters"),
        "401": Refusal(problem(401, "authentication_error", "invalid x-api-key"), "auth", row="wrong key"),
        "402": Refusal(problem(402, "billing_error", "There is a problem with your payment."), "provider_billing"),
        "403": Refusal(problem(403, "permission_error", "Your API key has no permission to use this."), "auth"),
        "404": Refusal(problem(404, "not_found_error", "model: claude-gone"), "model_gone", row="model gone"),
        "409": Refusal(problem(409, "conflict_error", "The resource is being changed."), "transient"),
        "413": Refusal(problem(413, "request_too_large", "Request exceeds the maximum size"), "invalid_input"),
        "429": Refusal(rate_limited({"retry-after": "12"}), "rate_limited", 12, row="too many requests"),
        "429-ms": Refusal(rate_limited({"retry-after-ms": "1500"}), "rate_limited", 2),
        "429-date": Refusal(lambda: rate_limited({"retry-after": http_date_in(30)}), "rate_limited", 30),
        "429-reset": Refusal(_limited_until_reset, "rate_limited", 30),
        "429-bare": Refusal(rate_limited(), "rate_limited"),
        "spend": Refusal(
            rate_limited({"retry-after": "86400"}, error_code="enforced_spend_limit_reached"), "provider_billing"
        ),
        "credit": Refusal(problem(400, INVALID, NO_CREDIT), "provider_billing", row="no money left"),
        "filtered": Refusal(
            problem(400, INVALID, "Output blocked by content filtering policy"),
            "moderated",
            row="refused for its content",
        ),
        "long": Refusal(problem(400, INVALID, "prompt is too long: 250000 tokens > 200000 maximum"), "invalid_input"),
        "failed": Refusal(problem(500, "api_error", "Internal server error"), "transient"),
        "503": Refusal(
            Response(503, b"<html>unavailable</html>", {"content-type": "text/html"}), "transient", row="out of service"
        ),
        "504": Refusal(problem(504, "timeout_error", "The request timed out."), "timeout_started"),
        "529": Refusal(problem(529, "overloaded_error", "Overloaded"), "capacity", row="no capacity"),
        "error": Refusal(problem(200, "overloaded_error", "Overloaded"), "capacity"),
    }
    faults: ClassVar[dict[str, Fault]] = {
        **LOST_ANSWERS,
        "run:refusal": Fault("moderated_billed", is_billed=True),
        "run:silent": Fault("transient", row="taken, and nothing came"),
    }

    def __init__(self, port: int = 0, *, models: tuple[str, ...] = MODELS, **given: Any) -> None:
        super().__init__(port, **given)
        self.models = models

    def check_request(self, request: Request) -> Response | None:
        if request.headers.get("x-api-key") != self.api_key:
            return problem(401, "authentication_error", "invalid x-api-key")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", request.headers.get("anthropic-version", "")):
            return problem(400, INVALID, "anthropic-version: header is required")
        return None

    def not_found(self, request: Request) -> Response:
        return problem(404, "not_found_error", "Not found")

    def routes(self) -> list[Route]:
        return [
            ("GET", r"/v1/models", self.list_models),
            ("POST", r"/v1/messages/count_tokens", self.count_tokens),
            ("POST", r"/v1/messages", self.create),
        ]

    def list_models(self, request: Request) -> Response:
        limit, after = int(request.query.get("limit", 20)), request.query.get("after_id")
        if not 1 <= limit <= 1000:
            return problem(400, INVALID, "limit: range: 1..1000")
        start = self.models.index(after) + 1 if after in self.models else 0
        names = self.models[start : start + limit]
        listed = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in names
        ]
        page = {
            "data": listed,
            "has_more": start + limit < len(self.models),
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }
        return Response(200, page)

    def count_tokens(self, request: Request) -> Response:
        body = request.json()
        wrong = _body_error({"max_tokens": 1, **body})
        return problem(400, INVALID, wrong) if wrong else Response(200, {"input_tokens": _tokens(body)})

    def create(self, request: Request) -> Response:
        body = request.json()
        wrong = _body_error(body)
        if wrong:
            return problem(400, INVALID, wrong)

        prompt = _text_of(body["messages"][-1])
        markers = self.markers(prompt)
        if not MODEL.fullmatch(body["model"]) or body["model"] == GONE_MODEL:
            return problem(404, "not_found_error", f"model: {body['model']}")
        refused = self.refusal_for(markers)
        if refused:
            return refused

        self.stopping.wait(number_option(markers, "run", "slow", 0))
        run = options_of(markers, "run")
        text, is_cut = _truncate(_reply_to(prompt), body["max_tokens"])
        if "think" in run:
            text, is_cut = "", True

        stop_sequence = None
        for stop in body.get("stop_sequences") or []:
            if stop in text:
                text, stop_sequence, is_cut = text.partition(stop)[0], stop, False

        reason = "max_tokens" if is_cut else "stop_sequence" if stop_sequence else "end_turn"
        stop_reason = "refusal" if "refusal" in run else reason
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
        content = (
            [thought]
            if "think" in run
            else []
            if {"refusal", "none", "silent"} & set(run)
            else [{"type": "text", "text": text, "citations": None}]
        )

        message: dict[str, Any] = {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": stop_sequence,
            "usage": _usage(
                _tokens(body),
                body["max_tokens"] if "think" in run else max(len(text) // CHARACTERS_PER_TOKEN, 1),
                "cached" in options_of(markers, "usage"),
            ),
        }

        if "none" in options_of(markers, "usage") or "silent" in run:
            del message["usage"]
        elif "absurd" in options_of(markers, "usage"):
            message["usage"] = {"input_tokens": 10**40, "output_tokens": -5, "cache_read_input_tokens": "7"}
        return self.with_faults(markers, Response(200, message, {"request-id": f"req_{secrets.token_hex(8)}"}))


def _body_error(body: dict[str, Any]) -> str | None:
    """The first thing that is wrong with a request's body, in Anthropic's words; None when nothing is."""
    unknown = sorted(set(body) - FIELDS)
    if unknown:
        return f"{unknown[0]}: Extra inputs are not permitted"
    missing = [name for name in ("model", "max_tokens", "messages") if name not in body]
    if missing:
        return f"{missing[0]}: Field required"
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        return "max_tokens: must be greater than or equal to 1"
    temperature = body.get("temperature", 1)
    if not isinstance(temperature, int | float) or not 0 <= temperature <= 1:
        return "temperature: range: 0..1"
    if not all(isinstance(stop, str) and stop.strip() for stop in body.get("stop_sequences") or []):
        return "stop_sequences: each stop sequence must contain non-whitespace"

    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    for place, message in enumerate(cast("list[dict[str, Any]]", messages)):
        if message.get("role") not in ("user", "assistant"):
            return f'messages.{place}.role: must be "user" or "assistant"'
        for part in _parts(message):
            if part.get("type") == "text" and not part.get("text"):
                return f"messages.{place}: text content blocks must be non-empty"
            if part.get("type") not in ("text", "image"):
                return f"messages.{place}.content: unexpected type {part.get('type')}"
            if part["type"] == "image" and part.get("source", {}).get("type") not in ("base64", "url"):
                return f"messages.{place}.content.source: Field required"
    return None


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return cast("list[dict[str, Any]]", content) if isinstance(content, list) else [{"type": "text", "text": content}]


def _text_of(message: dict[str, Any]) -> str:
    return " ".join(part["text"] for part in _parts(message) if part["type"] == "text")


def _tokens(body: dict[str, Any]) -> int:
    parts = [part for message in body["messages"] for part in _parts(message)]
    characters = len(str(body.get("system", ""))) + sum(len(part.get("text", "")) for part in parts)
    return characters // CHARACTERS_PER_TOKEN + 1 + IMAGE_TOKENS * sum(part["type"] == "image" for part in parts)


def _reply_to(prompt: str) -> str:
    words = re.sub(r"\[\[[^\]]*\]\]", "", prompt).strip()
    if re.search(r"\b(html|page|website)\b", words, re.IGNORECASE):
        return (
            f"<!doctype html><html><head><title>A page</title></head><body><h1>A page</h1><p>{words}</p></body></html>"
        )
    return f"You said: {words}"


def _truncate(text: str, tokens_max: int) -> tuple[str, bool]:
    characters_max = tokens_max * CHARACTERS_PER_TOKEN
    return text[:characters_max], len(text) > characters_max


def _usage(tokens_input: int, tokens_output: int, is_cached: bool) -> dict[str, Any]:
    written, read = (CACHE_WRITTEN, CACHE_READ) if is_cached else (0, 0)
    return {
        "input_tokens": tokens_input,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens_output,
        "server_tool_use": None,
        "service_tier": "standard",
    }


SIMULATOR = AnthropicSimulator

if __name__ == "__main__":
    main(SIMULATOR, "anthropic")
