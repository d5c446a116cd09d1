"""Stability: images, image upscaling and audio by the v2beta API; most calls return the result, some must be polled.

Facts that shape this file: requests are multipart even without a file; a filtered result is a 200 with a blurred image;
calls that fail are not charged; more than 150 requests in ten seconds lock the key out for a minute; there is no
idempotency key, no list and no webhook.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any, Unpack, cast

from atelier.adapters.providers._http import (
    HttpClient,
    NoAnswer,
    NotSent,
    Reply,
    class_of_status,
    failure_of,
    send_creation,
)
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import (
    Accepted,
    AdapterOptions,
    CancelResult,
    Done,
    ErrorClass,
    Failed,
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

JSON_HEADERS = {"accept": "application/json"}
LOCKED_OUT_SECONDS = 60
ASPECT_RATIOS = ("21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21")
CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
}
RESULT_FIELDS = ("image", "audio", "result")


def create_adapter(
    credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
) -> Stability:
    """The adapter with these credentials; see AdapterFactory in registry.py."""
    return Stability(api_key=credentials.key, **options)


class Stability:
    """The adapter for Stability. A model's `settings` in the catalogue: `path`, `names` (our field → Stability's),
    `inputs` (our role → Stability's file field), `input` (constant fields of each request), `with_image` (constant
    fields of requests with an input image), `asynchronous` (the response is an id to poll with).

    When the caller gives width and height instead of an aspect ratio, the nearest ratio is sent. With an input image no
    ratio is sent, because the image has its own."""

    resend_safe = False

    def __init__(
        self, *, api_key: str, base_url: str = "https://api.stability.ai", answer_seconds_max: float = 50.0
    ) -> None:
        self._wire = HttpClient(base_url, {"authorization": f"Bearer {api_key}"}, answer_seconds_max=answer_seconds_max)

    def submit(self, job: Job) -> SubmitOutcome:
        wire, path = self._wire.for_job(job), job.settings["path"]
        fields, files = _form_fields(job), _form_files(job)
        reply = send_creation(lambda: wire.request("POST", path, fields=fields, files=files, headers=JSON_HEADERS))
        if not isinstance(reply, Reply):
            return reply
        if not reply.ok:
            if reply.status >= 500 and not _is_stability_error(reply) and reply.status != 503:
                # The response comes from a gateway, not from Stability: the work may go on behind it.
                return Unknown(f"the request was answered with {reply.status}")
            return _failure(reply)
        if not job.settings.get("asynchronous"):
            return _result(job, reply)
        reference: Any = reply.json().get("id")
        if not _is_reference(reference):
            return Unknown("the request was answered without an id")
        return Accepted(str(reference))

    def poll(self, reference: str, job: Job) -> PollOutcome:
        if not _is_reference(reference):
            return failure_of(ErrorClass.UNKNOWN_OUTCOME)
        try:
            reply = self._wire.request("GET", f"/v2beta/results/{reference}", headers=JSON_HEADERS)
        except (NotSent, NoAnswer) as error:
            return Unknown(f"the poll was not answered: {error}")
        if reply.status == 202:
            return Pending()
        if reply.ok:
            return _result(job, reply)
        if reply.status in (404, 410):
            # Results are kept for a day and are visible only to the key that requested them.
            return failure_of(ErrorClass.UNKNOWN_OUTCOME)
        failure = _failure(reply)
        if failure.error_class in (ErrorClass.INVALID_INPUT, ErrorClass.MODERATED):
            return failure
        return Unknown(f"the poll was answered with {reply.status}")

    def cancel(self, reference: str) -> CancelResult:
        return CancelResult.UNSUPPORTED

    def find(self, job: Job) -> str | None:
        return None

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        raise WebhookInvalid("Stability sends no webhooks")

    def check(self) -> Failed | None:
        try:
            reply = self._wire.request("GET", "/v1/user/balance")
        except (NotSent, NoAnswer):
            return failure_of(ErrorClass.TRANSIENT)
        if not reply.ok:
            return _failure(reply)
        credits = reply.json().get("credits")
        is_broke = isinstance(credits, int | float) and credits <= 0
        return failure_of(ErrorClass.PROVIDER_BILLING) if is_broke else None

    def models(self) -> tuple[ListedModel, ...] | None:
        # Stability's services are URL paths, and there is no list of them.
        return None


def _form_fields(job: Job) -> dict[str, str]:
    names, fixed = cast("dict[str, str]", job.settings["names"]), dict(job.settings.get("input", {}))
    parameters: dict[str, Any] = {
        "prompt": job.prompt or None,
        "negative_prompt": job.negative_prompt,
        **job.parameters,
    }
    if job.inputs.get("image"):
        fixed |= job.settings.get("with_image", {})
        parameters.pop("aspect_ratio", None)
    elif parameters.get("width") and parameters.get("height"):
        parameters.setdefault("aspect_ratio", _nearest_ratio(parameters["width"] / parameters["height"]))
    named = {names[field]: value for field, value in parameters.items() if field in names and value is not None}
    return {name: _form_value(value) for name, value in {**fixed, **named}.items()}


def _form_files(job: Job) -> list[tuple[str, tuple[str, bytes, str]]]:
    fields = cast("dict[str, str]", job.settings.get("inputs", {}))
    files = [
        (field, (f"{role}.{file.content_type.rpartition('/')[2]}", file.data, file.content_type))
        for role, field in fields.items()
        for file in job.inputs.get(role, ())[:1]
    ]
    # Without any file the body would not be multipart, the only form that Stability accepts.
    return files or [("none", ("", b"", "text/plain"))]


def _nearest_ratio(ratio: float) -> str:
    def distance(name: str) -> float:
        width, _, height = name.partition(":")
        return abs(math.log(ratio * int(height) / int(width)))

    return min(ASPECT_RATIOS, key=distance)


def _form_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _result(job: Job, reply: Reply) -> Done | Failed | Unknown:
    answer = reply.json()
    if answer.get("finish_reason") == "CONTENT_FILTERED":
        return failure_of(ErrorClass.MODERATED)
    encoded = next((answer[name] for name in RESULT_FIELDS if isinstance(answer.get(name), str)), "")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        return Unknown("the answer holds no result")
    is_audio = job.kind == "audio"
    content_type = CONTENT_TYPES.get(_form_fields(job).get("output_format", "mp3" if is_audio else "png"))
    return Done((Output(data, content_type=content_type),), {} if is_audio else {"images": 1})


def _is_reference(reference: object) -> bool:
    return isinstance(reference, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,128}", reference) is not None


def _is_stability_error(reply: Reply) -> bool:
    """Whether the error comes from Stability itself and not from a gateway; then nothing is charged."""
    return isinstance(reply.json().get("errors"), list)


def _failure(reply: Reply) -> Failed:
    problem = reply.json()
    error_class = class_of_status(reply.status)
    if problem.get("name") == "content_moderation":
        error_class = ErrorClass.MODERATED
    if error_class is ErrorClass.RATE_LIMITED:
        return failure_of(error_class, retry_after_seconds=reply.retry_after_seconds() or LOCKED_OUT_SECONDS)
    errors: Any = problem.get("errors")
    said = "; ".join(map(str, cast("list[object]", errors))) if isinstance(errors, list) else None
    # A 403 may concern one model only: the key may be valid for others.
    provider_wide = False if error_class is ErrorClass.AUTH and reply.status == 403 else None
    return failure_of(error_class, provider_text=said, code=problem.get("name"), provider_wide=provider_wide)
