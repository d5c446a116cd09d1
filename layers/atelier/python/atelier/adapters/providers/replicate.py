"""Replicate: predictions with a webhook, a deadline, and polling as the second path.

Facts from Replicate's HTTP reference that shape this file: there is no idempotency key, so a creation is sent once,
and if its response is lost the prediction is looked up in the list; status 200 may carry `failed`; `aborted` (deadline
before the start) is free and `canceled` is not; results are kept for an hour; a webhook's body is the prediction as GET
returns it; a file is sent as a data URL up to 256 kB, and a larger file is uploaded first.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Unpack, cast
from urllib.parse import urlencode

from atelier.adapters.providers._http import (
    CONNECT_SECONDS_MAX,
    NoAnswer,
    NotSent,
    Reply,
    check_failure,
    class_of_status,
    failure_of,
    tls_context,
)
from atelier.adapters.providers._queued_jobs import (
    OUTPUTS_MAX,
    REQUEST_ID,
    poll_outcome,
    progress_in_logs,
    run_usage,
    submit_outcome,
)
from atelier.adapters.providers._standard_webhooks import verify_webhook
from atelier.clock import rfc3339
from atelier.ids import created_at
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

if TYPE_CHECKING:
    import httpx
    from replicate.client import Client

Prediction = dict[str, Any]

# The limit for the whole data URL, in bytes as sent.
DATA_URL_BYTES_MAX = 256_000
# The time window in which a lost creation is looked up: from a little before the attempt was stored (clocks differ) to
# well after.
FIND_BEFORE, FIND_AFTER, FIND_PAGES_MAX = timedelta(minutes=1), timedelta(minutes=10), 5

# Error texts of failed predictions and the error class of each; the first match counts.
CLASS_BY_ERROR_TEXT: tuple[tuple[re.Pattern[str], ErrorClass], ...] = (
    (re.compile(r"nsfw|sensitive|safety|moderat|\bE005\b", re.IGNORECASE), ErrorClass.MODERATED_BILLED),
    (re.compile(r"timed? ?out|deadline", re.IGNORECASE), ErrorClass.TIMEOUT_STARTED),
    (re.compile(r"out of memory|capacity|queue is full|high demand", re.IGNORECASE), ErrorClass.CAPACITY),
    # The model cannot use its input: an unreadable file, no face in an image, a value out of range.
    (
        re.compile(
            r"\bE006\b|\binvalid (?:input|image|audio|video|file|format|mask|value|prompt|url|argument)"
            r"|(?:input|field|value) validation|validation error|field required|cannot identify image|unsupported"
            r"|\bno (?:face|person|people|speech|audio|voice)s?\b|not (?:a valid|supported)\b"
            r"|(?:could ?n.t|could not|can ?not|unable to|failed to)"
            r" (?:detect|find|read|decode|open|load|parse|identify|download|fetch)"
            r"|too (?:large|long|short|small|big|many)\b|must be (?:one|at|less|greater|between|smaller|larger|a|an)\b",
            re.IGNORECASE,
        ),
        ErrorClass.INVALID_INPUT,
    ),
)
ERROR_CHARACTERS_MAX, LOG_CHARACTERS_MAX = 2000, 2000


# A model trained on one person recognises them in the prompt by its trigger word, placed after one of these words.
PERSON_WORD = re.compile(
    r"\b(person|man|woman|boy|girl|child|baby|lady|gentleman|guy|actor|actress|king|queen)\b", re.IGNORECASE
)


def create_adapter(
    credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
) -> Replicate:
    """The adapter with these credentials; see AdapterFactory in registry.py."""
    return Replicate(api_token=credentials.key, webhook_secret=credentials.webhook_secret or "", **options)


class Replicate:
    """The adapter for Replicate. A model's `settings` in the catalogue: `version` (64 hex digits), `names` (our field →
    the model's field), `input` (constant fields of each request), `inputs` (our role → the model's fields for the
    files, in order), `output` (the dotted path of the files in an output that is an object; without it, all URLs in the
    output) and `trigger` (the word that names the person in a prompt)."""

    resend_safe = False

    def __init__(
        self,
        *,
        api_token: str,
        webhook_secret: str,
        base_url: str = "https://api.replicate.com",
        answer_seconds_max: float = 20.0,
    ) -> None:
        self._api_token = api_token
        self._webhook_secret = webhook_secret
        self._base_url = base_url
        self._answer_seconds_max = answer_seconds_max
        self._connections: httpx.BaseTransport | None = None

    def submit(self, job: Job) -> SubmitOutcome:
        files: dict[str, str] = {}
        for name, file in _model_files(job).items():
            url = _data_url(file) or self._upload(name, file)
            if isinstance(url, Failed):
                return url
            files[name] = url
        body: dict[str, Any] = {"version": job.settings["version"], "input": {**_model_input(job), **files}}
        if job.webhook_url:
            body |= {"webhook": job.webhook_url, "webhook_events_filter": ["completed"]}
        return submit_outcome(
            lambda: self._call(lambda api: api.predictions.create(**body), job.run_seconds_max),
            lambda reply: _reference(reply.json()),
            _refusal,
        )

    def poll(self, reference: str, job: Job) -> PollOutcome:
        return poll_outcome(
            lambda: self._call(lambda api: api.predictions.get(reference)),
            lambda reply: _prediction_outcome(reply.json(), job),
        )

    def cancel(self, reference: str) -> CancelResult:
        try:
            reply = self._call(lambda api: api.predictions.cancel(reference))
        except (NotSent, NoAnswer):
            return CancelResult.PENDING
        if not reply.ok:
            return CancelResult.TOO_LATE if reply.status in (404, 410) else CancelResult.PENDING
        match _prediction_outcome(reply.json()):
            case Cancelled() | Failed(error_class=ErrorClass.TIMEOUT_UNSTARTED):
                return CancelResult.CANCELLED
            case Done() | Failed():
                return CancelResult.TOO_LATE
            case Pending() | Unknown():
                return CancelResult.PENDING

    def find(self, job: Job) -> str | None:
        """Look among the predictions created around the attempt for the one with our webhook URL, which contains the
        attempt's id. Replicate's reference does not promise that the list contains the webhook URL; without it, version
        and input must equal the job's. Two such predictions are ambiguous: then the result is None."""
        attempted_at = created_at(job.attempt_id)
        window = {
            "created_after": rfc3339(attempted_at - FIND_BEFORE),
            "created_before": rfc3339(attempted_at + FIND_AFTER),
        }
        page_url: str | None = f"/v1/predictions?{urlencode(window)}"
        matches: list[str] = []
        for _ in range(FIND_PAGES_MAX):
            if page_url is None:
                break
            try:
                reply = self._call(lambda api, url=page_url: api.predictions.list(url))
            except (NotSent, NoAnswer):
                return None
            if not reply.ok:
                return None
            page = reply.json()
            for prediction in cast("list[Prediction]", page.get("results") or []):
                reference = _reference(prediction)
                if reference and job.webhook_url and prediction.get("webhook") == job.webhook_url:
                    return reference
                if reference and _matches_job(job, prediction) and "webhook" not in prediction:
                    matches.append(reference)
            page_url = self._same_origin_url(page.get("next"))
        return matches[0] if len(matches) == 1 and page_url is None else None

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        event_id = verify_webhook(self._webhook_secret, headers, body, now_seconds)
        try:
            prediction: Any = json.loads(body)
        except ValueError as error:
            raise WebhookInvalid("the body is no JSON") from error
        reference = _reference(prediction)
        if reference is None:
            raise WebhookInvalid("the body is no prediction")
        if job is not None:
            _check_same_job(job, prediction)
        return WebhookEvent(event_id, reference, _prediction_outcome(prediction, job))

    def check(self) -> Failed | None:
        return check_failure(lambda: self._call(lambda api: api.accounts.current()), _refusal)

    def models(self) -> tuple[ListedModel, ...] | None:
        # Replicate's list of models has no shutdown dates.
        return None

    def _upload(self, name: str, file: Input) -> str | Failed:
        """Upload a file and return its URL for the model. No work has started yet, so every failure may be retried."""
        import mimetypes

        # Some models recognise the type of a file by its name's extension.
        filename = name + (mimetypes.guess_extension(file.content_type) or "")
        metadata: dict[str, Any] = {"filename": filename, "content_type": file.content_type}
        try:
            reply = self._call(lambda api: api.files.create(io.BytesIO(file.data), **metadata))
        except (NotSent, NoAnswer):
            return failure_of(ErrorClass.TRANSIENT)
        if not reply.ok:
            return _refusal(reply)
        urls: Any = reply.json().get("urls")
        url: Any = cast("dict[str, Any]", urls).get("get") if isinstance(urls, dict) else None
        return url if isinstance(url, str) and url else failure_of(ErrorClass.TRANSIENT)

    def _same_origin_url(self, url: object) -> str | None:
        # Our token is sent with the request, so only to Replicate's own origin.
        return url if isinstance(url, str) and url.startswith(f"{self._base_url.rstrip('/')}/") else None

    def _call(self, call: Callable[[Client], object], cancel_after_seconds: int | None = None) -> Reply:
        """Make one call through the SDK and return the response. Raises NotSent or NoAnswer.

        The response is taken from the transport, because the SDK's model does not know the status `aborted` and rejects
        such predictions."""
        import httpx
        from replicate.client import Client

        if self._connections is None:
            # No keep-alive: a connection that died while the Lambda function was frozen would lose the response of the
            # next creation.
            self._connections = httpx.HTTPTransport(
                verify=tls_context(), limits=httpx.Limits(max_keepalive_connections=0)
            )
        transport = _SdkTransport(self._connections, self._answer_seconds_max, cancel_after_seconds)
        # The SDK requires the type `httpx.BaseTransport` but calls only `handle_request`.
        client = Client(self._api_token, base_url=self._base_url, transport=cast("httpx.BaseTransport", transport))
        with suppress(_ErrorStatus, ValueError, KeyError, TypeError):
            # The SDK may fail to parse the response; the transport's reply shows whether it is usable.
            call(client)
        reply = transport.reply
        if reply is None or (reply.ok and not reply.holds_object()):
            raise NoAnswer("the answer is not what it should be")
        return reply


class _ErrorStatus(Exception):
    """Ends a call of the SDK at an error status, before the SDK sleeps and retries."""


class _SdkTransport:
    """The httpx transport under the SDK. It restores the time-out that the SDK removes from creations, adds the
    deadline header (`Cancel-After`) that the SDK cannot send, and stores the response."""

    def __init__(
        self, connections: httpx.BaseTransport, answer_seconds_max: float, cancel_after_seconds: int | None
    ) -> None:
        self._connections = connections
        self._answer_seconds_max = answer_seconds_max
        self._cancel_after_seconds = cancel_after_seconds
        self.reply: Reply | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        import httpx

        request.extensions["timeout"] = httpx.Timeout(self._answer_seconds_max, connect=CONNECT_SECONDS_MAX).as_dict()
        if self._cancel_after_seconds is not None:
            request.headers["Cancel-After"] = f"{self._cancel_after_seconds}s"
        try:
            response = self._connections.handle_request(request)
            body = response.read()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise NotSent(type(error).__name__) from error
        except httpx.TransportError as error:
            raise NoAnswer(type(error).__name__) from error
        self.reply = Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)
        if not self.reply.ok:
            raise _ErrorStatus
        return response

    def close(self) -> None:
        """Do nothing: the connections belong to the adapter and stay open for its next call."""


def _refusal(reply: Reply) -> Failed:
    """The Failed outcome of a response which says that no work was started."""
    problem = reply.json()
    text = f"{problem.get('title')} {problem.get('detail')}"
    error_class = class_of_status(reply.status)
    if "invalid version" in text.lower():
        error_class = ErrorClass.MODEL_GONE
    elif "spend limit" in text.lower():
        error_class = ErrorClass.PROVIDER_BILLING
    if error_class is ErrorClass.RATE_LIMITED:
        return failure_of(error_class, retry_after_seconds=_retry_after_seconds(reply))
    # A 403 may concern one model only: the key may be valid for others.
    provider_wide = False if reply.status == 403 and error_class is ErrorClass.AUTH else None
    provider_text = problem.get("detail") or problem.get("title")
    return failure_of(error_class, provider_text=provider_text, provider_wide=provider_wide)


def _retry_after_seconds(reply: Reply) -> int | None:
    # Replicate documents the wait in the text of `detail`; in practice it also sends `retry_after` and the header.
    problem = reply.json()
    hints = [
        reply.headers.get("retry-after", ""),
        str(problem.get("retry_after", "")),
        *re.findall(r"(?:resets|available) in ~?(\d+(?:\.\d+)?) ?s", str(problem.get("detail"))),
    ]
    waits = (Reply(reply.status, {"retry-after": hint}, b"").retry_after_seconds() for hint in hints)
    return next((wait for wait in waits if wait is not None), None)


def _model_input(job: Job) -> dict[str, Any]:
    """The model's input fields without its files."""
    names = cast("dict[str, str]", job.settings["names"])
    fields = {"prompt": _prompt(job), "negative_prompt": job.negative_prompt, **job.parameters}
    named = {names[field]: value for field, value in fields.items() if field in names and value is not None}
    return {**job.settings.get("input", {}), **named}


def _prompt(job: Job) -> str:
    trigger: str | None = job.settings.get("trigger")
    if trigger is None or re.search(rf"\b{re.escape(trigger)}\b", job.prompt):
        return job.prompt
    if PERSON_WORD.search(job.prompt):
        return PERSON_WORD.sub(rf"\g<0> {trigger}", job.prompt, count=1)
    return f"a person {trigger}, {job.prompt}"


def _model_files(job: Job) -> dict[str, Input]:
    """The job's files by the model's field names. Files for which the model has no field are left out."""
    fields = cast("dict[str, str | list[str]]", job.settings.get("inputs", {}))
    return {
        name: file
        for role, names in fields.items()
        for name, file in zip([names] if isinstance(names, str) else names, job.inputs.get(role, ()), strict=False)
    }


def _data_url(file: Input) -> str | None:
    """The file as a data URL; None when it would be longer than DATA_URL_BYTES_MAX."""
    begin = f"data:{file.content_type};base64,"
    if len(begin) + -(-len(file.data) // 3) * 4 > DATA_URL_BYTES_MAX:
        return None
    return begin + base64.b64encode(file.data).decode()


def _matches_job(job: Job, prediction: Prediction) -> bool:
    reported = prediction.get("input")
    if prediction.get("version") != job.settings["version"] or not isinstance(reported, dict):
        return False
    sent = _model_input(job)
    for name, file in _model_files(job).items():
        url = _data_url(file)
        if url is None:
            # The URL of an uploaded file is unknown here, and two jobs may differ in their file only.
            return False
        sent[name] = url
    # The listed input may have more fields: the model's defaults.
    return sent.items() <= cast("dict[str, Any]", reported).items()


def _check_same_job(job: Job, prediction: Prediction) -> None:
    """Raise WebhookInvalid when the prediction's input is not the job's: a correctly signed webhook may have been sent
    again to the URL of another job."""
    reported = prediction.get("input")
    if isinstance(reported, dict):
        sent = _model_input(job)
        if any(sent.get(name, value) != value for name, value in cast("dict[str, Any]", reported).items()):
            raise WebhookInvalid("the prediction is another job's")


def _reference(prediction: Any) -> str | None:
    reference: Any = cast("Prediction", prediction).get("id") if isinstance(prediction, dict) else None
    return reference if isinstance(reference, str) and re.fullmatch(REQUEST_ID, reference) else None


def _prediction_outcome(prediction: Prediction, job: Job | None = None) -> PollOutcome:
    usage = run_usage(prediction.get("metrics"), "predict_time")
    match prediction.get("status"):
        case "starting" | "processing":
            logs = prediction.get("logs")
            return Pending(progress_in_logs(logs[-LOG_CHARACTERS_MAX:]) if isinstance(logs, str) else 0)
        case "succeeded":
            outputs = _outputs(prediction.get("output"), job.settings.get("output") if job else None)
            return Done(outputs, usage) if outputs else failure_of(ErrorClass.TRANSIENT, usage=usage)
        case "failed":
            error_text = str(prediction.get("error"))[:ERROR_CHARACTERS_MAX]
            return failure_of(_failure_class(error_text, usage), usage=usage, provider_text=error_text)
        case "canceled":
            missed_deadline = _ended_after_deadline(prediction)
            return failure_of(ErrorClass.TIMEOUT_STARTED, usage=usage) if missed_deadline else Cancelled(usage)
        case "aborted":
            return failure_of(ErrorClass.TIMEOUT_UNSTARTED)
        case status:
            return Unknown(f"status {str(status)[:40]}")


def _failure_class(error: str, usage: dict[str, int]) -> ErrorClass:
    for pattern, error_class in CLASS_BY_ERROR_TEXT:
        if pattern.search(error):
            unbilled = error_class is ErrorClass.MODERATED_BILLED and not usage
            return ErrorClass.MODERATED if unbilled else error_class
    return ErrorClass.TRANSIENT


def _outputs(output: Any, path: str | None) -> tuple[Output, ...]:
    """The result files: a model's output is one URL, a list of URLs, or an object with URLs among other values."""
    for name in path.split(".") if path else ():
        output = cast("dict[str, Any]", output).get(name) if isinstance(output, dict) else None
    return tuple(Output(url=url) for url in _urls(output, 3)[:OUTPUTS_MAX])


def _urls(value: Any, depth: int) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    if depth and isinstance(value, list):
        return [url for entry in cast("list[Any]", value) for url in _urls(entry, depth - 1)]
    if depth and isinstance(value, dict):
        found = [url for entry in cast("dict[str, Any]", value).values() for url in _urls(entry, depth - 1)]
        # An object may hold texts beside its files.
        return [url for url in found if re.match("https?://", url)]
    return []


def _ended_after_deadline(prediction: Prediction) -> bool:
    try:
        completed, deadline = (datetime.fromisoformat(prediction[name]) for name in ("completed_at", "deadline"))
        return completed >= deadline
    except (KeyError, TypeError, ValueError):
        return False
