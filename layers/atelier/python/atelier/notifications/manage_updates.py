"""What administrators do with updates: write, change, schedule, send, cancel, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from atelier.audit_log.model import PLATFORM_LOG, AuditEvent, Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import Conflict, ValidationFailed
from atelier.idempotency import IdempotencyKeys
from atelier.ids import new_id
from atelier.notifications.update_ports import UpdateChanged, UpdateExists, UpdateStore
from atelier.notifications.updates import Content, Update, UpdateState, audit_facts
from atelier.retrying import retrying

TRIES_MAX = 10
BUSY = "The update is busy just now. Try again."
# The workspace under which the idempotency keys of administrators are kept.
KEYS = "platform"


@dataclass(frozen=True, slots=True)
class ManageUpdatesDeps:
    """Dependencies."""

    store: UpdateStore
    keys: IdempotencyKeys


def create_update(
    content: Content, key: tuple[str, str] | None, origin: Origin, *, deps: ManageUpdatesDeps, now: datetime
) -> tuple[Update, bool]:
    """Write a draft. Returns it, and whether the same request wrote it before. key: the idempotency key and the
    request's fingerprint. Raises IdempotencyMismatch."""
    update_id = new_id("upd", now)
    if key is not None:
        update_id = deps.keys.reserve(KEYS, key[0], key[1], update_id)
    update = Update(update_id, content, str(origin.user_id), now, now)
    try:
        deps.store.create(update, [_event("update.created", update, origin, now)])
    except UpdateExists:
        return deps.store.get(update_id), True
    return update, False


def change_update(
    update_id: str, content: Content, origin: Origin, *, deps: ManageUpdatesDeps, now: datetime
) -> Update:
    """Replace what a draft says. Raises NotFound, Conflict for one that is no draft."""

    def changed(before: Update) -> Update:
        _require(before, UpdateState.DRAFT)
        return before if before.content == content else replace(before, content=content)

    return _change(update_id, changed, "update.changed", origin, deps, now)


def schedule_update(
    update_id: str, at: datetime | None, origin: Origin, *, deps: ManageUpdatesDeps, now: datetime
) -> Update:
    """Have a draft sent at a time; None = now. Another time moves one that waits. Raises NotFound, Conflict, and
    ValidationFailed for a time after the update's end."""

    def changed(before: Update) -> Update:
        if at is None and before.state in (UpdateState.SENDING, UpdateState.SENT):
            return before
        _require(before, UpdateState.DRAFT, UpdateState.SCHEDULED)
        send_at, until = max(at or now, now), before.content.shown_until
        if until is not None and send_at >= until:
            raise ValidationFailed([{"path": "at", "message": "is not before the end of the update"}])
        is_due = at is None and before.send_at is not None and before.send_at <= now
        if before.state is UpdateState.SCHEDULED and (is_due or before.send_at == at):
            return before
        return replace(before, state=UpdateState.SCHEDULED, send_at=send_at)

    return _change(update_id, changed, "update.scheduled", origin, deps, now)


def cancel_update(update_id: str, origin: Origin, *, deps: ManageUpdatesDeps, now: datetime) -> Update:
    """Send an update to nobody more; whoever has it keeps it. Repeating it changes nothing. Raises NotFound, and
    Conflict for one that is a draft or sent."""

    def changed(before: Update) -> Update:
        if before.state is UpdateState.CANCELLED:
            return before
        _require(before, UpdateState.SCHEDULED, UpdateState.SENDING)
        return replace(before, state=UpdateState.CANCELLED)

    return _change(update_id, changed, "update.cancelled", origin, deps, now)


def delete_update(update_id: str, origin: Origin, *, deps: ManageUpdatesDeps, now: datetime) -> None:
    """Delete a draft. Raises NotFound, Conflict for one that is no draft."""

    def attempt() -> None:
        update = deps.store.get(update_id)
        _require(update, UpdateState.DRAFT)
        deps.store.delete(update, [_event("update.deleted", update, origin, now)])

    retrying(attempt, on=UpdateChanged, busy=BUSY, tries_max=TRIES_MAX)


def _change(
    update_id: str,
    decide: Callable[[Update], Update],
    action: str,
    origin: Origin,
    deps: ManageUpdatesDeps,
    now: datetime,
) -> Update:
    def attempt() -> Update:
        before = deps.store.get(update_id)
        after = decide(before)
        if after != before:
            after = replace(after, version=before.version + 1, updated_at=now)
            deps.store.replace(before, after, [_event(action, after, origin, now)])
        return after

    return retrying(attempt, on=UpdateChanged, busy=BUSY, tries_max=TRIES_MAX)


def _require(update: Update, *states: UpdateState) -> None:
    if update.state not in states:
        raise Conflict(f"The update is {update.state.value}.", state=update.state.value)


def _event(action: str, update: Update, origin: Origin, now: datetime) -> AuditEvent:
    return audit_event(PLATFORM_LOG, action, origin, now, target=update.id, **audit_facts(update))
