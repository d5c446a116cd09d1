"""Values and rules of livestreams. Immutable, no side effects.

A *livestream* is of the workspace of its host. Its *stream* is the place at the streaming service that takes the
picture; the *recording* is what the service has kept of it, until it is an asset of the library. `next_step` says what
has to be done next, and `next_due_at` when: both are functions of the livestream alone, so any process can go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass

AHEAD_MAX = timedelta(days=365)
TARGETS_MAX = 6
TIERS_MAX = 10
# A process that asked the service for a stream has died when it has not written the answer after this time.
CREATION_LEASE = timedelta(minutes=2)
# When a stream may have been made twice, the service is asked for superfluous ones after this time.
ORPHANS_AFTER = timedelta(hours=1)
# How often the service is asked how a stream is, beside its webhooks, which may be lost.
CHECK_EVERY = timedelta(minutes=1)
# A livestream that nobody has ended is ended; also one that nobody has started, so long after its time.
LONGEST = timedelta(hours=24)
RECORDING_RETRY = timedelta(minutes=1)
# What the service has not made of a recording by then will not come.
RECORDING_LATEST = timedelta(days=2)


class LivestreamStatus(StrEnum):
    SCHEDULED = "scheduled"
    # The host has started it, and no picture arrives, not yet or for a moment.
    IDLE = "idle"
    LIVE = "live"
    ENDED = "ended"


class LivestreamAccess(StrEnum):
    """Who may watch: the members of the workspace, everybody with an account, those whose workspace has a tier, those
    who are enrolled in a workshop. Members always may."""

    WORKSPACE = "workspace"
    PUBLIC = "public"
    TIER = "tier"
    ENROLMENT = "enrolment"


class LivestreamStep(StrEnum):
    """What has to be done of a livestream."""

    PUBLISH = "publish"
    CREATE = "create"
    CHECK = "check"
    NOTIFY = "notify"
    EXPIRE = "expire"
    CLOSE = "close"
    UPLOAD = "upload"
    RECORD = "record"
    SWEEP = "sweep"


ON_AIR = frozenset({LivestreamStatus.IDLE, LivestreamStatus.LIVE})


class LivestreamChanged(Exception):
    """The livestream was changed since it was read."""


class LivestreamExists(Exception):
    """A livestream with this id is stored already."""


@dataclass(frozen=True, slots=True)
class Livestream:
    """One livestream. workspace_id: of the host; host_id: a user, who alone sees the stream key. starts_at: when it is
    announced for, UTC. tiers: for TIER, their names; workshop_id: for ENROLMENT.

    stream_id, playback_id: at the service; None = not made yet. creating_at: since when a process makes it; creations:
    how often that was begun. orphans_at: when superfluous streams are looked for. started_at: by the host; live_at:
    when the first picture came; notified_at: everybody enrolled was told. checked_at: when the service was asked last;
    closed_at: the service takes no picture any more.
    upload_id: a video that is being sent to the service in place of a livestream. recording_ids: at the service, still
    to be kept; recording_at: when to look again; recording_asset_ids: kept; recording_failure: why one was not.
    events: those to publish, each a type and its payload. version: counts all writes."""

    id: str
    workspace_id: str
    host_id: str
    title: str
    description: str
    starts_at: datetime
    access: LivestreamAccess
    status: LivestreamStatus
    created_at: datetime
    updated_at: datetime
    tiers: tuple[str, ...] = ()
    workshop_id: str | None = None
    stream_id: str | None = None
    playback_id: str | None = None
    creating_at: datetime | None = None
    creations: int = 0
    orphans_at: datetime | None = None
    started_at: datetime | None = None
    live_at: datetime | None = None
    notified_at: datetime | None = None
    ended_at: datetime | None = None
    checked_at: datetime | None = None
    closed_at: datetime | None = None
    upload_id: str | None = None
    recording_ids: tuple[str, ...] = ()
    recording_at: datetime | None = None
    recording_asset_ids: tuple[str, ...] = ()
    recording_failure: str | None = None
    events: tuple[tuple[str, str], ...] = ()
    version: int = 1
    due_at: datetime | None = None

    @property
    def is_recording_due(self) -> bool:
        """Whether a recording, or a video that is sent, is still on its way to the library."""
        return bool(self.recording_ids or self.upload_id)

    @property
    def is_notification_due(self) -> bool:
        """Whether people who are enrolled have not been told that it is live."""
        return self.live_at is not None and self.notified_at is None and self.access is LivestreamAccess.ENROLMENT


def next_step(livestream: Livestream, now: datetime) -> LivestreamStep | None:
    """What has to be done now; None = nothing. An end goes before all that asks the service."""
    return next((step for step, at in _steps(livestream) if at <= now), None)


def next_due_at(livestream: Livestream) -> datetime | None:
    """When something has to be done; None = nothing until the livestream changes."""
    return min((at for _, at in _steps(livestream)), default=None)


def as_changed(livestream: Livestream, now: datetime) -> Livestream:
    """The livestream after a change at a time, as it is written: with its number, and due when the next step is."""
    numbered = replace(livestream, version=livestream.version + 1, updated_at=max(now, livestream.updated_at))
    return replace(numbered, due_at=next_due_at(numbered))


def _steps(livestream: Livestream) -> list[tuple[LivestreamStep, datetime]]:
    """What has to be done of a livestream and when, the most urgent first."""
    steps: list[tuple[LivestreamStep, datetime]] = []
    at_once = livestream.created_at
    is_over = livestream.status is LivestreamStatus.ENDED
    if livestream.events:
        steps.append((LivestreamStep.PUBLISH, at_once))
    if livestream.stream_id is None and not is_over:
        begun = livestream.creating_at
        steps.append((LivestreamStep.CREATE, begun + CREATION_LEASE if begun else at_once))
    if livestream.status is LivestreamStatus.SCHEDULED:
        steps.append((LivestreamStep.EXPIRE, livestream.starts_at + LONGEST))
    if livestream.status in ON_AIR and livestream.started_at is not None:
        steps.append((LivestreamStep.EXPIRE, livestream.started_at + LONGEST))
        if livestream.stream_id is not None:
            checked = livestream.checked_at
            steps.append((LivestreamStep.CHECK, checked + CHECK_EVERY if checked else at_once))
    if livestream.is_notification_due:
        steps.append((LivestreamStep.NOTIFY, at_once))
    if is_over and livestream.stream_id is not None and livestream.closed_at is None:
        steps.append((LivestreamStep.CLOSE, at_once))
    if livestream.is_recording_due:
        step = LivestreamStep.UPLOAD if livestream.upload_id else LivestreamStep.RECORD
        steps.append((step, livestream.recording_at or at_once))
    if livestream.orphans_at is not None:
        steps.append((LivestreamStep.SWEEP, livestream.orphans_at))
    return steps
