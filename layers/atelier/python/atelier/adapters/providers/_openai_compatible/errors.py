"""What an error of an OpenAI-compatible API means: its class, and when to try again."""

from __future__ import annotations

import re
from typing import Any, cast

from atelier.adapters.providers._http import Reply, failure_of
from atelier.adapters.providers._openai_compatible.values import JsonObject
from atelier.dataclass import dataclass
from atelier.provider_port import ErrorClass, Failed

# Statuses by which the provider, or the network in front of it, says that the request was not accepted. After any other
# 5xx the request may have been accepted.
NOT_ACCEPTED_STATUSES = frozenset({503, 521, 522, 523, 529})

# Error codes and types are chosen by the provider. Error texts may quote the caller, so a text counts only together
# with a status that fits it, and never where a caller could make a provider look unhealthy.
BILLING_CODES = re.compile(r"insufficient_quota|billing|credit_balance|spend(ing)?_limit|insufficient_(funds|balance)")
BILLING_TEXTS = re.compile(r"current quota|\bcredits?\b|spend(ing)? limit|billing|insufficient (funds|balance)")
SAFETY_CODES = re.compile(r"moderation|content_?policy|content_filter|policy_violation|bio_policy|safety")
SAFETY_TEXTS = re.compile(r"safety system|safety check|usage (guideline|polic)|content (policy|moderation)|flagged")
KEY_CODES = re.compile(r"invalid_api_key|authentication_error|unauthenticated")
KEY_TEXTS = re.compile(r"(incorrect|invalid|no) api key")
MODEL_CODES = re.compile(r"model_(not_found|deprecated|removed|gone)")
MODEL_TEXTS = re.compile(r"\bmodel\b.{0,200}(does not exist|not found|deprecated|no longer|shut ?down|not available)")
LIMIT_CODES = re.compile(r"rate_limit|resource.{0,10}exhausted|too_many_requests")
LOAD_TEXTS = re.compile(r"overloaded|capacity|slow ?down|high demand")
INPUT_CODES = re.compile(
    r"invalid|image_(too|file|parse)|unsupported_|empty_image|failed_to_download_image|context_length|above_max|too_large"
)
# The request is larger than the account's limit per minute, so waiting does not help.
TOO_LARGE_TEXTS = re.compile(r"^request too large|tokens must be reduced")
# A rate limit of one model: “Rate limit reached for gpt-5.5 in organization …”.
LIMITED_MODEL = re.compile(r"\bfor (?:model )?[`'\"]?[a-z]{2,20}-[a-z0-9.:-]{1,60}[`'\"]? (?:in|on|\()")
RETRY_WAIT = re.compile(r"(?:try again|retry) (?:in|after) ~?(\d{1,6}(?:\.\d{1,6})?) ?(ms|s|m)\b")


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in a response body. `code` is the error's code and type in one text; `code` and `text` are in lower case
    for matching. `raw_message` and `raw_code` are as they came. `status` is 200 for an error inside a success."""

    status: int
    code: str
    text: str
    raw_message: object = None
    raw_code: object = None

    @classmethod
    def from_body(cls, status: int, answer: JsonObject) -> Problem:
        """Parse `{"error": {message, type, code}}`, or `{"code", "error"}` where both are sentences."""
        error = answer.get("error")
        if isinstance(error, dict):
            details = cast("JsonObject", error)
            code, said = details.get("code"), details.get("message")
            return cls(status, f"{code} {details.get('type')}".lower(), str(said).lower(), said, code)
        text = error or answer.get("message") or answer.get("detail")
        return cls(status, str(answer.get("code")).lower(), str(text).lower(), text, answer.get("code"))

    @property
    def error_class(self) -> ErrorClass:
        """The error class of the attempt."""
        status = self.status
        if status == 402 or BILLING_CODES.search(self.code):
            return ErrorClass.PROVIDER_BILLING
        if status in (403, 429) and BILLING_TEXTS.search(self.text):
            return ErrorClass.PROVIDER_BILLING
        if SAFETY_CODES.search(self.code) or (status in (200, 400, 403, 422) and SAFETY_TEXTS.search(self.text)):
            return ErrorClass.MODERATED
        if status == 401 or KEY_CODES.search(self.code) or (status == 400 and KEY_TEXTS.match(self.text)):
            return ErrorClass.AUTH
        if status == 410 or MODEL_CODES.search(self.code) or (status in (400, 404) and MODEL_TEXTS.search(self.text)):
            return ErrorClass.MODEL_GONE
        if TOO_LARGE_TEXTS.search(self.text):
            return ErrorClass.INVALID_INPUT
        if status == 429 or LIMIT_CODES.search(self.code):
            return ErrorClass.CAPACITY if LOAD_TEXTS.search(self.text) else ErrorClass.RATE_LIMITED
        if status in NOT_ACCEPTED_STATUSES and LOAD_TEXTS.search(f"{self.code} {self.text}"):
            return ErrorClass.CAPACITY
        return self._by_status()

    def to_failed(self, error_class: ErrorClass | None = None, **known: Any) -> Failed:
        """The problem as a Failed outcome, with its own error class unless another is given."""
        error_class = error_class or self.error_class
        if error_class is ErrorClass.AUTH and self.status == 403:
            # A 403 may concern one model only: the key may be valid for others.
            known["provider_wide"] = False
        if error_class is ErrorClass.RATE_LIMITED and LIMITED_MODEL.search(self.text):
            known["provider_wide"] = False
        code = "request_too_large" if TOO_LARGE_TEXTS.search(self.text) else self.raw_code
        return failure_of(error_class, provider_text=self.raw_message, code=code, **known)

    def _by_status(self) -> ErrorClass:
        match self.status:
            case 403:
                return ErrorClass.AUTH
            case 404:
                return ErrorClass.MODEL_GONE
            case 408 | 409 | 425:
                return ErrorClass.TRANSIENT
            case status if 400 <= status < 500 or (status == 200 and INPUT_CODES.search(self.code)):
                return ErrorClass.INVALID_INPUT
            case _:
                return ErrorClass.TRANSIENT


def failure_from_reply(reply: Reply) -> Failed:
    """A refused request as a Failed outcome; only for responses which say that no work was started."""
    problem = Problem.from_body(reply.status, reply.json())
    error_class = problem.error_class
    if error_class not in (ErrorClass.RATE_LIMITED, ErrorClass.CAPACITY):
        return problem.to_failed(error_class)
    wait = reply.retry_after_seconds()
    if wait is None and (match := RETRY_WAIT.search(problem.text)):
        seconds = float(match[1]) * {"ms": 0.001, "s": 1, "m": 60}[match[2]]
        wait = Reply(reply.status, {"retry-after-ms": f"{min(seconds * 1000, 10**8):.3f}"}, b"").retry_after_seconds()
    return problem.to_failed(error_class, retry_after_seconds=wait)
