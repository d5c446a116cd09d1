"""The events of a channel by a request that waits for them, for clients without a connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from atelier.caller import Caller
from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.errors import Forbidden, NotFound
from atelier.feeds.model import WATCHED_FOR
from atelier.feeds.ports import FeedReader
from atelier.realtime.model import EventChannel, entries_of, parse_channel, visible_events
from atelier.realtime.present import AssetUrls, channel_event
from atelier.realtime.schemas import EventList, EventsQuery

READ_DELAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ReadEventsDeps:
    """The dependencies of reading events. exists: see `receive.py`; wait_slot(user_id, seconds, now): a context with
    whether this request may wait; sleep: pauses for so many seconds."""

    feeds: FeedReader
    exists: Callable[[str, str], bool]
    asset_urls: AssetUrls
    wait_slot: Callable[[str, int, datetime], AbstractContextManager[bool]]
    sleep: Callable[[float], None]
    clock: Clock


def read_events(deps: ReadEventsDeps, caller: Caller, query: EventsQuery, now: datetime) -> EventList:
    """The events of a channel after the query's cursor. While there are none, they are waited for, at most `wait`
    seconds. Raises Forbidden, NotFound or ValidationFailed."""
    channel = parse_channel(query.channel)
    if channel.kind == "admin":
        raise Forbidden("The channel `admin` needs a connection.", permission=channel.permission)
    if not caller.has_permission(channel.permission):
        raise Forbidden(f"The role {caller.role} does not allow this.", permission=channel.permission)
    if channel.kind in ("generation", "project") and not deps.exists(caller.workspace_id, channel.subject_id or ""):
        raise NotFound
    feed_id = channel.feed_id(caller.user_id, caller.workspace_id)
    deps.feeds.watch(feed_id, now + WATCHED_FOR)
    cursor = deps.feeds.newest(feed_id, now) if query.cursor is None else query.cursor
    found = _read(deps, channel, feed_id, caller, cursor)
    if query.wait and not found["items"] and not found["incomplete"]:
        with deps.wait_slot(caller.user_id, query.wait, now) as may_wait:
            until = now + timedelta(seconds=query.wait)
            while may_wait and not found["items"] and deps.clock() < until:
                deps.sleep(READ_DELAY_SECONDS)
                found = _read(deps, channel, feed_id, caller, found["next_cursor"])
    return found


def _read(deps: ReadEventsDeps, channel: EventChannel, feed_id: str, caller: Caller, cursor: int) -> EventList:
    now = deps.clock()
    found = deps.feeds.after(feed_id, cursor, now)
    entries = entries_of(channel, visible_events(caller.has_permission), found.entries)
    items = [channel_event(channel.name, entry, deps.asset_urls, now) for entry in entries]
    return EventList(items=items, next_cursor=found.cursor, incomplete=found.is_incomplete)
