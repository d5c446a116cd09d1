"""Ports of the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass

# Most functions write events, and few read seals.
if TYPE_CHECKING:
    from atelier.audit_log.seals import AuditSeal, PublicForm


class AuditLog(Protocol):
    """Appends events. A change that is stored writes its events in its own transaction instead (the argument `events`
    of its port method)."""

    def append(self, *events: AuditEvent) -> None:
        """Write events that belong to no other write, all or none."""
        ...


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events of a log are read; None = all. `action`: one action, or those with a prefix that ends with a dot
    (`session.`). `begin` is inclusive, `end` exclusive."""

    actor: str | None = None
    action: str | None = None
    begin: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, newest first, and the key after which the next page begins; None on the last page."""

    events: tuple[PublicForm, ...]
    next_key: str | None


class AuditReads(Protocol):
    """Reads the events of one log."""

    def page(self, log: str, wanted: EventFilter, after: str | None, limit: int) -> EventPage: ...


class AuditSeals(Protocol):
    """The seals of logs, and the events that they cover."""

    def newest(self, log: str, *, consistent: bool) -> AuditSeal | None: ...

    def between(self, log: str, first: int, last: int, /) -> Sequence[AuditSeal]:
        """The stored seals with these numbers, in order (consistent read)."""
        ...

    def oldest(self, log: str, limit: int) -> Sequence[AuditSeal]:
        """The first seals that are not marked as archived, in order (consistent read)."""
        ...

    def append(self, log: str, seal: AuditSeal, *, begins_month: bool) -> None:
        """Write the next seal. begins_month: it is the log's first of its calendar month, which is noted for
        archiving in the same transaction. Raises SealNumberTaken."""
        ...

    def events_of(self, log: str, ids: Sequence[str]) -> list[PublicForm]:
        """The events with these ids, in their order, without those that are not there (consistent read)."""
        ...


@dataclass(frozen=True, slots=True)
class DueArchive:
    """A log has seals of a calendar month (`2026-11`) that are not archived."""

    log: str
    month: str


class ArchiveMarks(AuditSeals, Protocol):
    """Which months are to be archived, and the marks of what may go. A mark is the time after which TTL deletes."""

    def due(self, end: datetime) -> Iterator[DueArchive]:
        """The months before that of `end`, of all logs, that are not archived; the oldest first for each log."""
        ...

    def expire(self, log: str, seals: Sequence[AuditSeal], at: datetime) -> None:
        """Mark seals, each after its events. Safe to repeat; what is gone is not created again."""
        ...

    def finish(self, archive: DueArchive, at: datetime) -> None:
        """Mark the month as archived."""
        ...


class ArchiveFiles(Protocol):
    """The files of the archive. None is ever changed, but by an erasure."""

    def exists(self, key: str) -> bool: ...

    def add(self, key: str, data: bytes) -> None: ...
