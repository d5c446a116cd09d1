"""A simulator for fal's queue: requests, their status, result and cancellation, signed webhooks, public signing keys.

    python -m infra.simulators.fal --port 9104        # prints its URL, serves until it is stopped

The queue's host and the REST host are the same here. It runs an app of any name: an app with `video` in its name (or of
a known family of video models) returns an MP4, one with `audio` or `speech` a WAV, every other PNG images. Markers in a
prompt, besides those of `kit.server` and `kit.queue`:

    create:401 402 403 404 422 503       refused      create:locked    the account has no money left
    create:429 429-header 429-ms 429-date    refused by the rate limit, without or with a hint when to retry
    urls:foreign odd                     the request's URLs are on another host, or of another form
    run:queue hang                       never begins, never ends
    run:policy policy-late               a model's refusal, before it ran, or after
    run:invalid empty crash down slowdown    a model's errors: invalid input, no_media_generated, internal_server_error,
                                         downstream_service_unavailable, generation_timeout
    run:retryable text                   a 422 that may be retried; an error that is only a sentence
    run:ERROR_TYPE                       one of the platform's own errors (runner_disconnected, startup_timeout …)
    output:none nsfw fewer inline        no files; all blacked out; one of them blacked out; a data URL
    webhook:forged stale                 with a wrong signature, with an old timestamp
    webhook:foreign other large          of another account, about another request, without its payload

`rotate()` changes the signing key; `expire()` forgets finished requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.simulators.kit.faults import LOST_ANSWERS, Fault, Refusal, http_date_in, number_option, options_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.queue import PROGRESS_STEPS, QueuedJob, QueueSimulator, progress_bar
from infra.simulators.kit.samples import sample_image, sample_video, sample_wav
from infra.simulators.kit.server import Route, main

USER_ID = "simulator-user"
OTHER_USER_ID = "somebody-else"
APP = r"(?:(?:workflows|comfy)/)?[\w.-]+/[\w.-]+"
VIDEO_APPS = re.compile(r"video|kling|wan-|veo|hailuo|luma|minimax|ltx|pixverse|seedance")
AUDIO_APPS = re.compile(r"audio|speech|tts|music")
GONE_OWNER = "gone"
INFERENCE_SECONDS_EACH = 1.25
NAMED_SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
# The platform's own errors and their statuses; each is also a `run:` marker.
PLATFORM_ERRORS = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "client_disconnected": 499,
    "client_cancelled": 499,
    "bad_request": 400,
    "internal_error": 500,
}
# Marker → status, type, whether the request may be retried.
MODEL_ERRORS = {
    "policy": (422, "content_policy_violation", False),
    "policy-late": (422, "content_policy_violation", False),
    "invalid": (422, "image_too_large", False),
    "empty": (422, "no_media_generated", False),
    "crash": (500, "internal_server_error", True),
    "down": (500, "downstream_service_unavailable", True),
    "slowdown": (504, "generation_timeout", True),
    "retryable": (422, "file_download_error", True),
}
# The errors that occur before the model has run, so that nothing is charged.
ERRORS_BEFORE_START = frozenset({"policy", "invalid", "retryable", "text"})


def queue_error(status: int, detail: str, **headers: str) -> Response:
    """An error of the queue itself."""
    return Response(status, {"detail": detail}, {name.replace("_", "-"): value for name, value in headers.items()})


LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."


@dataclass(kw_only=True)
class QueuedRequest(QueuedJob):
    """A request in the queue: the model's input, its status, and at the end the API's answer with its result."""

    app: str
    model_input: dict[str, Any]
    begin_seconds_max: float
    status: str = "IN_QUEUE"
    logs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    error: dict[str, str] = field(default_factory=dict[str, str])
    result: Response = field(default_factory=Response)


class FalSimulator(QueueSimulator[QueuedRequest]):
    """fal, stood in for. `user_id`: the account that its webhooks name."""

    api_key_default = "simulator-id:simulator-secret"
    example_marker = "run:policy-late"
    tried_with = (
        ("fal/flux-schnell", "image"),
        ("fal/wan-2.5", "video"),
    )
    refusals: ClassVar[dict[str, Refusal]] = {
        "401": Refusal(
            queue_error(401, "Authentication is required to access this application."), "auth", row="wrong key"
        ),
        "402": Refusal(queue_error(402, "Payment required."), "provider_billing"),
        "403": Refusal(queue_error(403, "Access to this application is forbidden."), "auth"),
        "locked": Refusal(queue_error(403, LOCKED), "provider_billing", row="no money left"),
        "404": Refusal(queue_error(404, "Application 'nothing' not found"), "model_gone", row="model gone"),
        "422": Refusal(
            Response(422, {"detail": [{"loc": ["body"], "msg": "Invalid request", "type": "value_error"}]}),
            "invalid_input",
            row="bad parameters",
        ),
        "429": Refusal(queue_error(429, "Queue is full"), "rate_limited", row="too many requests"),
        "429-header": Refusal(queue_error(429, "Queue is full", retry_after="12"), "rate_limited", 12),
        "429-ms": Refusal(queue_error(429, "Queue is full", retry_after_ms="1500"), "rate_limited", 2),
        "429-date": Refusal(
            lambda: queue_error(429, "Queue is full", retry_after=http_date_in(30)), "rate_limited", 30
        ),
        "503": Refusal(queue_error(503, "Service unavailable"), "transient", row="out of service"),
    }
    faults: ClassVar[dict[str, Fault]] = {
        **LOST_ANSWERS,
        "run:policy": Fault("moderated", row="refused for its content"),
        "run:policy-late": Fault("moderated_billed", is_billed=True, row="made, then held back"),
        "run:invalid": Fault("invalid_input"),
        "run:text": Fault("invalid_input"),
        "run:retryable": Fault("transient"),
        "run:empty": Fault("transient", is_billed=True),
        "run:crash": Fault("transient", is_billed=True, row="fell over while running"),
        "run:down": Fault("capacity", is_billed=True, row="no capacity"),
        "run:slowdown": Fault("timeout_started", is_billed=True, row="did not end in time"),
        "run:startup_timeout": Fault("timeout_unstarted", row="did not begin in time"),
        "run:runner_scheduling_failure": Fault("capacity"),
        "run:runner_disconnected": Fault("transient"),
        "run:runner_incomplete_response": Fault("transient"),
        "run:internal_error": Fault("transient"),
        "run:bad_request": Fault("invalid_input"),
        "output:none": Fault("transient", is_billed=True, row="taken, and nothing came"),
        "output:nsfw": Fault("moderated_billed", is_billed=True, kinds=frozenset({"image"})),
    }

    def __init__(self, port: int = 0, *, user_id: str = USER_ID, **given: Any) -> None:
        super().__init__(port, **given)
        self.user_id = user_id
        self._seed = hashlib.sha256(b"the simulator signs with this key").digest()

    @property
    def requests(self) -> dict[str, QueuedRequest]:
        return self.jobs

    @property
    def access(self) -> dict[str, str]:
        return {**super().access, "user_id": self.user_id}

    def rotate(self) -> None:
        """Sign with a new key; the old one is no longer published."""
        self._seed = secrets.token_bytes(32)

    def expire(self) -> None:
        """Forget the requests that have ended."""
        with self.lock:
            self.jobs = {name: one for name, one in self.jobs.items() if one.status != "COMPLETED"}

    def check_request(self, request: Request) -> Response | None:
        if request.path == "/.well-known/jwks.json" or request.headers.get("authorization") == f"Key {self.api_key}":
            return None
        return queue_error(401, "Authentication is required to access this application.")

    def not_found(self, request: Request) -> Response:
        return queue_error(404, "Not Found")

    # ---- the API -----------------------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        return [
            ("GET", r"/\.well-known/jwks\.json", self.keys),
            ("POST", r"/storage/auth/token", self.upload_token),
            ("GET", rf"/({APP})/requests/([\w-]+)/status", self.status),
            ("PUT", rf"/({APP})/requests/([\w-]+)/cancel", self.cancel),
            ("GET", rf"/({APP})/requests/([\w-]+)", self.response),
            ("POST", rf"/((?!storage/){APP}(?:/[\w.-]+)*)", self.submit),
        ]

    def keys(self, request: Request) -> Response:
        return Response(
            200,
            {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": _public_key_text(_private_key(self._seed))}]},
        )

    def upload_token(self, request: Request) -> Response:
        return Response(200, {"token": "t", "token_type": "Bearer", "base_url": self.url, "expires_at": "2030-01-01"})

    def status(self, request: Request, app: str, name: str) -> Response:
        queued = self._known(app, name)
        if queued is None:
            return queue_error(404, "Request not found")
        with self.lock:
            shown: dict[str, Any] = {"status": queued.status, "request_id": name, **self._urls(queued)}
            if queued.status == "IN_QUEUE":
                return Response(202, {**shown, "queue_position": 0})
            if request.query.get("logs"):
                shown["logs"] = list(queued.logs)
            if queued.status == "IN_PROGRESS":
                return Response(202, shown)
            headers = (
                {"x-fal-request-timeout-type": "user"} if queued.error.get("error_type") == "request_timeout" else {}
            )
            return Response(200, {**shown, "metrics": queued.metrics, **queued.error}, headers)

    def cancel(self, request: Request, app: str, name: str) -> Response:
        queued = self._known(app, name)
        if queued is None:
            return Response(404, {"status": "NOT_FOUND"})
        with self.lock:
            if queued.status == "COMPLETED":
                return Response(400, {"status": "ALREADY_COMPLETED"})
            was_queued = queued.status == "IN_QUEUE"
            ran = {} if was_queued else {"inference_time": INFERENCE_SECONDS_EACH / 2}
            self._end(queued, _platform_error("client_cancelled"), ran)
            return (
                Response(200, {"status": "OK"}) if was_queued else Response(202, {"status": "CANCELLATION_REQUESTED"})
            )

    def response(self, request: Request, app: str, name: str) -> Response:
        queued = self._known(app, name)
        if queued is None:
            return queue_error(404, "Request not found")
        with self.lock:
            return queued.result if queued.status == "COMPLETED" else queue_error(400, "Request is still in progress")

    def submit(self, request: Request, path: str) -> Response:
        model_input = request.json()
        markers = self.markers(model_input.get("prompt", ""))
        if path.startswith(f"{GONE_OWNER}/"):
            return queue_error(404, f"Application '{path}' not found")
        if request.content_type != "application/json":
            return queue_error(422, "The body is not JSON")
        refused = self.refusal_for(markers)
        if refused:
            return refused

        app = cast("re.Match[str]", re.match(APP, path))[0]
        begin_seconds_max = float(request.headers.get("x-fal-request-timeout", 3600))
        name = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(6)}"
        queued = QueuedRequest(
            id=name,
            app=app,
            model_input=model_input,
            markers=markers,
            webhook=request.query.get("fal_webhook"),
            begin_seconds_max=begin_seconds_max,
        )
        self.start_job(queued)
        accepted = {
            "status": "IN_QUEUE",
            "request_id": name,
            "gateway_request_id": name,
            "queue_position": 0,
            **self._urls(queued),
        }
        return self.with_faults(markers, Response(200, accepted, {"x-fal-request-id": name}))

    def _known(self, app: str, name: str) -> QueuedRequest | None:
        queued = self.jobs.get(name)
        return queued if queued and queued.app == app else None

    def _urls(self, queued: QueuedRequest) -> dict[str, str]:
        options = options_of(queued.markers, "urls")
        host = "https://queue.example.com" if "foreign" in options else self.url
        below = f"{host}/v2/of/{queued.id}" if "odd" in options else f"{host}/{queued.app}/requests/{queued.id}"
        return {"response_url": below, "status_url": f"{below}/status", "cancel_url": f"{below}/cancel"}

    # ---- the life of a request ---------------------------------------------------------------------------------------

    def run_job(self, queued: QueuedRequest) -> None:
        run = options_of(queued.markers, "run")
        if "queue" in run:
            if not queued.stop.wait(queued.begin_seconds_max):
                self._finish(queued, _platform_error("request_timeout"), {})
            return
        platform = next((name for name in run if name in PLATFORM_ERRORS), None)
        with self.lock:
            if queued.status == "IN_QUEUE":
                queued.status = "IN_PROGRESS"
        seconds = 3600 if "hang" in run else number_option(queued.markers, "run", "slow", self.run_seconds)
        for step in range(1, PROGRESS_STEPS + 1):
            if queued.stop.wait(seconds / PROGRESS_STEPS):
                return
            with self.lock:
                queued.logs.append({"message": progress_bar(step), "level": "STDERR", "timestamp": time.time()})
        images = int(queued.model_input.get("num_images") or 1)
        ran = {} if ERRORS_BEFORE_START & set(run) or platform else {"inference_time": INFERENCE_SECONDS_EACH * images}
        self._finish(queued, _platform_error(platform) if platform else self._answer(queued), ran)

    def _answer(self, queued: QueuedRequest) -> Response:
        run = options_of(queued.markers, "run")
        if "text" in run:
            return queue_error(400, "The model does not do this.", x_fal_retryable="false")
        name = next((name for name in run if name in MODEL_ERRORS), None)
        if name:
            status, kind, retryable = MODEL_ERRORS[name]
            return _model_error(status, kind, "prompt", x_fal_retryable=str(retryable).lower())
        wrong = _input_error(queued.model_input)
        return _model_error(422, *wrong, x_fal_retryable="false") if wrong else Response(200, self._output(queued))

    def _output(self, queued: QueuedRequest) -> dict[str, Any]:
        model_input, markers = queued.model_input, queued.markers
        options, seed = options_of(markers, "output"), model_input.get("seed") or secrets.randbelow(2**32)
        if VIDEO_APPS.search(queued.app):
            seconds = float(model_input.get("duration") or 5)
            size = (640, 360)
            url = self.result_url(lambda: sample_video(*size, seconds, seed), "video/mp4", "mp4", markers)
            return {"video": _file(url, "video/mp4", duration=seconds), "seed": seed} if "none" not in options else {}
        if AUDIO_APPS.search(queued.app):
            url = self.result_url(
                lambda: sample_wav(float(model_input.get("duration") or 2)), "audio/wav", "wav", markers
            )
            return {"audio": _file(url, "audio/wav")}
        width, height = _size(model_input)
        count = 0 if "none" in options else int(model_input.get("num_images") or 1)
        images: list[dict[str, Any]] = []
        for place in range(count):

            def made(place: int = place) -> bytes:
                return sample_image(width, height, f"{seed}-{place}")

            url = self.result_url(made, "image/png", "png", markers)
            if "inline" in options:
                url = f"data:image/png;base64,{base64.b64encode(made()).decode()}"
            images.append(_file(url, "image/png", width=width, height=height))
        flags = ["nsfw" in options or ("fewer" in options and place == 0) for place in range(count)]
        return {"images": images, "seed": seed, "has_nsfw_concepts": flags, "prompt": model_input.get("prompt")}

    def _finish(self, queued: QueuedRequest, result: Response, ran: dict[str, float]) -> None:
        with self.lock:
            if queued.status == "COMPLETED":
                return
            self._end(queued, result, ran)
        self.notify_end(queued)

    def _end(self, queued: QueuedRequest, result: Response, ran: dict[str, float]) -> None:
        queued.status, queued.result, queued.metrics = "COMPLETED", result, ran
        if result.status >= 400:
            body = cast("dict[str, Any]", result.content)
            queued.error = {"error": f"Invalid status code: {result.status}"}
            if "error_type" in body:
                queued.error = {"error": body["detail"], "error_type": body["error_type"]}
        queued.stop.set()

    # ---- webhooks ----------------------------------------------------------------------------------------------------

    def send_webhook_of(self, job: QueuedRequest, times: int = 1) -> None:
        options = options_of(job.markers, "webhook")
        event: dict[str, Any] = {"request_id": job.id, "gateway_request_id": job.id, "status": "OK"}
        event["payload"] = job.result.content
        if "other" in options:
            event["request_id"] = "another-request"
        if "large" in options:
            event |= {"payload": None, "payload_error": "Response payload is not JSON serializable."}
        elif job.error:
            event |= {"status": "ERROR", "error": job.error["error"]}
        body = json.dumps(event).encode()
        user_id = OTHER_USER_ID if "foreign" in options else self.user_id

        def signed() -> dict[str, str]:
            seed = b"\7" * 32 if "forged" in options else self._seed
            return signature_headers(seed, job.id, user_id, job.webhook_time_seconds(), body)

        for _ in range(times):
            self.send_webhook(job.webhook or "", body, signed, request=job.id)


def signature_headers(seed: bytes, request_id: str, user_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """The signature headers of a webhook."""
    message = "\n".join((request_id, user_id, str(sent_at), hashlib.sha256(body).hexdigest()))
    return {
        "X-Fal-Webhook-Request-Id": request_id,
        "X-Fal-Webhook-User-Id": user_id,
        "X-Fal-Webhook-Timestamp": str(sent_at),
        "X-Fal-Webhook-Signature": _private_key(seed).sign(message.encode()).hex(),
    }


def _private_key(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


def _public_key_text(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _platform_error(kind: str) -> Response:
    content = {"detail": kind.replace("_", " ").capitalize(), "error_type": kind}
    return Response(PLATFORM_ERRORS[kind], content, {"x-fal-error-type": kind})


def _model_error(status: int, kind: str, name: str, **headers: str) -> Response:
    entry = {
        "loc": ["body", name],
        "msg": "The model says no.",
        "type": kind,
        "ctx": {},
        "input": {},
        "url": "https://x",
    }
    return Response(status, {"detail": [entry]}, {header.replace("_", "-"): value for header, value in headers.items()})


def _file(url: str, content_type: str, **more: Any) -> dict[str, Any]:
    return {
        "url": url,
        "content_type": content_type,
        "file_name": url[:99].rpartition("/")[2],
        "file_size": None,
        **more,
    }


def _size(model_input: dict[str, Any]) -> tuple[int, int]:
    size: Any = model_input.get("image_size", "square_hd")
    if isinstance(size, str):
        return NAMED_SIZES[size]
    return size["width"], size["height"]


def _input_error(model_input: dict[str, Any]) -> tuple[str, str] | None:
    """The first thing that is wrong with a model's input, as (error type, field); None when nothing is."""
    if not isinstance(model_input.get("prompt", ""), str):
        return "string_type", "prompt"
    count: Any = model_input.get("num_images", 1)
    if not isinstance(count, int) or not 1 <= count <= 4:
        return "less_than_equal", "num_images"
    size: Any = model_input.get("image_size", "square")
    if isinstance(size, str) and size not in NAMED_SIZES:
        return "one_of", "image_size"
    if isinstance(size, dict):
        sides = [cast("dict[str, Any]", size).get(side) for side in ("width", "height")]
        if not all(isinstance(side, int) and 64 <= side <= 4096 for side in sides):
            return "less_than_equal", "image_size"
    for name, value in model_input.items():
        for url in cast("list[object]", value) if isinstance(value, list) else [value]:
            if name.endswith(("_url", "_urls")) and not re.match(r"https?://|data:[\w.+/-]+;base64,", str(url)):
                return "file_download_error", name
    return None


SIMULATOR = FalSimulator

if __name__ == "__main__":
    main(SIMULATOR, "fal")
