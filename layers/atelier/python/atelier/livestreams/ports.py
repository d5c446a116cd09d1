"""Ports of livestreams: their store, and the service that takes and shows the picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.livestreams.model import Livestream


@dataclass(frozen=True, slots=True)
class LivestreamPage:
    """Livestreams in the list's order. `next_key` is where the next page begins; None on the last page."""

    livestreams: tuple[Livestream, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class StreamReference:
    """Our name of a stream, which the service keeps with it: so one is found whose creation was not answered."""

    workspace_id: str
    livestream_id: str


@dataclass(frozen=True, slots=True)
class ReleasedStream:
    """A stream of a livestream that is erased. stream_id: None when its creation was begun and not noted."""

    reference: StreamReference
    stream_id: str | None


class StreamState(StrEnum):
    """Whether a stream takes the picture: it waits, receives one, or refuses it."""

    IDLE = "idle"
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream at the service. recording_ids: what it has recorded or records now, the oldest first."""

    id: str
    state: StreamState
    playback_id: str
    recording_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ingest:
    """Where the host's program sends the picture: a URL, and the secret key that goes with it."""

    url: str
    stream_key: str


@dataclass(frozen=True, slots=True)
class SimulcastTarget:
    """Another place to which the service forwards the picture. Its key is never read back."""

    id: str
    url: str
    status: str


class RecordingState(StrEnum):
    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording at the service. size_bytes: of its file; None = not known before it is read."""

    id: str
    state: RecordingState
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """Where a browser sends a video to, by PUT. expires_at: until when."""

    id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SentVideo:
    """A video that was sent. recording_id: None = it has not arrived; has_failed: it will not."""

    recording_id: str | None
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class PlaybackCookie:
    """A cookie that opens the files below a path of our own edge, and nothing else."""

    name: str
    value: str
    path: str


@dataclass(frozen=True, slots=True)
class Playback:
    """How a stream is watched until `expires_at`. url: an HLS playlist, absolute, or a path of our own edge."""

    url: str
    expires_at: datetime
    thumbnail_url: str | None = None
    storyboard_url: str | None = None
    cookies: tuple[PlaybackCookie, ...] = ()


class LivestreamStore(Protocol):
    """Livestreams. Conditions are part of the write."""

    def create(self, livestream: Livestream, events: Sequence[AuditEvent]) -> None:
        """Store a new livestream. Raises LivestreamExists."""
        ...

    def find(self, livestream_id: str) -> Livestream:
        """The livestream, of whichever workspace (consistent read). Raises NotFound."""
        ...

    def change(self, before: Livestream, after: Livestream, events: Sequence[AuditEvent] = ()) -> None:
        """Store `after` in place of `before`. Raises LivestreamChanged when something was written since."""
        ...

    def make_due(self, livestream: Livestream, at: datetime) -> None:
        """Say when the livestream is looked at next, whatever was written to it meanwhile."""
        ...

    def page(self, workspace_id: str, after_key: str | None, limit: int) -> LivestreamPage:
        """The livestreams of a workspace, newest first."""
        ...

    def public_page(self, after_key: str | None, limit: int) -> LivestreamPage:
        """Those of the deployment that are for everybody and have not ended, by their start."""
        ...

    def due(self, now: datetime, limit: int) -> Sequence[str]:
        """The ids of livestreams that are due, the longest overdue first."""
        ...

    def release(self, livestream: Livestream, now: datetime) -> None:
        """Remember that the livestream's stream has to be removed, although the livestream will be gone."""
        ...

    def released(self, now: datetime, limit: int) -> Sequence[ReleasedStream]:
        """The streams that have to be removed now."""
        ...

    def put_off_removal(self, released: ReleasedStream, at: datetime) -> None:
        """Say when a removal is tried again."""
        ...

    def forget(self, released: ReleasedStream) -> None:
        """Note that a stream is removed."""
        ...

    def count_viewer(self, livestream: Livestream, now: datetime) -> None:
        """Count a viewer who asks to watch, or to watch on."""
        ...

    def viewers(self, livestream: Livestream, now: datetime) -> int:
        """About how many watch."""
        ...


class StreamingService(Protocol):
    """What takes and shows the picture. Every call may be repeated. Raises Unavailable when the service does not answer
    now (nobody knows whether it has done what it was asked for), ProviderFailed when it refuses."""

    def create(self, reference: StreamReference) -> Stream:
        """Make a stream; twice makes two, which `find` shows."""
        ...

    def find(self, reference: StreamReference) -> Sequence[Stream]:
        """The streams that carry a reference, the oldest first."""
        ...

    def read(self, stream_id: str) -> Stream | None:
        """A stream as it is now; None when it is gone."""
        ...

    def open(self, stream_id: str, title: str) -> Stream:
        """Let a stream take the picture."""
        ...

    def close(self, stream_id: str) -> Stream | None:
        """End what is being sent, and take no picture any more."""
        ...

    def delete(self, stream_id: str) -> None:
        """Remove a stream, and what it recorded. Nothing happens when it is gone."""
        ...

    def ingest(self, stream_id: str) -> Ingest:
        """Where the picture is sent to."""
        ...

    def rotate_key(self, stream_id: str) -> Ingest:
        """Replace the key; the old one is refused from then on."""
        ...

    def targets(self, stream_id: str) -> Sequence[SimulcastTarget]:
        """Where else the picture is forwarded to."""
        ...

    def add_target(self, stream_id: str, url: str, stream_key: str) -> SimulcastTarget:
        """Forward the picture to another place, too."""
        ...

    def remove_target(self, stream_id: str, target_id: str) -> None:
        """Forward it no more. Raises NotFound."""
        ...

    def playback(self, reference: StreamReference, playback_id: str, now: datetime) -> Playback:
        """How a stream is watched, for some minutes."""
        ...

    def recording(self, recording_id: str) -> Recording | None:
        """A recording as it is now; None when it is gone."""
        ...

    def fetch(self, recording_id: str, bytes_max: int, now: datetime) -> bytes:
        """The MP4 of a recording. Raises ValueError when it has more than `bytes_max`."""
        ...

    def begin_upload(self, reference: StreamReference, now: datetime) -> UploadPlace:
        """A place to send a video to in place of a livestream."""
        ...

    def sent_video(self, upload_id: str) -> SentVideo:
        """What became of a video."""
        ...
