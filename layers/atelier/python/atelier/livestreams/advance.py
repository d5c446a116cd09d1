"""Bring a livestream to where it should be: publish its events, make its stream, ask how it is, keep its recordings.

One step after the other, as the model says. A step calls the service and then writes on condition that nothing was
written since the livestream was read, so an older reading never overwrites a newer one, and requests, webhooks and the
schedule may do the same step together. A webhook says only which livestream to look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.clock import TimeLeft, rfc3339
from atelier.errors import AtelierError, NotFound, Unavailable
from atelier.events.catalogue import parse
from atelier.events.event import Event, payload
from atelier.events.livestream_events import LivestreamChange, LivestreamOpen
from atelier.ids import derived_id
from atelier.livestreams.deps import AdvanceLivestreamDeps
from atelier.livestreams.model import (
    ON_AIR,
    ORPHANS_AFTER,
    RECORDING_LATEST,
    RECORDING_RETRY,
    Livestream,
    LivestreamChanged,
    LivestreamStatus,
    LivestreamStep,
    as_changed,
    next_step,
)
from atelier.livestreams.ports import RecordingState, Stream, StreamReference, StreamState
from atelier.telemetry import logger

ROUNDS_MAX = 30
DUE_TOGETHER = 25
TIME_MARGIN_MILLISECONDS = 20_000
# A livestream whose visit failed is visited again after this time, so that it does not stand before the others.
PUT_OFF = timedelta(minutes=1)
RECORDING_BYTES_MAX = 50 * 1024 * 1024
Status = LivestreamStatus


def advance_due(context: TimeLeft | None, *, deps: AdvanceLivestreamDeps, clock: Callable[[], datetime]) -> int:
    """Advance the livestreams that are due, the longest overdue first, as long as the time suffices; returns how
    many."""
    done = 0
    while due := deps.store.due(clock(), DUE_TOGETHER):
        for livestream_id in due:
            if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
                logger.warning("livestreams are left for the next run", advanced=done)
                return done
            advance_or_put_off(livestream_id, deps=deps, now=clock())
            done += 1
    logger.info("livestreams advanced", advanced=done)
    return done


def advance_or_put_off(livestream_id: str, *, deps: AdvanceLivestreamDeps, now: datetime) -> None:
    """Advance a livestream; what fails is tried again later."""
    try:
        after = advance(livestream_id, deps=deps, now=now)
        if after.due_at is not None and after.due_at <= now:
            deps.store.make_due(after, now + PUT_OFF)
    except NotFound:
        logger.warning("a due livestream is gone", livestream_id=livestream_id)
    except AtelierError as error:
        logger.warning("a livestream could not be advanced", livestream_id=livestream_id, error=error.message)
        deps.store.make_due(deps.store.find(livestream_id), now + PUT_OFF)


def advance(livestream_id: str, *, deps: AdvanceLivestreamDeps, now: datetime, check: bool = False) -> Livestream:
    """Do what is due of a livestream; returns it as it is then. check: ask the service how its stream is even if that
    was done a moment ago. Raises NotFound, Unavailable, ProviderFailed."""
    livestream = deps.store.find(livestream_id)
    must_check = check and livestream.status in ON_AIR
    for _ in range(ROUNDS_MAX):
        step = next_step(livestream, now)
        if must_check and livestream.stream_id is not None and step is not LivestreamStep.PUBLISH:
            step, must_check = LivestreamStep.CHECK, False
        if step is None or (step is LivestreamStep.RECORD and deps.keep is None):
            break
        try:
            after = _STEPS[step](livestream, deps, now)
        except LivestreamChanged:
            # Somebody else was faster: look at what they left.
            livestream = deps.store.find(livestream_id)
            continue
        livestream = after
    return livestream


def with_event(livestream: Livestream, change: str, now: datetime, asset_id: str = "") -> Livestream:
    """The livestream with an event to publish, which is written with it."""
    event = LivestreamChange(
        livestream.workspace_id,
        livestream.id,
        change,
        # The number of the write that follows.
        livestream.version + 1,
        livestream.title,
        rfc3339(livestream.starts_at),
        asset_id,
        rfc3339(now),
    )
    return replace(livestream, events=(*livestream.events, _packed(event)))


def as_ended(livestream: Livestream, now: datetime) -> Livestream:
    """The livestream after its end. A stream whose creation was begun and not noted is looked for, and removed."""
    ended = replace(livestream, status=Status.ENDED, ended_at=now)
    if livestream.stream_id is None and livestream.creations:
        ended = replace(ended, orphans_at=now + ORPHANS_AFTER)
    return with_event(ended, "ended", now)


def reference_of(livestream: Livestream) -> StreamReference:
    """What the service keeps with the stream."""
    return StreamReference(livestream.workspace_id, livestream.id)


def write(before: Livestream, after: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    """Write a change; returns the livestream as it is written. Raises LivestreamChanged."""
    written = as_changed(after, now)
    deps.store.change(before, written)
    return written


def _publish(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    for type, text in livestream.events:
        deps.publisher().publish(parse(type, json.loads(text)))
    return write(livestream, replace(livestream, events=()), deps, now)


def _create(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    """Make the stream. That a process makes it is written first: whoever comes later and finds no answer looks for a
    stream with our reference before it makes one. What was made twice is removed an hour later."""
    service, reference = deps.service(), reference_of(livestream)
    is_first = livestream.creations == 0
    begun = replace(livestream, creating_at=now, creations=livestream.creations + 1)
    if not is_first:
        begun = replace(begun, orphans_at=now + ORPHANS_AFTER)
    begun = write(livestream, begun, deps, now)
    found = () if is_first else service.find(reference)
    stream = found[0] if found else service.create(reference)
    after = replace(begun, stream_id=stream.id, playback_id=stream.playback_id, creating_at=None)
    return write(begun, after, deps, now)


def _check(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    """Ask the service whether a picture arrives."""
    service = deps.service()
    stream = service.read(_stream_id(livestream))
    if stream is not None and stream.state is StreamState.DISABLED:
        stream = service.open(stream.id, livestream.title)
    return write(livestream, _as_seen(livestream, stream, now), deps, now)


def _as_seen(livestream: Livestream, stream: Stream | None, now: datetime) -> Livestream:
    """The livestream after the service has said how its stream is; one that the service has lost has ended."""
    seen = replace(livestream, checked_at=now)
    if stream is None:
        return replace(as_ended(seen, now), closed_at=now)
    is_active = stream.state is StreamState.ACTIVE
    if is_active and seen.status is Status.IDLE:
        change = "started" if seen.live_at is None else "resumed"
        return with_event(replace(seen, status=Status.LIVE, live_at=seen.live_at or now), change, now)
    if not is_active and seen.status is Status.LIVE:
        return with_event(replace(seen, status=Status.IDLE), "interrupted", now)
    return seen


def _notify(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    """Tell those who are enrolled. An event has one id for each person, so nobody is told twice."""
    live_at = rfc3339(livestream.live_at or now)
    for user_id in deps.enrolled(livestream.workshop_id or ""):
        of = livestream.workspace_id, livestream.id
        deps.publisher().publish(LivestreamOpen(*of, user_id, livestream.title, live_at))
    return write(livestream, replace(livestream, notified_at=now), deps, now)


def _expire(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    return write(livestream, as_ended(livestream, now), deps, now)


def _close(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    stream = deps.service().close(_stream_id(livestream))
    recordings = stream.recording_ids if stream else ()
    after = replace(livestream, closed_at=now, recording_ids=(*livestream.recording_ids, *recordings))
    return write(livestream, after, deps, now)


def _upload(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    """Look whether a video has arrived that was sent in place of a livestream."""
    sent = deps.service().sent_video(livestream.upload_id or "")
    if sent.recording_id is not None:
        arrived = replace(livestream, upload_id=None, recording_ids=(*livestream.recording_ids, sent.recording_id))
        is_over = livestream.status is Status.ENDED
        return write(livestream, arrived if is_over else as_ended(arrived, now), deps, now)
    if sent.has_failed:
        return write(livestream, replace(livestream, upload_id=None, recording_failure="upload_failed"), deps, now)
    return write(livestream, replace(livestream, recording_at=now + RECORDING_RETRY), deps, now)


def _record(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    """Keep the next recording in the library, under an id that is derived from it: again, it is the same asset."""
    assert deps.keep is not None, "advance leaves this step out otherwise"
    service, recording_id = deps.service(), livestream.recording_ids[0]
    recording = service.recording(recording_id)
    ended_at = livestream.ended_at or livestream.created_at
    if recording is not None and recording.state is RecordingState.PREPARING and now < ended_at + RECORDING_LATEST:
        return write(livestream, replace(livestream, recording_at=now + RECORDING_RETRY), deps, now)
    left = replace(livestream, recording_ids=livestream.recording_ids[1:])
    if recording is None or recording.state is not RecordingState.READY:
        return write(livestream, replace(left, recording_failure="not_made"), deps, now)
    if (recording.size_bytes or 0) > RECORDING_BYTES_MAX:
        return write(livestream, replace(left, recording_failure="too_large"), deps, now)
    asset_id = derived_id("ast", ended_at, f"recording {recording_id}")
    try:
        deps.keep(livestream, asset_id, service.fetch(recording_id, RECORDING_BYTES_MAX, now), now)
    except ValueError:
        return write(livestream, replace(left, recording_failure="too_large"), deps, now)
    except Unavailable:
        raise
    except AtelierError as error:
        logger.warning("a recording is not kept", livestream_id=livestream.id, code=error.code)
        return write(livestream, replace(left, recording_failure=error.code.lower()), deps, now)
    kept = replace(left, recording_asset_ids=(*livestream.recording_asset_ids, asset_id))
    return write(livestream, with_event(kept, "recorded", now, asset_id), deps, now)


def _sweep(livestream: Livestream, deps: AdvanceLivestreamDeps, now: datetime) -> Livestream:
    """Remove the streams that were made beside the one that we know."""
    service = deps.service()
    for stream in service.find(reference_of(livestream)):
        if stream.id != livestream.stream_id:
            service.delete(stream.id)
    return write(livestream, replace(livestream, orphans_at=None), deps, now)


def _stream_id(livestream: Livestream) -> str:
    assert livestream.stream_id is not None, "the step is due once there is a stream"
    return livestream.stream_id


def _packed(event: Event) -> tuple[str, str]:
    return event.type, json.dumps(payload(event), separators=(",", ":"))


_STEPS: dict[LivestreamStep, Callable[[Livestream, AdvanceLivestreamDeps, datetime], Livestream]] = {
    LivestreamStep.PUBLISH: _publish,
    LivestreamStep.CREATE: _create,
    LivestreamStep.CHECK: _check,
    LivestreamStep.NOTIFY: _notify,
    LivestreamStep.EXPIRE: _expire,
    LivestreamStep.CLOSE: _close,
    LivestreamStep.UPLOAD: _upload,
    LivestreamStep.RECORD: _record,
    LivestreamStep.SWEEP: _sweep,
}
