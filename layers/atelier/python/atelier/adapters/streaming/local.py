"""StreamingService without any service: what it shows is a painted film, as HLS files in the media bucket, which our
own edge serves to whoever has its cookies. There is no camera: the picture is there as soon as the stream is open.

    media/<workspace>/streams/<livestream>/index.m3u8, part000.ts …   what viewers see
    media/<workspace>/streams/<livestream>.json                       the stream, which no cookie opens
    media/<workspace>/streams/<livestream>.mp4                        the recording
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from atelier.adapters.streaming.file_store import FileStore
from atelier.adapters.streaming.local_film import CONTENT_TYPES, PLAYLIST, film_of, hls_files
from atelier.errors import Conflict, NotFound
from atelier.livestreams.ports import (
    Ingest,
    Playback,
    PlaybackCookie,
    Recording,
    RecordingState,
    SentVideo,
    SimulcastTarget,
    Stream,
    StreamReference,
    StreamState,
    UploadPlace,
)

PLAYBACK_LIFETIME = timedelta(minutes=5)
STATE_BYTES_MAX = 64 * 1024
NO_CAMERA = "rtmp://127.0.0.1:9/nobody-listens"


class LocalStreaming:
    """StreamingService on the media bucket. A stream's id is `<workspace>/<livestream>`, so it cannot be made twice.
    cookies(folder, until): the cookies of our edge that open a folder of the bucket."""

    def __init__(self, files: FileStore, cookies: Callable[[str, datetime], Mapping[str, str]]) -> None:
        self._files = files
        self._cookies = cookies

    def create(self, reference: StreamReference) -> Stream:
        id = f"{reference.workspace_id}/{reference.livestream_id}"
        state = self._state(id)
        return _stream(id, state if state is not None else self._save(id, _new_state()))

    def find(self, reference: StreamReference) -> Sequence[Stream]:
        found = self.read(f"{reference.workspace_id}/{reference.livestream_id}")
        return [found] if found else []

    def read(self, stream_id: str) -> Stream | None:
        state = self._state(stream_id)
        return None if state is None else _stream(stream_id, state)

    def open(self, stream_id: str, title: str) -> Stream:
        state = self._state(stream_id)
        if state is None:
            raise NotFound
        film = film_of(title)
        self._files.put(f"{_place(stream_id)}.mp4", film, "video/mp4")
        parts = hls_files(film)
        for name, data in parts.items():
            self._files.put(f"{_place(stream_id)}/{name}", data, CONTENT_TYPES[name[name.rindex(".") :]])
        return _stream(stream_id, self._save(stream_id, {**state, "state": "active", "files": sorted(parts)}))

    def close(self, stream_id: str) -> Stream | None:
        state = self._state(stream_id)
        if state is None:
            return None
        return _stream(stream_id, self._save(stream_id, {**state, "state": "disabled"}))

    def delete(self, stream_id: str) -> None:
        state = self._state(stream_id) or {}
        for name in state.get("files", ()):
            self._files.delete(f"{_place(stream_id)}/{name}")
        for ending in ("mp4", "json"):
            self._files.delete(f"{_place(stream_id)}.{ending}")

    def ingest(self, stream_id: str) -> Ingest:
        return Ingest(NO_CAMERA, self._known(stream_id)["stream_key"])

    def rotate_key(self, stream_id: str) -> Ingest:
        self._save(stream_id, {**self._known(stream_id), "stream_key": secrets.token_urlsafe(24)})
        return self.ingest(stream_id)

    def targets(self, stream_id: str) -> Sequence[SimulcastTarget]:
        targets: dict[str, str] = self._known(stream_id)["targets"]
        return [SimulcastTarget(id, url, "idle") for id, url in targets.items()]

    def add_target(self, stream_id: str, url: str, stream_key: str) -> SimulcastTarget:
        state, id = self._known(stream_id), secrets.token_hex(8)
        self._save(stream_id, {**state, "targets": {**state["targets"], id: url}})
        return SimulcastTarget(id, url, "idle")

    def remove_target(self, stream_id: str, target_id: str) -> None:
        state = self._known(stream_id)
        if target_id not in state["targets"]:
            raise NotFound
        left = {id: url for id, url in state["targets"].items() if id != target_id}
        self._save(stream_id, {**state, "targets": left})

    def playback(self, reference: StreamReference, playback_id: str, now: datetime) -> Playback:
        folder, until = _place(playback_id), now + PLAYBACK_LIFETIME
        named = self._cookies(folder, until).items()
        cookies = tuple(PlaybackCookie(name, value, f"/{folder}/") for name, value in named)
        return Playback(f"/{folder}/{PLAYLIST}", until, cookies=cookies)

    def recording(self, recording_id: str) -> Recording | None:
        return None if self._state(recording_id) is None else Recording(recording_id, RecordingState.READY)

    def fetch(self, recording_id: str, bytes_max: int, now: datetime) -> bytes:
        return self._files.get(f"{_place(recording_id)}.mp4", bytes_max)

    def begin_upload(self, reference: StreamReference, now: datetime) -> UploadPlace:
        raise Conflict("This deployment has no streaming service. Upload the video to the library.", reason="local")

    def sent_video(self, upload_id: str) -> SentVideo:
        return SentVideo(None, has_failed=True)

    def _known(self, stream_id: str) -> dict[str, Any]:
        state = self._state(stream_id)
        if state is None:
            raise NotFound
        return state

    def _state(self, stream_id: str) -> dict[str, Any] | None:
        try:
            state: dict[str, Any] = json.loads(self._files.get(f"{_place(stream_id)}.json", STATE_BYTES_MAX))
        except NotFound:
            return None
        return state

    def _save(self, stream_id: str, state: dict[str, Any]) -> dict[str, Any]:
        self._files.put(f"{_place(stream_id)}.json", json.dumps(state).encode(), "application/json")
        return state


def _new_state() -> dict[str, Any]:
    return {"state": "disabled", "stream_key": secrets.token_urlsafe(24), "targets": {}, "files": []}


def _stream(id: str, state: Mapping[str, Any]) -> Stream:
    recordings = (id,) if state["files"] else ()
    return Stream(id, StreamState(state["state"]), id, recordings)


def _place(stream_id: str) -> str:
    workspace_id, _, livestream_id = stream_id.partition("/")
    return f"media/{workspace_id}/streams/{livestream_id}"
