"""The ports of whoever writes and reads feeds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from atelier.feeds.model import FeedEvent, FeedSlice, StreamPosition


class FeedWriter(Protocol):
    """The feeds of all subjects."""

    def append(
        self, feed_id: str, events: Sequence[FeedEvent], now: datetime, position: StreamPosition | None = None
    ) -> None:
        """Append up to 90 events, in this order, to the feed of a workspace or a user. Safe to repeat: with `position`,
        nothing is appended when the feed has this position or a later one of its source; without, events whose ids the
        feed has had in the last day (some types longer: `KNOWN_FOR`) are left out. When all of them are routine,
        nothing is appended while nobody watches the feed. Raises Unavailable when other writers are always faster."""
        ...

    def has_had(self, feed_id: str, event_id: str) -> bool:
        """Whether the feed knows that it had this event, which came without a position."""
        ...


class FeedReader(Protocol):
    """The feeds of all subjects."""

    def watch(self, feed_id: str, until: datetime) -> None:
        """Keep all events of the feed, also the routine ones, from now on until a time; a later time stays. Whoever
        reads a feed, or has its events sent somewhere, calls this before."""
        ...

    def watch_less(self, feed_id: str, until: datetime) -> None:
        """Take back a watch that lasts longer than until a time, for whoever does not need it any more. Other watches
        must end before that time, or be renewed after this."""
        ...

    def newest(self, feed_id: str, now: datetime) -> int:
        """The number of the last event; of a feed without events a number below that of its next one."""
        ...

    def after(self, feed_id: str, cursor: int, now: datetime) -> FeedSlice:
        """What follows a cursor, oldest first: at least one event if there is any. A cursor that this feed never gave
        is one that misses events."""
        ...
