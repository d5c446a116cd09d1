"""What educators do with workshops: create, change, schedule, complete and cancel them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import AtelierError, Conflict, Forbidden, NotFound, ValidationFailed
from atelier.events.workshop_events import WorkshopChange
from atelier.idempotency import fingerprint
from atelier.ids import derived_id, new_id
from atelier.retrying import retrying
from atelier.telemetry import logger
from atelier.workshops.advance import advance
from atelier.workshops.deps import WorkshopDeps
from atelier.workshops.model import (
    AHEAD_MAX,
    DURATION_MAX,
    Visibility,
    Workshop,
    WorkshopChanged,
    WorkshopExists,
    WorkshopStatus,
    as_moved,
)
from atelier.workshops.series import Repetition, occurrences

EDUCATOR = "educator"
TRIES_MAX = 60
BUSY = "The workshop is busy. Try again."
IDEMPOTENCY_SCOPE = "workshops"


@dataclass(frozen=True, slots=True)
class WorkshopFields:
    """What an educator says of a workshop. starts_at, ends_at: with an offset."""

    title: str
    description: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    capacity: int
    price_credits: int
    visibility: Visibility
    material_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Educator:
    """The verified caller."""

    workspace_id: str
    user_id: str
    origin: Origin


def create_workshops(
    educator: Educator,
    fields: WorkshopFields,
    repetition: Repetition | None,
    request_key: str | None,
    *,
    deps: WorkshopDeps,
    now: datetime,
) -> tuple[list[Workshop], bool]:
    """Create a draft, or the drafts of a series; and whether the same request created them before. Raises Forbidden
    for whoever is no educator, ValidationFailed, IdempotencyMismatch."""
    _require_educator(educator, deps)
    times = occurrences(fields.starts_at, fields.ends_at, fields.time_zone, repetition)
    _check(fields, educator.workspace_id, deps, now)
    first_id = new_id("wks", now)
    if request_key is not None:
        facts = fingerprint([str(fields), str(repetition)])
        key = f"{IDEMPOTENCY_SCOPE} {request_key}"
        first_id = deps.idempotency_keys().reserve(educator.workspace_id, key, facts, first_id)
    ids = [first_id, *(derived_id("wks", now, f"{first_id} {number}") for number in range(1, len(times)))]
    series_id = first_id if len(times) > 1 else None
    new = [
        _new_workshop(id, educator, replace(fields, starts_at=start, ends_at=end), series_id, now)
        for id, (start, end) in zip(ids, times, strict=True)
    ]
    created = _event(new[0], "created", educator.origin, now, title=fields.title, count=len(new))
    try:
        deps.store.create(new, [created])
    except WorkshopExists:
        return [deps.store.find(first_id)], True
    return new, False


def change_workshop(
    educator: Educator,
    workshop_id: str,
    change: Callable[[Workshop], WorkshopFields],
    *,
    deps: WorkshopDeps,
    now: datetime,
) -> Workshop:
    """Change a draft, or a scheduled workshop before its start. The price is fixed once anybody has enrolled, and there
    are as many places as are taken, at least. Raises NotFound, Forbidden, Conflict, ValidationFailed."""

    def after(before: Workshop) -> Workshop:
        fields = change(before)
        if before.status is not WorkshopStatus.DRAFT:
            before.require_open(now)
        _check(fields, educator.workspace_id, deps, now)
        if fields.price_credits != before.price_credits and before.places_taken + before.waiting_count:
            raise Conflict("The price cannot be changed any more: people have enrolled.")
        if fields.capacity < before.places_taken:
            raise Conflict(f"{before.places_taken} places are taken.", places_taken=before.places_taken)
        changed = replace(before, **{name: getattr(fields, name) for name in fields.__dataclass_fields__})
        return as_moved(replace(changed, sequence=before.sequence + 1), before, now)

    return _change(educator, workshop_id, "changed", after, deps, now)


def schedule_workshop(educator: Educator, workshop_id: str, *, deps: WorkshopDeps, now: datetime) -> Workshop:
    """Let people enrol in a draft. Raises NotFound, Forbidden, Conflict."""

    def after(before: Workshop) -> Workshop | None:
        if before.status is WorkshopStatus.SCHEDULED:
            return None
        if before.status is not WorkshopStatus.DRAFT:
            raise Conflict(f"The workshop is {before.status.value}.", status=before.status.value)
        if before.starts_at <= now:
            raise Conflict("The workshop's start is in the past.")
        return replace(before, status=WorkshopStatus.SCHEDULED)

    return _change(educator, workshop_id, "scheduled", after, deps, now)


def complete_workshop(educator: Educator, workshop_id: str, *, deps: WorkshopDeps, now: datetime) -> Workshop:
    """Say that a workshop has taken place. Raises NotFound, Forbidden, Conflict before its start."""

    def after(before: Workshop) -> Workshop | None:
        if before.status is WorkshopStatus.COMPLETED:
            return None
        if before.status is not WorkshopStatus.SCHEDULED or before.starts_at > now or before.started_at is None:
            raise Conflict("Only a workshop that has started can be completed.", status=before.status.value)
        return replace(before, status=WorkshopStatus.COMPLETED)

    return _change(educator, workshop_id, "completed", after, deps, now)


def cancel_workshop(educator: Educator, workshop_id: str, *, deps: WorkshopDeps, now: datetime) -> Workshop:
    """Cancel a workshop before its start; every fee goes back in full. Raises NotFound, Forbidden, Conflict."""

    def after(before: Workshop) -> Workshop | None:
        if before.status is WorkshopStatus.CANCELLED:
            return None
        if before.status is not WorkshopStatus.DRAFT:
            before.require_open(now)
        return replace(before, status=WorkshopStatus.CANCELLED, sequence=before.sequence + 1)

    return _change(educator, workshop_id, "cancelled", after, deps, now)


def own_workshop(educator: Educator, workshop_id: str, deps: WorkshopDeps) -> Workshop:
    """A workshop of the caller's workspace. Raises NotFound."""
    workshop = deps.store.find(workshop_id)
    if workshop.workspace_id != educator.workspace_id:
        raise NotFound
    return workshop


def _change(
    educator: Educator,
    workshop_id: str,
    what: str,
    change: Callable[[Workshop], Workshop | None],
    deps: WorkshopDeps,
    now: datetime,
) -> Workshop:
    """Write a change, planned anew when somebody was faster; None = it is done already."""
    own_workshop(educator, workshop_id, deps)
    _require_educator(educator, deps)

    def attempt() -> Workshop:
        before = own_workshop(educator, workshop_id, deps)
        changed = change(before)
        if changed is None:
            return before
        is_visible = before.status is not WorkshopStatus.DRAFT or changed.status is WorkshopStatus.SCHEDULED
        after = replace(changed, updated_at=now, version=before.version + 1, due_at=now if is_visible else None)
        facts = {"before": _facts(before), "after": _facts(after)}
        events = [_event(after, what, educator.origin, now, **facts)]
        deps.store.change(before, after, events, _outbox(after, what, now) if is_visible else ())
        return after

    pause = deps.advancing.wallets.pause
    after = retrying(attempt, on=WorkshopChanged, busy=BUSY, tries_max=TRIES_MAX, pause=pause)
    try:
        return advance(after.id, deps=deps.advancing, now=now)
    except AtelierError as error:
        # It is due, so the schedule does what is left.
        logger.warning("a workshop is advanced later", workshop_id=after.id, error=type(error).__name__)
        return after


def _require_educator(educator: Educator, deps: WorkshopDeps) -> None:
    if deps.people.persona(educator.user_id) != EDUCATOR:
        raise Forbidden("Workshops are given by educators. Choose this persona in your profile.", reason="persona")


def _check(fields: WorkshopFields, workspace_id: str, deps: WorkshopDeps, now: datetime) -> None:
    errors: list[dict[str, str]] = []
    if fields.starts_at <= now:
        errors.append({"path": "starts_at", "message": "must be in the future"})
    if fields.starts_at > now + AHEAD_MAX:
        errors.append({"path": "starts_at", "message": f"must be within {AHEAD_MAX.days} days"})
    if not fields.starts_at < fields.ends_at <= fields.starts_at + DURATION_MAX:
        errors.append({"path": "ends_at", "message": f"must be after the start, by {DURATION_MAX.days} days at most"})
    if fields.material_ids and not deps.has_assets(workspace_id, fields.material_ids):
        errors.append({"path": "material_ids", "message": "names what is no asset of this workspace"})
    if errors:
        raise ValidationFailed(errors)


def _new_workshop(
    id: str, educator: Educator, fields: WorkshopFields, series_id: str | None, now: datetime
) -> Workshop:
    return Workshop(
        id,
        educator.workspace_id,
        educator.user_id,
        fields.title,
        fields.description,
        fields.starts_at,
        fields.ends_at,
        fields.time_zone,
        fields.capacity,
        fields.price_credits,
        fields.visibility,
        WorkshopStatus.DRAFT,
        now,
        now,
        series_id,
        fields.material_ids,
    )


def _outbox(workshop: Workshop, what: str, now: datetime) -> Sequence[WorkshopChange]:
    at = rfc3339(workshop.starts_at), rfc3339(now)
    return [WorkshopChange(workshop.workspace_id, workshop.id, what, workshop.version, workshop.title, *at)]


def _event(workshop: Workshop, what: str, origin: Origin, now: datetime, **facts: Any) -> AuditEvent:
    return audit_event(workshop.workspace_id, f"workshop.{what}", origin, now, target=workshop.id, **facts)


def _facts(workshop: Workshop) -> dict[str, Any]:
    return {
        "title": workshop.title,
        "status": workshop.status.value,
        "starts_at": rfc3339(workshop.starts_at),
        "capacity": workshop.capacity,
        "price_credits": workshop.price_credits,
        "visibility": workshop.visibility.value,
    }
