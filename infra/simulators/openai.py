"""A simulator for OpenAI's HTTP API: models, responses, chat, image generation and edits, speech, moderations.

    python -m infra.simulators.openai --port 9101        # prints its URL, serves until it is stopped

It answers as OpenAI documents (platform reference and the SDK's own types), refuses parameters that are not documented,
and returns plain PNG, JPEG or WebP files and a tone. Markers in a prompt, input or message, besides those of
`kit.server`:

    create:400 401 403 404 503 503-plain    refused
    create:429 429-ms 429-header 429-date   refused by the rate limit; when to retry is in the text or a header
    create:quota exhausted billing     the account has no money left
    create:moderated policy            refused by the safety check
    create:error                       status 200 with an error in the body
    run:none silent                    accepted, but the result is empty; `silent`: it has no usage either
    create:long large                  too long for the model's context; more tokens than the account has in a minute
    run:fail limit flagged refuse filter    text: failed; failed by a rate limit; failed as unsafe; a refusal; cut off
    run:think                          text: the model spent all its output tokens on thinking
    usage:none times=NUMBER            the usage is left out, or multiplied

    moderation:flagged                 the moderation check finds violence in this text (through `behave`: in the next)
    moderation:CATEGORY                the same for another category: sexual, sexual-minors, illicit-violent, …
    moderation:picture-CATEGORY        the same, in the next image that it checks

`shutdown_dates` (model → date) can be set.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable
from typing import Any, ClassVar, cast

from infra.simulators._openai_text import (
    CHAT_FIELDS,
    EMPTY_RESULT,
    RESPONSE_FIELDS,
    chat_content,
    chat_problem,
    invalid_value,
    problem,
    response_content,
    response_problem,
    word_set,
)
from infra.simulators.kit.faults import (
    LOST_ANSWERS,
    UNKNOWN,
    Fault,
    Refusal,
    http_date_in,
    markers_in,
    number_option,
    options_of,
)
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.samples import image_size_of, sample_audio, sample_image
from infra.simulators.kit.server import RequestRefused, Route, Simulator, main

# Documented models with their shutdown dates. Any other model name is accepted too, except the retired ones below.
MODELS = {
    "gpt-image-2": None,
    "gpt-image-2.5-flare": None,
    "gpt-image-2.5-sunburst": None,
    "gpt-image-1.5": "2026-12-01",
    "gpt-4o-mini-tts": "2027-01-06",
    "gpt-5.5": None,
    "gpt-4o": "2027-01-14",
    "omni-moderation-latest": None,
}
RETIRED = re.compile(r"dall-e-.*|gpt-image-1|sora-.*|0+")


IMAGE_FIELDS = word_set(
    "prompt model n size quality background output_format output_compression moderation stream partial_images user "
    "safety_identifier"
)
EDIT_FIELDS = IMAGE_FIELDS | {"input_fidelity"}
SPEECH_FIELDS = frozenset({"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"})
VOICES = word_set("alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar")
AUDIO_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
SECONDS_PER_CHARACTER = 0.01
# Output tokens of an image of one megapixel, by quality.
QUALITY_TOKENS = {"low": 272, "medium": 1056, "high": 4160, "xhigh": 6240, "max": 8320}
INPUT_IMAGE_TOKENS = 765
PIXELS_MAX = 3840 * 2160


Check = Callable[[dict[str, Any]], Response | None]


def rate_limited(message: str = "Rate limit reached for requests.", **headers: str) -> Response:
    """A 429 answer of the rate limit."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return problem(429, message, "rate_limit_exceeded", "requests", headers=named)


SAFETY = "Your request was rejected by the safety system. safety_violations=[violence]."
TOO_LONG = "This model's maximum context length is 128000 tokens. However, your messages resulted in 250000 tokens."
TOO_MANY_TOKENS = (
    "Request too large for gpt-4o in organization org-a1b2c3d4 on tokens per min (TPM): Limit 30000, Requested 50000."
)
QUOTA = "You exceeded your current quota, please check your plan and billing details."


TEXT_KINDS = frozenset({"text", "page"})
# What the Responses API answers with status 200.
RESPONSE_FAULTS = {
    "run:fail": Fault("transient", kinds=TEXT_KINDS),
    "run:limit": Fault("rate_limited", kinds=TEXT_KINDS),
    "run:flagged": Fault("moderated_billed", is_billed=True, kinds=TEXT_KINDS),
}


class OpenAISimulator(Simulator):
    """OpenAI, stood in for."""

    api_key_default = "sk-standin"
    base_path = "/v1"
    example_marker = "create:moderated"
    tried_with = (
        ("openai/gpt-image-2.5-flare", "image"),
        ("openai/gpt-5.4-nano", "text"),
        ("openai/gpt-5.4-mini", "page"),
        ("openai/tts-1", "audio"),
    )
    further_apis: ClassVar[dict[str, str]] = {"text": "chat"}
    refusals: ClassVar[dict[str, Refusal]] = {
        "400": Refusal(
            problem(400, "Invalid value: 'enormous'.", "invalid_value", param="size"),
            "invalid_input",
            row="bad parameters",
        ),
        "401": Refusal(
            problem(401, "Incorrect API key provided: sk-st***.", "invalid_api_key"), "auth", row="wrong key"
        ),
        "403": Refusal(problem(403, "Your organization must be verified to use this model.", None), "auth"),
        "404": Refusal(
            problem(404, "The model `gone` does not exist or you do not have access to it.", "model_not_found"),
            "model_gone",
            row="model gone",
        ),
        "429": Refusal(
            rate_limited("Rate limit reached for images per minute. Please try again in 20s."),
            "rate_limited",
            20,
            row="too many requests",
        ),
        "429-ms": Refusal(rate_limited(retry_after_ms="1500", retry_after="2"), "rate_limited", 2),
        "429-header": Refusal(rate_limited(retry_after="12"), "rate_limited", 12),
        "429-date": Refusal(lambda: rate_limited(retry_after=http_date_in(30)), "rate_limited", 30),
        "503": Refusal(
            problem(503, "The engine is currently overloaded, please try again later.", None, "server_error"),
            "capacity",
            row="out of service",
        ),
        "503-plain": Refusal(problem(503, "The service is unavailable.", None, "server_error"), "transient"),
        "quota": Refusal(
            problem(429, QUOTA, "insufficient_quota", "insufficient_quota"), "provider_billing", row="no money left"
        ),
        "exhausted": Refusal(
            problem(429, "Your credit balance is exhausted.", "credit_balance_exhausted", "billing_error"),
            "provider_billing",
        ),
        "billing": Refusal(
            problem(400, "Billing hard limit has been reached.", "billing_hard_limit_reached"), "provider_billing"
        ),
        "moderated": Refusal(
            problem(400, SAFETY, "moderation_blocked", "image_generation_user_error"),
            "moderated",
            row="refused for its content",
        ),
        "policy": Refusal(problem(400, "Your request violates our policies.", "content_policy_violation"), "moderated"),
        "long": Refusal(problem(400, TOO_LONG, "context_length_exceeded", param="messages"), "invalid_input"),
        "large": Refusal(problem(429, TOO_MANY_TOKENS, "rate_limit_exceeded", "tokens"), "invalid_input"),
        "error": Refusal(problem(200, "The server had an error.", "server_error", "server_error"), "transient"),
    }
    faults: ClassVar[dict[str, Fault]] = {
        **LOST_ANSWERS,
        # An empty answer to a speech request is an empty audio file.
        "create:empty": Fault(UNKNOWN, kinds=TEXT_KINDS | {"image"}, row="answer holds nothing"),
        # An empty audio file is billed by the characters that were to be spoken.
        "run:silent": Fault("transient", is_billed=None, row="taken, and nothing came"),
        "run:none": Fault("transient", is_billed=True, kinds=frozenset({"image"})),
        **RESPONSE_FAULTS,
    }

    def __init__(self, port: int = 0, **given: Any) -> None:
        super().__init__(port, **given)
        self.shutdown_dates: dict[str, str | None] = dict(MODELS)
        self.responses: dict[str, dict[str, Any]] = {}

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self.responses = {}

    def check_request(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "")
        if not key:
            return problem(401, "You didn't provide an API key.", None)
        if key != f"Bearer {self.api_key}":
            return problem(401, "Incorrect API key provided.", "invalid_api_key")
        return None

    def not_found(self, request: Request) -> Response:
        return problem(404, f"Invalid URL ({request.method} {request.path})", None)

    # ---- models and moderation ---------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        return [
            ("GET", r"/v1/models", self.list_models),
            ("GET", r"/v1/models/([\w.:-]+)", self.get_model),
            ("POST", r"/v1/moderations", self.moderate),
            ("POST", r"/v1/images/generations", self.generate),
            ("POST", r"/v1/images/edits", self.edit),
            ("POST", r"/v1/audio/speech", self.speak),
            ("POST", r"/v1/responses", self.respond),
            ("GET", r"/v1/responses/(\w+)", self.get_response),
            ("DELETE", r"/v1/responses/(\w+)", self.delete_response),
            ("POST", r"/v1/chat/completions", self.chat),
        ]

    def list_models(self, request: Request) -> Response:
        return Response(200, {"object": "list", "data": [self._model(name) for name in self.shutdown_dates]})

    def get_model(self, request: Request, name: str) -> Response:
        if name not in self.shutdown_dates:
            return problem(404, f"The model '{name}' does not exist", "model_not_found", param="model")
        return Response(200, self._model(name))

    def _model(self, name: str) -> dict[str, Any]:
        shutdown = self.shutdown_dates[name]
        return {"id": name, "object": "model", "created": 1700000000, "owned_by": "openai", "shutdown_date": shutdown}

    def moderate(self, request: Request) -> Response:
        body = request.json()
        moderated_input = body.get("input")
        if not moderated_input or body.keys() - {"input", "model"}:
            return problem(400, "Invalid value for 'input'.", "invalid_value", param="input")
        inputs = cast("list[object]", moderated_input if isinstance(moderated_input, list) else [moderated_input])
        markers = self.markers(inputs)
        refused = self.refusal_for(markers)
        if refused:
            return refused
        if not all(isinstance(each, str) for each in inputs):
            if sum("image_url" in str(each) for each in inputs) > 1:
                return problem(400, "Only one image is taken at a time.", "invalid_value", param="input")
            # An image and text in one request get one verdict.
            inputs = [inputs]
            markers = [marker.replace("moderation:picture-", "moderation:") for marker in markers]
        # The markers set through `behave` apply to each input.
        behaviour = markers[len(markers_in(inputs, self.name)) :]
        results = [_verdict(options_of([*markers_in(each, self.name), *behaviour], "moderation")) for each in inputs]
        content = {"id": f"modr-{secrets.token_hex(8)}", "model": "omni-moderation-latest", "results": results}
        return self.with_faults(markers, Response(200, content))

    # ---- images ------------------------------------------------------------------------------------------------------

    def generate(self, request: Request) -> Response:
        body = request.json()
        if request.content_type != "application/json" or not body:
            return problem(400, "We could not parse the JSON body of your request.")
        return self._image_response(body, 0, self.check_creation(body, IMAGE_FIELDS, _image_problem))

    def edit(self, request: Request) -> Response:
        if request.content_type != "multipart/form-data":
            return problem(400, "Expected multipart/form-data.", "invalid_content_type")
        body: dict[str, Any] = dict(request.fields())
        for name in ("n", "output_compression"):
            if re.fullmatch(r"\d+", body.get(name, "")):
                body[name] = int(body[name])
        images, masks = request.files("image", "image[]"), request.files("mask")
        markers = self.check_creation(body, EDIT_FIELDS, _image_problem)
        if not 1 <= len(images) <= 16:
            return problem(400, "Between 1 and 16 images are needed.", "invalid_image", param="image")
        try:
            sizes = [image_size_of(file.data) for file in [*images, *masks]]
        except OSError:
            return problem(400, "Invalid image file or mode for image 1.", "invalid_image_file", param="image")
        if masks and sizes[-1] != sizes[0]:
            return problem(400, "The mask must have the size of the image.", "invalid_mask", param="mask")
        return self._image_response({"size": "{}x{}".format(*sizes[0]), **body}, len(images), markers)

    def _image_response(self, body: dict[str, Any], shown: int, markers: list[str]) -> Response:
        self.stopping.wait(number_option(markers, "run", "slow", 0))
        size = body.get("size", "auto")
        width, height = (1024, 1024) if size == "auto" else (int(side) for side in size.split("x"))
        quality = body.get("quality", "auto").replace("auto", "medium")
        form = body.get("output_format", "png")
        count = 0 if EMPTY_RESULT & set(options_of(markers, "run")) else int(body.get("n") or 1)
        seed = secrets.token_hex(4)
        encoded_images = [
            base64.b64encode(sample_image(width, height, f"{seed}{place}", form)).decode() for place in range(count)
        ]

        times = number_option(markers, "usage", "times", 1)
        text_tokens, image_tokens = len(body["prompt"]) // 4 + 1, INPUT_IMAGE_TOKENS * shown
        output_tokens = round(QUALITY_TOKENS[quality] * max(width * height // 1024, 1) / 1024 * max(count, 1) * times)
        usage = {
            "input_tokens": text_tokens + image_tokens,
            "input_tokens_details": {"text_tokens": text_tokens, "image_tokens": image_tokens},
            "output_tokens": output_tokens,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": output_tokens},
            "total_tokens": text_tokens + image_tokens + output_tokens,
        }
        content = {
            "created": int(time.time()),
            "background": "opaque",
            "output_format": form,
            "quality": quality,
            "size": f"{width}x{height}",
            "data": [{"b64_json": data, "revised_prompt": None} for data in encoded_images],
            "usage": usage,
        }
        return self.with_faults(markers, Response(200, self.with_usage(content, markers)))

    # ---- speech ------------------------------------------------------------------------------------------------------

    def speak(self, request: Request) -> Response:
        body = request.json()
        markers = self.check_creation(body, SPEECH_FIELDS, _speech_problem, prompt_field="input")
        self.stopping.wait(number_option(markers, "run", "slow", 0))
        form = body.get("response_format", "mp3")
        seconds = max(len(body["input"]) * SECONDS_PER_CHARACTER / float(body.get("speed", 1)), 0.1)
        data = b"" if EMPTY_RESULT & set(options_of(markers, "run")) else sample_audio(seconds, form)
        return self.with_faults(markers, Response(200, data, {"content-type": AUDIO_TYPES[form]}))

    # ---- text --------------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        body = request.json()
        markers = self.check_creation(body, RESPONSE_FIELDS, response_problem, prompt_field="input")
        self.stopping.wait(number_option(markers, "run", "slow", 0))
        content = response_content(body, markers)
        with self.lock:
            self.responses[content["id"]] = content
        return self.with_faults(markers, Response(200, self.with_usage(content, markers)))

    def get_response(self, request: Request, name: str) -> Response:
        kept = self.responses.get(name)
        return Response(200, kept) if kept else problem(404, f"Response with id '{name}' not found.")

    def delete_response(self, request: Request, name: str) -> Response:
        with self.lock:
            known = self.responses.pop(name, None)
        if known is None:
            return problem(404, f"Response with id '{name}' not found.")
        return Response(200, {"id": name, "object": "response", "deleted": True})

    def chat(self, request: Request) -> Response:
        body = request.json()
        markers = self.check_creation(body, CHAT_FIELDS, chat_problem, prompt_field="messages")
        self.stopping.wait(number_option(markers, "run", "slow", 0))
        content = chat_content(body, markers)
        return self.with_faults(markers, Response(200, self.with_usage(content, markers)))

    def with_usage(self, content: dict[str, Any], markers: list[str]) -> dict[str, Any]:
        """The content with its usage, or without it when the markers ask for that."""
        is_silent = "none" in options_of(markers, "usage") or "silent" in options_of(markers, "run")
        return {**content, "usage": None} if is_silent else content

    # ---- refusals ----------------------------------------------------------------------------------------------------

    def check_creation(
        self, body: dict[str, Any], fields: frozenset[str], check: Check, prompt_field: str = "prompt"
    ) -> list[str]:
        """The markers of a valid creation; raises Refused for an invalid one. said: the field with the prompt."""
        unknown = sorted(body.keys() - fields)
        if unknown:
            raise RequestRefused(
                problem(400, f"Unknown parameter: '{unknown[0]}'.", "unknown_parameter", param=unknown[0])
            )
        for name in ("model", prompt_field):
            if not body.get(name):
                text = f"Missing required parameter: '{name}'."
                raise RequestRefused(problem(400, text, "missing_required_parameter", param=name))
        if RETIRED.fullmatch(str(body["model"])):
            text = f"The model `{body['model']}` does not exist or you do not have access to it."
            raise RequestRefused(problem(404, text, "model_not_found"))
        markers = self.markers(body[prompt_field])
        refusal = self.refusal_for(markers) or check(body)
        if refusal:
            raise RequestRefused(refusal)
        return markers


def _image_problem(body: dict[str, Any]) -> Response | None:
    choices = {
        "quality": {"auto", *QUALITY_TOKENS},
        "background": {"auto", "opaque", "transparent"},
        "output_format": {"png", "jpeg", "webp"},
        "moderation": {"auto", "low"},
        "input_fidelity": {"high", "low"},
    }
    for name, allowed in choices.items():
        if name in body and body[name] not in allowed:
            return invalid_value(name, body[name])
    if len(str(body["prompt"])) > 32_000:
        return invalid_value("prompt", "too long")
    if not isinstance(body.get("n", 1), int) or not 1 <= body.get("n", 1) <= 10:
        return invalid_value("n", body["n"])
    size = re.fullmatch(r"(\d+)x(\d+)", str(body.get("size", "16x16")))
    if body.get("size", "auto") != "auto":
        if size is None:
            return invalid_value("size", body["size"])
        width, height = int(size[1]), int(size[2])
        if width % 16 or height % 16 or not 1 / 3 <= width / height <= 3 or width * height > PIXELS_MAX:
            return invalid_value("size", body["size"])
    return None


def _speech_problem(body: dict[str, Any]) -> Response | None:
    if len(str(body["input"])) > 4096:
        return problem(400, "String too long: at most 4096 characters.", "string_above_max_length", param="input")
    voice = body.get("voice")
    if not (isinstance(voice, dict) and "id" in voice) and voice not in VOICES:
        return invalid_value("voice", voice)
    if body.get("response_format", "mp3") not in AUDIO_TYPES:
        return invalid_value("response_format", body["response_format"])
    if not 0.25 <= float(body.get("speed", 1)) <= 4:
        return invalid_value("speed", body["speed"])
    return None


def _verdict(options: list[str]) -> dict[str, Any]:
    names = word_set(
        "harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm "
        "self-harm/instructions self-harm/intent sexual sexual/minors violence violence/graphic"
    )
    found = {name for name in names if name.replace("/", "-") in options}
    found |= {"violence"} if "flagged" in options else set()
    return {
        "flagged": bool(found),
        "categories": {name: name in found for name in names},
        "category_scores": {name: 0.9 if name in found else 0.0 for name in names},
        "category_applied_input_types": {name: ["text"] for name in names},
    }


SIMULATOR = OpenAISimulator

if __name__ == "__main__":
    main(SIMULATOR, "openai")
