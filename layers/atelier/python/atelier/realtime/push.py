"""Send new events of feeds to the connections that listen.

The realtime table's stream delivers the pages, the subscriptions and the requests for closing of one feed in the order
in which they were written, to one invocation at a time. So a subscription begins between two pages: it gets what its
cursor misses from the feed, notes how far that reached, and pages up to there are left out for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import groupby

from atelier.dataclass import dataclass
from atelier.feeds.model import FeedPage
from atelier.feeds.ports import FeedReader
from atelier.realtime.model import Closing, Listener, entries_of, parse_channel
from atelier.realtime.ports import ConnectionGone, ConnectionStore, Messenger
from atelier.realtime.present import AssetUrls, encode, message
from atelier.telemetry import logger

SENDERS = 32


@dataclass(frozen=True, slots=True)
class NewPage:
    """A page was appended to a feed."""

    feed_id: str
    page: FeedPage


@dataclass(frozen=True, slots=True)
class NewListener:
    """Somebody begins to listen."""

    connection_id: str
    feed_id: str
    channel: str


@dataclass(frozen=True, slots=True)
class PushDeps:
    """The dependencies of sending. asset_urls: see `present.py`."""

    connections: ConnectionStore
    feeds: FeedReader
    messenger: Messenger
    asset_urls: AssetUrls


Change = NewPage | NewListener | Closing


def push_all(deps: PushDeps, changes: Iterable[Change], now: datetime) -> None:
    """Act on the changes of a stream's batch in their order. A client that is gone or too slow is disconnected, and
    delays nobody: it comes back with its cursor."""
    with ThreadPoolExecutor(SENDERS) as senders:
        for change in changes:
            if isinstance(change, NewPage):
                sent = _push(deps, change, senders, now)
                logger.info("pushed", extra={"feed": change.feed_id, "events": len(change.page.events), "sent": sent})
            elif isinstance(change, NewListener):
                _begin(deps, change, now)
            else:
                _close(deps, change)


def _push(deps: PushDeps, new: NewPage, senders: ThreadPoolExecutor, now: datetime) -> int:
    """Send a page to all who listen; returns how many messages were sent."""
    listening = [each for each in deps.connections.subscriptions(new.feed_id) if each.sent is not None]

    def by_connection(subscription: Listener) -> str:
        return subscription.connection_id

    tasks = [
        senders.submit(_send_page, deps, connection_id, list(subscriptions), new.page, now)
        for connection_id, subscriptions in groupby(sorted(listening, key=by_connection), key=by_connection)
    ]
    return sum(task.result() for task in tasks)


def _send_page(
    deps: PushDeps, connection_id: str, subscriptions: Sequence[Listener], page: FeedPage, now: datetime
) -> int:
    if any(subscription.expires_at <= now for subscription in subscriptions):
        _disconnect(deps, connection_id, subscriptions[0].feed_id)
        return 0
    messages: list[bytes] = []
    for subscription in subscriptions:
        entries = page.entries_after(max(subscription.sent or 0, page.first - 1))
        channel = parse_channel(subscription.channel)
        for entry in entries_of(channel, subscription.visible, entries):
            messages.append(message(channel.name, entry, deps.asset_urls, now))
    return len(messages) if _send(deps, connection_id, subscriptions[0].feed_id, messages) else 0


def _begin(deps: PushDeps, new: NewListener, now: datetime) -> None:
    """Begin a subscription: say from where on, send what the cursor misses."""
    subscription = deps.connections.subscription(new.connection_id, new.feed_id, new.channel)
    if subscription is None or subscription.sent is not None:
        return
    channel, cursor, has_more = parse_channel(new.channel), subscription.cursor, True
    messages: list[bytes] = [encode({"type": "subscribed", "channel": channel.name, "sequence": cursor})]
    while has_more:
        found = deps.feeds.after(new.feed_id, cursor, now)
        if found.is_incomplete:
            messages.append(encode(_INCOMPLETE | {"channel": channel.name, "sequence": found.cursor}))
        for entry in entries_of(channel, subscription.visible, found.entries):
            messages.append(message(channel.name, entry, deps.asset_urls, now))
        cursor, has_more = found.cursor, found.has_more
        if not _send(deps, new.connection_id, new.feed_id, messages):
            return
        messages = []
    deps.connections.begin(subscription, cursor)


_INCOMPLETE = {
    "type": "error",
    "error": "CURSOR_EXPIRED",
    "message": "Events after this cursor may be lost. Read the present state; what follows comes in order.",
}


def _close(deps: PushDeps, closing: Closing) -> None:
    for connection in deps.connections.connections_of(closing.owner_id):
        if closing.includes(connection.viewer):
            _disconnect(deps, connection.id)


def _send(deps: PushDeps, connection_id: str, feed_id: str, messages: Sequence[bytes]) -> bool:
    """Send messages in their order; False when the client is gone, and then its connection is forgotten."""
    try:
        for each in messages:
            deps.messenger.post(connection_id, each)
    except ConnectionGone:
        _disconnect(deps, connection_id, feed_id)
        return False
    return True


def _disconnect(deps: PushDeps, connection_id: str, feed_id: str | None = None) -> None:
    deps.messenger.close(connection_id)
    deps.connections.remove(connection_id, feed_id)
