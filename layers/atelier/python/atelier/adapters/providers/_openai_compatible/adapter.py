"""The base adapter for APIs compatible with OpenAI's: one request, and its outcome.

These APIs are synchronous and take no idempotency key: a request is sent once, and a request whose response is lost may
have been billed. A status of 200 may still carry an error, a refusal, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import date
from typing import Any

from atelier.adapters.providers._http import HttpClient, NoAnswer, NotSent, Reply, failure_of, provider_unreachable
from atelier.adapters.providers._openai_compatible.chat import (
    chat_body,
    chat_usage,
    read_chat,
    read_response,
    response_body,
)
from atelier.adapters.providers._openai_compatible.errors import NOT_ACCEPTED_STATUSES, Problem, failure_from_reply
from atelier.adapters.providers._openai_compatible.images import edit_files, image_output, read_images
from atelier.adapters.providers._openai_compatible.job import preset_fields, prompt_with_exclusions
from atelier.adapters.providers._openai_compatible.speech import audio_format, join_parts, request_parts, speech_body
from atelier.adapters.providers._openai_compatible.values import JsonObject, as_object, as_objects
from atelier.adapters.providers._speech_parts import CONTENT_TYPES, split_text
from atelier.provider_port import (
    CancelResult,
    ErrorClass,
    Failed,
    Job,
    ListedModel,
    Output,
    PollOutcome,
    SubmitOutcome,
    Unknown,
    WebhookEvent,
    WebhookInvalid,
)

CHECK_SECONDS_MAX = 10.0


class OpenAICompatible:
    """The base class of adapters for OpenAI-compatible APIs. A model's settings in the catalogue: `model`, its name at
    the provider; `api`, the API to call; and `input`, fields of each request that the job's parameters may override."""

    resend_safe = False
    tokens_max_field = "max_tokens"
    speech_formats = tuple(CONTENT_TYPES)

    def __init__(self, wire: HttpClient) -> None:
        self._wire = wire

    # ---- the provider port -------------------------------------------------------------------------------------------

    def submit(self, job: Job) -> SubmitOutcome:
        bounded = copy(self)
        bounded._wire = self._wire.for_job(job)
        work = bounded._api_methods().get(self._api_name(job))
        return work(job) if work else failure_of(ErrorClass.MODEL_GONE)

    def poll(self, reference: str, job: Job) -> PollOutcome:
        return failure_of(ErrorClass.UNKNOWN_OUTCOME)

    def cancel(self, reference: str) -> CancelResult:
        return CancelResult.UNSUPPORTED

    def find(self, job: Job) -> str | None:
        return None

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        raise WebhookInvalid("this provider sends no webhooks")

    def check(self) -> Failed | None:
        reply = self._get("/models")
        if isinstance(reply, Failed):
            return reply
        return None if reply.ok else self._failure_from_reply(reply)

    def models(self) -> tuple[ListedModel, ...] | None:
        reply = self._get("/models")
        listed = reply.json() if isinstance(reply, Reply) and reply.ok else {}
        if not isinstance(listed.get("data"), list):
            return None
        return tuple(
            ListedModel(name, _parse_date(model.get("shutdown_date")))
            for model in as_objects(listed.get("data"))
            if isinstance(name := model.get("id"), str)
        )

    # ---- what subclasses override ------------------------------------------------------------------------------------

    def _api_name(self, job: Job) -> str:
        return str(job.settings.get("api"))

    def _api_methods(self) -> dict[str, Callable[[Job], SubmitOutcome]]:
        return {"chat": self._chat, "responses": self._respond, "images": self._images, "speech": self._speech}

    def _failure_from_reply(self, reply: Reply) -> Failed:
        return failure_from_reply(reply)

    def _connection_failure(self, error: NotSent) -> Failed:
        return provider_unreachable()

    def _cost_microusd(self, answer: JsonObject) -> int | None:
        """The cost that the provider reports in its response, or None."""
        return None

    # ---- one request -------------------------------------------------------------------------------------------------

    def _request_json(self, path: str, read: Callable[[JsonObject], SubmitOutcome], **request: Any) -> SubmitOutcome:
        """Send a job's request once and parse its JSON response with `read`."""
        reply = self._send(path, **request)
        if not isinstance(reply, Reply):
            return reply
        answer = reply.json()
        if not answer:
            return Unknown("the answer cannot be read")
        if answer.get("error") and answer.get("object") != "response":
            usage = chat_usage(as_object(answer.get("usage")))
            return Problem.from_body(200, answer).to_failed(usage=usage, cost_microusd=self._cost_microusd(answer))
        return read(answer)

    def _send(self, path: str, **request: Any) -> Reply | Failed | Unknown:
        """Send a job's request once. A Reply means that the provider accepted it."""
        try:
            reply = self._wire.request("POST", path, **request)
        except NotSent as error:
            return self._connection_failure(error)
        except NoAnswer as error:
            return Unknown(f"the request was not answered: {error}")
        if reply.ok:
            return reply
        if reply.status >= 500 and reply.status not in NOT_ACCEPTED_STATUSES:
            return Unknown(f"the request was answered with {reply.status}")
        return self._failure_from_reply(reply)

    def _get(self, path: str) -> Reply | Failed:
        """Send a free GET request. Returns Failed when there is no response."""
        try:
            return self._wire.request("GET", path, answer_seconds_max=CHECK_SECONDS_MAX)
        except NotSent as error:
            return self._connection_failure(error)
        except NoAnswer:
            return failure_of(ErrorClass.TRANSIENT)

    # ---- the APIs ----------------------------------------------------------------------------------------------------

    def _chat(self, job: Job) -> SubmitOutcome:
        def read(answer: JsonObject) -> SubmitOutcome:
            return read_chat(job, answer, self._cost_microusd(answer))

        return self._request_json("/chat/completions", read, body=chat_body(job, self.tokens_max_field))

    def _respond(self, job: Job) -> SubmitOutcome:
        def read(answer: JsonObject) -> SubmitOutcome:
            return read_response(job, answer, self._cost_microusd(answer))

        return self._request_json("/responses", read, body=response_body(job))

    def _images(self, job: Job) -> SubmitOutcome:
        """Generate images from the prompt, or edit the job's input images if there are any."""
        own = {"model": job.settings["model"], "prompt": prompt_with_exclusions(job), **self._image_options(job)}
        body = preset_fields(job) | own
        files = edit_files(job)
        if not files:
            return self._request_json("/images/generations", self._read_images, body=body)
        fields = {name: str(value) for name, value in body.items()}
        return self._request_json("/images/edits", self._read_images, fields=fields, files=files)

    def _image_options(self, job: Job) -> JsonObject:
        """The request fields for the number, size and quality of the images."""
        parameters = job.parameters
        options = {name: parameters[name] for name in ("n", "quality") if parameters.get(name) is not None}
        if parameters.get("width") and parameters.get("height"):
            options["size"] = f"{parameters['width']}x{parameters['height']}"
        return options

    def _read_images(self, answer: JsonObject) -> SubmitOutcome:
        return read_images(answer, self._cost_microusd(answer), self._image_output)

    def _image_output(self, image: JsonObject, content_type: str | None) -> Output | None:
        return image_output(image, content_type)

    def _speech(self, job: Job) -> SubmitOutcome:
        """Speak the prompt. A long text is split into parts, which are requested in parallel and joined."""
        parts = split_text(job.prompt)
        format = audio_format(job, self.speech_formats, len(parts))
        if format is None:
            return failure_of(ErrorClass.INVALID_INPUT)
        bodies = [speech_body(job, part, format) for part in parts]
        results = request_parts(bodies, lambda body: self._send("/audio/speech", body=body))
        return join_parts(parts, results, format)


def bearer(api_key: str) -> dict[str, str]:
    """The authorization header. Characters that a header may not hold become `?`, so that a malformed key is refused by
    the provider instead of raising an error here."""
    sendable = "".join(sign if "!" <= sign <= "~" else "?" for sign in api_key.strip())
    return {"authorization": f"Bearer {sendable or '?'}"}


def _parse_date(text: object) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
