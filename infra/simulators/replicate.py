"""A simulator for Replicate's HTTP API: predictions, their list, cancellation, webhooks and result files, in memory.

    python -m infra.simulators.replicate --port 9100        # prints its URL, serves until it is stopped

It answers as Replicate documents (replicate.com/docs/reference/http), signs webhooks by Standard Webhooks, and returns
plain PNG files, or MP4 files for video models. Files can be uploaded. A model's input file must be a data URL, an
uploaded file or an HTTPS address, and required inputs must be present.

Markers in a prompt, besides those of `kit.server`:

    create:401 402 403 404 410 422 503   refused with that status, no work begins   create:gone   the version is gone
    create:429 429-header 429-body       refused; when to retry is in the text, the header, or a field of the body
    upload:503 lost                      an upload is refused, or gets no answer (through `behave` only)
    run:fail nsfw oom abort unfit        ends in that way        run:boot hang    never begins, never ends
    run:slow=SECONDS                     takes that long, with a progress bar in its logs
    output:none                          there is no file
    output:single fewer                  a string instead of a list; one image withheld by the safety check
    output:object                        an object that holds the file's URL among other values
    webhook:lost twice forged stale      never sent, sent twice, with a wrong signature, with an old timestamp
    webhook:early late=SECONDS           sent before the creation is answered; so long after the end

`POST /_simulator/webhooks/{prediction}` sends a webhook again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlencode

from infra.simulators.kit.faults import COMMON_FAULTS, number_option, options_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.samples import sample_png, sample_video
from infra.simulators.kit.server import ConnectionLost, RequestRefused, Route, Simulator, main

API_TOKEN = "r8_simulator_of_nobody"  # a password of nothing
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"the simulator signs with this key").decode()
PAGE = 100
FOREIGN_SECRET = "whsec_" + base64.b64encode(b"this is somebody else's key").decode()
PREDICT_SECONDS_PER_IMAGE = 1.75
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
GONE_VERSION = "0" * 64
BODY_FIELDS = frozenset({"version", "input", "webhook", "webhook_events_filter", "stream"})
EVENTS = frozenset({"start", "output", "logs", "completed"})
DATA_URL_BYTES_MAX = 256 * 1024
UPLOAD_SECONDS = 24 * 3600
PROGRESS_STEPS = 10
# Marker of a run → the model's error.
RUN_ERRORS = {
    "fail": "RuntimeError: the model fell over",
    "unfit": "ValueError: cannot identify image file '/tmp/in.png'",
    "nsfw": "NSFW content detected. Try running it again, or try a different prompt.",
    "oom": "CUDA out of memory. Tried to allocate 2.00 GiB",
}
THROTTLED = "Request was throttled."
NO_CREDIT_LEFT = "You have insufficient credit to run this model. Go to the billing page to purchase credit."


def problem(status: int, title: str, detail: str, retry_after: str | None = None, **fields: Any) -> Response:
    """An error in Replicate's format."""
    content = {"title": title, "detail": detail, "status": status, **fields}
    return Response(status, content, {"retry-after": retry_after} if retry_after else {})


NOT_FOUND = problem(404, "Not found", "The requested resource could not be found.")
INVALID_VERSION = problem(
    422,
    "Invalid version or not permitted",
    "The specified version does not exist (or perhaps you don't have permission to use it?)",
)


@dataclass(frozen=True)
class ModelKind:
    """A model. `files`: the input fields that hold files; `required`: those of them that must be given.
    `makes_video`: whether it outputs a video. `trigger`: a word that the prompt must contain."""

    name: str
    files: tuple[str, ...]
    required: tuple[str, ...]
    makes_video: bool
    trigger: str | None = None


SDXL = ModelKind("stability-ai/sdxl", ("image", "mask"), (), makes_video=False)
# Models other than SDXL, by the version that the catalogue names.
MODELS = {
    "ddfc2b08d209f9fa8c1eca692712918bd449f695dabb4a958da31802a9570fe4": ModelKind(
        "tencentarc/photomaker",
        ("input_image", "input_image2", "input_image3", "input_image4"),
        ("input_image",),
        makes_video=False,
        trigger="img",
    ),
    "3f0457e4619daac51203dedb472816fd4af51f3149fa7a9e0b5ffcf1b8172438": ModelKind(
        "stability-ai/stable-video-diffusion", ("input_image",), ("input_image",), makes_video=True
    ),
    "3aa3dac9353cc4d6bd62a8f95957bd844003b401ca4e4a9b33baa574c549d376": ModelKind(
        "cjwbw/sadtalker", ("source_image", "driven_audio"), ("source_image", "driven_audio"), makes_video=True
    ),
}


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file: its bytes, and its description in the API."""

    data: bytes
    shown: dict[str, Any]


@dataclass
class Prediction:
    """A prediction: its representation in the API (`shown`), and the simulator's own facts about it."""

    shown: dict[str, Any]
    markers: list[str]
    webhook: str | None
    events: frozenset[str]
    deadline: datetime | None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def id(self) -> str:
        return self.shown["id"]

    @property
    def makes_video(self) -> bool:
        return MODELS.get(self.shown["version"], SDXL).makes_video


class ReplicateSimulator(Simulator):
    """Replicate, stood in for. `webhook_secret`: what it signs webhooks with."""

    api_key_default = API_TOKEN
    example_marker = "webhook:lost"
    tried_with = (("replicate/sdxl", "image"),)
    faults: ClassVar[dict[str, str]] = {
        **COMMON_FAULTS,
        "bad parameters": "create:422",
        "made, then held back": "run:nsfw",
        "no money left": "create:402",
        "no capacity": "run:oom",
        "model gone": "create:gone",
        "fell over while running": "run:fail",
        "did not begin in time": "run:abort",
        "taken, and nothing came": "output:none",
        "gateway's 502": "create:500",
    }
    refusals: ClassVar[dict[str, Response | Callable[[], Response]]] = {
        "401": problem(401, "Unauthenticated", "You did not pass a valid authentication token"),
        "402": problem(402, "Insufficient credit", NO_CREDIT_LEFT),
        "403": problem(403, "Forbidden", "You do not have permission to do that."),
        "404": NOT_FOUND,
        "410": problem(410, "Gone", "This model is no longer available."),
        "422": problem(422, "Input validation failed", "- input.prompt: is too long\n", invalid_fields=[]),
        "429": problem(429, "Too many requests", f"{THROTTLED} Your rate limit resets in ~30s."),
        "429-header": problem(429, "Too many requests", THROTTLED, "12"),
        "429-body": Response(429, {"title": "Too many requests", "detail": THROTTLED, "status": 429, "retry_after": 5}),
        "503": problem(503, "Service unavailable", "The service is not available now."),
        "gone": INVALID_VERSION,
    }

    def __init__(self, port: int = 0, *, webhook_secret: str = WEBHOOK_SECRET, **options: Any) -> None:
        super().__init__(port, **options)
        self.webhook_secret = webhook_secret
        self.predictions: dict[str, Prediction] = {}
        self.files: dict[str, StoredFile] = {}

    @property
    def access(self) -> dict[str, str]:
        return {"api_token": self.api_key, "webhook_secret": self.webhook_secret}

    def reset(self) -> None:
        with self.lock:
            self._stop_predictions()
            self.predictions, self.files = {}, {}
        super().reset()

    def stop(self) -> None:
        with self.lock:
            self._stop_predictions()
        super().stop()

    def _stop_predictions(self) -> None:
        for prediction in self.predictions.values():
            prediction.stop.set()

    def check_request(self, request: Request) -> Response | None:
        if not request.path.startswith("/v1/") or request.headers.get("authorization") == f"Bearer {self.api_key}":
            return None
        return problem(401, "Unauthenticated", "You did not pass a valid authentication token")

    def not_found(self, request: Request) -> Response:
        return NOT_FOUND

    # ---- the API -----------------------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        return [
            ("POST", r"/v1/predictions", self.create),
            ("POST", r"/v1/(?:models|deployments)/[\w.-]+/[\w.-]+/predictions", self.create_official),
            ("GET", r"/v1/predictions", self.list_predictions),
            ("GET", r"/v1/predictions/(\w+)", self.get),
            ("POST", r"/v1/predictions/(\w+)/cancel", self.cancel),
            ("GET", r"/v1/models/[\w.-]+/[\w.-]+/versions/([0-9a-f]{64})", self.version),
            ("GET", r"/v1/webhooks/default/secret", self.secret),
            ("POST", r"/v1/files", self.upload),
            ("GET", r"/v1/files/(\w+)", self.get_file),
            ("GET", r"/v1/account", self.account),
        ]

    def create(self, request: Request) -> Response:
        try:
            return self._create(request, json.loads(request.body))
        except ValueError:
            return problem(400, "Bad request", "The body is not JSON.")

    def create_official(self, request: Request) -> Response:
        """A model that its owner keeps up to date, or a deployment, needs no version."""
        return self._create(request, {"version": "f" * 64, **request.json()})

    def _create(self, request: Request, body: Any) -> Response:
        problems = _validation_errors(body)
        if problems:
            detail = "".join(f"- {name}: {text}\n" for name, text in problems)
            fields = [{"type": "invalid", "field": name, "description": text} for name, text in problems]
            return problem(422, "Input validation failed", detail, invalid_fields=fields)
        markers = self.markers(body["input"].get("prompt", ""))
        version = re.fullmatch(r"(?:[\w.-]+/[\w.-]+:)?([0-9a-f]{64})", body["version"])
        if version is None or version[1] == GONE_VERSION:
            return INVALID_VERSION
        refused = self.refusal_for(markers)
        if refused:
            return refused

        prediction, created = self._start(body, markers, _duration(request.headers.get("cancel-after")))
        if "500" in options_of(markers, "create"):
            return problem(500, "Internal server error", "An unexpected error occurred.")
        answer = self.with_faults(markers, Response(201, created))
        waiting = re.fullmatch(r"wait(?:=(\d+))?", request.headers.get("prefer", ""))
        if waiting:
            prediction.stop.wait(min(int(waiting[1] or 60), 60))
            answer = Response(201, dict(prediction.shown))
        return answer

    def list_predictions(self, request: Request) -> Response:
        query = request.query
        after, before = query.get("created_after", ""), query.get("created_before", "9")
        with self.lock:
            newest = sorted(self.predictions.values(), key=lambda one: one.shown["created_at"], reverse=True)
            found = [
                dict(prediction.shown)
                for prediction in newest
                if _parse_time(after) <= _parse_time(prediction.shown["created_at"]) < _parse_time(before)
            ]
        start = int(query.get("cursor", 0))
        more = start + PAGE < len(found)
        following = f"{self.url}/v1/predictions?{urlencode({**query, 'cursor': start + PAGE})}"
        previous = f"{self.url}/v1/predictions?{urlencode({**query, 'cursor': max(start - PAGE, 0)})}"
        page = {
            "previous": previous if start else None,
            "next": following if more else None,
            "results": found[start : start + PAGE],
        }
        return Response(200, page)

    def get(self, request: Request, reference: str) -> Response:
        return Response(200, dict(self._known(reference).shown))

    def cancel(self, request: Request, reference: str) -> Response:
        prediction = self._known(reference)
        self.end(prediction, "canceled")
        return Response(200, dict(prediction.shown))

    def version(self, request: Request, version: str) -> Response:
        output = {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"}
        schema = {"openapi": "3.0.2", "components": {"schemas": {"Output": output}}}
        facts = {"id": version, "created_at": "2023-10-12T16:06:27Z", "cog_version": "0.8.6", "openapi_schema": schema}
        return Response(200, facts)

    def secret(self, request: Request) -> Response:
        return Response(200, {"key": self.webhook_secret})

    def account(self, request: Request) -> Response:
        facts = {"type": "organization", "username": "simulator", "name": "The simulator", "github_url": None}
        return Response(200, facts)

    def upload(self, request: Request) -> Response:
        options = self.take_options("upload")
        if "lost" in options:
            raise ConnectionLost
        if "503" in options:
            return problem(503, "Service unavailable", "The service is not available now.")
        files = request.files("content")
        if len(files) != 1:
            return problem(400, "Bad request", "Missing content")

        reference, now = _random_id(), datetime.now(UTC)
        digest = hashlib.sha256(files[0].data).hexdigest()
        shown = {
            "id": reference,
            "name": files[0].name,
            "content_type": files[0].content_type,
            "size": len(files[0].data),
            "etag": digest[:32],
            "checksums": {"sha256": digest},
            "metadata": {},
            "created_at": _format_time(now),
            "expires_at": _format_time(now + timedelta(seconds=UPLOAD_SECONDS)),
            "urls": {"get": f"{self.url}/v1/files/{reference}"},
        }
        with self.lock:
            self.files[reference] = StoredFile(files[0].data, shown)
        return Response(201, shown)

    def get_file(self, request: Request, reference: str) -> Response:
        stored = self.files.get(reference)
        return Response(200, stored.shown) if stored else NOT_FOUND

    def _known(self, reference: str) -> Prediction:
        """The prediction with this id. Raises RequestRefused."""
        prediction = self.predictions.get(reference)
        if prediction is None:
            raise RequestRefused(NOT_FOUND)
        return prediction

    # ---- the life of a prediction ------------------------------------------------------------------------------------

    def _start(
        self, body: dict[str, Any], markers: list[str], cancel_after: float | None
    ) -> tuple[Prediction, dict[str, Any]]:
        """Starts a prediction; returns it, and its representation from before it started."""
        reference = _random_id()
        now = datetime.now(UTC)
        deadline = now + timedelta(seconds=cancel_after) if cancel_after else None
        version = body["version"].rpartition(":")[2]
        shown = {
            "id": reference,
            "model": MODELS.get(version, SDXL).name,
            "version": version,
            "input": body["input"],
            "output": None,
            "logs": "",
            "error": None,
            "status": "starting",
            "created_at": _format_time(now),
            "started_at": None,
            "completed_at": None,
            "deadline": _format_time(deadline) if deadline else None,
            "data_removed": False,
            "metrics": {},
            "source": "api",
            "urls": {
                "get": f"{self.url}/v1/predictions/{reference}",
                "cancel": f"{self.url}/v1/predictions/{reference}/cancel",
                "web": f"{self.url}/p/{reference}",
            },
        }

        events = frozenset(body.get("webhook_events_filter") or EVENTS)
        prediction = Prediction(shown, markers, body.get("webhook"), events, deadline)
        created = dict(shown)
        with self.lock:
            self.predictions[reference] = prediction
        if "early" in options_of(markers, "webhook"):
            self._run(prediction)
        else:
            threading.Thread(target=self._run, args=(prediction,), daemon=True).start()
        return prediction, created

    def _run(self, prediction: Prediction) -> None:
        run = options_of(prediction.markers, "run")
        if "boot" in run or "abort" in run:
            self._wait(prediction, 0 if "abort" in run else 3600)
            if not prediction.stop.is_set():
                self.end(prediction, "aborted")
            return
        self._change(prediction, status="processing", started_at=_format_time(datetime.now(UTC)))
        self._notify(prediction, "start")
        seconds = 3600 if "hang" in run else number_option(prediction.markers, "run", "slow", self.run_seconds)
        for step in range(1, PROGRESS_STEPS + 1):
            if self._wait(prediction, seconds / PROGRESS_STEPS):
                return
            bar = f"{step * 10:3}%|{'#' * step}{' ' * (PROGRESS_STEPS - step)}| {step}/{PROGRESS_STEPS}\n"
            self._change(prediction, logs=prediction.shown["logs"] + bar)
        error = next((RUN_ERRORS[name] for name in run if name in RUN_ERRORS), None) or self._input_error(prediction)
        self.end(prediction, "failed" if error else "succeeded", error)

    def _input_error(self, prediction: Prediction) -> str | None:
        """The model's error about its input, found only when it starts; None when the input is right."""
        model_input = prediction.shown["input"]
        model = MODELS.get(prediction.shown["version"], SDXL)
        if model.trigger and not re.search(rf"\b{model.trigger}\b", str(model_input.get("prompt"))):
            return f"Cannot find the trigger word '{model.trigger}' in text prompt!"
        for name in model.files:
            url = str(model_input.get(name) or "")
            if url.startswith(f"{self.url}/v1/files/") and url.rpartition("/")[2] not in self.files:
                return f"The file of {name} could not be found."
        return None

    def _wait(self, prediction: Prediction, seconds: float) -> bool:
        """Waits; returns True when a cancellation or the deadline ended the prediction meanwhile."""
        if prediction.deadline:
            left = (prediction.deadline - datetime.now(UTC)).total_seconds()
            if left < seconds:
                if not prediction.stop.wait(max(left, 0)):
                    self.end(prediction, "canceled" if prediction.shown["started_at"] else "aborted")
                return True
        return prediction.stop.wait(seconds)

    def end(self, prediction: Prediction, status: str, error: str | None = None) -> bool:
        """Set a prediction's final state and send its webhook; returns False when it had already ended."""
        with self.lock:
            if prediction.shown["status"] in TERMINAL:
                return False
            now = datetime.now(UTC)
            images = int(prediction.shown["input"].get("num_outputs", 1))
            metrics = {
                "predict_time": PREDICT_SECONDS_PER_IMAGE * images,
                "total_time": PREDICT_SECONDS_PER_IMAGE * images + 0.5,
            }
            self._change(
                prediction,
                status=status,
                error=error,
                completed_at=_format_time(now),
                metrics=metrics if prediction.shown["started_at"] else {},
                output=self._output(prediction, images) if status == "succeeded" else None,
                data_removed="none" in options_of(prediction.markers, "output"),
            )
            prediction.stop.set()
        if "early" in options_of(prediction.markers, "webhook"):
            self._notify(prediction, "completed")
        else:
            threading.Thread(target=self._notify, args=(prediction, "completed"), daemon=True).start()
        return True

    def _change(self, prediction: Prediction, **fields: Any) -> None:
        with self.lock:
            if prediction.shown["status"] not in TERMINAL:
                prediction.shown |= fields

    def _output(self, prediction: Prediction, images: int) -> Any:
        options = options_of(prediction.markers, "output")
        if "none" in options:
            return None
        makes_video = prediction.makes_video
        count = 1 if makes_video else max(images - 1, 1) if "fewer" in options else images
        kind, suffix = ("video/mp4", "mp4") if makes_video else ("image/png", "png")
        files = [
            self.result_url(
                partial(_result_file, prediction, number), kind, suffix, prediction.markers, f"{prediction.id}-{number}"
            )
            for number in range(count)
        ]
        if "object" in options:
            return {"files": {"result": files[0]}, "seed": 7, "note": "done", "preview": None}
        return files[0] if makes_video or "single" in options else files

    # ---- webhooks ----------------------------------------------------------------------------------------------------

    def _notify(self, prediction: Prediction, event: str) -> None:
        options = options_of(prediction.markers, "webhook")
        if prediction.webhook is None or event not in prediction.events or "lost" in options:
            return
        if event == "completed":
            self.stopping.wait(number_option(prediction.markers, "webhook", "late", 0))
        self.send_prediction(prediction, repeat=2 if "twice" in options else 1)

    def send_prediction(self, prediction: Prediction, repeat: int = 1) -> None:
        """Send a prediction to its webhook: the same message `repeat` times, each retried when it is not accepted."""
        options = options_of(prediction.markers, "webhook")
        with self.lock:
            body = json.dumps(prediction.shown).encode()
        event_id = f"msg_{secrets.token_hex(12)}"

        def sign() -> dict[str, str]:
            sent_at = int(time.time()) - (3600 if "stale" in options else 0)
            secret = FOREIGN_SECRET if "forged" in options else self.webhook_secret
            return {
                "webhook-id": event_id,
                "webhook-timestamp": str(sent_at),
                "webhook-signature": signature(secret, event_id, sent_at, body),
            }

        for _ in range(repeat):
            self.send_webhook(prediction.webhook or "", body, sign, prediction=prediction.id, id=event_id)

    def serve_control(self, request: Request) -> Response | None:
        again = re.fullmatch(r"/_simulator/webhooks/(\w+)", request.path)
        if again and request.method == "POST" and again[1] in self.predictions:
            self.send_prediction(self.predictions[again[1]])
            return Response(200, {})
        return super().serve_control(request)


def signature(secret: str, event_id: str, sent_at: int, body: bytes) -> str:
    """The `webhook-signature` header of a message, by Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{event_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}"


def _result_file(prediction: Prediction, number: int) -> bytes:
    """The file with this number of a prediction's output."""
    model_input = prediction.shown["input"]
    seed = int(model_input.get("seed") or 0) + number
    if not prediction.makes_video:
        return sample_png(int(model_input.get("width", 1024)), int(model_input.get("height", 1024)), seed)
    frames = 25 if str(model_input.get("video_length")).startswith("25") else 14
    return sample_video(256, 256, frames / int(model_input.get("frames_per_second") or 7), seed)


def _random_id() -> str:
    return base64.b32encode(secrets.token_bytes(16)).decode().strip("=").lower()


def _validation_errors(body: Any) -> list[tuple[str, str]]:
    """Replicate's validation errors for a creation, as (field, reason)."""
    if not isinstance(body, dict):
        return [("", "an object is needed")]
    problems = [(name, "Additional property is not allowed") for name in body if name not in BODY_FIELDS]
    problems += [(name, f"{name} is required") for name in ("version", "input") if name not in body]

    model_input = body.get("input")
    if not isinstance(model_input, dict):
        return [*problems, ("input", "must be an object")]
    if not isinstance(body.get("version", ""), str):
        problems.append(("version", "must be a string"))
    webhook = body.get("webhook")
    if webhook is not None and not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", str(webhook)):
        problems.append(("webhook", "must be an HTTPS URL"))
    if not set(body.get("webhook_events_filter") or []) <= EVENTS:
        problems.append(("webhook_events_filter", "must hold start, output, logs or completed"))

    model = MODELS.get(str(body.get("version")).rpartition(":")[2], SDXL)
    problems += [(f"input.{name}", f"{name} is required") for name in model.required if not model_input.get(name)]
    for name in model.files:
        url = model_input.get(name)
        if url is not None and not re.match(r"data:[\w.+-]+/[\w.+-]+;base64,|https://|http://127\.0\.0\.1:", str(url)):
            problems.append((f"input.{name}", "Does not match format 'uri'"))
        elif str(url).startswith("data:") and len(str(url)) > DATA_URL_BYTES_MAX:
            problems.append((f"input.{name}", "a data URL may have 256 kB; upload larger files"))

    integers = {"width": (64, 4096), "height": (64, 4096), "num_outputs": (1, 4), "num_inference_steps": (1, 500)}
    for name, (least, most) in integers.items():
        value = model_input.get(name, least)
        if not isinstance(value, int) or not least <= value <= most:
            problems.append((f"input.{name}", f"must be an integer between {least} and {most}"))
    if not isinstance(model_input.get("prompt", ""), str):
        problems.append(("input.prompt", "must be a string"))
    return problems


def _duration(text: str | None) -> float | None:
    """Seconds of a duration such as `90s`, `5m`, `1h30m`, or a plain number of seconds; None for none."""
    if not text:
        return None
    units = {"s": 1, "m": 60, "h": 3600, "": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text))


def _format_time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _parse_time(text: str) -> datetime:
    if text in ("", "9"):
        return datetime.max.replace(tzinfo=UTC) if text else datetime.min.replace(tzinfo=UTC)
    return datetime.fromisoformat(text)


SIMULATOR = ReplicateSimulator

if __name__ == "__main__":
    main(SIMULATOR, "replicate")
