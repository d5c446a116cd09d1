"""A FeedWriter in memory, for tests of what publishes events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from atelier.feeds.model import FeedEvent, StreamPosition


class FakeFeeds:
    """FeedWriter in memory: an event whose id a feed has is left out."""

    def __init__(self) -> None:
        self.events: dict[str, list[FeedEvent]] = defaultdict(list)

    def append(
        self, feed_id: str, events: Sequence[FeedEvent], now: datetime, position: StreamPosition | None = None
    ) -> None:
        """As the port says."""
        known = {event.id for event in self.events[feed_id]}
        self.events[feed_id] += [event for event in events if event.id not in known]

    def has_had(self, feed_id: str, event_id: str) -> bool:
        """As the port says."""
        return any(event.id == event_id for event in self.events[feed_id])

    def types(self, feed_id: str) -> list[str]:
        """The types of a feed's events, in order."""
        return [event.type for event in self.events[feed_id]]
