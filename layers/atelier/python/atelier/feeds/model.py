"""A feed: the events of one subject (a workspace `wsp_…`, a user `usr_…`, or the `platform`) in order, each numbered.

A feed is read from a cursor: the number of the last event that the reader has. Events are kept for KEPT."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from atelier.dataclass import dataclass
from atelier.events.event import Event, payload

KEPT = timedelta(hours=24)
# Events of these types are many, and of use only to somebody who follows along: a feed keeps them while it is watched.
ROUTINE_TYPES = frozenset(
    f"{subject}.{change}"
    for subject, changes in {
        "generation": ("queued", "running", "progress", "succeeded", "cancelled"),
        "stage": ("running", "progress", "succeeded", "failed", "cancelled", "expired"),
        "asset": ("created", "deleted"),
        "credits": ("spent",),
    }.items()
    for change in changes
)
# For so long a feed keeps routine events after somebody has begun to read it.
WATCHED_FOR = timedelta(hours=25)
# How long a feed knows that it had an event that came without a stream's position; of other types KEPT.
KNOWN_FOR = {"quota.threshold_reached": timedelta(days=40)}
# A feed that begins anew is numbered by its time, and a burst of events is numbered faster than time goes by.
NUMBERING_SLACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event for a feed. id: one for each fact; type: such as `generation.succeeded`; occurred_at: RFC 3339, UTC;
    data: JSON values, ids and facts, never a secret and never a URL that opens a file."""

    id: str
    type: str
    occurred_at: str
    data: Mapping[str, Any]

    @property
    def is_routine(self) -> bool:
        """Whether a feed that nobody watches does without it. Who wants to be called back watches."""
        return self.type in ROUTINE_TYPES and "webhook_url" not in self.data


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """An event at its place in a feed. `sequence` grows by one with each event of the feed."""

    sequence: int
    event: FeedEvent


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Events that were appended together, in order. `is_first`: no older page was kept when it was written.
    `positions`: the last position of each source whose events the feed has."""

    first: int
    events: tuple[FeedEvent, ...]
    is_first: bool
    positions: Mapping[str, int]

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self.first + len(self.events) - 1

    def entries_after(self, cursor: int) -> list[FeedEntry]:
        """The events of the page that a reader with this cursor does not have."""
        skipped = max(0, cursor + 1 - self.first)
        return [FeedEntry(self.first + skipped + n, event) for n, event in enumerate(self.events[skipped:])]


@dataclass(frozen=True, slots=True)
class FeedSlice:
    """What follows a cursor. `cursor`: to go on from. `has_more`: more events follow at once. `is_incomplete`: events
    between the reader's cursor and these may be lost, so that the reader has to read the present state anew."""

    entries: tuple[FeedEntry, ...]
    cursor: int
    has_more: bool = False
    is_incomplete: bool = False


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """Where in a table's stream events come from: what has this position or an earlier one of the same source is in the
    feed already. source: the table's context; number: the stream's sequence number of the record."""

    source: str
    number: int


def feed_event(event: Event) -> FeedEvent:
    """An event of the catalogue as a feed has it."""
    data = {name: value for name, value in payload(event).items() if name not in ("id", "version", "occurred_at")}
    return FeedEvent(event.id, event.type, event.occurred_at, data)


def first_sequence(now: datetime) -> int:
    """The number of the first event of a feed without events: milliseconds since 1970. A feed whose events have all
    expired begins anew above each number that it had, because no feed has a thousand events a second for long."""
    return int(now.timestamp() * 1000)


def may_miss_events(cursor: int, oldest: FeedPage | None, now: datetime) -> bool:
    """Whether events after `cursor` may have expired, when no kept page reaches down to it. oldest: the oldest page.

    Numbers of expired events are below the time (in milliseconds) of what was written KEPT later."""
    if oldest is not None and not oldest.is_first:
        return cursor < oldest.first - 1
    began = first_sequence(now) if oldest is None else oldest.first
    return cursor < began - int((KEPT - NUMBERING_SLACK).total_seconds() * 1000)
