"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, and the headers that its SDKs heed.

A request that is not valid is a 400, as it is there. Their SDKs try 408, 409, 429 and whatever is 500 or more again by
themselves, twice. `x-should-retry` tells them what we know better, and `retry-after-ms` when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atelier.errors import AtelierError, NotFound, ValidationFailed
from atelier.generations.model import Generation, Status

INVALID = "invalid_request_error"
# By the contract's code: OpenAI's type and code.
WORDS = {
    "UNAUTHENTICATED": (INVALID, "invalid_api_key"),
    "INSUFFICIENT_CREDITS": ("insufficient_quota", "insufficient_quota"),
    "BUDGET_EXCEEDED": ("insufficient_quota", "insufficient_quota"),
    "FORBIDDEN": (INVALID, "insufficient_permissions"),
    "RATE_LIMITED": ("requests", "rate_limit_exceeded"),
    "MODEL_NOT_FOUND": (INVALID, "model_not_found"),
    "UNSUPPORTED_PARAMETER": (INVALID, "unsupported_parameter"),
    "CONTENT_REFUSED": (INVALID, "content_policy_violation"),
    "GENERATION_IN_PROGRESS": ("generation_pending", "generation_in_progress"),
}
WRONG_TYPE = "Input should be a valid "
FIELD_CODES = {"Field required": "missing_required_parameter", "Extra inputs are not permitted": "unknown_parameter"}
# What OpenAI itself calls a refusal for its content.
REFUSAL_CODES = frozenset({"content_policy_violation", "moderation_blocked", "content_filter"})
TOO_LONG = "context_length_exceeded"
PENDING_RETRY_MS = 200
UNWAITED_PAUSE_MS = 5000
# More than one wait. Clients take a pause of less than a minute from us, and make their own where it is longer.
PENDING_IS_LONG_SECONDS = 40
PENDING_PAUSE_SECONDS_MAX = 30
# How the names of clients begin that repeat a 408 and no 409.
GIVE_UP_AT_409 = ("langchainjs",)


class ModelNotFound(AtelierError):
    """There is no such model here. `offered` is what there is in its place."""

    code, status = "MODEL_NOT_FOUND", 404

    def __init__(self, name: str, why: str, offered: Sequence[str]) -> None:
        there_is = f" What is offered here: {', '.join(offered)}." if offered else ""
        super().__init__(f"The model `{name}` cannot be used: {why}{there_is}", param="model")


class Unsupported(AtelierError):
    """The request wants something that no model here can be told."""

    code, status = "UNSUPPORTED_PARAMETER", 400

    def __init__(self, param: str, why: str = "No model can be told this here.") -> None:
        super().__init__(f"Unsupported parameter: `{param}`. {why}", param=param)


class StillRunning(AtelierError):
    """The gateway's time is up and the work goes on; or so many requests of the account wait already that this one was
    not `waited` for, and may come back when it is probably done.

    409, which most clients send again, and not 504: slow pictures would look like a broken deployment to the alarm that
    counts 5xx. A 408 to those that give up at a 409."""

    code, status = "GENERATION_IN_PROGRESS", 409
    retryable = True

    def __init__(
        self, generation_id: str, *, age_seconds: float = 0, user_agent: str = "", waited: bool = True
    ) -> None:
        super().__init__(
            f"{generation_id} is not ready yet and goes on: follow it at GET /api/generations/{generation_id}. "
            "Sending the same request again waits on for the same result.",
            generation_id=generation_id,
            location=f"/api/generations/{generation_id}",
            retry_after_ms=max(pending_pause_ms(age_seconds), 0 if waited else UNWAITED_PAUSE_MS),
        )
        if user_agent.lower().startswith(GIVE_UP_AT_409):
            self.status = 408  # pyright: ignore[reportAttributeAccessIssue]


def pending_pause_ms(age_seconds: float) -> int:
    """How long a client leaves work of this age alone. Clients come three times by themselves: after the second time
    the pause grows, or what takes longer than three waits would end in an error."""
    if age_seconds < PENDING_IS_LONG_SECONDS:
        return PENDING_RETRY_MS
    return int(min(age_seconds / 2, PENDING_PAUSE_SECONDS_MAX) * 1000)


class ContentRefused(AtelierError):
    """What was asked for, or what was made of it, may not be."""

    code, status = "CONTENT_REFUSED", 400


class InputRefused(AtelierError):
    """The provider does not take the request; `provider_code` is its own name for what is wrong with it."""

    code, status = "BAD_REQUEST", 400


class NothingMade(AtelierError):
    """Every provider that could serve the request was tried."""

    code, status, retryable = "PROVIDER_FAILED", 502, True


class Ended(AtelierError):
    """Its time was up."""

    code, status = "GENERATION_ENDED", 409


class Cancelled(AtelierError):
    """Somebody stopped it. 400, since clients send a 409 again whatever is said beside it: what was stopped would begin
    anew, and be paid."""

    code, status = "GENERATION_ENDED", 400


def undelivered(generation: Generation) -> AtelierError:
    """Why a generation that has ended brought nothing."""
    failure = generation.failure
    message = failure.message if failure else f"The generation was {generation.status.value}."
    error_class = failure.error_class if failure else ""
    facts: dict[str, Any] = {"generation_id": generation.id, "credits_charged": generation.credits_charged}
    if failure and failure.provider_code:
        facts["provider_code"] = failure.provider_code
    if generation.status is Status.CANCELLED:
        return Cancelled(message, **facts)
    if generation.status is Status.EXPIRED:
        return Ended(message, **facts)
    if error_class.startswith("moderated"):
        return ContentRefused(message, **facts)
    if error_class == "invalid_input":
        return InputRefused(message, **facts)
    return NothingMade(message, **facts)


def body(error: AtelierError) -> dict[str, Any]:
    """The body of an error's answer."""
    plain = (INVALID, None) if error.status < 500 else ("server_error", error.code.lower())
    kind, code = WORDS.get(error.code, plain)
    message, param = error.message, error.facts.get("param")
    if "provider_code" in error.facts and error.status < 500:
        code = _provider_code(error)
    if isinstance(error, ValidationFailed):
        first = error.facts["fields"][0]
        usual = "invalid_type" if first["message"].startswith(WRONG_TYPE) else "invalid_value"
        param, code = first["path"] or None, FIELD_CODES.get(first["message"], usual)
        message = "; ".join(f"{each['path']}: {each['message']}" for each in error.facts["fields"])
    elif code is None and not isinstance(error, NotFound):
        code = error.code.lower()
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def status(error: AtelierError) -> int:
    """The status that its SDKs expect: 422 is none of OpenAI's."""
    return 400 if error.status == 422 else error.status


def _provider_code(error: AtelierError) -> str:
    code: str = error.facts["provider_code"]
    if isinstance(error, ContentRefused) and code not in REFUSAL_CODES:
        return "content_policy_violation"
    return code


def headers(error: AtelierError) -> dict[str, str]:
    """What an SDK is told beside it."""
    facts = error.facts
    again = error.retryable and not facts.get("final")
    found = {"x-should-retry": "true" if again else "false"}
    if "retry_after_seconds" in facts:
        found |= {"Retry-After": str(facts["retry_after_seconds"])}
        found |= {"retry-after-ms": str(facts["retry_after_seconds"] * 1000)}
    if "retry_after_ms" in facts:
        found |= {
            "Retry-After": str(-(-facts["retry_after_ms"] // 1000)),
            "retry-after-ms": str(facts["retry_after_ms"]),
        }
    if error.status == 429:
        reset = f"{facts.get('retry_after_seconds', 1)}s"
        limit = {"x-ratelimit-limit-requests": str(facts["limit"])} if "limit" in facts else {}
        found |= {**limit, "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    if "generation_id" in facts:
        found["atelier-generation-id"] = facts["generation_id"]
    if "credits_charged" in facts:
        found["atelier-credits-charged"] = str(facts["credits_charged"])
    if "location" in facts:
        found["Location"] = facts["location"]
    return found
