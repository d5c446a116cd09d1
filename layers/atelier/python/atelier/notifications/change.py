"""Read, acknowledge and archive notifications. Each may be repeated; the time of the first one stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.clock import rfc3339
from atelier.errors import Conflict
from atelier.feeds.model import FeedEvent
from atelier.feeds.ports import FeedWriter
from atelier.notifications.model import Notification, as_acknowledged, as_archived, as_read
from atelier.notifications.ports import NotificationChanged, NotificationStore
from atelier.retrying import retrying

CHANGED = "notification.changed"
TRIES_MAX = 10
BUSY = "The notification is busy just now. Try again."


class StillOpen(Conflict):
    """An action item stays in the list until it is acknowledged."""

    def __init__(self) -> None:
        super().__init__("This notification wants something done. Acknowledge it first.")


def read(
    user_id: str, notification_id: str, *, store: NotificationStore, feeds: FeedWriter, now: datetime
) -> Notification:
    """The notification, read. Raises NotFound."""
    return _changed(user_id, notification_id, as_read, store, feeds, now)


def acknowledge(
    user_id: str, notification_id: str, *, store: NotificationStore, feeds: FeedWriter, now: datetime
) -> Notification:
    """The notification, acknowledged and read. Raises NotFound."""
    return _changed(user_id, notification_id, as_acknowledged, store, feeds, now)


def archive(
    user_id: str, notification_id: str, *, store: NotificationStore, feeds: FeedWriter, now: datetime
) -> Notification:
    """The notification, archived. Raises NotFound, and StillOpen for an action item that is not acknowledged."""

    def archived(before: Notification, at: datetime) -> Notification:
        if before.is_open:
            raise StillOpen
        return as_archived(before, at)

    return _changed(user_id, notification_id, archived, store, feeds, now)


def read_all(user_id: str, *, store: NotificationStore, feeds: FeedWriter, now: datetime) -> int:
    """Read all that are unread; returns how many are unread then, because some may have come meanwhile."""
    count = store.read_all(user_id, now)
    unread = store.unread(user_id)
    if count:
        _publish(user_id, f"{user_id}#read-all#{rfc3339(now)}", {"unread": unread}, feeds, now)
    return unread


def _changed(
    user_id: str,
    notification_id: str,
    decide: Callable[[Notification, datetime], Notification],
    store: NotificationStore,
    feeds: FeedWriter,
    now: datetime,
) -> Notification:
    def attempt() -> tuple[Notification, Notification]:
        before = store.find(user_id, notification_id)
        after = decide(before, now)
        if after != before:
            store.change(before, after)
        return before, after

    before, after = retrying(attempt, on=NotificationChanged, busy=BUSY, tries_max=TRIES_MAX)
    if after != before:
        data = {"notification_id": after.id, "unread": store.unread(user_id)}
        _publish(user_id, f"{after.id}#{rfc3339(now)}", data, feeds, now)
    return after


def _publish(user_id: str, id: str, data: dict[str, str | int], feeds: FeedWriter, now: datetime) -> None:
    feeds.append(user_id, [FeedEvent(id, CHANGED, rfc3339(now), data)], now)
