"""A simulator for Replicate's HTTP API: predictions, their list, cancellation, webhooks and result files, in memory.

    python -m infra.simulators.replicate --port 9100        # prints its URL, serves until it is stopped

It answers as Replicate documents (replicate.com/docs/reference/http), signs webhooks by Standard Webhooks, and returns
plain PNG files, or MP4 files for video models. Files can be uploaded. A model's input file must be a data URL, an
uploaded file or an HTTPS address, and required inputs must be present.

A prompt asks for faults by markers in double brackets; it may hold several, as in
`a lake [[webhook:lost]] [[output:gone]]`. `[[replicate/run:fail]]` is for this simulator only.
`POST /_simulator/behave {"markers": [...], "creations": n}` applies markers to the next n creations.

    create:401 402 403 404 410 422 503   refused with that status, no work begins   create:gone   the version is gone
    create:429 429-header 429-body       refused; when to retry is in the text, the header, or a field of the body
    upload:503 lost                      an upload is refused, or gets no answer (through `behave` only)
    create:500 lost hang garbage         accepted, then the answer is: a 500, a closed connection, never sent, no JSON
    run:fail nsfw oom abort unfit        ends in that way        run:boot hang    never begins, never ends
    run:slow=SECONDS                     takes that long, with a progress bar in its logs
    output:gone denied text svg broken bomb huge slow redirect   the file is faulty    output:none   there is no file
    output:private file                  the file's URL is the cloud's metadata address, or a local file
    output:single fewer                  a string instead of a list; one image withheld by the safety check
    output:object                        an object that holds the file's URL among other values
    webhook:lost twice forged stale      never sent, sent twice, with a wrong signature, with an old timestamp
    webhook:early late=SECONDS           sent before the creation is answered; so long after the end

`GET /_simulator/calls` lists the requests to the API (`method`, `path`, `headers`, and `body`, parsed),
`GET /_simulator/webhooks` the deliveries; `POST /_simulator/webhooks/{prediction}` sends a webhook again and
`POST /_simulator/reset` clears everything.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import signal
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.simulators._kit import Request, markers_in, sample_video

API_TOKEN = "r8_simulator_of_nobody"  # a password of nothing
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"the simulator signs with this key").decode()
PAGE = 100
FOREIGN_SECRET = "whsec_" + base64.b64encode(b"this is somebody else's key").decode()
RETRIES_AFTER_SECONDS = (0.2, 0.5, 1.0)
PREDICT_SECONDS_PER_IMAGE = 1.75
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
GONE_VERSION = "0" * 64
BODY_FIELDS = frozenset({"version", "input", "webhook", "webhook_events_filter", "stream"})
EVENTS = frozenset({"start", "output", "logs", "completed"})
METADATA_URL = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
ENDLESS_BYTES = 512 * 1024 * 1024
DATA_URL_BYTES_MAX = 256 * 1024
UPLOAD_SECONDS = 24 * 3600


@dataclass(frozen=True)
class ModelKind:
    """A model. `files`: the input fields that hold files; `needed`: those of them that are required. `makes_film`:
    whether it outputs a video. `trigger`: a word that the prompt must contain."""

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

    def options_of(self, kind: str) -> list[str]:
        """The markers of a kind, without their prefix: `["lost"]` for `webhook:lost`."""
        return [marker.removeprefix(f"{kind}:") for marker in self.markers if marker.startswith(f"{kind}:")]

    def seconds(self, kind: str, name: str, otherwise: float) -> float:
        values = [marker.partition("=")[2] for marker in self.options_of(kind) if marker.startswith(f"{name}=")]
        return float(values[0]) if values else otherwise


class ReplicateSimulator:
    """A server in Replicate's place; a context manager. `run_seconds`: how long an ordinary prediction takes."""

    def __init__(
        self,
        port: int = 0,
        *,
        api_token: str = API_TOKEN,
        webhook_secret: str = WEBHOOK_SECRET,
        run_seconds: float = 0.1,
    ) -> None:
        self.api_token = api_token
        self.webhook_secret = webhook_secret
        self.run_seconds = run_seconds
        self.lock = threading.RLock()
        self.calls: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.predictions: dict[str, Prediction] = {}
        self.files: dict[str, StoredFile] = {}
        self.behaviour: tuple[list[str], int] = ([], 0)
        self.stopping = threading.Event()
        simulator = self

        class Handler(_Handler):
            owner = simulator

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self.reset()
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def reset(self) -> None:
        """Clear all records and stop running predictions."""
        with self.lock:
            for prediction in self.predictions.values():
                prediction.stop.set()
            self.predictions, self.calls, self.deliveries, self.behaviour = {}, [], [], ([], 0)
            self.files = {}

    def behave(self, *markers: str, creations: int = 1) -> None:
        """Treat the next creations as if their prompts held these markers."""
        with self.lock:
            self.behaviour = (list(markers), creations)

    # ---- the life of a prediction ------------------------------------------------------------------------------------

    def create(
        self, body: dict[str, Any], markers: list[str], cancel_after: float | None
    ) -> tuple[Prediction, dict[str, Any]]:
        """Starts a prediction; returns it, and its representation from before it started."""
        reference = base64.b32encode(secrets.token_bytes(16)).decode().strip("=").lower()
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
        if "early" in prediction.options_of("webhook"):
            self._run(prediction)
        else:
            threading.Thread(target=self._run, args=(prediction,), daemon=True).start()
        return prediction, created

    def _run(self, prediction: Prediction) -> None:
        run = prediction.options_of("run")
        if "boot" in run or "abort" in run:
            self._wait(prediction, 0 if "abort" in run else 3600)
            if not prediction.stop.is_set():
                self.end(prediction, "aborted")
            return
        self._change(prediction, status="processing", started_at=_format_time(datetime.now(UTC)))
        self._notify(prediction, "start")
        seconds = 3600 if "hang" in run else prediction.seconds("run", "slow", self.run_seconds)
        steps = 10
        for step in range(1, steps + 1):
            if self._wait(prediction, seconds / steps):
                return
            bar = f"{step * 10:3}%|{'#' * step}{' ' * (steps - step)}| {step}/{steps}\n"
            self._change(prediction, logs=prediction.shown["logs"] + bar)
        errors = {
            "fail": "RuntimeError: the model fell over",
            "unfit": "ValueError: cannot identify image file '/tmp/in.png'",
            "nsfw": "NSFW content detected. Try running it again, or try a different prompt.",
            "oom": "CUDA out of memory. Tried to allocate 2.00 GiB",
        }
        error = next((errors[name] for name in run if name in errors), None) or self._input_error(prediction)
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
                data_removed="none" in prediction.options_of("output"),
            )
            prediction.stop.set()
        if "early" in prediction.options_of("webhook"):
            self._notify(prediction, "completed")
        else:
            threading.Thread(target=self._notify, args=(prediction, "completed"), daemon=True).start()
        return True

    def _change(self, prediction: Prediction, **fields: Any) -> None:
        with self.lock:
            if prediction.shown["status"] not in TERMINAL:
                prediction.shown |= fields

    def _output(self, prediction: Prediction, images: int) -> Any:
        options = prediction.options_of("output")
        if "none" in options:
            return None
        if "private" in options:
            return [METADATA_URL]
        if "file" in options:
            return ["file:///etc/hostname"]
        makes_film = MODELS.get(prediction.shown["version"], SDXL).makes_video
        count = 1 if makes_film else max(images - 1, 1) if "fewer" in options else images
        suffix = "mp4" if makes_film else "png"
        files = [f"{self.url}/_delivery/{prediction.id}/out-{number}.{suffix}" for number in range(count)]
        if "object" in options:
            return {"files": {"result": files[0]}, "seed": 7, "note": "done", "preview": None}
        return files[0] if makes_film or "single" in options else files

    # ---- webhooks ----------------------------------------------------------------------------------------------------

    def _notify(self, prediction: Prediction, event: str) -> None:
        options = prediction.options_of("webhook")
        if prediction.webhook is None or event not in prediction.events or "lost" in options:
            return
        if event == "completed":
            self.stopping.wait(prediction.seconds("webhook", "late", 0))
        self.send_webhook(prediction, repeat=2 if "twice" in options else 1)

    def send_webhook(self, prediction: Prediction, repeat: int = 1) -> None:
        """Send a prediction to its webhook: the same message `repeat` times, each retried when it is not accepted."""
        options = prediction.options_of("webhook")
        with self.lock:
            body = json.dumps(prediction.shown).encode()
        event_id = f"msg_{secrets.token_hex(12)}"
        for _ in range(repeat):
            for pause in (*RETRIES_AFTER_SECONDS, None):
                sent_at = int(time.time()) - (3600 if "stale" in options else 0)
                secret = FOREIGN_SECRET if "forged" in options else self.webhook_secret
                status = self._post(prediction.webhook or "", event_id, sent_at, secret, body)
                with self.lock:
                    self.deliveries.append({"prediction": prediction.id, "id": event_id, "status": status})
                if 200 <= status < 300 or pause is None or self.stopping.wait(pause):
                    break

    def _post(self, url: str, event_id: str, sent_at: int, secret: str, body: bytes) -> int:
        headers = {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(sent_at),
            "webhook-signature": signature(secret, event_id, sent_at, body),
        }
        request = urllib.request.Request(url, body, headers, method="POST")  # checked when it was set
        try:
            with _opener.open(request, timeout=5) as response:
                return response.status
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))


def signature(secret: str, event_id: str, sent_at: int, body: bytes) -> str:
    """The `webhook-signature` header of a message, by Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{event_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}"


def sample_png(width: int, height: int, seed: int, *, declared: tuple[int, int] | None = None) -> bytes:
    """A PNG with a diagonal gradient whose colours depend on the seed, and a text chunk that the product must remove.
    `declared`: a false size for the header."""
    red, green, blue = hashlib.sha256(str(seed).encode()).digest()[:3]
    ramp = bytes(part for x in range(width + height) for part in ((x + red) & 255, (x // 2 + green) & 255, blue))
    rows = b"".join(b"\0" + ramp[y * 3 : (y + width) * 3] for y in range(height))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", *(declared or (width, height)), 8, 2, 0, 0, 0)),
        (b"tEXt", b"Comment\0made by the simulator"),
        (b"IDAT", zlib.compress(rows, 1)),
        (b"IEND", b""),
    ]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


class _Handler(BaseHTTPRequestHandler):
    """One connection. Every route is a method of this class."""

    owner: ReplicateSimulator
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "simulator"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: /_simulator/calls lists the requests."""

    def _serve(self) -> None:
        if self.owner.stopping.is_set():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = urlsplit(self.path).path

        if path.startswith("/v1/"):
            shown = self._request(body).to_json()["body"] if path == "/v1/files" else _parse_json(body)
            call = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": shown}
            with self.owner.lock:
                self.owner.calls.append(call)
            if self.headers.get("authorization") != f"Bearer {self.owner.api_token}":
                self._problem(401, "Unauthenticated", "You did not pass a valid authentication token")
                return

        routes = (
            ("POST", r"/v1/predictions", lambda: self._create(body)),
            (
                "POST",
                r"/v1/(?:models|deployments)/[\w.-]+/[\w.-]+/predictions",
                lambda: self._create(body, official=True),
            ),
            ("GET", r"/v1/predictions", self._list),
            ("GET", r"/v1/predictions/(\w+)", self._get),
            ("POST", r"/v1/predictions/(\w+)/cancel", self._cancel),
            ("GET", r"/v1/models/[\w.-]+/[\w.-]+/versions/([0-9a-f]{64})", self._version),
            ("GET", r"/v1/webhooks/default/secret", lambda: self._json(200, {"key": self.owner.webhook_secret})),
            ("POST", r"/v1/files", lambda: self._upload(body)),
            ("GET", r"/v1/files/(\w+)", self._get_file),
            ("GET", r"/v1/account", self._account),
            ("GET", r"/_delivery/(\w+)/out-(\d+)\.(?:png|mp4)", self._file),
            ("GET", r"/_simulator/health", lambda: self._json(200, {"status": "ok"})),
            ("GET", r"/_simulator/calls", lambda: self._json(200, {"calls": self.owner.calls})),
            ("GET", r"/_simulator/webhooks", lambda: self._json(200, {"webhooks": self.owner.deliveries})),
            ("POST", r"/_simulator/webhooks/(\w+)", self._resend),
            ("POST", r"/_simulator/behave", lambda: self._behave(json.loads(body))),
            ("POST", r"/_simulator/reset", self._reset),
        )
        for method, pattern, answer in routes:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    answer(*match.groups())
                return
        self._problem(404, "Not found", "The requested resource could not be found.")

    # ---- the API -----------------------------------------------------------------------------------------------------

    def _create(self, raw: bytes, *, official: bool = False) -> None:
        try:
            body = json.loads(raw)
        except ValueError:
            return self._problem(400, "Bad request", "The body is not JSON.")
        if official:
            body = {"version": "f" * 64, **body}
        problems = _validation_errors(body)
        if problems:
            detail = "".join(f"- {name}: {text}\n" for name, text in problems)
            fields = [{"type": "invalid", "field": name, "description": text} for name, text in problems]
            return self._problem(422, "Input validation failed", detail, invalid_fields=fields)

        markers = markers_in(body["input"].get("prompt", ""), "replicate")
        with self.owner.lock:
            extra, creations = self.owner.behaviour
            if creations > 0:
                markers += extra
                self.owner.behaviour = (extra, creations - 1)
        options = [marker.removeprefix("create:") for marker in markers if marker.startswith("create:")]
        gone = body["version"].rpartition(":")[2] == GONE_VERSION or "gone" in options
        if gone or not re.fullmatch(r"([\w.-]+/[\w.-]+:)?[0-9a-f]{64}", body["version"]):
            detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
            return self._problem(422, "Invalid version or not permitted", detail)
        for name in options:
            if name in REFUSALS:
                status, title, detail, headers, fields = REFUSALS[name]
                return self._problem(status, title, detail, headers, **fields)

        prediction, created = self.owner.create(body, markers, _duration(self.headers.get("cancel-after")))
        if "lost" in options:
            self.close_connection = True
            return None
        if "hang" in options:
            self.owner.stopping.wait(600)
            return None
        if "garbage" in options:
            return self._send(200, b"<html>down for maintenance</html>", {"content-type": "text/html"})
        if "500" in options:
            return self._problem(500, "Internal server error", "An unexpected error occurred.")

        waiting = re.fullmatch(r"wait(?:=(\d+))?", self.headers.get("prefer") or "")
        if waiting:
            prediction.stop.wait(min(int(waiting[1] or 60), 60))
        return self._json(201, prediction.shown if waiting else created)

    def _request(self, body: bytes) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, self.path, headers, body)

    def _upload(self, body: bytes) -> None:
        with self.owner.lock:
            extra, count = self.owner.behaviour
            options = [marker for marker in extra if marker.startswith("upload:")] if count > 0 else []
            if options:
                self.owner.behaviour = (extra, count - 1)
        if "upload:lost" in options:
            self.close_connection = True
            return None
        if "upload:503" in options:
            status, title, detail, headers, fields = REFUSALS["503"]
            return self._problem(status, title, detail, headers, **fields)

        files = self._request(body).files("content")
        if len(files) != 1:
            return self._problem(400, "Bad request", "Missing content")

        reference = base64.b32encode(secrets.token_bytes(16)).decode().strip("=").lower()
        now, url = datetime.now(UTC), f"{self.owner.url}/v1/files/{reference}"
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
            "urls": {"get": url},
        }
        with self.owner.lock:
            self.owner.files[reference] = StoredFile(files[0].data, shown)
        return self._json(201, shown)

    def _get_file(self, reference: str) -> None:
        stored = self.owner.files.get(reference)
        if stored is None:
            return self._problem(404, "Not found", "The requested resource could not be found.")
        return self._json(200, stored.shown)

    def _account(self) -> None:
        self._json(200, {"type": "organization", "username": "simulator", "name": "The simulator", "github_url": None})

    def _list(self) -> None:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        after, before = query.get("created_after", ""), query.get("created_before", "9")
        with self.owner.lock:
            newest = sorted(self.owner.predictions.values(), key=lambda one: one.shown["created_at"], reverse=True)
            found = [
                prediction.shown
                for prediction in newest
                if _parse_time(after) <= _parse_time(prediction.shown["created_at"]) < _parse_time(before)
            ]
        start = int(query.get("cursor", 0))
        more = start + PAGE < len(found)
        following = f"{self.owner.url}/v1/predictions?{urlencode({**query, 'cursor': start + PAGE})}"
        previous = f"{self.owner.url}/v1/predictions?{urlencode({**query, 'cursor': max(start - PAGE, 0)})}"
        page = {
            "previous": previous if start else None,
            "next": following if more else None,
            "results": found[start : start + PAGE],
        }
        self._json(200, page)

    def _get(self, reference: str) -> None:
        prediction = self._prediction(reference)
        if prediction:
            self._json(200, prediction.shown)

    def _cancel(self, reference: str) -> None:
        prediction = self._prediction(reference)
        if prediction:
            self.owner.end(prediction, "canceled")
            self._json(200, prediction.shown)

    def _version(self, version: str) -> None:
        output = {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"}
        schema = {"openapi": "3.0.2", "components": {"schemas": {"Output": output}}}
        shown = {"id": version, "created_at": "2023-10-12T16:06:27Z", "cog_version": "0.8.6", "openapi_schema": schema}
        self._json(200, shown)

    def _prediction(self, reference: str) -> Prediction | None:
        prediction = self.owner.predictions.get(reference)
        if prediction is None:
            self._problem(404, "Not found", "The requested resource could not be found.")
        return prediction

    # ---- result files ------------------------------------------------------------------------------------------------

    def _file(self, reference: str, number: str) -> None:
        prediction = self.owner.predictions.get(reference)
        options = prediction.options_of("output") if prediction else ["gone"]
        makes_film = prediction is not None and MODELS.get(prediction.shown["version"], SDXL).makes_video
        image = {"content-type": "video/mp4" if makes_film else "image/png"}
        if prediction is None or "gone" in options:
            return self._send(404, b"not found", {"content-type": "text/plain"})
        if "denied" in options:
            return self._send(403, b"expired", {"content-type": "text/plain"})
        if "redirect" in options:
            return self._send(302, b"", {"location": METADATA_URL})
        if "text" in options:
            return self._send(200, b"<html><script>alert(1)</script></html>", image)
        if "svg" in options:
            return self._send(200, b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', image)
        if "huge" in options:
            return self._stream(b"\0" * 65536, ENDLESS_BYTES // 65536, 0)
        if "slow" in options:
            return self._stream(b"\x89", 600, 0.1)

        model_input = prediction.shown["input"]
        width, height = int(model_input.get("width", 1024)), int(model_input.get("height", 1024))
        seed = int(model_input.get("seed") or 0) + int(number)
        if "bomb" in options:
            return self._send(200, sample_png(64, 64, seed, declared=(30_000, 30_000)), image)
        if makes_film:
            frames = 25 if str(model_input.get("video_length")).startswith("25") else 14
            data = sample_video(256, 256, frames / int(model_input.get("frames_per_second") or 7), seed)
        else:
            data = sample_png(width, height, seed)
        return self._send(200, data[: len(data) // 2] if "broken" in options else data, image)

    def _stream(self, piece: bytes, count: int, pause: float) -> None:
        self.send_response(200)
        self.send_header("content-type", "image/png")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for _ in range(count):
            self.wfile.write(piece)
            if self.owner.stopping.wait(pause):
                return

    # ---- control -----------------------------------------------------------------------------------------------------

    def _behave(self, body: dict[str, Any]) -> None:
        self.owner.behave(*body["markers"], creations=int(body.get("creations", 1)))
        self._json(200, {})

    def _reset(self) -> None:
        self.owner.reset()
        self._json(200, {})

    def _resend(self, reference: str) -> None:
        prediction = self._prediction(reference)
        if prediction:
            self.owner.send_webhook(prediction)
            self._json(200, {})

    # ---- answers -----------------------------------------------------------------------------------------------------

    def _problem(
        self, status: int, title: str, detail: str, headers: dict[str, str] | None = None, **fields: Any
    ) -> None:
        self._json(status, {"title": title, "detail": detail, "status": status, **fields}, headers)

    def _json(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        with self.owner.lock:
            data = json.dumps(content).encode()
        self._send(status, data, {"content-type": "application/json", **(headers or {})})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


_THROTTLED = "Request was throttled."
_NO_CREDIT_LEFT = "You have insufficient credit to run this model. Go to the billing page to purchase credit."
# Marker → status, title, detail, headers, further fields.
REFUSALS: dict[str, tuple[int, str, str, dict[str, str], dict[str, Any]]] = {
    "401": (401, "Unauthenticated", "You did not pass a valid authentication token", {}, {}),
    "402": (402, "Insufficient credit", _NO_CREDIT_LEFT, {}, {}),
    "403": (403, "Forbidden", "You do not have permission to do that.", {}, {}),
    "404": (404, "Not found", "The requested resource could not be found.", {}, {}),
    "410": (410, "Gone", "This model is no longer available.", {}, {}),
    "422": (422, "Input validation failed", "- input.prompt: is too long\n", {}, {"invalid_fields": []}),
    "429": (429, "Too many requests", f"{_THROTTLED} Your rate limit resets in ~30s.", {}, {}),
    "429-header": (429, "Too many requests", _THROTTLED, {"retry-after": "12"}, {}),
    "429-body": (429, "Too many requests", _THROTTLED, {}, {"retry_after": 5}),
    "503": (503, "Service unavailable", "The service is not available now.", {}, {}),
}


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


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


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m infra.simulators.replicate", description="Replicate, stood in for."
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--api-token", default=API_TOKEN)
    parser.add_argument("--webhook-secret", default=WEBHOOK_SECRET)
    parser.add_argument("--run-seconds", type=float, default=1.0, help="how long a prediction takes")
    arguments = parser.parse_args()
    done = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: done.set())
    simulator = ReplicateSimulator(
        arguments.port,
        api_token=arguments.api_token,
        webhook_secret=arguments.webhook_secret,
        run_seconds=arguments.run_seconds,
    )
    with simulator:
        print(simulator.url, flush=True)
        done.wait()


if __name__ == "__main__":
    main()
