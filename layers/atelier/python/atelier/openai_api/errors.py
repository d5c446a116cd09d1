"""Errors in OpenAI's form, `{"error": {"message", "type", "param", "code"}}`, and the headers that its SDKs obey.

An invalid request is a 400, as with OpenAI. OpenAI's SDKs by themselves retry 408, 409, 429 and all statuses from 500
twice. The header `x-should-retry` overrides that, and `retry-after-ms` sets the pause.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from atelier.errors import UNKNOWN_FIELD, AtelierError, ErrorResponse, NotFound, ValidationFailed
from atelier.generations.model import Generation, Status

INVALID = "invalid_request_error"
# Our error code → OpenAI's error type and error code.
OPENAI_ERRORS = {
    "UNAUTHENTICATED": (INVALID, "invalid_api_key"),
    "INSUFFICIENT_CREDITS": ("insufficient_quota", "insufficient_quota"),
    "BUDGET_EXCEEDED": ("insufficient_quota", "insufficient_quota"),
    "PAYMENT_REQUIRED": (INVALID, "payment_required"),
    "QUOTA_EXCEEDED": ("insufficient_quota", "insufficient_quota"),
    "FORBIDDEN": (INVALID, "insufficient_permissions"),
    "RATE_LIMITED": ("requests", "rate_limit_exceeded"),
    "MODEL_NOT_FOUND": (INVALID, "model_not_found"),
    "UNSUPPORTED_PARAMETER": (INVALID, "unsupported_parameter"),
    "CONTENT_REFUSED": (INVALID, "content_policy_violation"),
    "GENERATION_IN_PROGRESS": ("generation_pending", "generation_in_progress"),
}
# pydantic's type of an error → OpenAI's error code; the types of values of a wrong type end alike.
FIELD_CODES = {"missing": "missing_required_parameter", UNKNOWN_FIELD: "unknown_parameter"}
WRONG_TYPES = ("_type", "_parsing", "int_from_float")
# The steps that pydantic adds to an error's path for each type of a union; they are no fields of the request.
PYDANTIC_TYPE_STEP = re.compile(r"(?:str|int|float|bool|VoiceId|Reference)$|constrained-|(?:list|dict)\[[a-z]")
# OpenAI's own codes for a refusal by moderation.
REFUSAL_CODES = frozenset({"content_policy_violation", "moderation_blocked", "content_filter"})
CONTEXT_TOO_LONG = "context_length_exceeded"
PENDING_RETRY_MS = 200
NO_WAIT_RETRY_MS = 5000
# A generation older than this has outlasted one waiting request. OpenAI's SDKs obey pauses below one minute only, and
# replace a longer one by their own; hence the maximum.
LONG_PENDING_SECONDS = 40
PENDING_PAUSE_SECONDS_MAX = 30
# The start of the `User-Agent` of clients that retry a 408 but not a 409
# (findings/langchain_js_repeats_408_not_409.sh).
RETRY_408_ONLY_AGENTS = ("langchainjs",)


class ModelNotFound(AtelierError):
    """The model does not exist or cannot be used. `reason` is a sentence; `offered` are the ids of usable
    models."""

    code, status = "MODEL_NOT_FOUND", 404

    def __init__(self, name: str, reason: str, offered: Sequence[str]) -> None:
        offered_text = f" What is offered here: {', '.join(offered)}." if offered else ""
        super().__init__(f"The model `{name}` cannot be used: {reason}{offered_text}", param="model")


class UnsupportedParameter(AtelierError):
    """The request has a parameter that none of its possible models supports."""

    code, status = "UNSUPPORTED_PARAMETER", 400

    def __init__(self, param: str, reason: str = "No model here supports it.") -> None:
        super().__init__(f"Unsupported parameter: `{param}`. {reason}", param=param)


class GenerationInProgress(AtelierError):
    """The generation is not finished within the time that the gateway allows a request, and continues.

    age_seconds: the age of the generation. waited: False when the request could not wait, because too many requests of
    its account wait already; its pause is then longer, so that the result is probably there at the retry.

    The status is 409, which most clients retry, and not 504, because slow images would raise the alarm that counts 5xx.
    Clients that do not retry a 409 get a 408."""

    code, status = "GENERATION_IN_PROGRESS", 409
    retryable = True

    def __init__(
        self, generation_id: str, *, age_seconds: float = 0, user_agent: str = "", waited: bool = True
    ) -> None:
        super().__init__(
            f"{generation_id} is still being made: follow it at GET /api/generations/{generation_id}, "
            "or send the same request again to wait for the same result.",
            generation_id=generation_id,
            location=f"/api/generations/{generation_id}",
            retry_after_ms=max(pending_pause_ms(age_seconds), 0 if waited else NO_WAIT_RETRY_MS),
        )
        if user_agent.lower().startswith(RETRY_408_ONLY_AGENTS):
            self.status = 408  # pyright: ignore[reportAttributeAccessIssue]


def pending_pause_ms(age_seconds: float) -> int:
    """The pause in milliseconds before a client's retry, for a generation of this age. Clients send a request at most
    three times, so the pause grows with the age: otherwise a generation longer than three waits would end in an
    error."""
    if age_seconds < LONG_PENDING_SECONDS:
        return PENDING_RETRY_MS
    return int(min(age_seconds / 2, PENDING_PAUSE_SECONDS_MAX) * 1000)


class ContentRefused(AtelierError):
    """Moderation refused the prompt or the result."""

    code, status = "CONTENT_REFUSED", 400


class InputRefused(AtelierError):
    """The provider refused the request as invalid; `provider_code` is the provider's own error code."""

    code, status = "BAD_REQUEST", 400


class AllProvidersFailed(AtelierError):
    """Every provider that could serve the request was tried, and each failed."""

    code, status, retryable = "PROVIDER_FAILED", 502, True


class GenerationExpired(AtelierError):
    """The generation's deadline passed."""

    code, status = "GENERATION_ENDED", 409


class GenerationCancelled(AtelierError):
    """The generation was cancelled. The status is 400, because some clients retry a 409 whatever its headers say, and
    so would start the cancelled work again and pay for it."""

    code, status = "GENERATION_ENDED", 400


def generation_error(generation: Generation) -> AtelierError:
    """The error that describes why an ended generation has no result."""
    failure = generation.failure
    message = failure.message if failure else f"The generation was {generation.status.value}."
    error_class = failure.error_class if failure else ""
    facts: dict[str, Any] = {"generation_id": generation.id, "credits_charged": generation.credits_charged}
    if failure and failure.provider_code:
        facts["provider_code"] = failure.provider_code
    if generation.status is Status.CANCELLED:
        return GenerationCancelled(message, **facts)
    if generation.status is Status.EXPIRED:
        return GenerationExpired(message, **facts)
    if error_class.startswith("moderated"):
        return ContentRefused(message, **facts)
    if error_class == "invalid_input":
        return InputRefused(message, **facts)
    return AllProvidersFailed(message, **facts)


def error_response(error: AtelierError, _request_id: str) -> ErrorResponse:
    """An error as a response in OpenAI's form."""
    return ErrorResponse(body(error), headers(error), status(error))


def body(error: AtelierError) -> dict[str, Any]:
    """The response body of an error: `{"error": {"message", "type", "param", "code"}}`."""
    default = (INVALID, None) if error.status < 500 else ("server_error", error.code.lower())
    kind, code = OPENAI_ERRORS.get(error.code, default)
    message, param = error.message, error.facts.get("param")
    if "provider_code" in error.facts and error.status < 500:
        code = _provider_code(error)
    if isinstance(error, ValidationFailed):
        param = _openai_path(error.facts["fields"][0]["path"]) or None
        code = _field_code(error.types[0]) if error.types else "invalid_value"
        message = "; ".join(f"{_openai_path(each['path'])}: {each['message']}" for each in error.facts["fields"])
    elif code is None and not isinstance(error, NotFound):
        code = error.code.lower()
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _field_code(type: str) -> str:
    """OpenAI's code for a field's error, by pydantic's type of that error."""
    return FIELD_CODES.get(type, "invalid_type" if type.endswith(WRONG_TYPES) else "invalid_value")


def _openai_path(path: str) -> str:
    """A path as OpenAI writes it, `messages[0].content`, without the steps that pydantic adds for types."""
    parts = [
        f"[{step}]" if step.isdecimal() else f".{step}"
        for step in path.split(".")
        if not PYDANTIC_TYPE_STEP.match(step)
    ]
    return "".join(parts).removeprefix(".")


def status(error: AtelierError) -> int:
    """The HTTP status: a 422 of ours becomes a 400, because OpenAI does not use 422."""
    return 400 if error.status == 422 else error.status


def _provider_code(error: AtelierError) -> str:
    code: str = error.facts["provider_code"]
    if isinstance(error, ContentRefused) and code not in REFUSAL_CODES:
        return "content_policy_violation"
    return code


def headers(error: AtelierError) -> dict[str, str]:
    """The response headers: whether and when to retry, rate limits, and the generation that failed."""
    facts = error.facts
    should_retry = error.retryable and not facts.get("final")
    values = {"x-should-retry": "true" if should_retry else "false"}
    if "retry_after_seconds" in facts:
        values |= {"Retry-After": str(facts["retry_after_seconds"])}
        values |= {"retry-after-ms": str(facts["retry_after_seconds"] * 1000)}
    if "retry_after_ms" in facts:
        values |= {
            "Retry-After": str(-(-facts["retry_after_ms"] // 1000)),
            "retry-after-ms": str(facts["retry_after_ms"]),
        }
    if error.status == 429:
        reset = f"{facts.get('retry_after_seconds', 1)}s"
        limit = {"x-ratelimit-limit-requests": str(facts["limit"])} if "limit" in facts else {}
        values |= {**limit, "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    if "generation_id" in facts:
        values["atelier-generation-id"] = facts["generation_id"]
    if "credits_charged" in facts:
        values["atelier-credits-charged"] = str(facts["credits_charged"])
    if "location" in facts:
        values["Location"] = facts["location"]
    return values
