"""Product events: what a workspace's own frontends report, such as `checkout.opened`; kept to be exported.

An event with an id of its own is stored once, however often it is sent: its key follows from its time and that id. A
workspace can switch the events off; then they are accepted and dropped, so that a frontend needs no second version.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed

EVENTS_MAX = 100
# How old an event may be when it is sent, and how far ahead a client's clock may be.
AGE_MAX = timedelta(days=30)
AHEAD_MAX = timedelta(minutes=5)
RETENTION = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class ProductEvent:
    """One event. key: the same for a repeated event. id: the sender's own, if any; properties: JSON values."""

    workspace_id: str
    key: str
    id: str | None
    name: str
    at: datetime
    received_at: datetime
    user_id: str
    token_id: str | None
    properties: dict[str, Any]


class ProductEventStore(Protocol):
    """Where product events are kept."""

    def is_on(self, workspace_id: str) -> bool:
        """Whether the workspace's events are kept; they are until somebody switches them off."""
        ...

    def switch(self, workspace_id: str, is_on: bool, events: Sequence[AuditEvent]) -> None:
        """Switch them on or off, with the audit events of that."""
        ...

    def add(self, event: ProductEvent) -> bool:
        """Store an event; False when one with its key is there."""
        ...


@dataclass(frozen=True, slots=True)
class Tracked:
    """How many events of a request were stored, were there already, and were dropped because they are switched off."""

    accepted: int
    repeated: int
    dropped: int


def event_key(id: str | None) -> str:
    """The part of an event's key beside its time (20 hex digits)."""
    return hashlib.sha256(id.encode(errors="replace")).hexdigest()[:20] if id is not None else secrets.token_hex(10)


def track_events(events: Sequence[ProductEvent], *, store: ProductEventStore) -> Tracked:
    """Store the events of one request, all of one workspace. Safe to repeat for events with an id."""
    if not store.is_on(events[0].workspace_id):
        return Tracked(0, 0, len(events))
    stored = [store.add(event) for event in events]
    return Tracked(sum(stored), len(stored) - sum(stored), 0)


def switch_events(workspace_id: str, is_on: bool, origin: Origin, *, store: ProductEventStore, now: datetime) -> None:
    """Switch a workspace's product events on or off."""
    event = audit_event(workspace_id, "events.switched", origin, now, is_on=is_on)
    store.switch(workspace_id, is_on, [event])


def require_time(at: datetime, path: str, now: datetime) -> None:
    """Raises ValidationFailed for an event that is too old, or from the future."""
    if not now - AGE_MAX <= at <= now + AHEAD_MAX:
        message = f"is not within the last {AGE_MAX.days} days"
        raise ValidationFailed([{"path": path, "message": message}])
