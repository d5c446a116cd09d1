"""The base adapter for APIs compatible with OpenAI's: errors, text, images, speech, list of models.

These APIs are synchronous and take no idempotency key: a request is sent once, and a request whose response is lost may
have been billed. A status of 200 may still carry an error, a refusal, or nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, cast

from atelier.adapters.providers._conversation import PromptMessage, messages_of
from atelier.adapters.providers._http import HttpClient, NoAnswer, NotSent, Reply, failure_of, provider_unreachable
from atelier.adapters.providers._speech_parts import CONTENT_TYPES, duration_milliseconds, join_audio, split_text
from atelier.adapters.providers._text_outcome import text_outcome
from atelier.provider_port import (
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    FinishReason,
    Input,
    Job,
    ListedModel,
    Output,
    PollOutcome,
    SubmitOutcome,
    Unknown,
    WebhookEvent,
    WebhookInvalid,
)

JsonObject = dict[str, Any]

CHECK_SECONDS_MAX = 10.0
OUTPUTS_MAX = 16
EDIT_IMAGES_MAX = 16
COUNT_MAX = 10**12
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
# Why a completion ended early, by the names of the chat API and of the Responses API.
FINISH_REASONS = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
RETRY_WAIT = re.compile(r"(?:try again|retry) (?:in|after) ~?(\d{1,6}(?:\.\d{1,6})?) ?(ms|s|m)\b")


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in a response body. `code` is the error's code and type in one text; `code` and `text` are in lower case
    for matching. `said` and `named` are message and code unchanged. `status` is 200 for an error inside a success."""

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

    # ---- text --------------------------------------------------------------------------------------------------------

    def _chat(self, job: Job) -> SubmitOutcome:
        parameters = job.parameters
        system = [{"role": "system", "content": parameters["system"]}] if parameters.get("system") else []
        body: JsonObject = {"model": job.settings["model"], "messages": [*system, *chat_messages(job)]}
        if parameters.get("max_tokens"):
            body[self.tokens_max_field] = parameters["max_tokens"]
        names = (
            "temperature",
            "top_p",
            "stop",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "reasoning_effort",
            "verbosity",
        )
        body |= {name: parameters[name] for name in names if parameters.get(name) is not None}

        def read(answer: JsonObject) -> SubmitOutcome:
            usage, cost = chat_usage(as_object(answer.get("usage"))), self._cost_microusd(answer)
            choice = next(iter(as_objects(answer.get("choices"))), None)
            if choice is None:
                return failure_of(ErrorClass.TRANSIENT, usage=usage, cost_microusd=cost)
            message = as_object(choice.get("message"))
            text, refusal = message_text(message.get("content")), message_text(message.get("refusal"))
            finish = FINISH_REASONS.get(str(choice.get("finish_reason")))
            if refusal and not text:
                text, finish = refusal, FinishReason.REFUSAL
            return text_outcome(job, text, usage, cost_microusd=cost, finish_reason=finish)

        return self._request_json("/chat/completions", read, body=preset_fields(job) | body)

    def _respond(self, job: Job) -> SubmitOutcome:
        parameters = job.parameters
        is_prompt_alone = not parameters.get("messages") and not images_of(job)
        model_input = job.prompt if is_prompt_alone else [_response_item(message) for message in messages_of(job)]
        body: JsonObject = {"model": job.settings["model"], "input": model_input, "store": False}
        names = {"system": "instructions", "max_tokens": "max_output_tokens"}
        for name in ("system", "max_tokens", "temperature", "top_p"):
            if parameters.get(name) is not None:
                body[names.get(name, name)] = parameters[name]
        if parameters.get("reasoning_effort"):
            body["reasoning"] = {"effort": parameters["reasoning_effort"]}
        if parameters.get("verbosity"):
            body["text"] = {"verbosity": parameters["verbosity"]}

        def read(answer: JsonObject) -> SubmitOutcome:
            usage, cost = _response_usage(answer), self._cost_microusd(answer)
            if answer.get("status") not in ("completed", "incomplete"):
                problem = Problem.from_body(200, answer)
                # Tokens that were used before the refusal are billed.
                billed = problem.error_class is ErrorClass.MODERATED and usage
                error_class = ErrorClass.MODERATED_BILLED if billed else problem.error_class
                return problem.to_failed(error_class, usage=usage, cost_microusd=cost)
            said = [part for item in as_objects(answer.get("output")) for part in as_objects(item.get("content"))]
            text = "".join(str(part.get("text")) for part in said if part.get("type") == "output_text")
            refusal = "".join(str(part.get("refusal")) for part in said if part.get("type") == "refusal")
            finish = FINISH_REASONS.get(str(as_object(answer.get("incomplete_details")).get("reason")))
            if refusal and not text:
                text, finish = refusal, FinishReason.REFUSAL
            return text_outcome(job, text, usage, cost_microusd=cost, finish_reason=finish)

        return self._request_json("/responses", read, body=preset_fields(job) | body)

    # ---- images ------------------------------------------------------------------------------------------------------

    def _images(self, job: Job) -> SubmitOutcome:
        """Generate images from the prompt, or edit the job's input images if there are any."""
        images = images_of(job)[:EDIT_IMAGES_MAX]
        body = {
            **preset_fields(job),
            "model": job.settings["model"],
            "prompt": prompt_with_exclusions(job),
            **self._image_options(job),
        }
        if not images:
            return self._request_json("/images/generations", self._read_images, body=body)
        files = [
            ("image[]", (f"image-{number}.{_suffix(picture.content_type)}", picture.data, picture.content_type))
            for number, picture in enumerate(images)
        ]
        files += [("mask", ("mask.png", mask.data, mask.content_type)) for mask in job.inputs.get("mask", ())[:1]]
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
        usage, cost = image_usage(as_object(answer.get("usage"))), self._cost_microusd(answer)
        images = as_objects(answer.get("data"))[:OUTPUTS_MAX]
        kind = answer.get("output_format")
        content_type = f"image/{kind}" if kind in ("png", "jpeg", "webp") else None
        outputs = tuple(output for picture in images if (output := self._image_output(picture, content_type)))
        if outputs:
            return Done(outputs, usage | {"images": len(outputs)}, cost)
        if any(picture.get("respect_moderation") is False for picture in images):
            return failure_of(ErrorClass.MODERATED_BILLED, usage=usage, cost_microusd=cost)
        return failure_of(ErrorClass.TRANSIENT, usage=usage, cost_microusd=cost)

    def _image_output(self, image: JsonObject, content_type: str | None) -> Output | None:
        if image.get("respect_moderation") is False:
            return None
        data, url = image.get("b64_json"), image.get("url")
        if isinstance(data, str) and data:
            try:
                return Output(base64.b64decode(data, validate=True), content_type=content_type)
            except binascii.Error:
                return None
        return Output(url=url) if isinstance(url, str) and url else None

    # ---- speech ------------------------------------------------------------------------------------------------------

    def _speech(self, job: Job) -> SubmitOutcome:
        """Speak the prompt. A long text is split into parts, which are requested in parallel and joined."""
        from concurrent.futures import ThreadPoolExecutor

        parameters, presets = job.parameters, preset_fields(job)
        parts = split_text(job.prompt)
        audio_format = str(parameters.get("format") or presets.get("response_format") or "mp3")
        if audio_format not in self.speech_formats:
            return failure_of(ErrorClass.INVALID_INPUT)
        if audio_format == "flac" and len(parts) > 1:
            # WAV is the lossless format whose parts can be joined.
            audio_format = "wav"
        base_fields: JsonObject = {"model": job.settings["model"]}
        base_fields |= {
            name: parameters[name] for name in ("voice", "speed", "instructions") if parameters.get(name) is not None
        }
        bodies = [presets | base_fields | {"input": part, "response_format": audio_format} for part in parts]

        def spoken_part(body: JsonObject) -> Reply | Failed | Unknown:
            return self._send("/audio/speech", body=body)

        with ThreadPoolExecutor(max_workers=len(bodies)) as speakers:
            results = list(speakers.map(spoken_part, bodies))
        counted = sum(len(part) for part, reply in zip(parts, results, strict=True) if isinstance(reply, Reply))
        usage = {"characters": counted} if counted else {}
        for reply in results:
            if isinstance(reply, Unknown):
                return reply
        for reply in results:
            if isinstance(reply, Failed):
                return _partly_billed(reply, usage)
        replies = [reply for reply in results if isinstance(reply, Reply)]
        if any(reply.headers.get("content-type", "").startswith("text/") for reply in replies):
            # A text page comes from a gateway: the speech may have been made and billed behind it.
            return Unknown("the request was answered with a page")
        if any(not reply.body or "json" in reply.headers.get("content-type", "") for reply in replies):
            error_body = next((reply.json() for reply in replies if reply.json()), JsonObject())
            return Problem.from_body(200, error_body).to_failed(usage=usage)
        data = join_audio([reply.body for reply in replies], audio_format)
        milliseconds = duration_milliseconds(data, audio_format)
        usage |= {} if milliseconds is None else {"output_milliseconds": milliseconds}
        return Done((Output(data, content_type=CONTENT_TYPES[audio_format]),), usage)


def bearer(api_key: str) -> dict[str, str]:
    """The authorization header. Characters that a header may not hold become `?`, so that a malformed key is refused by
    the provider instead of raising an error here."""
    sendable = "".join(sign if "!" <= sign <= "~" else "?" for sign in api_key.strip())
    return {"authorization": f"Bearer {sendable or '?'}"}


def preset_fields(job: Job) -> JsonObject:
    """The catalogue's fields for each request of this model; the job's parameters override them."""
    return cast("JsonObject", job.settings.get("input") or {})


def chat_messages(job: Job) -> list[JsonObject]:
    """The conversation as the messages of the chat API."""
    return [{"role": message.role, "content": _content(message)} for message in messages_of(job)]


def data_url(file: Input) -> str:
    """The file as a data URL, for JSON APIs that take files in no other way."""
    return f"data:{file.content_type};base64,{base64.b64encode(file.data).decode()}"


def prompt_with_exclusions(job: Job) -> str:
    """The prompt with the negative prompt appended, for models without a field for the latter."""
    return f"{job.prompt}\n\nWithout: {job.negative_prompt}" if job.negative_prompt else job.prompt


def images_of(job: Job) -> tuple[Input, ...]:
    """The job's input images: the image to edit first, then the reference images."""
    return (*job.inputs.get("image", ()), *job.inputs.get("reference", ()))


def message_text(content: object) -> str:
    """The text of a message: its content if that is a text, else its text parts joined."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text")) for part in as_objects(content) if part.get("type") in ("text", "output_text"))


def chat_usage(usage: JsonObject) -> dict[str, int]:
    """Token counts of a chat response. Some providers leave the reasoning tokens out of the completion tokens but count
    them in the total, so the output is the larger of both figures."""
    input_tokens, output_tokens = as_count(usage.get("prompt_tokens")), as_count(usage.get("completion_tokens"))
    total = as_count(usage.get("total_tokens"))
    if input_tokens is not None and output_tokens is not None and total is not None:
        output_tokens = max(output_tokens, total - input_tokens)
    cached = as_count(as_object(usage.get("prompt_tokens_details")).get("cached_tokens"))
    return known_counts(tokens_input=input_tokens, tokens_output=output_tokens, tokens_cached=cached)


def image_usage(usage: JsonObject) -> dict[str, int]:
    """Token counts of an image response. Image input tokens are counted apart, since their price differs."""
    details = as_object(usage.get("input_tokens_details"))
    return known_counts(
        tokens_input=as_count(usage.get("input_tokens")),
        tokens_image=as_count(details.get("image_tokens")),
        tokens_cached=as_count(details.get("cached_tokens")),
        tokens_output=as_count(usage.get("output_tokens")),
    )


def known_counts(**found: int | None) -> dict[str, int]:
    """The counts that the provider reported: a missing count is not a zero."""
    return {name: number for name, number in found.items() if number is not None}


def as_count(value: object) -> int | None:
    """The value if it is an integer from 0 to COUNT_MAX, else None."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < COUNT_MAX else None


def as_object(value: object) -> JsonObject:
    """The value if it is a JSON object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def as_objects(value: object) -> list[JsonObject]:
    """The JSON objects in the value if it is a list, else an empty list."""
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("JsonObject", entry) for entry in entries if isinstance(entry, dict)]


def _content(message: PromptMessage) -> str | list[JsonObject]:
    match message.parts:
        case (str(text),):
            return text
        case parts:
            return [
                {"type": "text", "text": part}
                if isinstance(part, str)
                else {"type": "image_url", "image_url": {"url": data_url(part)}}
                for part in parts
            ]


def _response_item(message: PromptMessage) -> JsonObject:
    """The message as an input item of the Responses API."""
    text_type = "output_text" if message.role == "assistant" else "input_text"
    match message.parts:
        case (str(text),):
            return {"role": message.role, "content": text}
        case parts:
            content = [
                {"type": text_type, "text": part}
                if isinstance(part, str)
                else {"type": "input_image", "image_url": data_url(part)}
                for part in parts
            ]
            return {"role": message.role, "content": content}


def _response_usage(answer: JsonObject) -> dict[str, int]:
    usage = as_object(answer.get("usage"))
    details = as_object(usage.get("input_tokens_details"))
    return known_counts(
        tokens_input=as_count(usage.get("input_tokens")),
        tokens_cached=as_count(details.get("cached_tokens")),
        tokens_cache_write=as_count(details.get("cache_write_tokens")),
        tokens_output=as_count(usage.get("output_tokens")),
    )


def _partly_billed(refused: Failed, usage: dict[str, int]) -> Failed:
    """The failure of one part of a text whose other parts were spoken and are billed."""
    billed = usage and refused.error_class is ErrorClass.MODERATED
    return replace(refused, error_class=ErrorClass.MODERATED_BILLED if billed else refused.error_class, usage=usage)


def _suffix(content_type: str) -> str:
    return {"image/jpeg": "jpg", "image/webp": "webp"}.get(content_type, "png")


def _parse_date(text: object) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
