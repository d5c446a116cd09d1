"""A simulator for xAI's HTTP API: text, image generation and edits, videos, and the permissions of a key.

    python -m infra.simulators.xai --port 9102        # prints its URL, serves until it is stopped

It answers as xAI documents (docs.x.ai), with the exact cost of each request in ticks (10^10 to the dollar), and returns
plain PNG files and short MP4 videos. Markers besides those of `kit.server` and those for text in `openai`:

    create:400 401 403 404 422 503 key envelope   refused; `key`: the 400 of a wrong key; `envelope`: in OpenAI's format
    create:429 429-ms 429-header 429-date         refused by the rate limit
    create:credits limit                          the team has no money left
    create:moderated guidelines                   refused by the safety check
    run:hang                 a video that is never ready
    run:fail moderated expired       a video that ends in that way, with status 200
    run:blocked some none    results made but withheld: all of them, or the last image; `none`: an empty list
    run:nowhere              a video that is ready and has no URL
    cost:none zero times=N   the cost is left out, is zero, or is N times too high
"""

from __future__ import annotations

import base64
import math
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from infra.simulators._openai_text import EMPTY_RESULT
from infra.simulators.kit.faults import LOST_ANSWERS, Fault, Refusal, http_date_in, number_option, options_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.samples import image_size_of, sample_png, sample_video
from infra.simulators.kit.server import RequestRefused, Route, main
from infra.simulators.openai import OpenAISimulator

TICKS_PER_USD = 10**10
IMAGE_TICKS = {"1k": TICKS_PER_USD * 2 // 100, "2k": TICKS_PER_USD * 7 // 100}
VIDEO_SECOND_TICKS = {"480p": TICKS_PER_USD * 5 // 100, "720p": TICKS_PER_USD * 7 // 100, "1080p": TICKS_PER_USD // 4}
INPUT_IMAGE_TICKS = TICKS_PER_USD * 2 // 1000
# The cost of one token. It is not a whole number of micro-USD, so that rounding errors would show.
TOKEN_TICKS = 12_345
VIDEO_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
IMAGE_RATIOS = (*VIDEO_RATIOS, "9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1")
IMAGE_FIELDS = frozenset({"model", "prompt", "n", "aspect_ratio", "resolution", "quality", "response_format", "user"})
VIDEO_FIELDS = frozenset(
    {
        *("model", "prompt", "duration", "aspect_ratio", "resolution", "image", "reference_images"),
        *("reference_audios", "generate_audio", "storage_options", "user"),
    }
)
SHORT_SIDES = {"480p": 480, "720p": 720, "1080p": 1080}
LONG_SIDES = {"1k": 1024, "2k": 2048}


def problem(status: int, code: str, error: str, **headers: str) -> Response:
    """An error in xAI's format: two sentences."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"code": code, "error": error}, named)


INVALID = "Client specified an invalid argument"
EXHAUSTED = "Some resource has been exhausted"
FORBIDDEN = "The caller does not have permission to execute the specified operation"
NOT_FOUND = "Some requested entity was not found"
NO_CREDIT_LEFT = "Your team has either used all available credits or reached its monthly spending limit."
NO_KEY = problem(401, "Unauthenticated", "No credentials were given.")
# xAI documents a 400, not a 401, for a wrong key.
WRONG_KEY = problem(400, INVALID, "Incorrect API key provided: xa***in. You can obtain one from the console.")
INVALID_IN_OPENAI_FORMAT = Response(
    400, {"error": {"message": "Invalid n.", "type": "invalid_request_error", "param": "n", "code": None}}
)


@dataclass
class VideoJob:
    """A requested video."""

    body: dict[str, Any]
    markers: list[str]
    begun_at: float
    seconds: float
    url: str | None


class XAISimulator(OpenAISimulator):
    """xAI, stood in for."""

    api_key_default = "xai-standin"
    base_path = "/v1"
    example_marker = "create:credits"
    tried_with = (
        ("xai/grok-imagine-image", "image"),
        ("xai/grok-4.3", "text"),
        ("xai/grok-imagine-video", "video"),
    )
    refusals: ClassVar[dict[str, Refusal]] = {
        "400": Refusal(problem(400, INVALID, "Invalid aspect ratio."), "invalid_input"),
        "401": Refusal(NO_KEY, "auth", row="wrong key"),
        "403": Refusal(problem(403, FORBIDDEN, "Your API key may not use this model."), "auth"),
        "404": Refusal(
            problem(404, NOT_FOUND, "The model gone does not exist or is not yours."), "model_gone", row="model gone"
        ),
        "422": Refusal(
            problem(422, INVALID, "Failed to deserialize the JSON body."), "invalid_input", row="bad parameters"
        ),
        "429": Refusal(
            problem(429, EXHAUSTED, "Too many requests per second."), "rate_limited", row="too many requests"
        ),
        "429-ms": Refusal(problem(429, EXHAUSTED, "Too many requests.", retry_after_ms="1500"), "rate_limited", 2),
        "429-header": Refusal(problem(429, EXHAUSTED, "Too many requests.", retry_after="12"), "rate_limited", 12),
        "429-date": Refusal(
            lambda: problem(429, EXHAUSTED, "Too many requests.", retry_after=http_date_in(30)), "rate_limited", 30
        ),
        "503": Refusal(
            problem(503, "The service is currently unavailable", "The model is at capacity. Please try again later."),
            "capacity",
            row="out of service",
        ),
        "key": Refusal(WRONG_KEY, "auth"),
        "envelope": Refusal(INVALID_IN_OPENAI_FORMAT, "invalid_input"),
        "credits": Refusal(
            problem(403, FORBIDDEN, "Your newly created team doesn't have any credits or licenses yet."),
            "provider_billing",
            row="no money left",
        ),
        "limit": Refusal(problem(429, EXHAUSTED, NO_CREDIT_LEFT), "provider_billing"),
        "moderated": Refusal(
            problem(400, INVALID, "The prompt was rejected by content moderation."),
            "moderated",
            row="refused for its content",
        ),
        "guidelines": Refusal(
            problem(403, FORBIDDEN, "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_VIOLENCE"),
            "moderated",
        ),
    }
    faults: ClassVar[dict[str, Fault]] = {
        **LOST_ANSWERS,
        "run:silent": Fault("transient", kinds=frozenset({"image", "text"}), row="taken, and nothing came"),
        "run:blocked": Fault(
            "moderated_billed", is_billed=True, kinds=frozenset({"image", "video"}), row="made, then held back"
        ),
        "run:none": Fault("moderated_billed", is_billed=True, kinds=frozenset({"image"})),
        "run:fail": Fault("transient", kinds=frozenset({"text", "video"})),
        "run:moderated": Fault("moderated", kinds=frozenset({"video"})),
        "run:expired": Fault("timeout_started", kinds=frozenset({"video"})),
        "run:nowhere": Fault("transient", is_billed=True, kinds=frozenset({"video"})),
    }

    def __init__(self, port: int = 0, **given: Any) -> None:
        super().__init__(port, **given)
        self.films: dict[str, VideoJob] = {}
        self.key_facts: dict[str, Any] = {"api_key_blocked": False, "api_key_disabled": False, "team_blocked": False}

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self.films = {}

    def check_request(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "")
        if not key:
            return NO_KEY
        return None if key == f"Bearer {self.api_key}" else WRONG_KEY

    def not_found(self, request: Request) -> Response:
        return problem(404, NOT_FOUND, f"There is no {request.path}.")

    # Routes of OpenAI's API that xAI does not have.
    speak = moderate = get_model = None

    # ---- the account -------------------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        return [
            ("GET", r"/v1/models", self.list_models),
            ("GET", r"/v1/api-key", self.get_api_key),
            ("POST", r"/v1/images/generations", self.generate),
            ("POST", r"/v1/images/edits", self.edit),
            ("POST", r"/v1/videos/generations", self.create_video),
            ("GET", r"/v1/videos/([\w-]+)", self.get_video),
            *super().routes(),
        ]

    def list_models(self, request: Request) -> Response:
        names = ("grok-4.6", "grok-4.3", "grok-imagine-image", "grok-imagine-image-2.0", "grok-imagine-video")
        models = [{"id": name, "object": "model", "created": 1700000000, "owned_by": "xai"} for name in names]
        return Response(200, {"object": "list", "data": models})

    def get_api_key(self, request: Request) -> Response:
        facts = {"redacted_api_key": "xai-...din", "name": "simulator", "acls": ["api-key:model:*"], **self.key_facts}
        return Response(200, facts)

    # ---- images ------------------------------------------------------------------------------------------------------

    def generate(self, request: Request) -> Response:
        body = request.json()
        return self._image_list_response(body, self._check_creation(body, IMAGE_FIELDS, _image_problem), 0)

    def edit(self, request: Request) -> Response:
        if request.content_type != "application/json":
            return problem(415, INVALID, "Expected request with Content-Type: application/json")
        body = request.json()
        markers = self._check_creation(body, IMAGE_FIELDS | {"image", "images"}, _image_problem)
        input_images = body.get("images") or [body.get("image")]
        if not all(_is_image(one) for one in input_images):
            return problem(400, INVALID, "The image could not be read.")
        ratio = _aspect_ratio_of(input_images[0]) if len(input_images) == 1 else None
        return self._image_list_response({"aspect_ratio": ratio, **body} if ratio else body, markers, len(input_images))

    def _image_list_response(self, body: dict[str, Any], markers: list[str], input_images: int) -> Response:
        self.stopping.wait(number_option(markers, "run", "slow", 0))
        run = options_of(markers, "run")
        count, resolution = int(body.get("n", 1)), body.get("resolution", "1k")
        width, height = _size(body.get("aspect_ratio", "1:1"), long=LONG_SIDES[resolution])
        seed = secrets.token_hex(4)
        images: list[dict[str, Any]] = []
        for place in range(0 if EMPTY_RESULT & set(run) else count):
            if "blocked" in run or ("some" in run and place == count - 1):
                images.append({"respect_moderation": False, "revised_prompt": ""})
                continue

            def make(place: int = place) -> bytes:
                return sample_png(width, height, f"{seed}{place}")

            shown = {"respect_moderation": True, "revised_prompt": ""}
            if body.get("response_format", "url") == "url":
                shown["url"] = self.result_url(make, "image/png", "png", markers)
            else:
                shown["b64_json"] = base64.b64encode(make()).decode()
            images.append(shown)
        ticks = IMAGE_TICKS[resolution] * count + INPUT_IMAGE_TICKS * input_images
        return self.with_faults(markers, Response(200, self.with_usage({"data": images, "usage": {}}, markers, ticks)))

    # ---- videos ------------------------------------------------------------------------------------------------------

    def create_video(self, request: Request) -> Response:
        body = request.json()
        markers = self._check_creation(body, VIDEO_FIELDS, _video_problem)
        input_images = [body["image"]] if "image" in body else body.get("reference_images", [])
        if not all(_is_image(one) for one in input_images):
            return problem(400, INVALID, "The image could not be read.")
        name = secrets.token_hex(16)
        image_ratio = _aspect_ratio_of(body["image"]) if "image" in body else None
        size = _size(body.get("aspect_ratio", image_ratio or "16:9"), short=SHORT_SIDES[body.get("resolution", "480p")])
        url = self.result_url(
            lambda: sample_video(*size, int(body.get("duration", 8)), name), "video/mp4", "mp4", markers
        )
        seconds = number_option(markers, "run", "slow", self.run_seconds)
        with self.lock:
            self.films[name] = VideoJob(body, markers, time.monotonic(), seconds, url)
        return self.with_faults(markers, Response(200, {"request_id": name}))

    def get_video(self, request: Request, name: str) -> Response:
        video = self.films.get(name)
        if video is None:
            return problem(404, NOT_FOUND, "There is no such video.")
        run, body = options_of(video.markers, "run"), video.body
        share = (time.monotonic() - video.begun_at) / max(video.seconds, 0.001)
        if share < 1 or "hang" in run:
            return Response(202, {"status": "pending", "progress": min(int(share * 100), 99), "model": body["model"]})
        if "fail" in run:
            return Response(200, {"status": "failed", "error": {"code": "internal_error", "message": "It fell over."}})
        if "moderated" in run:
            error = {"code": "content_policy", "message": "The input was rejected by content moderation."}
            return Response(200, {"status": "failed", "error": error})
        if "expired" in run:
            return Response(200, {"status": "expired"})
        seconds, resolution = int(body.get("duration", 8)), body.get("resolution", "480p")
        ticks = VIDEO_SECOND_TICKS[resolution] * seconds + (INPUT_IMAGE_TICKS if "image" in body else 0)
        shown: dict[str, Any] = {"duration": seconds, "respect_moderation": "blocked" not in run}
        if not {"blocked", "nowhere"} & set(run):
            shown["url"] = video.url
        content = {"status": "done", "progress": 100, "model": body["model"], "video": shown, "usage": {}}
        return Response(200, self.with_usage(content, video.markers, ticks))

    # ---- shared by all routes ----------------------------------------------------------------------------------------

    def with_usage(self, content: dict[str, Any], markers: list[str], ticks: int | None = None) -> dict[str, Any]:
        cost, usage = options_of(markers, "cost"), dict(content.get("usage") or {})
        if "none" in options_of(markers, "usage") or "silent" in options_of(markers, "run"):
            return {**content, "usage": None}
        if "none" in cost:
            return {**content, "usage": usage or None}
        if ticks is None:
            ticks = int(usage.get("total_tokens", 0)) * TOKEN_TICKS
        usage["cost_in_usd_ticks"] = 0 if "zero" in cost else round(ticks * number_option(markers, "cost", "times", 1))
        return {**content, "usage": usage}

    def _check_creation(self, body: dict[str, Any], fields: frozenset[str], problem_of: Any) -> list[str]:
        try:
            return self.check_creation(body, fields, problem_of)
        except RequestRefused as refused:
            error = refused.answer.content.get("error") if isinstance(refused.answer.content, dict) else None
            if isinstance(error, dict) and refused.answer is not INVALID_IN_OPENAI_FORMAT:
                # The inherited refusal is in OpenAI's format; xAI has its own.
                code = NOT_FOUND if refused.answer.status == 404 else INVALID
                raise RequestRefused(problem(refused.answer.status, code, str(error["message"]))) from refused
            raise


def _invalid_value(name: str, value: object) -> Response:
    return problem(400, INVALID, f"Invalid {name}: {value}.")


def _image_problem(body: dict[str, Any]) -> Response | None:
    choices = {
        "aspect_ratio": IMAGE_RATIOS,
        "resolution": ("1k", "2k"),
        "quality": ("low", "medium"),
        "response_format": ("url", "b64_json"),
    }
    for name, allowed in choices.items():
        if name in body and body[name] not in allowed:
            return _invalid_value(name, body[name])
    return None if isinstance(body.get("n", 1), int) and 1 <= body.get("n", 1) <= 10 else _invalid_value("n", body["n"])


def _video_problem(body: dict[str, Any]) -> Response | None:
    for name, allowed in (("aspect_ratio", VIDEO_RATIOS), ("resolution", tuple(SHORT_SIDES))):
        if name in body and body[name] not in allowed:
            return _invalid_value(name, body[name])
    seconds = body.get("duration", 8)
    return None if isinstance(seconds, int) and 1 <= seconds <= 15 else _invalid_value("duration", seconds)


def _is_image(reference: Any) -> bool:
    """Whether it is an HTTP URL, or a data URL with a readable image."""
    url = reference.get("url", "") if isinstance(reference, dict) else ""
    if not url.startswith("data:"):
        return bool(re.match(r"https?://", url))
    try:
        image_size_of(base64.b64decode(url.partition(",")[2]))
    except (OSError, ValueError):
        return False
    return True


def _aspect_ratio_of(reference: Any) -> str | None:
    """The aspect ratio of an image in a data URL, None for another URL. Without an explicit ratio, the result gets the
    input's."""
    url = reference.get("url", "") if isinstance(reference, dict) else ""
    if not url.startswith("data:"):
        return None
    width, height = image_size_of(base64.b64decode(url.partition(",")[2]))
    return f"{width}:{height}"


def _size(ratio: str, *, long: int = 0, short: int = 0) -> tuple[int, int]:
    """Width and height, both even, from an aspect ratio and the length of the long or the short side."""
    across, down = (float(side) for side in ratio.split(":"))
    unit = long / max(across, down) if long else short / min(across, down)
    return math.floor(across * unit / 2) * 2, math.floor(down * unit / 2) * 2


SIMULATOR = XAISimulator

if __name__ == "__main__":
    main(SIMULATOR, "xai")
