"""A simulator for Replicate's HTTP API: predictions, their list, cancellation, webhooks and result files, in memory.

    python -m infra.simulators.replicate --port 9100        # prints its URL, serves until it is stopped

It answers as Replicate documents (replicate.com/docs/reference/http), signs webhooks by Standard Webhooks, and returns
plain PNG files, or MP4 files for video models. Files can be uploaded. A model's input file must be a data URL, an
uploaded file or an HTTPS address, and required inputs must be present.

Markers in a prompt, besides those of `kit.server` and `kit.queue`:

    create:401 402 403 404 410 422 503   refused with that status, no work begins   create:gone   the version is gone
    create:429 429-header 429-body       refused; when to retry is in the text, the header, or a field of the body
    upload:503 lost                      an upload is refused, or gets no answer (through `behave` only)
    run:fail nsfw oom abort unfit        ends in that way        run:boot hang    never begins, never ends
    run:slow=SECONDS                     takes that long, with a progress bar in its logs
    output:none                          there is no file
    output:single fewer                  a string instead of a list; one image withheld by the safety check
    output:object                        an object that holds the file's URL among other values
    webhook:forged stale                 with a wrong signature, with an old timestamp
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlencode

from infra.simulators._replicate_models import EVENTS, ModelKind, model_error, model_of, result_file, validation_errors
from infra.simulators.kit.faults import LOST_ANSWERS, Fault, Refusal, number_option, options_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.queue import PROGRESS_STEPS, QueuedJob, QueueSimulator, progress_bar
from infra.simulators.kit.server import ConnectionLost, RequestRefused, Route, main

API_TOKEN = "r8_simulator_of_nobody"  # a password of nothing
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"the simulator signs with this key").decode()
PAGE_SIZE = 100
FOREIGN_SECRET = "whsec_" + base64.b64encode(b"this is somebody else's key").decode()
PREDICT_SECONDS_PER_IMAGE = 1.75
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
GONE_VERSION = "0" * 64
UPLOAD_SECONDS = 24 * 3600
THROTTLED = "Request was throttled."
NO_CREDIT_LEFT = "You have insufficient credit to run this model. Go to the billing page to purchase credit."


def problem(status: int, title: str, detail: str, retry_after: str | None = None, **fields: Any) -> Response:
    """An error in Replicate's format."""
    content = {"title": title, "detail": detail, "status": status, **fields}
    return Response(status, content, {"retry-after": retry_after} if retry_after else {})


UNAUTHENTICATED = problem(401, "Unauthenticated", "You did not pass a valid authentication token")
UNAVAILABLE = problem(503, "Service unavailable", "The service is not available now.")
NOT_FOUND = problem(404, "Not found", "The requested resource could not be found.")
INVALID_VERSION = problem(
    422,
    "Invalid version or not permitted",
    "The specified version does not exist (or perhaps you don't have permission to use it?)",
)


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file: its bytes, and its description in the API."""

    data: bytes
    shown: dict[str, Any]


@dataclass(kw_only=True)
class Prediction(QueuedJob):
    """A prediction: its representation in the API (`shown`), and the simulator's own facts about it."""

    shown: dict[str, Any]
    events: frozenset[str]
    deadline: datetime | None

    @property
    def model(self) -> ModelKind:
        return model_of(self.shown["version"])


class ReplicateSimulator(QueueSimulator[Prediction]):
    """Replicate, stood in for. `webhook_secret`: what it signs webhooks with; `page_size`: of the list of
    predictions."""

    api_key_default = API_TOKEN
    example_marker = "webhook:lost"
    tried_with = (("replicate/sdxl", "image"),)
    refusals: ClassVar[dict[str, Refusal]] = {
        "401": Refusal(UNAUTHENTICATED, "auth", row="wrong key"),
        "402": Refusal(problem(402, "Insufficient credit", NO_CREDIT_LEFT), "provider_billing", row="no money left"),
        "403": Refusal(problem(403, "Forbidden", "You do not have permission to do that."), "auth"),
        "404": Refusal(NOT_FOUND, "model_gone"),
        "410": Refusal(problem(410, "Gone", "This model is no longer available."), "model_gone"),
        "422": Refusal(
            problem(422, "Input validation failed", "- input.prompt: is too long\n", invalid_fields=[]),
            "invalid_input",
            row="bad parameters",
        ),
        "429": Refusal(
            problem(429, "Too many requests", f"{THROTTLED} Your rate limit resets in ~30s."),
            "rate_limited",
            30,
            row="too many requests",
        ),
        "429-header": Refusal(problem(429, "Too many requests", THROTTLED, "12"), "rate_limited", 12),
        "429-body": Refusal(
            Response(429, {"title": "Too many requests", "detail": THROTTLED, "status": 429, "retry_after": 5}),
            "rate_limited",
            5,
        ),
        "503": Refusal(UNAVAILABLE, "transient", row="out of service"),
        "gone": Refusal(INVALID_VERSION, "model_gone", row="model gone"),
    }
    faults: ClassVar[dict[str, Fault]] = {
        **LOST_ANSWERS,
        "run:fail": Fault("transient", is_billed=True, row="fell over while running"),
        "run:unfit": Fault("invalid_input", is_billed=True),
        "run:nsfw": Fault("moderated_billed", is_billed=True, row="made, then held back"),
        "run:oom": Fault("capacity", is_billed=True, row="no capacity"),
        "run:abort": Fault("timeout_unstarted", row="did not begin in time"),
        "output:none": Fault("transient", is_billed=True, row="taken, and nothing came"),
    }

    def __init__(self, port: int = 0, *, webhook_secret: str = WEBHOOK_SECRET, **options: Any) -> None:
        super().__init__(port, **options)
        self.webhook_secret, self.page_size = webhook_secret, PAGE_SIZE
        self.files: dict[str, StoredFile] = {}

    @property
    def predictions(self) -> dict[str, Prediction]:
        return self.jobs

    @property
    def access(self) -> dict[str, str]:
        return {"api_token": self.api_key, "webhook_secret": self.webhook_secret}

    def reset(self) -> None:
        super().reset()
        with self.lock:
            self.files = {}

    def check_request(self, request: Request) -> Response | None:
        if not request.path.startswith("/v1/") or request.headers.get("authorization") == f"Bearer {self.api_key}":
            return None
        return UNAUTHENTICATED

    def not_found(self, request: Request) -> Response:
        return NOT_FOUND

    def server_error(self, status: int) -> Response:
        return problem(status, "Internal server error", "An unexpected error occurred.")

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
        problems = validation_errors(body)
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
            newest = sorted(self.jobs.values(), key=lambda one: one.shown["created_at"], reverse=True)
            found = [
                dict(prediction.shown)
                for prediction in newest
                if _parse_time(after) <= _parse_time(prediction.shown["created_at"]) < _parse_time(before)
            ]
        start = int(query.get("cursor", 0))
        more = start + self.page_size < len(found)
        following = f"{self.url}/v1/predictions?{urlencode({**query, 'cursor': start + self.page_size})}"
        previous = f"{self.url}/v1/predictions?{urlencode({**query, 'cursor': max(start - self.page_size, 0)})}"
        page = {
            "previous": previous if start else None,
            "next": following if more else None,
            "results": found[start : start + self.page_size],
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
            return UNAVAILABLE
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
        prediction = self.jobs.get(reference)
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
            "model": model_of(version).name,
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
        prediction = Prediction(
            id=reference, shown=shown, markers=markers, webhook=body.get("webhook"), events=events, deadline=deadline
        )
        created = dict(shown)
        self.start_job(prediction)
        return prediction, created

    def run_job(self, prediction: Prediction) -> None:
        run = options_of(prediction.markers, "run")
        if "boot" in run or "abort" in run:
            self._wait(prediction, 0 if "abort" in run else 3600)
            if not prediction.stop.is_set():
                self.end(prediction, "aborted")
            return
        self._change(prediction, status="processing", started_at=_format_time(datetime.now(UTC)))
        if "start" in prediction.events:
            self.notify(prediction)
        seconds = 3600 if "hang" in run else number_option(prediction.markers, "run", "slow", self.run_seconds)
        for step in range(1, PROGRESS_STEPS + 1):
            if self._wait(prediction, seconds / PROGRESS_STEPS):
                return
            self._change(prediction, logs=f"{prediction.shown['logs']}{progress_bar(step)}\n")
        error = model_error(prediction.model, prediction.shown["input"], run, self._is_missing)
        self.end(prediction, "failed" if error else "succeeded", error)

    def _is_missing(self, url: str) -> bool:
        """Whether a URL is that of an uploaded file, and there is no such file."""
        return url.startswith(f"{self.url}/v1/files/") and url.rpartition("/")[2] not in self.files

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
        if "completed" not in prediction.events:
            return True
        if "early" in options_of(prediction.markers, "webhook"):
            self.notify_end(prediction)
        else:
            threading.Thread(target=self.notify_end, args=(prediction,), daemon=True).start()
        return True

    def _change(self, prediction: Prediction, **fields: Any) -> None:
        with self.lock:
            if prediction.shown["status"] not in TERMINAL:
                prediction.shown |= fields

    def _output(self, prediction: Prediction, images: int) -> Any:
        options = options_of(prediction.markers, "output")
        if "none" in options:
            return None
        makes_video = prediction.model.makes_video
        count = 1 if makes_video else max(images - 1, 1) if "fewer" in options else images
        kind, suffix = ("video/mp4", "mp4") if makes_video else ("image/png", "png")
        files = [
            self.result_url(
                partial(result_file, prediction.model, prediction.shown["input"], number),
                kind,
                suffix,
                prediction.markers,
                f"{prediction.id}-{number}",
            )
            for number in range(count)
        ]
        if "object" in options:
            return {"files": {"result": files[0]}, "seed": 7, "note": "done", "preview": None}
        return files[0] if makes_video or "single" in options else files

    # ---- webhooks ----------------------------------------------------------------------------------------------------

    def send_webhook_of(self, job: Prediction, times: int = 1) -> None:
        with self.lock:
            body = json.dumps(job.shown).encode()
        event_id = f"msg_{secrets.token_hex(12)}"

        def sign() -> dict[str, str]:
            sent_at = job.webhook_time_seconds()
            is_forged = "forged" in options_of(job.markers, "webhook")
            secret = FOREIGN_SECRET if is_forged else self.webhook_secret
            return {
                "webhook-id": event_id,
                "webhook-timestamp": str(sent_at),
                "webhook-signature": signature(secret, event_id, sent_at, body),
            }

        for _ in range(times):
            self.send_webhook(job.webhook or "", body, sign, prediction=job.id, id=event_id)


def signature(secret: str, event_id: str, sent_at: int, body: bytes) -> str:
    """The `webhook-signature` header of a message, by Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{event_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}"


def _random_id() -> str:
    return base64.b32encode(secrets.token_bytes(16)).decode().strip("=").lower()


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
