"""A simulator of Mux Video's API (docs.mux.com/api-reference): live streams, assets, direct uploads, webhooks.

`python -m infra.simulators.streaming.mux` serves it alone; `POST /_simulator/streams/{id}/connect`, `/disconnect` and
`POST /_simulator/assets/{id}/ready`, `/errored` are what a camera and Mux's workers do. In a test they are methods.
`POST /_simulator/camera` sends a picture to every stream that waits for one, `POST /_simulator/recordings` finishes
every asset that is made no more.

`fail("POST /video/v1/live-streams", "429")` lets the next request that fits the pattern fail, one for each kind: 429,
500, lost, garbage, empty; after-500, after-lost and so on: the request was carried out, and then its answer fails.
`webhooks`: what becomes of events, by their order (send, lose, twice, keep); what is kept is sent by `release`, the
last one first."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from infra.simulators.kit.film import hls_of, sample_film
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import ConnectionLost, RequestRefused, Route, Simulator, main

WEBHOOK_SECRET = "mux_simulator_secret"  # nosec B105 - of this simulator alone
TOKEN_ID = "token-of-the-simulator"  # nosec B105
LIVE = "/video/v1/live-streams"
ID_BYTES = 24


class MuxSimulator(Simulator):
    """Mux, on loopback. webhook_url: where events are posted to; empty = nowhere. film: the MP4 of each recording.
    seconds: the clock by which tokens end."""

    api_key_default: ClassVar[str] = "secret-of-the-simulator"

    def __init__(self, port: int = 0, *, webhook_url: str = "", film: bytes = b"", **options: Any) -> None:
        self.seconds: Callable[[], float] = time.time
        self.webhook_url, self._film = webhook_url, film
        self.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.signing_key_id = secrets.token_hex(12)
        self._empty()
        super().__init__(port, **options)

    def _empty(self) -> None:
        self.streams: dict[str, dict[str, Any]] = {}
        self.assets: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.received: dict[str, bytes] = {}
        self.events: list[dict[str, Any]] = []
        self.webhooks: list[str] = []
        self._kept: list[dict[str, Any]] = []
        self._faults: list[tuple[re.Pattern[str], str]] = []

    def reset(self) -> None:
        with self.lock:
            self._empty()
        super().reset()

    @property
    def film(self) -> bytes:
        """The MP4 of each recording, which viewers see, too."""
        return self._film or sample_film()

    @property
    def access(self) -> dict[str, Any]:
        """The entry of the providers secret."""
        private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = self.signing_key.private_bytes(serialization.Encoding.PEM, *private)
        return {
            "token_id": TOKEN_ID,
            "token_secret": self.api_key,
            "signing_key_id": self.signing_key_id,
            "signing_private_key": base64.b64encode(pem).decode(),
            "webhook_secrets": [WEBHOOK_SECRET],
        }

    # ---- misbehaviour ------------------------------------------------------------------------------------------------

    def fail(self, requests: str, *kinds: str) -> None:
        """Let the next requests that fit the pattern fail, one for each kind."""
        with self.lock:
            self._faults += [(re.compile(requests), kind) for kind in kinds]

    def handle(self, request: Request) -> Response:
        kind = None if request.path.startswith("/_") else self._fault(f"{request.method} {request.path}")
        if kind is None:
            return super().handle(request)
        if kind.startswith("after-"):
            super().handle(request)
            kind = kind.removeprefix("after-")
        if kind == "lost":
            raise ConnectionLost
        if kind in ("garbage", "empty"):
            return Response(200, b"<html>maintenance</html>" if kind == "garbage" else {})
        return _error(int(kind), "rate_limited" if kind == "429" else "internal", "Try again later.")

    def _fault(self, called: str) -> str | None:
        with self.lock:
            for number, (pattern, kind) in enumerate(self._faults):
                if pattern.fullmatch(called):
                    del self._faults[number]
                    return kind
        return None

    def make_stream(self, passthrough: str = "wsp_A/liv_A") -> str:
        """Make a stream as the API does; returns its id."""
        body = {"playback_policies": ["signed"], "passthrough": passthrough}
        made = self._create_stream(Request("POST", LIVE, {}, json.dumps(body).encode()))
        return str(made.content["data"]["id"])

    # ---- what a camera and Mux's workers do --------------------------------------------------------------------------

    def connect(self, stream_id: str) -> str:
        """A camera sends a picture; returns the asset that is recorded."""
        with self.lock:
            stream = self.streams[stream_id]
            assert stream["status"] != "disabled", "a disabled stream refuses cameras"
            asset = self._new_asset(stream["new_asset_settings"], live_stream_id=stream_id)
            stream |= {"status": "active", "active_asset_id": asset["id"]}
            stream["recent_asset_ids"] = [*stream["recent_asset_ids"], asset["id"]]
        self._tell("video.live_stream.active", stream)
        return str(asset["id"])

    def disconnect(self, stream_id: str) -> None:
        """The camera is gone, and the reconnect window over."""
        with self.lock:
            stream = self.streams[stream_id]
            self._finish_stream(stream, "idle")
        self._tell("video.live_stream.idle", stream)

    def finish(self, asset_id: str, *, status: str = "ready") -> None:
        """The asset and its file are made, or not (`errored`)."""
        with self.lock:
            asset = self.assets[asset_id]
            asset["status"] = status
            if status == "errored":
                asset["errors"] = {"type": "invalid_input", "messages": ["The input has no picture."]}
            file = {"name": "highest.mp4", "ext": "mp4", "resolution": "highest", "id": secrets.token_hex(8)}
            done = {"status": "ready", "filesize": str(len(self.film))} if status == "ready" else {"status": "errored"}
            asset["static_renditions"] = {"files": [{**file, **done}]}
        self._tell(f"video.asset.{status}", asset)

    def send_video(self, upload_id: str) -> str:
        """A browser has put a video to an upload's URL; returns its asset."""
        with self.lock:
            upload = self.uploads[upload_id]
            asset = self._new_asset(upload["new_asset_settings"], upload_id=upload_id)
            upload |= {"status": "asset_created", "asset_id": asset["id"]}
        self._tell("video.upload.asset_created", upload)
        return str(asset["id"])

    def release(self) -> None:
        """Send the events that were kept, the last one first."""
        with self.lock:
            kept, self._kept = self._kept, []
        for event in reversed(kept):
            self.post(event)

    def post(self, event: dict[str, Any], *, secret: str = WEBHOOK_SECRET, age_seconds: int = 0) -> int:
        """Post an event, signed; returns the status of the answer."""
        body = json.dumps(event).encode()

        def sign() -> dict[str, str]:
            at = int(time.time()) - age_seconds
            signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
            return {"mux-signature": f"t={at},v1={signed}"}

        return self.send_webhook(self.webhook_url, body, sign, pauses=(), event=event["id"])

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        event = {
            "type": kind,
            "id": str(uuid.uuid4()),
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()),
            "object": {"type": kind.split(".")[1], "id": data["id"]},
            "environment": {"name": "Simulator", "id": "env1"},
            "data": json.loads(json.dumps(data)),
            "request_id": None,
            "accessor": None,
            "accessor_source": None,
            "attempts": [],
        }
        with self.lock:
            self.events.append(event)
            fate = self.webhooks.pop(0) if self.webhooks else "send"
            if fate == "keep":
                self._kept.append(event)
        if self.webhook_url and fate in ("send", "twice"):
            for _ in range(2 if fate == "twice" else 1):
                self.post(event)

    # ---- the API -----------------------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        one = f"{LIVE}/([^/]+)"
        return [
            ("GET", LIVE, self._list_streams),
            ("POST", LIVE, self._create_stream),
            ("GET", one, self._show_stream),
            ("DELETE", one, self._delete_stream),
            ("PUT", f"{one}/(complete|enable|disable)", self._switch),
            ("POST", f"{one}/reset-stream-key", self._reset_key),
            ("POST", f"{one}/simulcast-targets", self._add_target),
            ("DELETE", f"{one}/simulcast-targets/([^/]+)", self._remove_target),
            ("GET", "/video/v1/assets/([^/]+)", self._show_asset),
            ("DELETE", "/video/v1/assets/([^/]+)", self._delete_asset),
            ("POST", "/video/v1/uploads", self._create_upload),
            ("GET", "/video/v1/uploads/([^/]+)", self._show_upload),
            ("OPTIONS", "/upload/([^/]+)", self._allow_upload),
            ("PUT", "/upload/([^/]+)", self._receive_video),
            ("GET", "/stream/([^/.]+)/highest\\.mp4", self._serve_film),
            ("GET", "/stream/([^/.]+)\\.m3u8", self._serve_playlist),
            ("GET", "/stream/(part[0-9]+\\.ts)", self._serve_part),
        ]

    def check_request(self, request: Request) -> Response | None:
        if request.path.startswith(("/stream/", "/upload/")):
            return None
        expected = base64.b64encode(f"{TOKEN_ID}:{self.api_key}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return _error(401, "unauthorized", "Unauthorized request")
        return None

    def not_found(self, request: Request) -> Response:
        return _error(404, "not_found", "The requested resource either doesn't exist or you don't have access to it.")

    def serve_control(self, request: Request) -> Response | None:
        if (request.method, request.path) == ("POST", "/_simulator/camera"):
            waiting = [id for id, each in self.streams.items() if each["status"] == "idle"]
            return Response(200, {"assets": [self.connect(id) for id in waiting]})
        if (request.method, request.path) == ("POST", "/_simulator/recordings"):
            made = {each.get("active_asset_id") for each in self.streams.values()}
            done = [id for id, each in self.assets.items() if each["status"] == "preparing" and id not in made]
            for asset_id in done:
                self.finish(asset_id)
            return Response(200, {"assets": done})
        found = re.fullmatch(r"/_simulator/(streams|assets)/([^/]+)/(connect|disconnect|ready|errored)", request.path)
        if found is None or request.method != "POST":
            return super().serve_control(request)
        kind, id, what = found.groups()
        if id not in (self.streams if kind == "streams" else self.assets):
            return self.not_found(request)
        if kind == "assets":
            self.finish(id, status=what)
        elif what == "connect":
            self.connect(id)
        else:
            self.disconnect(id)
        return Response(200, {})

    def _list_streams(self, request: Request) -> Response:
        limit, page = int(request.query.get("limit", 25)), int(request.query.get("page", 1))
        with self.lock:
            # The newest first.
            found = list(reversed(self.streams.values()))[(page - 1) * limit : page * limit]
            return Response(200, {"data": found})

    def _create_stream(self, request: Request) -> Response:
        body = request.json()
        if len(str(body.get("passthrough", ""))) > 255:
            raise RequestRefused(_error(400, "invalid_parameters", "passthrough is longer than 255 characters"))
        stream = {
            "id": _new_id(),
            "created_at": str(int(time.time())),
            "stream_key": str(uuid.uuid4()),
            "status": "idle",
            "playback_ids": [{"id": _new_id(), "policy": each} for each in body.get("playback_policies", ["public"])],
            "new_asset_settings": body.get("new_asset_settings", {}),
            "passthrough": body.get("passthrough"),
            "latency_mode": body.get("latency_mode", "standard"),
            "reconnect_window": body.get("reconnect_window", 60),
            "max_continuous_duration": body.get("max_continuous_duration", 43_200),
            "recent_asset_ids": [],
            "simulcast_targets": [],
            "test": False,
        }
        with self.lock:
            self.streams[stream["id"]] = stream
        self._tell("video.live_stream.created", stream)
        return Response(201, {"data": stream})

    def _show_stream(self, _request: Request, id: str) -> Response:
        with self.lock:
            return Response(200, {"data": dict(self._stream(id))})

    def _delete_stream(self, _request: Request, id: str) -> Response:
        with self.lock:
            stream = self._stream(id)
            del self.streams[id]
        self._tell("video.live_stream.deleted", stream)
        return Response(204, b"")

    def _switch(self, _request: Request, id: str, what: str) -> Response:
        with self.lock:
            stream, before = self._stream(id), self._stream(id)["status"]
            if what == "enable":
                stream["status"] = "idle" if before == "disabled" else before
            elif before == "active":
                self._finish_stream(stream, "disabled" if what == "disable" else "idle")
            elif what == "disable":
                stream["status"] = "disabled"
        if stream["status"] != before:
            happened = {"complete": "idle", "enable": "enabled", "disable": "disabled"}[what]
            self._tell(f"video.live_stream.{happened}", stream)
        return Response(200, {"data": {}})

    def _reset_key(self, _request: Request, id: str) -> Response:
        with self.lock:
            stream = self._stream(id)
            stream["stream_key"] = str(uuid.uuid4())
            return Response(201, {"data": dict(stream)})

    def _add_target(self, request: Request, id: str) -> Response:
        body = request.json()
        with self.lock:
            stream = self._stream(id)
            if stream["status"] == "active":
                raise RequestRefused(_error(400, "invalid_parameters", "The live stream is active"))
            target = {"id": _new_id(), "status": "idle", "url": body["url"], "stream_key": body.get("stream_key", "")}
            stream["simulcast_targets"] = [*stream["simulcast_targets"], target]
            return Response(201, {"data": target})

    def _remove_target(self, request: Request, id: str, target_id: str) -> Response:
        with self.lock:
            stream = self._stream(id)
            left = [each for each in stream["simulcast_targets"] if each["id"] != target_id]
            if len(left) == len(stream["simulcast_targets"]):
                return self.not_found(request)
            stream["simulcast_targets"] = left
        return Response(204, b"")

    def _show_asset(self, request: Request, id: str) -> Response:
        with self.lock:
            found = self.assets.get(id)
            return Response(200, {"data": dict(found)}) if found else self.not_found(request)

    def _delete_asset(self, request: Request, id: str) -> Response:
        with self.lock:
            return Response(204, b"") if self.assets.pop(id, None) else self.not_found(request)

    def _create_upload(self, request: Request) -> Response:
        body, id = request.json(), _new_id()
        upload = {
            "id": id,
            "timeout": body.get("timeout", 3600),
            "status": "waiting",
            "new_asset_settings": body.get("new_asset_settings", {}),
            "cors_origin": body.get("cors_origin", ""),
            "url": f"{self.url}/upload/{id}",
            "test": False,
        }
        with self.lock:
            self.uploads[id] = upload
        return Response(201, {"data": upload})

    def _show_upload(self, request: Request, id: str) -> Response:
        with self.lock:
            found = self.uploads.get(id)
            return Response(200, {"data": dict(found)}) if found else self.not_found(request)

    def _allow_upload(self, request: Request, id: str) -> Response:
        """A browser asks whether it may send a file from another site."""
        allowed = {"access-control-allow-methods": "PUT", "access-control-allow-headers": "content-type"}
        return Response(204, b"", {"access-control-allow-origin": self.uploads[id]["cors_origin"], **allowed})

    def _receive_video(self, request: Request, id: str) -> Response:
        """A browser sends the video, and it is made at once."""
        self.received[id] = request.body
        self.finish(self.send_video(id))
        return Response(200, b"", {"access-control-allow-origin": self.uploads[id]["cors_origin"]})

    def _serve_film(self, request: Request, playback_id: str) -> Response:
        if not self.opens(request.query.get("token", ""), playback_id, "v"):
            return Response(403, b"forbidden", {"content-type": "text/plain"})
        return Response(200, self.film, {"content-type": "video/mp4"})

    def _serve_playlist(self, request: Request, playback_id: str) -> Response:
        if not self.opens(request.query.get("token", ""), playback_id, "v"):
            return Response(403, b"forbidden", {"content-type": "text/plain"})
        return Response(200, hls_of(self.film)["index.m3u8"], {"content-type": "application/vnd.apple.mpegurl"})

    def _serve_part(self, request: Request, name: str) -> Response:
        part = hls_of(self.film).get(name)
        return Response(200, part, {"content-type": "video/mp2t"}) if part else self.not_found(request)

    def opens(self, token: str, playback_id: str, audience: str) -> bool:
        """Whether a token opens a playback id for a purpose now."""
        try:
            head, claims, signature = token.split(".")
            key = self.signing_key.public_key()
            key.verify(_bytes(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
            said, header = json.loads(_bytes(claims)), json.loads(_bytes(head))
        except Exception:
            return False
        is_ours = header == {"alg": "RS256", "typ": "JWT", "kid": self.signing_key_id}
        return is_ours and (said["sub"], said["aud"]) == (playback_id, audience) and said["exp"] > self.seconds()

    def _stream(self, id: str) -> dict[str, Any]:
        found = self.streams.get(id)
        if found is None:
            raise RequestRefused(_error(404, "not_found", "The requested resource does not exist."))
        return found

    def _finish_stream(self, stream: dict[str, Any], status: str) -> None:
        stream["status"] = status
        stream.pop("active_asset_id", None)

    def _new_asset(self, settings: dict[str, Any], **named: Any) -> dict[str, Any]:
        asset = {
            "id": _new_id(),
            "created_at": str(int(time.time())),
            "status": "preparing",
            "playback_ids": [{"id": _new_id(), "policy": each} for each in settings.get("playback_policies", [])],
            "passthrough": settings.get("passthrough"),
            "static_renditions": {
                "files": [{"name": "highest.mp4", "ext": "mp4", "resolution": "highest", "status": "preparing"}]
            },
            **named,
        }
        self.assets[asset["id"]] = asset
        return asset


def _error(status: int, kind: str, message: str) -> Response:
    return Response(status, {"error": {"type": kind, "messages": [message]}})


def _new_id() -> str:
    return secrets.token_urlsafe(ID_BYTES).replace("-", "0").replace("_", "1")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


SIMULATOR = MuxSimulator

if __name__ == "__main__":
    main(MuxSimulator, "streaming.mux")
