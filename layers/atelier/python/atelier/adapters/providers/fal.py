"""fal: models behind a queue, with a webhook, and polling as the second path.

Facts about fal's API that shape this file: the queue has no status for failures, so `COMPLETED` may carry an error, and
the HTTP status of the result may be one too; `detail` is a sentence or a list; the URLs of a request leave out the
model's sub-path; webhooks are signed with keys that all of fal's customers share, so a correctly signed webhook may
still belong to another account or another request; there is no idempotency key and no list of requests.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any, Unpack, cast
from urllib.parse import urlencode, urlsplit

from atelier.adapters.providers._http import (
    CLASS_BY_STATUS,
    HttpClient,
    NoAnswer,
    NotSent,
    Reply,
    check_failure,
    failure_of,
)
from atelier.adapters.providers._queued_jobs import (
    OUTPUTS_MAX,
    REQUEST_ID,
    poll_outcome,
    progress_in_logs,
    run_usage,
    submit_outcome,
)
from atelier.adapters.providers._signing_keys import signing_keys
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import (
    AdapterOptions,
    Cancelled,
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    ListedModel,
    Output,
    Pending,
    PollOutcome,
    SubmitOutcome,
    Unknown,
    WebhookEvent,
    WebhookInvalid,
)

REST_URL = "https://rest.fal.ai"
PROBLEMS_MAX = 4
# How long fal keeps a result: long enough for the last poll, and no longer.
RESULT_SECONDS = 24 * 3600
TOLERANCE_SECONDS = 300

SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
APP = rf"(?:(?:workflows|comfy)/)?{SEGMENT}/{SEGMENT}"

FAL_CLASS_BY_STATUS = {**CLASS_BY_STATUS, 504: ErrorClass.TIMEOUT_STARTED}
# Error types of the platform (`error_type`) and of the models (`detail[].type`).
CLASS_BY_TYPE = {
    "request_timeout": ErrorClass.TIMEOUT_STARTED,
    "startup_timeout": ErrorClass.TIMEOUT_UNSTARTED,
    "runner_scheduling_failure": ErrorClass.CAPACITY,
    "runner_connection_timeout": ErrorClass.TRANSIENT,
    "runner_disconnected": ErrorClass.TRANSIENT,
    "runner_connection_refused": ErrorClass.TRANSIENT,
    "runner_connection_error": ErrorClass.TRANSIENT,
    "runner_incomplete_response": ErrorClass.TRANSIENT,
    "runner_server_error": ErrorClass.TRANSIENT,
    "internal_error": ErrorClass.TRANSIENT,
    "bad_request": ErrorClass.INVALID_INPUT,
    "content_policy_violation": ErrorClass.MODERATED,
    "generation_timeout": ErrorClass.TIMEOUT_STARTED,
    "internal_server_error": ErrorClass.TRANSIENT,
    "downstream_service_error": ErrorClass.TRANSIENT,
    "downstream_service_unavailable": ErrorClass.CAPACITY,
    "no_media_generated": ErrorClass.TRANSIENT,
}
CANCELLED_TYPES = frozenset({"client_cancelled", "client_disconnected"})


def create_adapter(
    credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
) -> Fal:
    """The adapter with these credentials; see AdapterFactory in registry.py."""
    # fal has two hosts; with a base-URL override one host serves both.
    rest_url = options.get("base_url", REST_URL)
    return Fal(api_key=credentials.key, user_id=credentials.account or "", rest_url=rest_url, **options)


class Fal:
    """The adapter for fal. A model's `settings` in the catalogue: `app` (owner/app, and a sub-path if the model has
    one), `names` (our field → the model's field; a dot goes one level down), `values` (our choices → the model's
    values), `strings` (our fields that are sent as text), `inputs` (our role → the model's field, in a list if the
    field takes several files), `input` (constant fields of each request) and `output` (the path of the files in the
    result).

    `user_id` is the id of our fal account, which webhooks carry. Without it every webhook is refused, and results are
    found by polling only."""

    resend_safe = False

    def __init__(
        self,
        *,
        api_key: str,
        user_id: str = "",
        base_url: str = "https://queue.fal.run",
        rest_url: str = REST_URL,
        answer_seconds_max: float = 20.0,
    ) -> None:
        headers = {"authorization": f"Key {api_key}"}
        self._queue = HttpClient(base_url, headers, answer_seconds_max=answer_seconds_max)
        self._rest = HttpClient(rest_url, headers, answer_seconds_max=answer_seconds_max)
        self._user_id = user_id

    def submit(self, job: Job) -> SubmitOutcome:
        path = f"/{job.settings['app']}"
        if job.webhook_url:
            path += f"?{urlencode({'fal_webhook': job.webhook_url})}"
        headers = {
            # The job must start within this time; a job that has started is not stopped by it.
            "x-fal-request-timeout": str(job.run_seconds_max),
            "x-fal-object-lifecycle-preference": json.dumps({"expiration_duration_seconds": RESULT_SECONDS}),
        }
        return submit_outcome(
            lambda: self._queue.request("POST", path, body=_request_body(job), headers=headers),
            lambda reply: self._reference(job, reply.json()),
            _submit_failure,
        )

    def poll(self, reference: str, job: Job) -> PollOutcome:
        path = _request_path(reference)
        if path is None:
            return failure_of(ErrorClass.UNKNOWN_OUTCOME)

        def read(reply: Reply) -> PollOutcome:
            status = reply.json()
            match status.get("status"):
                case "IN_QUEUE":
                    return Pending()
                case "IN_PROGRESS":
                    return Pending(_percentage(status.get("logs")))
                case "COMPLETED":
                    pass
                case other:
                    return Unknown(f"status {str(other)[:40]}")
            usage = run_usage(status.get("metrics"), "inference_time")
            if status.get("error_type"):
                return _failure(status, usage, headers=reply.headers)
            result = self._queue.request("GET", path)
            if status.get("error") and result.ok:
                return _failure(status, usage, headers=reply.headers)
            return _read_result(result, job, usage)

        return poll_outcome(lambda: self._queue.request("GET", f"{path}/status?logs=1"), read)

    def cancel(self, reference: str) -> CancelResult:
        path = _request_path(reference)
        if path is None:
            return CancelResult.TOO_LATE
        try:
            reply = self._queue.request("PUT", f"{path}/cancel")
        except (NotSent, NoAnswer):
            return CancelResult.PENDING
        match reply.json().get("status"):
            case "OK":
                return CancelResult.CANCELLED
            case "ALREADY_COMPLETED" | "NOT_FOUND":
                return CancelResult.TOO_LATE
            case _:
                # Requested only: the model may stop, or finish and be billed. The next poll shows which.
                return CancelResult.PENDING

    def find(self, job: Job) -> str | None:
        # fal has no list of requests. A lost request is found by its webhook, whose URL contains the attempt's id.
        return None

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        request_id = self._verify_webhook(headers, body, now_seconds)
        try:
            document: Any = json.loads(body)
        except ValueError as error:
            raise WebhookInvalid("the body is no JSON") from error
        event = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
        if event.get("request_id") != request_id or not re.fullmatch(REQUEST_ID, request_id):
            raise WebhookInvalid("the body is of another request than its headers")
        if job is None:
            return WebhookEvent(request_id, request_id, Unknown("its job is not known yet"))
        reference = f"{_app_path(job)}#{request_id}"
        return WebhookEvent(request_id, reference, self._webhook_outcome(event, reference, job))

    def check(self) -> Failed | None:
        """Request an upload token, which is free and needs a valid key."""
        path = "/storage/auth/token?storage_type=fal-cdn-v3"
        return check_failure(lambda: self._rest.request("POST", path, body={}), _submit_failure)

    def models(self) -> tuple[ListedModel, ...] | None:
        # fal's list of models has no shutdown dates.
        return None

    def _webhook_outcome(self, event: dict[str, Any], reference: str, job: Job) -> PollOutcome:
        payload: Any = event.get("payload")
        if event.get("payload_error"):
            # The request succeeded, but its result did not fit into the webhook.
            return self.poll(reference, job)
        match event.get("status"):
            case "OK":
                return _read_payload(payload, job, {})
            case "ERROR":
                problem = cast("dict[str, Any]", payload) if isinstance(payload, dict) else {"detail": payload}
                status = re.search(r"status code: (\d{3})", str(event.get("error")))
                kinds = {name: event[name] for name in ("error", "error_type") if event.get(name)}
                return _failure({**kinds, **problem}, {}, status=int(status[1]) if status else 0)
            case other:
                return Unknown(f"status {str(other)[:40]}")

    def _reference(self, job: Job, answer: dict[str, Any]) -> str | None:
        """The reference `owner/app#request`. owner/app comes from the `response_url` in the answer if that URL has
        fal's origin and the documented form, else from the model's settings. None without a valid request id."""
        request_id: Any = answer.get("request_id")
        if not isinstance(request_id, str) or not re.fullmatch(REQUEST_ID, request_id):
            return None
        returned, base = urlsplit(str(answer.get("response_url"))), urlsplit(self._queue.base_url)
        path = returned.path.removeprefix(base.path)
        match = re.fullmatch(rf"/({APP})/requests/{re.escape(request_id)}/?", path)
        is_own = (returned.scheme, returned.netloc) == (base.scheme, base.netloc)
        return f"{match[1] if match and is_own else _app_path(job)}#{request_id}"

    def _verify_webhook(self, headers: dict[str, str], body: bytes, now_seconds: int) -> str:
        """Verify a webhook and return the id of its request: the signature must match, the timestamp must be within
        five minutes of `now_seconds`, and the webhook must be for our account. Raises WebhookInvalid."""
        names = ("request-id", "user-id", "timestamp", "signature")
        request_id, user_id, sent_at, signature = (headers.get(f"x-fal-webhook-{name}", "") for name in names)
        if not (request_id and user_id and sent_at and signature):
            raise WebhookInvalid("a webhook header is missing")
        if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 12):
            raise WebhookInvalid("the timestamp is no number")
        if abs(now_seconds - int(sent_at)) > TOLERANCE_SECONDS:
            raise WebhookInvalid("the timestamp is too far from now")
        if not re.fullmatch(r"[0-9a-fA-F]{128}", signature):
            raise WebhookInvalid("the signature is none")
        if not self._user_id or user_id != self._user_id:
            raise WebhookInvalid("it is of another account")
        digest = hashlib.sha256(body).hexdigest()
        message = "\n".join((request_id, user_id, sent_at, digest)).encode(errors="replace")
        keys = signing_keys(f"{self._rest.base_url}/.well-known/jwks.json")
        if not keys.verify(bytes.fromhex(signature), message, now_seconds):
            raise WebhookInvalid("no key of fal's made the signature")
        return request_id


# ---- requests --------------------------------------------------------------------------------------------------------


def _app_path(job: Job) -> str:
    """The owner/app of a model without the sub-path, as in the URLs of its requests."""
    found = re.match(APP, job.settings["app"])
    return found[0] if found else job.settings["app"]


def _request_path(reference: str) -> str | None:
    found = re.fullmatch(rf"({APP})#({REQUEST_ID})", reference)
    return f"/{found[1]}/requests/{found[2]}" if found else None


def _request_body(job: Job) -> dict[str, Any]:
    names = cast("dict[str, str]", job.settings["names"])
    values, strings = cast("dict[str, dict[str, Any]]", job.settings.get("values", {})), job.settings.get("strings", ())
    body: dict[str, Any] = deepcopy(job.settings.get("input", {}))
    fields: dict[str, Any] = {"prompt": job.prompt, "negative_prompt": job.negative_prompt, **job.parameters}
    for field, value in fields.items():
        if field in names and value is not None:
            sent_value = values.get(field, {}).get(str(value), value)
            _set_field(body, names[field], str(sent_value) if field in strings else sent_value)
    for role, field in cast("dict[str, str | list[str]]", job.settings.get("inputs", {})).items():
        addresses = [_file_url(file) for file in job.inputs.get(role, ())]
        if addresses:
            _set_field(
                body,
                field if isinstance(field, str) else field[0],
                addresses[0] if isinstance(field, str) else addresses,
            )
    return body


def _set_field(body: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for part in parents:
        body = body.setdefault(part, {})
    body[last] = value


def _file_url(file: Input) -> str:
    return file.url or f"data:{file.content_type};base64,{base64.b64encode(file.data).decode()}"


# ---- answers ---------------------------------------------------------------------------------------------------------


def _read_result(reply: Reply, job: Job, usage: dict[str, int]) -> PollOutcome:
    if reply.ok:
        return _read_payload(reply.json(), job, usage)
    if reply.status in (404, 410):
        return failure_of(ErrorClass.UNKNOWN_OUTCOME, usage=usage)
    if reply.status in (401, 403, 429) or (reply.status >= 500 and not reply.json().get("detail")):
        # This status concerns the poll, not the job.
        return Unknown(f"the result was answered with {reply.status}")
    return _failure(reply.json(), usage, status=reply.status, headers=reply.headers)


def _read_payload(payload: Any, job: Job, usage: dict[str, int]) -> Done | Failed:
    outputs: list[Output] = []
    duration_seconds = 0.0
    for file in _result_files(payload, job.settings["output"].split(".")):
        address: Any = file.get("url")
        if isinstance(address, str) and address:
            outputs.append(_output(address, file.get("content_type")))
            length: Any = file.get("duration")
            duration_seconds += length if isinstance(length, int | float) and 0 < length < 10**6 else 0
    flags: Any = cast("dict[str, Any]", payload).get("has_nsfw_concepts") if isinstance(payload, dict) else None
    if isinstance(flags, list) and outputs:
        # An image that fal's safety check blacked out is no result.
        marks = cast("list[object]", flags)
        outputs = [output for output, mark in zip(outputs, [*marks, *[False] * len(outputs)], strict=False) if not mark]
        if not outputs:
            return failure_of(ErrorClass.MODERATED_BILLED, usage=usage)
    if not outputs:
        return failure_of(ErrorClass.TRANSIENT, usage=usage)
    if duration_seconds:
        usage = {**usage, "output_milliseconds": math.ceil(round(duration_seconds * 1000, 3))}
    return Done(tuple(outputs[:OUTPUTS_MAX]), usage)


def _result_files(value: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    """The file objects at a path in the result; a plain URL counts as a file object."""
    if isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _result_files(one, path)
    elif isinstance(value, dict):
        inside = cast("dict[str, Any]", value)
        if path:
            yield from _result_files(inside.get(path[0]), path[1:])
        else:
            yield inside
    elif isinstance(value, str) and not path:
        yield {"url": value}


def _output(value: str, content_type: object) -> Output:
    kind = content_type if isinstance(content_type, str) else None
    inline = re.match(r"data:([\w.+/-]+);base64,", value)
    if inline:
        with suppress(binascii.Error):
            return Output(base64.b64decode(value[inline.end() :]), content_type=inline[1])
    return Output(url=value, content_type=kind)


def _percentage(logs: Any) -> int:
    """The progress in the last lines of the logs."""
    lines = cast("list[Any]", logs)[-50:] if isinstance(logs, list) else []
    texts = [str(cast("dict[str, Any]", line).get("message")) for line in lines if isinstance(line, dict)]
    return progress_in_logs("\n".join(texts))


def _submit_failure(reply: Reply) -> Failed:
    """The outcome of a request that fal refused. fal locks an account without credit and responds to it as to a wrong
    key."""
    detail = str(reply.json().get("detail")).lower()
    if reply.status in (401, 403) and re.search(r"exhausted balance|user is locked|top up", detail):
        return failure_of(ErrorClass.PROVIDER_BILLING)
    failure = _failure(reply.json(), {}, status=reply.status, headers=reply.headers)
    # A submission can only be accepted or fail: a cancellation before the request had an id counts as a failure.
    return failure if isinstance(failure, Failed) else failure_of(ErrorClass.TRANSIENT)


def _failure(
    problem: dict[str, Any], usage: dict[str, int], *, status: int = 0, headers: dict[str, str] | None = None
) -> Failed | Cancelled:
    """Classify a failure by its error type (the platform's or the model's), then by the HTTP status, then by fal's hint
    whether a retry makes sense."""
    hints = headers or {}
    detail: Any = problem.get("detail")
    listed = cast("list[Any]", detail) if isinstance(detail, list) else []
    types = [str(cast("dict[str, Any]", entry).get("type")) for entry in listed if isinstance(entry, dict)]
    types += [str(problem.get("error_type")), hints.get("x-fal-error-type", "")]
    if CANCELLED_TYPES & set(types):
        return Cancelled(usage)
    classes = (CLASS_BY_TYPE[kind] for kind in types if kind in CLASS_BY_TYPE)
    error_class = next(classes, None) or FAL_CLASS_BY_STATUS.get(status)
    if error_class is None:
        is_request_fault = 400 <= status < 500 or (bool(listed) and status < 500)
        error_class = ErrorClass.INVALID_INPUT if is_request_fault else ErrorClass.TRANSIENT

    if error_class is ErrorClass.INVALID_INPUT and hints.get("x-fal-retryable") == "true":
        error_class = ErrorClass.TRANSIENT
    if error_class is ErrorClass.TIMEOUT_STARTED and hints.get("x-fal-request-timeout-type") == "user":
        error_class = ErrorClass.TIMEOUT_UNSTARTED
    if error_class is ErrorClass.MODERATED and usage.get("predict_milliseconds"):
        error_class = ErrorClass.MODERATED_BILLED

    if error_class is ErrorClass.RATE_LIMITED:
        return failure_of(error_class, retry_after_seconds=_retry_after_seconds(hints), usage=usage)
    code = next((kind for kind in types if kind not in ("None", "")), None)
    # A 403 may concern one model only: the key may be valid for others.
    provider_wide = False if error_class is ErrorClass.AUTH and status == 403 else None
    return failure_of(
        error_class, usage=usage, provider_text=_problem_text(detail), code=code, provider_wide=provider_wide
    )


def _problem_text(detail: Any) -> str | None:
    """The error message in `detail`: a sentence, or a list of messages, each with the field that it concerns."""
    if isinstance(detail, str):
        return detail
    problems: list[str] = []
    for entry in cast("list[Any]", detail)[:PROBLEMS_MAX] if isinstance(detail, list) else []:
        problem = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {"msg": entry}
        steps: Any = problem.get("loc")
        place = (
            ".".join(str(step) for step in cast("list[object]", steps) if step != "body")
            if isinstance(steps, list)
            else ""
        )
        problems.append(": ".join(word for word in (place, str(problem.get("msg") or "")) if word))
    return "; ".join(problems) or None


def _retry_after_seconds(headers: dict[str, str]) -> int | None:
    return Reply(429, headers, b"").retry_after_seconds()
