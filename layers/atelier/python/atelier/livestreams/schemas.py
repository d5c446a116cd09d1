"""HTTP schemas of livestreams: requests and responses. Times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from atelier.lazy_model import LazyModel
from atelier.livestreams.manage import LivestreamFields
from atelier.livestreams.model import TIERS_MAX, Livestream, LivestreamAccess, LivestreamStatus
from atelier.livestreams.ports import Ingest, Playback, SimulcastTarget, UploadPlace


def _in_milliseconds(at: datetime) -> datetime:
    """A time in UTC, to the millisecond, as times are stored. Raises ValueError for another century."""
    if not 2000 <= at.year < 2200:
        raise ValueError("must be a time of this century or the next one")
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


Cursor = Annotated[str, Field(max_length=300)]
TierName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class CreateLivestreamRequest(LazyModel):
    """A new livestream. `tiers` are named for the access `tier`, `workshop_id` for the access `enrolment`."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200, pattern=r"\S")
    description: str = Field(default="", max_length=10_000)
    starts_at: Annotated[AwareDatetime, AfterValidator(_in_milliseconds)]
    access: LivestreamAccess = LivestreamAccess.WORKSPACE
    tiers: list[TierName] = Field(default_factory=list[str], max_length=TIERS_MAX)
    workshop_id: str | None = Field(default=None, pattern=r"^wks_[0-7][0-9A-HJKMNP-TV-Z]{25}$")

    @property
    def fields(self) -> LivestreamFields:
        """What the host says."""
        tiers = tuple(dict.fromkeys(self.tiers))
        return LivestreamFields(self.title, self.description, self.starts_at, self.access, tiers, self.workshop_id)


class LivestreamQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    scope: Literal["workspace", "public"] = Field(
        default="workspace",
        description="`workspace`: those of this workspace, newest first; `public`: those for everybody that have not "
        "ended, by their start.",
    )
    limit: int = Field(default=25, ge=1, le=50)
    cursor: Cursor | None = None


class SimulcastRequest(LazyModel):
    """A place to which the picture is forwarded. The key is given to the streaming service, and never shown again."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=500, pattern=r"^rtmps?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?$")
    stream_key: str = Field(min_length=1, max_length=500, pattern=r"^[!-~]+$")


class LivestreamView(LazyModel):
    """One livestream. It is `idle` once its host has started it and no picture arrives."""

    id: str
    workspace_id: str
    host_id: str
    title: str
    description: str
    starts_at: datetime
    access: LivestreamAccess
    tiers: list[str]
    workshop_id: str | None
    status: LivestreamStatus
    is_ready: bool = Field(description="Whether the streaming service has a place for it.")
    started_at: datetime | None
    live_at: datetime | None
    ended_at: datetime | None
    recording: Literal["none", "waiting", "kept", "failed"]
    recording_asset_ids: list[str] = Field(description="Assets of the host's workspace.")
    recording_failure: str | None
    viewers: int = Field(description="About how many watch now; 0 in lists.")
    created_at: datetime
    updated_at: datetime
    is_yours: bool = Field(description="Whether you are its host; false in lists.")
    can_manage: bool = Field(description="Whether you may start and end it; false in lists.")


class LivestreamEnvelope(LazyModel):
    livestream: LivestreamView


class LivestreamList(LazyModel):
    items: list[LivestreamView]
    next_cursor: str | None


class PlaybackView(LazyModel):
    """How a livestream or its recording is watched until `expires_at`; then it is asked for again. url: an HLS playlist
    or a file. One of our own edge is a path, and is opened by the cookies of this response."""

    url: str
    type: Literal["application/vnd.apple.mpegurl", "video/mp4"]
    expires_at: datetime
    thumbnail_url: str | None
    storyboard_url: str | None


class PlaybackEnvelope(LazyModel):
    playback: PlaybackView


class IngestView(LazyModel):
    """Where the host's program sends the picture. stream_key: a secret; whoever has it can send."""

    url: str
    stream_key: str


class IngestEnvelope(LazyModel):
    ingest: IngestView


class SimulcastView(LazyModel):
    id: str
    url: str
    status: str


class SimulcastEnvelope(LazyModel):
    target: SimulcastView


class SimulcastList(LazyModel):
    items: list[SimulcastView]


class UploadPlaceView(LazyModel):
    """Where a browser sends a video to, by PUT, until `expires_at`."""

    url: str
    expires_at: datetime


class UploadPlaceEnvelope(LazyModel):
    upload: UploadPlaceView


def livestream_view(
    livestream: Livestream, viewers: int = 0, *, is_yours: bool = False, can_manage: bool = False
) -> LivestreamView:
    """The response form of a livestream."""
    computed = ("tiers", "is_ready", "recording", "recording_asset_ids", "viewers", "is_yours", "can_manage")
    return LivestreamView(
        **{name: getattr(livestream, name) for name in LivestreamView.model_fields if name not in computed},
        tiers=list(livestream.tiers),
        is_ready=livestream.stream_id is not None,
        recording=_recording(livestream),
        recording_asset_ids=list(livestream.recording_asset_ids),
        viewers=viewers,
        is_yours=is_yours,
        can_manage=can_manage,
    )


def playback_view(playback: Playback) -> PlaybackView:
    """The response form of a playback."""
    path = playback.url.partition("?")[0]
    return PlaybackView(
        url=playback.url,
        type="application/vnd.apple.mpegurl" if path.endswith(".m3u8") else "video/mp4",
        expires_at=playback.expires_at,
        thumbnail_url=playback.thumbnail_url,
        storyboard_url=playback.storyboard_url,
    )


def ingest_view(ingest: Ingest) -> IngestView:
    """The response form of where the picture is sent to."""
    return IngestView(url=ingest.url, stream_key=ingest.stream_key)


def simulcast_view(target: SimulcastTarget) -> SimulcastView:
    """The response form of a place to which the picture is forwarded."""
    return SimulcastView(id=target.id, url=target.url, status=target.status)


def upload_view(place: UploadPlace) -> UploadPlaceView:
    """The response form of a place for a video."""
    return UploadPlaceView(url=place.url, expires_at=place.expires_at)


def _recording(livestream: Livestream) -> Literal["none", "waiting", "kept", "failed"]:
    if livestream.is_recording_due:
        return "waiting"
    if livestream.recording_asset_ids:
        return "kept"
    return "failed" if livestream.recording_failure else "none"
