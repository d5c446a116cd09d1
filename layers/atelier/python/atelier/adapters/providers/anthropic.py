"""Anthropic: text by the Messages API; the result is in the response.

Facts that shape this file: input tokens have three prices (plain, written to the cache, read from the cache) and
`input_tokens` counts only the plain ones; a refusal is a 200 that is billed; an account without credit may get the
error of an invalid request; there is no idempotency key, so a request whose response is lost is never sent again.
"""

from __future__ import annotations

import base64
import math
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Unpack, cast
from urllib.parse import urlencode

from atelier.adapters.providers._conversation import PromptPart, messages_of
from atelier.adapters.providers._http import (
    RETRY_AFTER_SECONDS_MAX,
    HttpClient,
    NoAnswer,
    NotSent,
    Reply,
    check_failure,
    failure_of,
    send_creation,
)
from atelier.adapters.providers._text_outcome import text_outcome
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import (
    AdapterOptions,
    CancelResult,
    ErrorClass,
    Failed,
    FinishReason,
    Job,
    ListedModel,
    PollOutcome,
    SubmitOutcome,
    Unknown,
    WebhookEvent,
    WebhookInvalid,
)

VERSION = "2023-06-01"
# Larger counts are not believed: no call can use so many tokens.
COUNT_MAX = 10**12
# `max_tokens` is mandatory; this value is sent when neither the caller nor the catalogue gives one.
TOKENS_OUTPUT_MAX = 1024
MODELS_PAGE, MODELS_PAGES_MAX = 1000, 10

# Error classes by the error's `type`, or by the HTTP status when there is no known type.
ERROR_CLASSES: dict[str | int, ErrorClass] = {
    "invalid_request_error": ErrorClass.INVALID_INPUT,
    "request_too_large": ErrorClass.INVALID_INPUT,
    "authentication_error": ErrorClass.AUTH,
    "permission_error": ErrorClass.AUTH,
    "billing_error": ErrorClass.PROVIDER_BILLING,
    "not_found_error": ErrorClass.MODEL_GONE,
    "rate_limit_error": ErrorClass.RATE_LIMITED,
    "overloaded_error": ErrorClass.CAPACITY,
    "timeout_error": ErrorClass.TIMEOUT_STARTED,
    "api_error": ErrorClass.TRANSIENT,
    400: ErrorClass.INVALID_INPUT,
    401: ErrorClass.AUTH,
    402: ErrorClass.PROVIDER_BILLING,
    403: ErrorClass.AUTH,
    404: ErrorClass.MODEL_GONE,
    413: ErrorClass.INVALID_INPUT,
    429: ErrorClass.RATE_LIMITED,
    529: ErrorClass.CAPACITY,
}
# The stop reason `refusal` is Anthropic's filter, which cuts the text off where it stepped in.
FINISH_REASONS = {
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "refusal": FinishReason.CONTENT_FILTER,
}
SAMPLING_PARAMETERS = ("max_tokens", "temperature", "top_p", "top_k")


def create_adapter(
    credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
) -> Anthropic:
    """The adapter with these credentials; see AdapterFactory in registry.py."""
    return Anthropic(api_key=credentials.key, **options)


class Anthropic:
    """The adapter for Anthropic. A model's `settings` in the catalogue: `model`, and `input` (constant fields of each
    request).

    A job has a prompt, or a conversation (`_conversation`) in its `parameters`; other parameters are `system`,
    `max_tokens`, `temperature` (or `temperature_percent`), `top_p`, `top_k`, `stop`."""

    resend_safe = False

    def __init__(
        self, *, api_key: str, base_url: str = "https://api.anthropic.com", answer_seconds_max: float = 50.0
    ) -> None:
        headers = {"x-api-key": api_key, "anthropic-version": VERSION}
        self._wire = HttpClient(base_url, headers, answer_seconds_max=answer_seconds_max)

    def submit(self, job: Job) -> SubmitOutcome:
        wire = self._wire.for_job(job)
        reply = send_creation(lambda: wire.request("POST", "/v1/messages", body=_request_body(job)))
        if not isinstance(reply, Reply):
            return reply
        answer = reply.json()
        if answer.get("type") == "error" or 400 <= reply.status < 500 or reply.status in (503, 529):
            return _failure(reply)
        if not reply.ok or answer.get("type") != "message":
            # The response comes from a gateway, or is cut short: tokens may have been generated and billed.
            return Unknown(f"the request was answered with {reply.status} and no message")
        finish_reason = FINISH_REASONS.get(str(answer.get("stop_reason")))
        return text_outcome(job, _text(answer.get("content")), _usage(answer.get("usage")), finish_reason=finish_reason)

    def poll(self, reference: str, job: Job) -> PollOutcome:
        # The API is synchronous: there is nothing to poll.
        return failure_of(ErrorClass.UNKNOWN_OUTCOME)

    def cancel(self, reference: str) -> CancelResult:
        return CancelResult.UNSUPPORTED

    def find(self, job: Job) -> str | None:
        return None

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        raise WebhookInvalid("Anthropic sends no webhooks for messages")

    def check(self) -> Failed | None:
        return check_failure(lambda: self._wire.request("GET", "/v1/models?limit=1"), _failure)

    def models(self) -> tuple[ListedModel, ...] | None:
        """All models of Anthropic's list, which has no shutdown dates: a model that is missing there is retired."""
        found: list[ListedModel] = []
        query: dict[str, str | int] = {"limit": MODELS_PAGE}
        for _ in range(MODELS_PAGES_MAX):
            try:
                reply = self._wire.request("GET", f"/v1/models?{urlencode(query)}")
            except (NotSent, NoAnswer):
                return None
            page = reply.json()
            listed: Any = page.get("data")
            if not reply.ok or not isinstance(listed, list):
                return None
            names = [str(entry["id"]) for entry in _objects(cast("object", listed)) if entry.get("id")]
            found += [ListedModel(name, None) for name in names]
            if not page.get("has_more") or not names:
                return tuple(found)
            query["after_id"] = str(page.get("last_id") or names[-1])
        # An incomplete list would make models look retired.
        return None


def _request_body(job: Job) -> dict[str, Any]:
    parameters = job.parameters
    system: list[str] = [parameters["system"]] if parameters.get("system") else []
    messages: list[dict[str, Any]] = []
    for message in messages_of(job):
        if message.role == "system":
            # The Messages API takes system texts in `system`, not among the messages.
            system.append(message.text)
        else:
            messages.append({"role": message.role, "content": [_content_block(part) for part in message.parts]})
    body: dict[str, Any] = {"max_tokens": TOKENS_OUTPUT_MAX, **job.settings.get("input", {})}
    body |= {"model": job.settings["model"], "messages": messages}
    if system:
        body["system"] = "\n\n".join(system)
    if parameters.get("temperature_percent") is not None:
        body["temperature"] = parameters["temperature_percent"] / 100
    if parameters.get("stop"):
        body["stop_sequences"] = parameters["stop"]
    return body | {name: parameters[name] for name in SAMPLING_PARAMETERS if parameters.get(name) is not None}


def _content_block(part: PromptPart) -> dict[str, Any]:
    """A message part as a content block of the Messages API."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    source = {"type": "base64", "media_type": part.content_type, "data": base64.b64encode(part.data).decode()}
    return {"type": "image", "source": source}


def _text(blocks: object) -> str:
    return "".join(str(part.get("text", "")) for part in _objects(blocks) if part.get("type") == "text")


def _objects(value: object) -> list[dict[str, Any]]:
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]


def _usage(reported: object) -> dict[str, int]:
    counts = cast("dict[str, Any]", reported) if isinstance(reported, dict) else {}

    def count(name: str) -> int | None:
        value = counts.get(name)
        return value if type(value) is int and 0 <= value < COUNT_MAX else None

    usage: dict[str, int] = {}
    plain, output = count("input_tokens"), count("output_tokens")
    written, read = count("cache_creation_input_tokens"), count("cache_read_input_tokens")
    if plain is not None:
        usage["tokens_input"] = plain + (written or 0) + (read or 0)
    if read:
        usage["tokens_cached"] = read
    if written:
        usage["tokens_cache_write"] = written
    if output is not None:
        usage["tokens_output"] = output
    return usage


def _failure(reply: Reply) -> Failed:
    problem: Any = reply.json().get("error")
    error = cast("dict[str, Any]", problem) if isinstance(problem, dict) else {}
    kind, text = str(error.get("type")), str(error.get("message")).lower()
    error_class = ERROR_CLASSES.get(kind) or ERROR_CLASSES.get(reply.status, ErrorClass.TRANSIENT)
    if error_class is ErrorClass.INVALID_INPUT:
        # Only the beginning of the text is matched: further in, it may quote the caller.
        if re.match(r"(your )?credit balance is too low", text):
            return failure_of(ErrorClass.PROVIDER_BILLING)
        if re.match(r"output blocked by content filtering", text):
            error_class = ErrorClass.MODERATED
    if error_class is ErrorClass.AUTH and reply.status == 403:
        # A 403 may concern one model only: the key may be valid for others.
        return failure_of(error_class, provider_wide=False)
    if error_class is not ErrorClass.RATE_LIMITED:
        return failure_of(
            error_class, provider_text=error.get("message"), code=None if kind == "invalid_request_error" else kind
        )
    details: Any = error.get("details")
    if (
        isinstance(details, dict)
        and cast("dict[str, Any]", details).get("error_code") == "enforced_spend_limit_reached"
    ):
        return failure_of(ErrorClass.PROVIDER_BILLING)
    return failure_of(error_class, retry_after_seconds=reply.retry_after_seconds() or _reset_seconds(reply.headers))


def _reset_seconds(headers: dict[str, str]) -> int | None:
    """Seconds until every used-up rate limit is reset, from the `anthropic-ratelimit-…` headers; None without any."""
    waits: list[float] = []
    for name, value in headers.items():
        limit = re.fullmatch(r"(anthropic-ratelimit-[a-z-]+)-reset", name)
        if limit and headers.get(f"{limit[1]}-remaining") == "0":
            try:
                reset, sent_at = datetime.fromisoformat(value), parsedate_to_datetime(headers.get("date", ""))
                waits.append((reset - sent_at).total_seconds())
            except (ValueError, TypeError):
                continue
    return min(max(math.ceil(max(waits)), 1), RETRY_AFTER_SECONDS_MAX) if waits else None
