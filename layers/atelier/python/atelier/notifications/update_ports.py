"""The ports of updates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.notifications.model import Notification
from atelier.notifications.updates import Candidate, Segment, ShardProgress, Update, UpdateCounts


class UpdateChanged(Exception):
    """The update, or the shard, has been changed since it was read."""


class UpdateExists(Exception):
    """There is an update with this id."""


@dataclass(frozen=True, slots=True)
class UpdatePage:
    """Updates, newest first, and the id after which the next page begins; None on the last page."""

    updates: tuple[Update, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class UpdateDelivery:
    """A notification for one person, and when a mail about it is due; None = never."""

    notification: Notification
    mail_at: datetime | None


class UpdateStore(Protocol):
    """All updates, and how far they are sent."""

    def create(self, update: Update, events: Sequence[AuditEvent]) -> None:
        """Store a new one. Raises UpdateExists."""
        ...

    def get(self, update_id: str) -> Update:
        """One, by a consistent read. Raises NotFound."""
        ...

    def list(self, after_id: str | None, limit: int) -> UpdatePage:
        """A page of updates."""
        ...

    def replace(self, before: Update, after: Update, events: Sequence[AuditEvent]) -> None:
        """Store a change; one that becomes scheduled is in the list of those that are due from then on, and the shards
        of one that is cancelled end. Raises UpdateChanged unless it is as `before`."""
        ...

    def delete(self, update: Update, events: Sequence[AuditEvent]) -> None:
        """Delete a draft. Raises UpdateChanged."""
        ...

    def due(self, now: datetime) -> Sequence[str]:
        """The ids of scheduled updates whose time has come, and of those whose shards may not be queued yet."""
        ...

    def begin(self, before: Update, after: Update, shards: int) -> None:
        """Store that an update is being sent, with the shards in which that happens. Raises UpdateChanged."""
        ...

    def set_queued(self, update: Update) -> None:
        """Take an update out of the list of those that are due."""
        ...

    def shards(self, update_id: str) -> Sequence[ShardProgress]:
        """How far the sending is, by consistent reads."""
        ...

    def deliver(self, progress: ShardProgress, deliveries: Sequence[UpdateDelivery], after: ShardProgress) -> int:
        """In one transaction store these notifications and the progress, to which their number is added; a person who
        has the update is left out. Returns how many were stored. Raises UpdateChanged unless the shard is as
        `progress`."""
        ...

    def set_sent(self, before: Update, after: Update) -> None:
        """Store that an update is sent. Raises UpdateChanged."""
        ...

    def counts(self, update_id: str) -> UpdateCounts:
        """What became of an update so far."""
        ...


class PeopleDirectory(Protocol):
    """All people, in shards, each in an order that stays."""

    @property
    def shards(self) -> int:
        """How many there are."""
        ...

    def page(
        self, shard: int, after: str | None, limit: int, segment: Segment
    ) -> tuple[Sequence[Candidate], str | None]:
        """The people of a shard who follow a place, and the place after which more of them are; None at the end. For a
        segment of one user that user, in the first shard."""
        ...


class UpdateQueue(Protocol):
    """Shards that are to be sent."""

    def send_shard(self, update_id: str, shard: int, delay_seconds: int = 0) -> None:
        """Have a shard sent, or the rest of it."""
        ...
