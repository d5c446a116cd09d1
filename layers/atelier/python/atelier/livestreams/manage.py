"""What hosts do with livestreams: announce, start and end them, show and rotate the key, forward the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import AtelierError, Conflict, Forbidden, NotFound, ValidationFailed
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.livestreams.advance import advance, as_ended, reference_of, with_event
from atelier.livestreams.deps import LivestreamDeps
from atelier.livestreams.model import (
    AHEAD_MAX,
    LONGEST,
    TARGETS_MAX,
    Livestream,
    LivestreamAccess,
    LivestreamChanged,
    LivestreamExists,
    LivestreamStatus,
    as_changed,
    next_due_at,
)
from atelier.livestreams.ports import Ingest, SimulcastTarget, UploadPlace
from atelier.retrying import retrying
from atelier.telemetry import logger

BUSY = "The livestream is busy. Try again."
TRIES_MAX = 60
IDEMPOTENCY_SCOPE = "livestreams"
Status = LivestreamStatus


@dataclass(frozen=True, slots=True)
class LivestreamFields:
    """What a host says of a livestream."""

    title: str
    description: str
    starts_at: datetime
    access: LivestreamAccess
    tiers: tuple[str, ...]
    workshop_id: str | None


@dataclass(frozen=True, slots=True)
class Host:
    """The verified caller."""

    workspace_id: str
    user_id: str
    origin: Origin


def create_livestream(
    host: Host, fields: LivestreamFields, request_key: str | None, *, deps: LivestreamDeps, now: datetime
) -> tuple[Livestream, bool]:
    """Announce a livestream; and whether the same request did so before. Raises ValidationFailed,
    IdempotencyMismatch."""
    _check(host, fields, deps, now)
    livestream_id = new_id("liv", now)
    if request_key is not None:
        key = f"{IDEMPOTENCY_SCOPE} {request_key}"
        facts = fingerprint(str(fields))
        livestream_id = deps.idempotency_keys().reserve(host.workspace_id, key, facts, livestream_id)
    said = fields.title, fields.description, fields.starts_at, fields.access
    new = Livestream(livestream_id, host.workspace_id, host.user_id, *said, Status.SCHEDULED, now, now)
    new = replace(new, tiers=fields.tiers, workshop_id=fields.workshop_id)
    new = with_event(replace(new, version=0), "scheduled", now)
    new = replace(new, version=1, due_at=next_due_at(new))
    try:
        deps.store.create(new, [_event(new, "created", host.origin, now, access=fields.access.value)])
    except LivestreamExists:
        return _advanced(deps.store.find(livestream_id), deps, now), True
    return _advanced(new, deps, now), False


def start_livestream(host: Host, livestream_id: str, *, deps: LivestreamDeps, now: datetime) -> Livestream:
    """Let people watch, as soon as a picture arrives. Raises NotFound, Conflict after its end."""

    def after(before: Livestream) -> Livestream | None:
        if before.status is Status.ENDED:
            raise Conflict("The livestream has ended.", status=before.status.value)
        if before.upload_id is not None:
            raise Conflict("A video is being sent in place of this livestream.", status=before.status.value)
        return replace(before, status=Status.IDLE, started_at=now) if before.started_at is None else None

    return _change(host, livestream_id, "started", after, deps, now)


def end_livestream(host: Host, livestream_id: str, *, deps: LivestreamDeps, now: datetime) -> Livestream:
    """End a livestream, or take back one that was announced. Its recording follows. Raises NotFound."""

    def after(before: Livestream) -> Livestream | None:
        return None if before.status is Status.ENDED else as_ended(before, now)

    return _change(host, livestream_id, "ended", after, deps, now)


def own_livestream(host: Host, livestream_id: str, deps: LivestreamDeps) -> Livestream:
    """A livestream of the caller's workspace. Raises NotFound."""
    livestream = deps.store.find(livestream_id)
    if livestream.workspace_id != host.workspace_id:
        raise NotFound
    return livestream


def show_key(host: Host, livestream_id: str, *, deps: LivestreamDeps, now: datetime) -> Ingest:
    """Where the host sends the picture, with the secret key; for nobody else. Raises NotFound, Forbidden, Conflict."""
    return deps.service.ingest(_ready(host, livestream_id, deps, now)[1])


def rotate_key(host: Host, livestream_id: str, *, deps: LivestreamDeps, now: datetime) -> Ingest:
    """Replace the key. Raises NotFound, Forbidden, Conflict."""
    livestream, stream_id = _ready(host, livestream_id, deps, now)
    _write_audit(livestream, "key_rotated", host, deps, now)
    return deps.service.rotate_key(stream_id)


def list_targets(host: Host, livestream_id: str, *, deps: LivestreamDeps, now: datetime) -> Sequence[SimulcastTarget]:
    """Where else the picture is forwarded to. Raises NotFound, Forbidden, Conflict."""
    return deps.service.targets(_ready(host, livestream_id, deps, now)[1])


def add_target(
    host: Host, livestream_id: str, url: str, stream_key: str, *, deps: LivestreamDeps, now: datetime
) -> SimulcastTarget:
    """Forward the picture to another place, too; the same place is forwarded to once. Raises NotFound, Forbidden,
    Conflict."""
    livestream, stream_id = _ready(host, livestream_id, deps, now)
    existing = deps.service.targets(stream_id)
    if len(existing) >= TARGETS_MAX:
        raise Conflict(f"A livestream is forwarded to {TARGETS_MAX} places at most.", targets_max=TARGETS_MAX)
    _write_audit(livestream, "target_added", host, deps, now, url=url)
    return deps.service.add_target(stream_id, url, stream_key)


def remove_target(host: Host, livestream_id: str, target_id: str, *, deps: LivestreamDeps, now: datetime) -> None:
    """Forward it no more. Raises NotFound, Forbidden, Conflict."""
    livestream, stream_id = _ready(host, livestream_id, deps, now)
    if target_id not in {each.id for each in deps.service.targets(stream_id)}:
        raise NotFound
    deps.service.remove_target(stream_id, target_id)
    _write_audit(livestream, "target_removed", host, deps, now)


def begin_upload(host: Host, livestream_id: str, *, deps: LivestreamDeps, now: datetime) -> UploadPlace:
    """A place to send a video to, in place of a livestream or of its recording. Raises NotFound, Forbidden, Conflict
    while the livestream is on air."""
    livestream, _ = _ready(host, livestream_id, deps, now)
    if livestream.started_at is not None and livestream.status is not Status.ENDED:
        raise Conflict("The livestream is on air.", status=livestream.status.value)
    place = deps.service.begin_upload(reference_of(livestream), now)

    def after(before: Livestream) -> Livestream:
        return replace(before, upload_id=place.id, recording_at=now, recording_failure=None)

    _change(host, livestream_id, "upload_begun", after, deps, now)
    return place


def _change(
    host: Host,
    livestream_id: str,
    what: str,
    change: Callable[[Livestream], Livestream | None],
    deps: LivestreamDeps,
    now: datetime,
) -> Livestream:
    """Write a change, planned anew when somebody was faster; None = it is done already."""

    def attempt() -> Livestream:
        before = own_livestream(host, livestream_id, deps)
        changed = change(before)
        if changed is None:
            return before
        after = as_changed(changed, now)
        facts = {"before": {"status": before.status.value}, "after": {"status": after.status.value}}
        deps.store.change(before, after, [_event(after, what, host.origin, now, **facts)])
        return after

    after = retrying(attempt, on=LivestreamChanged, busy=BUSY, tries_max=TRIES_MAX, pause=deps.pause)
    return _advanced(after, deps, now)


def _advanced(livestream: Livestream, deps: LivestreamDeps, now: datetime) -> Livestream:
    try:
        return advance(livestream.id, deps=deps.advancing, now=now)
    except AtelierError as error:
        # It is due, so the schedule does what is left.
        logger.warning("a livestream is advanced later", livestream_id=livestream.id, error=error.message)
        return deps.store.find(livestream.id)


def _ready(host: Host, livestream_id: str, deps: LivestreamDeps, now: datetime) -> tuple[Livestream, str]:
    """The livestream and its stream, for its host. Raises NotFound, Forbidden, Conflict."""
    livestream = own_livestream(host, livestream_id, deps)
    if livestream.host_id != host.user_id:
        raise Forbidden("This is for the host of the livestream.", reason="host")
    if livestream.stream_id is None:
        livestream = _advanced(livestream, deps, now)
    if livestream.stream_id is None:
        raise Conflict("The livestream is not ready yet. Try again in a minute.", status=livestream.status.value)
    return livestream, livestream.stream_id


def _write_audit(
    livestream: Livestream, what: str, host: Host, deps: LivestreamDeps, now: datetime, **facts: Any
) -> None:
    """Write that something is changed at the service, which keeps it."""

    def attempt() -> None:
        before = deps.store.find(livestream.id)
        deps.store.change(before, as_changed(before, now), [_event(before, what, host.origin, now, **facts)])

    retrying(attempt, on=LivestreamChanged, busy=BUSY, tries_max=TRIES_MAX, pause=deps.pause)


def _check(host: Host, fields: LivestreamFields, deps: LivestreamDeps, now: datetime) -> None:
    errors: list[dict[str, str]] = []
    if not now - LONGEST < fields.starts_at < now + AHEAD_MAX:
        errors.append({"path": "starts_at", "message": f"must be within the next {AHEAD_MAX.days} days"})
    if (fields.access is LivestreamAccess.TIER) != bool(fields.tiers):
        errors.append({"path": "tiers", "message": "are named for the access `tier`, and for no other"})
    elif unknown := sorted(set(fields.tiers) - set(deps.tier_names())):
        errors.append({"path": "tiers", "message": f"there is no tier {unknown[0]}"})
    if (fields.access is LivestreamAccess.ENROLMENT) != (fields.workshop_id is not None):
        errors.append({"path": "workshop_id", "message": "is named for the access `enrolment`, and for no other"})
    elif fields.workshop_id is not None and not deps.is_own_workshop(fields.workshop_id, host.workspace_id):
        errors.append({"path": "workshop_id", "message": "names what is no workshop of this workspace"})
    if errors:
        raise ValidationFailed(errors)


def _event(livestream: Livestream, what: str, origin: Origin, now: datetime, **facts: Any) -> AuditEvent:
    facts = {"title": livestream.title, "starts_at": rfc3339(livestream.starts_at), **facts}
    return audit_event(livestream.workspace_id, f"livestream.{what}", origin, now, target=livestream.id, **facts)
