"""Feeds, composed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from atelier.adapters.aws.dynamodb.feeds import DynamoFeeds, new_pages
from atelier.clock import Clock
from atelier.feeds.dispatch import FeedHandler
from atelier.feeds.model import FeedPage
from atelier.settings import RealtimeTable


@cache
def feeds() -> DynamoFeeds:
    """The feeds of this deployment."""
    store = DynamoFeeds()
    store.bind(RealtimeTable.read().name)
    return store


def pages(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, FeedPage]]:
    """The new pages in a batch of the realtime table's stream."""
    return new_pages(records)


def handlers(clock: Clock) -> Sequence[FeedHandler]:
    """Those who act on the events of feeds."""
    # Imported here, because it writes feeds itself.
    from atelier.wiring import notifications, webhook_endpoints

    return (notifications.feed_handler(clock), webhook_endpoints.feed_handler(clock))
