"""Errors in OpenAI's shape, and how its SDK reacts to them: the SDK itself calls an API of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import DefaultHttpx2Client, OpenAI

from atelier.errors import (
    AtelierError,
    BudgetExceeded,
    Forbidden,
    IdempotencyMismatch,
    InsufficientCredits,
    NotFound,
    PayloadTooLarge,
    PaymentRequired,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from atelier.generations.model import Failure, Kind, Status
from atelier.http.api import Api
from atelier.http.request import Request
from atelier.http.response import Response
from atelier.openai_api import errors
from atelier.openai_api.chat import ChatRequest
from atelier.openai_api.errors import (
    GenerationInProgress,
    ModelNotFound,
    UnsupportedParameter,
    error_response,
    generation_error,
)
from tests.unit.openai_api.test_responses import generation

GENERATION = "gen_01M7XCQ90TTWV90RHCSAQSAH7Q"


class Sent:
    """An API that fails with these errors, one after the other, and the SDK that calls it."""

    def __init__(self, *failures: AtelierError) -> None:
        self.left = list(failures)
        self.counts: list[str] = []
        self.api = Api("tests", error_response=error_response)
        self.api.route("POST", "/v1/embeddings", raw=True, raw_body=True)(self.answer)

    def answer(self, request: Request[Any]) -> Response:
        self.counts.append(request.headers["x-stainless-retry-count"])
        if self.left:
            raise self.left.pop(0)
        return Response({"object": "list", "data": [], "model": "m", "usage": {"prompt_tokens": 0, "total_tokens": 0}})

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        context = {"requestId": "r-1", "http": {"method": request.method, "path": request.url.path}}
        event = {"requestContext": context, "headers": dict(request.headers), "body": request.content.decode()}
        answer = self.api.handler(event, None)
        return httpx2.Response(answer["statusCode"], headers=answer["headers"], text=answer["body"])

    def call(self, **options: Any) -> None:
        transport = httpx2.MockTransport(self.handle)
        client = OpenAI(
            base_url="http://a.test/v1", api_key="k", http_client=DefaultHttpx2Client(transport=transport), **options
        )
        client.embeddings.create(model="m", input="i", encoding_format="float")


@pytest.mark.parametrize(
    ("error", "raised", "facts"),
    [
        (Unauthenticated("No."), openai.AuthenticationError, (401, "invalid_request_error", None, "invalid_api_key")),
        (
            InsufficientCredits(needed=9, available=1),
            openai.APIStatusError,
            (402, "insufficient_quota", None, "insufficient_quota"),
        ),
        (
            BudgetExceeded(limit="prj_1", needed=9, available=1),
            openai.APIStatusError,
            (402, "insufficient_quota", None, "insufficient_quota"),
        ),
        (
            PaymentRequired("No.", feature="kind:video", tiers=["pro@1"]),
            openai.APIStatusError,
            (402, "invalid_request_error", None, "payment_required"),
        ),
        (
            QuotaExceeded("No.", quota="storage_bytes", limit=5, used=5, tiers=["pro@1"]),
            openai.PermissionDeniedError,
            (403, "insufficient_quota", None, "insufficient_quota"),
        ),
        (
            Forbidden("No."),
            openai.PermissionDeniedError,
            (403, "invalid_request_error", None, "insufficient_permissions"),
        ),
        (NotFound(), openai.NotFoundError, (404, "invalid_request_error", None, None)),
        (
            ModelNotFound("gpt-9", "there is none of that name.", ["auto", "local/writer"]),
            openai.NotFoundError,
            (404, "invalid_request_error", "model", "model_not_found"),
        ),
        (
            UnsupportedParameter("tools"),
            openai.BadRequestError,
            (400, "invalid_request_error", "tools", "unsupported_parameter"),
        ),
        (
            ValidationFailed([{"path": "size", "message": "must be less"}]),
            openai.BadRequestError,
            (400, "invalid_request_error", "size", "invalid_value"),
        ),
        (
            ValidationFailed([{"path": "messages", "message": "Field required"}], types=["missing"]),
            openai.BadRequestError,
            (400, "invalid_request_error", "messages", "missing_required_parameter"),
        ),
        (
            ValidationFailed(
                [{"path": "messages.0.content.list[dict[str,any]].1", "message": "Input should be an object"}],
                types=["dict_type"],
            ),
            openai.BadRequestError,
            (400, "invalid_request_error", "messages[0].content[1]", "invalid_type"),
        ),
        (
            ValidationFailed(
                [{"path": "voice.constrained-str", "message": "Input should be a valid string"}], types=["string_type"]
            ),
            openai.BadRequestError,
            (400, "invalid_request_error", "voice", "invalid_type"),
        ),
        (
            ValidationFailed(
                [{"path": "surprise", "message": "is not a field of this request"}], types=["extra_forbidden"]
            ),
            openai.BadRequestError,
            (400, "invalid_request_error", "surprise", "unknown_parameter"),
        ),
        (
            IdempotencyMismatch("Another."),
            openai.BadRequestError,
            (400, "invalid_request_error", None, "idempotency_mismatch"),
        ),
        (
            PayloadTooLarge("Too large."),
            openai.APIStatusError,
            (413, "invalid_request_error", None, "payload_too_large"),
        ),
        (
            RateLimited(limit=600, retry_after_seconds=9),
            openai.RateLimitError,
            (429, "requests", None, "rate_limit_exceeded"),
        ),
        (Unavailable("Busy."), openai.InternalServerError, (503, "server_error", None, "unavailable")),
        (
            GenerationInProgress(GENERATION),
            openai.ConflictError,
            (409, "generation_pending", None, "generation_in_progress"),
        ),
    ],
)
def test_each_error_raises_the_matching_sdk_exception(
    error: AtelierError, raised: type[openai.APIStatusError], facts: tuple[Any, ...]
) -> None:
    with pytest.raises(raised) as caught:
        Sent(error).call(max_retries=0)
    found = caught.value
    assert (found.status_code, found.type, found.param, found.code) == facts
    assert error.message in found.message or isinstance(error, ValidationFailed)
    assert found.request_id == "r-1"
    assert set(json.loads(found.response.text)["error"]) == {"message", "type", "param", "code"}


def test_an_internal_error_does_not_show_its_message(log_nothing: None) -> None:
    sent = Sent()
    sent.left = [ZeroDivisionError("a secret")]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(openai.InternalServerError) as caught:
        sent.call(max_retries=0)
    assert "secret" not in caught.value.message
    assert (caught.value.type, caught.value.code) == ("server_error", "internal")


@pytest.fixture
def log_nothing() -> Iterator[None]:
    """The traceback is expected."""
    from atelier.telemetry import logger

    level = logger.log_level
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel(level)


def test_a_rate_limit_names_its_delay_and_the_sdk_retries() -> None:
    headers = errors.headers(RateLimited(limit=600, retry_after_seconds=9))
    assert headers == {
        "x-should-retry": "true",
        "Retry-After": "9",
        "retry-after-ms": "9000",
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "9s",
    }
    # A test does not wait for a whole second: the SDK reads the milliseconds first.
    soon = RateLimited(limit=600, retry_after_seconds=0)
    soon.facts["retry_after_ms"] = 1
    sent = Sent(soon, soon)
    sent.call(max_retries=2)
    assert sent.counts == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (GenerationInProgress(GENERATION), 2),
        (generation_error(generation(Kind.TEXT, status=Status.CANCELLED)), 1),
        (InsufficientCredits(needed=9, available=1), 1),
    ],
)
def test_the_sdk_retries_only_errors_that_can_resolve(error: AtelierError, tries: int) -> None:
    sent = Sent(error)
    if tries == 1:
        with pytest.raises(openai.APIStatusError):
            sent.call()
    else:
        sent.call()
    assert len(sent.counts) == tries


@pytest.mark.parametrize(
    ("status", "error_class", "answer"),
    [
        (Status.FAILED, "moderated", (400, "content_policy_violation", False)),
        (Status.FAILED, "moderated_billed", (400, "content_policy_violation", False)),
        (Status.FAILED, "moderated_output", (400, "content_policy_violation", False)),
        (Status.FAILED, "invalid_input", (400, "bad_request", False)),
        (Status.FAILED, "transient", (502, "provider_failed", True)),
        (Status.EXPIRED, "timeout_started", (409, "generation_ended", False)),
        # No client retries a 400 by itself, so a cancelled generation does not begin again.
        (Status.CANCELLED, "cancelled", (400, "generation_ended", False)),
    ],
)
def test_an_unsuccessful_generation_reports_its_reason_and_its_charge(
    status: Status, error_class: str, answer: tuple[int, str, bool]
) -> None:
    failure = Failure("PROVIDER_FAILED", error_class, "It is so.")
    error = generation_error(generation(Kind.IMAGE, status=status, failure=failure, credits_charged=3))
    assert (error.status, errors.body(error)["error"]["code"], error.retryable) == answer
    assert errors.body(error)["error"]["message"] == "It is so."
    headers = errors.headers(error)
    assert (headers["atelier-generation-id"], headers["atelier-credits-charged"]) == (GENERATION, "3")


@pytest.mark.parametrize(
    ("error_class", "provider_code", "code"),
    [
        ("invalid_input", "context_length_exceeded", "context_length_exceeded"),
        ("invalid_input", "invalid_value", "invalid_value"),
        ("moderated", "moderation_blocked", "moderation_blocked"),
        ("moderated", "content_policy_violation", "content_policy_violation"),
        ("moderated", "invalid_prompt", "content_policy_violation"),
    ],
)
def test_a_providers_refusal_keeps_its_error_code(error_class: str, provider_code: str, code: str) -> None:
    failure = Failure("PROVIDER_FAILED", error_class, "Too long.", provider_code)
    failed = generation_error(generation(Kind.TEXT, status=Status.FAILED, failure=failure))
    with pytest.raises(openai.BadRequestError) as caught:
        Sent(failed).call(max_retries=0)
    assert (caught.value.code, caught.value.type) == (code, "invalid_request_error")
    assert "Too long." in caught.value.message


def test_a_final_failure_is_not_retried_by_the_sdk() -> None:
    error = generation_error(generation(Kind.IMAGE, status=Status.FAILED))
    assert errors.headers(error)["x-should-retry"] == "true"
    error.facts["final"] = True
    assert errors.headers(error)["x-should-retry"] == "false"


def test_a_running_generation_error_names_its_generation() -> None:
    error = GenerationInProgress(GENERATION)
    assert f"GET /api/generations/{GENERATION}" in error.message
    assert errors.headers(error)["Location"] == f"/api/generations/{GENERATION}"


@pytest.mark.parametrize(("age_seconds", "milliseconds"), [(0, "200"), (24.3, "200"), (48.5, "24250"), (600, "30000")])
def test_the_retry_delay_of_a_running_generation_grows_with_its_age(age_seconds: float, milliseconds: str) -> None:
    headers = errors.headers(GenerationInProgress(GENERATION, age_seconds=age_seconds))
    assert (headers["x-should-retry"], headers["retry-after-ms"]) == ("true", milliseconds)
    assert 0 <= int(headers["Retry-After"]) - int(milliseconds) / 1000 < 1


@pytest.mark.parametrize(
    ("user_agent", "status"), [("langchainjs-openai/1.0.0 (node/20)", 408), ("OpenAI/JS 6.49.0", 409), ("", 409)]
)
def test_a_client_that_does_not_retry_409_gets_408(user_agent: str, status: int) -> None:
    assert GenerationInProgress(GENERATION, user_agent=user_agent).status == status


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"model": "auto"}, "messages", "missing_required_parameter"),
        ({"model": 5, "messages": [{"role": "user", "content": "a"}]}, "model", "invalid_type"),
        ({"model": "auto", "messages": 5}, "messages", "invalid_type"),
        ({"model": "auto", "messages": [5]}, "messages[0]", "invalid_type"),
        ({"model": "auto", "messages": [{"role": "user", "content": "a"}], "seed": 1.5}, "seed", "invalid_type"),
        ({"model": "auto", "messages": [{"role": "user", "content": "a"}], "seed": "a"}, "seed", "invalid_type"),
        ({"model": "auto", "messages": [{"role": "user", "content": "a"}], "n": 0}, "n", "unsupported_parameter"),
        ({"model": "", "messages": [{"role": "user", "content": "a"}]}, "model", "invalid_value"),
        (
            {"model": "auto", "messages": [{"role": "user", "content": "a"}], "max_token": 5},
            "max_token",
            "unknown_parameter",
        ),
    ],
)
def test_a_refused_field_has_the_code_of_its_error(body: dict[str, Any], param: str, code: str) -> None:
    api = Api("tests", error_response=errors.error_response)
    take = api.route("POST", "/v1/chat/completions", body=ChatRequest, raw=True)
    take(lambda request: Response(str(request.body.to_mapped_request())))
    context = {"requestId": "r-1", "http": {"method": "POST", "path": "/v1/chat/completions"}}
    headers = {"content-type": "application/json"}
    answer = api.handler({"requestContext": context, "headers": headers, "body": json.dumps(body)}, None)
    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["param"], error["code"]) == (400, param, code)
