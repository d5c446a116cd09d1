"""A simulator for Stability's v2beta API: images, upscaling, audio, asynchronous results, the account's balance.

    python -m infra.simulators.stability --port 9103        # prints its URL, serves until it is stopped

It accepts only multipart bodies, answers with JSON or bytes, keeps an account's credits, and locks a key out for a
minute after more than 150 requests in ten seconds. Markers in a prompt, besides those of `kit.server`:

    create:400 401 402 403 413 422 503   refused with that status      create:moderated   403, for its content
    create:429 429-header 429-date       refused by the rate limit, without or with a hint when to retry
    create:failed                        status 500, in the API's own error format
    run:hang                             an asynchronous result that never comes
    run:fail moderated                   an asynchronous result that fails, or is refused for its content
    output:filtered none bad             status 200 with a blurred image; without an image; with invalid base64
    output:gone                          an asynchronous result that has expired

A service without a prompt gets its markers through `/_simulator/behave`.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from infra.simulators.kit.faults import (
    LOST_ANSWERS,
    UNKNOWN,
    Fault,
    Refusal,
    http_date_in,
    number_option,
    options_of,
)
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.samples import image_size_of, sample_audio, sample_image
from infra.simulators.kit.server import RequestRefused, Route, Simulator, main

RATIOS = {
    "21:9": (1536, 640),
    "16:9": (1344, 768),
    "3:2": (1216, 832),
    "5:4": (1088, 896),
    "1:1": (1024, 1024),
    "4:5": (896, 1088),
    "2:3": (832, 1216),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
CREDITS = {
    "ultra": 8.0,
    "core": 3.0,
    "sd3": 6.5,
    "fast": 2.0,
    "conservative": 40.0,
    "creative": 60.0,
    "text-to-audio": 20.0,
}
PICTURE_FORMATS, SOUND_FORMATS = ("png", "jpeg", "webp"), ("mp3", "wav")
UPSCALED_PIXELS_MAX = 4_194_304
# Upscaling is the kind whose results are polled.
ASYNCHRONOUS_KINDS = frozenset({"upscale"})
WINDOW_SECONDS, LOCKED_OUT_SECONDS = 10, 60


def problem(status: int, name: str, *errors: str, **headers: str) -> Response:
    """An error in Stability's format."""
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    return Response(status, {"id": secrets.token_hex(16), "name": name, "errors": list(errors)}, named)


def rate_limited(**headers: str) -> Response:
    """A 429 answer."""
    return problem(429, "rate_limit_exceeded", "You have exceeded the rate limit of 150 requests.", **headers)


NOT_FOUND = problem(404, "not_found", "The requested resource was not found.")
NO_CREDITS = problem(402, "payment_required", "You lack sufficient credits to make this request.")
MODERATED = problem(403, "content_moderation", "Your request was flagged by our content moderation system.")


@dataclass
class _AsyncResult:
    """An asynchronous result, which the client fetches later."""

    ready_at: float
    answer: Callable[[Request], Response]


class StabilitySimulator(Simulator):
    """Stability, stood in for. `credits`: what the account holds; `requests_max`: what it takes in ten seconds."""

    api_key_default = "sk-stability-standin"
    example_marker = "output:filtered"
    tried_with = (
        ("stability/core", "image"),
        ("stability/stable-audio-2.5", "audio"),
        ("stability/upscale-creative", "upscale"),
    )
    refusals: ClassVar[dict[str, Refusal]] = {
        "400": Refusal(problem(400, "bad_request", "prompt: cannot be blank"), "invalid_input", row="bad parameters"),
        "401": Refusal(problem(401, "unauthorized", "Your API key is not valid."), "auth", row="wrong key"),
        "402": Refusal(NO_CREDITS, "provider_billing", row="no money left"),
        "403": Refusal(problem(403, "permission_denied", "You lack the permission to do this."), "auth"),
        "moderated": Refusal(MODERATED, "moderated", row="refused for its content"),
        "404": Refusal(NOT_FOUND, "model_gone", row="model gone"),
        "413": Refusal(problem(413, "payload_too_large", "Your request was larger than 10MiB."), "invalid_input"),
        "422": Refusal(problem(422, "unprocessable_entity", "prompt: must be in English"), "invalid_input"),
        # A key is locked out for a minute, which the answer does not say.
        "429": Refusal(rate_limited(), "rate_limited", LOCKED_OUT_SECONDS, row="too many requests"),
        "429-header": Refusal(rate_limited(retry_after="12"), "rate_limited", 12),
        "429-date": Refusal(lambda: rate_limited(retry_after=http_date_in(30)), "rate_limited", 30),
        "failed": Refusal(problem(500, "internal_error", "An unexpected server error has occurred."), "transient"),
        "503": Refusal(
            Response(503, b"<html>unavailable</html>", {"content-type": "text/html"}), "transient", row="out of service"
        ),
    }
    faults: ClassVar[dict[str, Fault]] = {
        **LOST_ANSWERS,
        "create:empty": Fault(UNKNOWN),
        "output:none": Fault(UNKNOWN, row="answer holds nothing"),
        "output:bad": Fault(UNKNOWN),
        "output:filtered": Fault("moderated", row="made, then held back"),
        "output:gone": Fault("unknown_outcome", kinds=ASYNCHRONOUS_KINDS),
        "run:fail": Fault("invalid_input", kinds=ASYNCHRONOUS_KINDS),
        "run:moderated": Fault("moderated", kinds=ASYNCHRONOUS_KINDS),
    }

    def __init__(self, port: int = 0, *, credits: float = 1000.0, requests_max: int = 150, **given: Any) -> None:
        super().__init__(port, **given)
        self.credits, self._credits_at_first = credits, credits
        self.requests_max = requests_max
        self._results: dict[str, _AsyncResult] = {}
        self._recent: deque[float] = deque()
        self._locked_until = 0.0

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self.credits, self._results, self._locked_until = self._credits_at_first, {}, 0.0
            self._recent.clear()

    def check_request(self, request: Request) -> Response | None:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return problem(401, "unauthorized", "Your API key is not valid.")
        now = time.monotonic()
        with self.lock:
            while self._recent and self._recent[0] < now - WINDOW_SECONDS:
                self._recent.popleft()
            self._recent.append(now)
            if len(self._recent) > self.requests_max:
                self._locked_until = now + LOCKED_OUT_SECONDS
            return rate_limited() if now < self._locked_until else None

    def not_found(self, request: Request) -> Response:
        return NOT_FOUND

    def routes(self) -> list[Route]:
        return [
            ("GET", r"/v1/user/balance", self.balance),
            ("POST", r"/v2beta/stable-image/generate/(ultra|core|sd3)", self.generate),
            ("POST", r"/v2beta/stable-image/upscale/(fast|conservative)", self.upscale),
            ("POST", r"/v2beta/stable-image/upscale/(creative)", self.upscale_later),
            ("GET", r"/v2beta/results/(\w+)", self.result),
            ("POST", r"/v2beta/audio/stable-audio-2/(text-to-audio)", self.compose),
        ]

    def balance(self, request: Request) -> Response:
        return Response(200, {"credits": self.credits})

    def generate(self, request: Request, service: str) -> Response:
        fields, markers = self._check_creation(request, service, prompt_needed=True)
        ratio, files = fields.get("aspect_ratio", "1:1"), request.files("image")
        _require(ratio in RATIOS, f"aspect_ratio: must be one of {', '.join(RATIOS)}")
        _require(bool(files) == ("strength" in fields), "strength: is required when image is provided, and only then")
        size = _size(request) if files else RATIOS[ratio]
        form = _format(fields, PICTURE_FORMATS)
        self.stopping.wait(number_option(markers, "run", "slow", 0))
        return self._charged_response(
            request, service, markers, lambda seed: sample_image(*size, seed, form), f"image/{form}"
        )

    def upscale(self, request: Request, service: str) -> Response:
        fields, markers = self._check_creation(request, service, prompt_needed=service == "conservative")
        size, form = _upscaled(_size(request)), _format(fields, PICTURE_FORMATS)
        self.stopping.wait(number_option(markers, "run", "slow", 0))
        return self._charged_response(
            request, service, markers, lambda seed: sample_image(*size, seed, form), f"image/{form}"
        )

    def upscale_later(self, request: Request, service: str) -> Response:
        fields, markers = self._check_creation(request, service, prompt_needed=True)
        size, form, kind = _upscaled(_size(request)), _format(fields, PICTURE_FORMATS), options_of(markers, "run")
        reference = secrets.token_hex(32)
        seconds = 10**6 if "hang" in kind else number_option(markers, "run", "slow", self.run_seconds)

        def answer(question: Request) -> Response:
            if "moderated" in kind:
                return MODERATED
            if "fail" in kind:
                return problem(400, "bad_request", "image: could not be read")
            return self._result_response(
                question, fields, markers, lambda seed: sample_image(*size, seed, form), f"image/{form}", "result"
            )

        with self.lock:
            self._results[reference] = _AsyncResult(time.monotonic() + seconds, answer)
            if not {"fail", "moderated"} & set(kind) and "filtered" not in options_of(markers, "output"):
                self.credits -= CREDITS[service]
        return self.with_faults(markers, Response(200, {"id": reference}))

    def result(self, request: Request, reference: str) -> Response:
        later = self._results.get(reference)
        if later is None:
            return problem(404, "not_found", "id: not found or expired")
        if time.monotonic() < later.ready_at:
            return Response(202, {"id": reference, "status": "in-progress"})
        return later.answer(request)

    def compose(self, request: Request, service: str) -> Response:
        fields, markers = self._check_creation(request, service, prompt_needed=True)
        seconds, form = fields.get("duration", "190"), _format(fields, SOUND_FORMATS, "mp3")
        _require(re.fullmatch(r"\d{1,3}(\.\d+)?", seconds) is not None, "duration: must be a number")
        _require(1 <= float(seconds) <= 190, "duration: must be between 1 and 190")
        self.stopping.wait(number_option(markers, "run", "slow", 0))
        kind = {"mp3": "audio/mpeg", "wav": "audio/wav"}[form]
        return self._charged_response(
            request, service, markers, lambda _: sample_audio(float(seconds), form), kind, "audio"
        )

    # ---- shared by routes --------------------------------------------------------------------------------------------

    def _check_creation(
        self, request: Request, service: str, *, prompt_needed: bool
    ) -> tuple[dict[str, str], list[str]]:
        """The fields of a valid request, and its markers. Raises Refused."""
        _require(request.content_type == "multipart/form-data", "content-type: must be multipart/form-data")
        fields = request.fields()
        markers = self.markers(fields.get("prompt", ""))
        refused = self.refusal_for(markers)
        if refused:
            raise RequestRefused(refused)
        accepted = request.headers.get("accept", "*/*")
        _require(accepted in ("*/*", "application/json", "image/*", "audio/*"), "accept: not supported")
        _require(not prompt_needed or bool(fields.get("prompt")), "prompt: is required")
        _require(len(fields.get("prompt", "")) <= 10_000, "prompt: is too long")
        seed = fields.get("seed", "0")
        _require(seed.isdigit() and int(seed) <= 4294967294, "seed: must be between 0 and 4294967294")
        if self.credits < CREDITS[service]:
            raise RequestRefused(NO_CREDITS)
        return fields, markers

    def _charged_response(
        self,
        request: Request,
        service: str,
        markers: list[str],
        make: Callable[[str], bytes],
        content_type: str,
        name: str = "image",
    ) -> Response:
        answer = self._result_response(request, request.fields(), markers, make, content_type, name)
        if "filtered" not in options_of(markers, "output"):
            with self.lock:
                self.credits -= CREDITS[service]
        return self.with_faults(markers, answer)

    def _result_response(
        self,
        request: Request,
        fields: dict[str, str],
        markers: list[str],
        make: Callable[[str], bytes],
        content_type: str,
        name: str,
    ) -> Response:
        """The answer with a result in the requested form: base64 in JSON, or bytes."""
        output = options_of(markers, "output")
        if "gone" in output:
            return problem(404, "not_found", "id: not found or expired")

        seed = fields.get("seed", "0")
        if seed == "0":
            seed = str(secrets.randbelow(4294967294) + 1)
        reason = "CONTENT_FILTERED" if "filtered" in output else "SUCCESS"
        data = make("blurred" if reason == "CONTENT_FILTERED" else seed)

        if request.headers.get("accept") != "application/json":
            headers = {"content-type": content_type, "finish-reason": reason, "seed": seed}
            return Response(200, data, {**headers, "x-request-id": secrets.token_hex(16)})
        encoded = "not base64!" if "bad" in output else base64.b64encode(data).decode()
        content: dict[str, Any] = {name: encoded, "finish_reason": reason, "seed": int(seed)}
        if "none" in output:
            del content[name]
        return Response(200, content, {"x-request-id": secrets.token_hex(16)})


def _require(is_right: bool, error: str) -> None:
    if not is_right:
        raise RequestRefused(problem(400, "bad_request", error))


def _format(fields: dict[str, str], offered: tuple[str, ...], otherwise: str = "png") -> str:
    form = fields.get("output_format", otherwise)
    _require(form in offered, f"output_format: must be one of {', '.join(offered)}")
    return form


def _size(request: Request) -> tuple[int, int]:
    files = request.files("image")
    _require(len(files) == 1, "image: is required")
    try:
        return image_size_of(files[0].data)
    except OSError as error:
        raise RequestRefused(problem(400, "bad_request", "image: could not be read")) from error


def _upscaled(size: tuple[int, int]) -> tuple[int, int]:
    times = min(4.0, (UPSCALED_PIXELS_MAX / (size[0] * size[1])) ** 0.5)
    return max(int(size[0] * times), 1), max(int(size[1] * times), 1)


SIMULATOR = StabilitySimulator

if __name__ == "__main__":
    main(SIMULATOR, "stability")
