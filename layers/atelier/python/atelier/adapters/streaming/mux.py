"""StreamingService on Mux (docs.mux.com/api-reference): signed playback alone, one key for all streams.

Mux has no idempotency keys. A creation whose answer is lost is `Unavailable`; the stream carries our reference as
`passthrough`, and `find` lists the streams that do."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, ProviderFailed, Unavailable
from atelier.livestreams.ports import (
    Ingest,
    Playback,
    Recording,
    RecordingState,
    SentVideo,
    SimulcastTarget,
    Stream,
    StreamReference,
    StreamState,
    UploadPlace,
)

if TYPE_CHECKING:
    import urllib3
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

API_URL = "https://api.mux.com"
STREAM_URL, IMAGE_URL = "https://stream.mux.com", "https://image.mux.com"
INGEST_URL = "rtmps://global-live.mux.com:443/app"
CONNECT_SECONDS_MAX, ANSWER_SECONDS_MAX = 3.0, 8.0
FILE_SECONDS_MAX = 120.0
ANSWER_BYTES_MAX = 4 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
PAGE, PAGES_MAX = 100, 50
# Claims of a playback token: a video (also its MP4), a still, a storyboard.
VIDEO, THUMBNAIL, STORYBOARD = "v", "t", "s"
# A player that plays longer than its token begins anew, which viewers see.
PLAYBACK_LIFETIME = timedelta(hours=1)
# A token for the download of a recording.
FILE_LIFETIME = timedelta(minutes=30)
UPLOAD_LIFETIME = timedelta(hours=1)
RENDITION = "highest"
RECONNECT_SECONDS = 60
NO_ANSWER = "The streaming service does not answer now. Try again."
MESSAGE_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class MuxAccess:
    """Our access: an access token (id and secret), and a signing key (its id, and the private key in PEM, which Mux
    gives as base64)."""

    token_id: str
    token_secret: str
    signing_key_id: str
    signing_private_key: str


def access_of(entry: Mapping[str, Any]) -> MuxAccess:
    """The access in the entry of the providers secret: {"token_id", "token_secret", "signing_key_id",
    "signing_private_key", "webhook_secrets": […]}."""
    names = ("token_id", "token_secret", "signing_key_id", "signing_private_key")
    return MuxAccess(*(str(entry.get(name, "")) for name in names))


class MuxStreaming:
    """StreamingService on Mux. access: called for each request, so that a replaced token is used within minutes.
    base_url: of a simulator, which shows the pictures, too; empty = Mux's own."""

    def __init__(self, access: Callable[[], MuxAccess], base_url: str = "") -> None:
        self._access = access
        self._api = (base_url or API_URL).rstrip("/")
        self._stream_url = f"{self._api}/stream" if base_url else STREAM_URL
        self._image_url = f"{self._api}/image" if base_url else IMAGE_URL

    def create(self, reference: StreamReference) -> Stream:
        passthrough = _passthrough(reference)
        body = {
            "playback_policies": ["signed"],
            "passthrough": passthrough,
            "latency_mode": "reduced",
            "reconnect_window": RECONNECT_SECONDS,
            "new_asset_settings": _asset_settings(passthrough),
        }
        return _stream(self._call("POST", "/video/v1/live-streams", body))

    def find(self, reference: StreamReference) -> Sequence[Stream]:
        passthrough = _passthrough(reference)
        found = [each for each in self._list() if each.get("passthrough") == passthrough]
        found.sort(key=lambda each: str(each.get("created_at", "")).zfill(20))
        return list(map(_stream, found))

    def read(self, stream_id: str) -> Stream | None:
        try:
            return _stream(self._call("GET", _path(stream_id)))
        except NotFound:
            return None

    def open(self, stream_id: str, title: str) -> Stream:
        self._call("PUT", _path(stream_id, "/enable"))
        return _stream(self._call("GET", _path(stream_id)))

    def close(self, stream_id: str) -> Stream | None:
        try:
            self._call("PUT", _path(stream_id, "/complete"))
            self._call("PUT", _path(stream_id, "/disable"))
        except NotFound:
            return None
        return self.read(stream_id)

    def delete(self, stream_id: str) -> None:
        stream = self.read(stream_id)
        if stream is None:
            return
        for recording_id in stream.recording_ids:
            self._remove(f"/video/v1/assets/{recording_id}")
        self._remove(_path(stream_id))

    def ingest(self, stream_id: str) -> Ingest:
        return Ingest(INGEST_URL, str(self._call("GET", _path(stream_id))["stream_key"]))

    def rotate_key(self, stream_id: str) -> Ingest:
        return Ingest(INGEST_URL, str(self._call("POST", _path(stream_id, "/reset-stream-key"))["stream_key"]))

    def targets(self, stream_id: str) -> Sequence[SimulcastTarget]:
        found: list[Any] = self._call("GET", _path(stream_id)).get("simulcast_targets") or []
        return [_target(each) for each in found]

    def add_target(self, stream_id: str, url: str, stream_key: str) -> SimulcastTarget:
        body = {"url": url, "stream_key": stream_key}
        return _target(self._call("POST", _path(stream_id, "/simulcast-targets"), body))

    def remove_target(self, stream_id: str, target_id: str) -> None:
        self._call("DELETE", _path(stream_id, f"/simulcast-targets/{target_id}"))

    def playback(self, reference: StreamReference, playback_id: str, now: datetime) -> Playback:
        until = now + PLAYBACK_LIFETIME

        def token(audience: str) -> str:
            return self._token(playback_id, audience, until)

        return Playback(
            f"{self._stream_url}/{playback_id}.m3u8?token={token(VIDEO)}",
            until,
            f"{self._image_url}/{playback_id}/thumbnail.jpg?token={token(THUMBNAIL)}",
            f"{self._image_url}/{playback_id}/storyboard.vtt?token={token(STORYBOARD)}",
        )

    def recording(self, recording_id: str) -> Recording | None:
        try:
            asset = self._call("GET", f"/video/v1/assets/{recording_id}")
        except NotFound:
            return None
        if asset.get("status") == "errored":
            return Recording(recording_id, RecordingState.FAILED)
        file = _rendition(asset)
        status = file.get("status")
        if status in ("errored", "skipped"):
            return Recording(recording_id, RecordingState.FAILED)
        if asset.get("status") != "ready" or status != "ready":
            return Recording(recording_id, RecordingState.PREPARING)
        size = str(file.get("filesize", ""))
        return Recording(recording_id, RecordingState.READY, int(size) if size.isdecimal() else None)

    def fetch(self, recording_id: str, bytes_max: int, now: datetime) -> bytes:
        asset = self._call("GET", f"/video/v1/assets/{recording_id}")
        playback_id, name = _playback_id(asset), str(_rendition(asset).get("name", f"{RENDITION}.mp4"))
        token = self._token(playback_id, VIDEO, now + FILE_LIFETIME)
        url = f"{self._stream_url}/{playback_id}/{name}?token={token}"
        status, data = _send("GET", url, None, {}, bytes_max, FILE_SECONDS_MAX)
        if status != 200:
            raise Unavailable(NO_ANSWER)
        return data

    def begin_upload(self, reference: StreamReference, now: datetime) -> UploadPlace:
        seconds = int(UPLOAD_LIFETIME.total_seconds())
        body = {
            "cors_origin": "*",
            "timeout": seconds,
            "new_asset_settings": _asset_settings(_passthrough(reference)),
        }
        made = self._call("POST", "/video/v1/uploads", body)
        return UploadPlace(str(made["id"]), str(made["url"]), now + UPLOAD_LIFETIME)

    def sent_video(self, upload_id: str) -> SentVideo:
        try:
            upload = self._call("GET", f"/video/v1/uploads/{upload_id}")
        except NotFound:
            return SentVideo(None, has_failed=True)
        if upload.get("asset_id"):
            return SentVideo(str(upload["asset_id"]))
        return SentVideo(None, has_failed=upload.get("status") in ("errored", "cancelled", "timed_out"))

    def _list(self) -> Iterator[dict[str, Any]]:
        for page in range(1, PAGES_MAX + 1):
            found: list[Any] = self._data("GET", f"/video/v1/live-streams?limit={PAGE}&page={page}") or []
            yield from (each for each in found if isinstance(each, dict))
            if len(found) < PAGE:
                return

    def _remove(self, path: str) -> None:
        try:
            self._data("DELETE", path)
        except NotFound:
            return

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = self._data(method, path, body)
        return cast("dict[str, Any]", data) if isinstance(data, dict) else {}

    def _data(self, method: str, path: str, body: object = None) -> Any:
        """What an answer has in `data`. Raises NotFound, Conflict, Unavailable, ProviderFailed."""
        access = self._access()
        credentials = base64.b64encode(f"{access.token_id}:{access.token_secret}".encode()).decode()
        headers = {"authorization": f"Basic {credentials}", "content-type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        try:
            status, raw = _send(method, self._api + path, content, headers, ANSWER_BYTES_MAX, ANSWER_SECONDS_MAX)
        except ValueError as error:
            raise Unavailable(NO_ANSWER) from error
        if status == 429 or status >= 500:
            raise Unavailable(NO_ANSWER)
        if status == 204:
            return None
        try:
            answer: Any = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise Unavailable(NO_ANSWER) from error
        if status == 404:
            raise NotFound
        if status in (401, 403):
            raise ProviderFailed("The streaming service does not accept our access.")
        if status >= 400:
            raise Conflict("The streaming service refuses this: " + _message(answer))
        if not isinstance(answer, dict) or "data" not in answer:
            # It is no answer of Mux, so nobody knows what happened.
            raise Unavailable(NO_ANSWER)
        return cast("dict[str, Any]", answer)["data"]

    def _token(self, playback_id: str, audience: str, until: datetime) -> str:
        """A JSON Web Token (RS256) that opens one playback id for one purpose."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        key_id = self._access().signing_key_id
        head = {"alg": "RS256", "typ": "JWT", "kid": key_id}
        claims = {"sub": playback_id, "aud": audience, "exp": int(until.timestamp()), "kid": key_id}
        text = f"{_part(head)}.{_part(claims)}"
        signature = self._private_key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_base64(signature)}"

    @cached_property
    def _private_key(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        text = self._access().signing_private_key
        pem = text.encode() if text.startswith("-----") else base64.b64decode(text)
        return cast("RSAPrivateKey", load_pem_private_key(pem, password=None))


@cache
def _pool() -> urllib3.PoolManager:
    import urllib3

    return urllib3.PoolManager(retries=False)


def _send(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], bytes_max: int, seconds_max: float
) -> tuple[int, bytes]:
    """Send one request, once: status and body. Raises Unavailable without an answer, ValueError for one that has more
    than `bytes_max`."""
    from urllib3 import Timeout
    from urllib3.exceptions import HTTPError

    timeout = Timeout(connect=CONNECT_SECONDS_MAX, read=ANSWER_SECONDS_MAX)
    deadline, content = time.monotonic() + seconds_max, bytearray()
    try:
        answer = _pool().request(
            method, url, body=body, headers={"user-agent": "atelier", **headers}, timeout=timeout, redirect=False,
            preload_content=False,
        )  # fmt: skip
        try:
            for chunk in answer.stream(CHUNK_BYTES, decode_content=True):
                content += chunk
                if len(content) > bytes_max:
                    raise ValueError(f"more than {bytes_max} bytes")
                if time.monotonic() > deadline:
                    raise Unavailable(NO_ANSWER)
        except (ValueError, Unavailable):
            answer.close()
            raise
        finally:
            answer.release_conn()
    except HTTPError as error:
        raise Unavailable(NO_ANSWER) from error
    return answer.status, bytes(content)


def _path(stream_id: str, below: str = "") -> str:
    return f"/video/v1/live-streams/{stream_id}{below}"


def _passthrough(reference: StreamReference) -> str:
    return f"{reference.workspace_id}/{reference.livestream_id}"


def _asset_settings(passthrough: str) -> dict[str, Any]:
    renditions = [{"resolution": RENDITION}]
    return {"playback_policies": ["signed"], "passthrough": passthrough, "static_renditions": renditions}


def _stream(data: Mapping[str, Any]) -> Stream:
    id, status = data.get("id"), data.get("status")
    if not isinstance(id, str) or status not in tuple(StreamState):
        raise Unavailable(NO_ANSWER)
    active = data.get("active_asset_id")
    assets = dict.fromkeys([*(data.get("recent_asset_ids") or ()), *([active] if active else ())])
    return Stream(id, StreamState(status), _playback_id(data), tuple(map(str, assets)))


def _playback_id(data: Mapping[str, Any]) -> str:
    ids: list[Any] = data.get("playback_ids") or []
    signed = [each["id"] for each in ids if each.get("policy") == "signed"]
    if not signed:
        raise Unavailable(NO_ANSWER)
    return str(signed[0])


def _rendition(asset: Mapping[str, Any]) -> dict[str, Any]:
    renditions = cast("dict[str, Any]", asset.get("static_renditions") or {})
    files = cast("list[dict[str, Any]]", renditions.get("files") or [])
    empty = dict[str, Any]()
    return next((each for each in files if str(each.get("name", "")).endswith(".mp4")), empty)


def _target(data: Mapping[str, Any]) -> SimulcastTarget:
    return SimulcastTarget(str(data.get("id")), str(data.get("url")), str(data.get("status")))


def _message(answer: Any) -> str:
    error: Any = cast("dict[str, Any]", answer).get("error") if isinstance(answer, dict) else None
    messages: Any = cast("dict[str, Any]", error).get("messages") if isinstance(error, dict) else None
    texts = cast("list[Any]", messages) if isinstance(messages, list) else []
    return " ".join(map(str, texts))[:MESSAGE_CHARACTERS_MAX]


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
