"""Who of the platform's administrators is there: those who listen to the channel `admin`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.feeds.model import FeedEvent
from atelier.feeds.ports import FeedWriter
from atelier.realtime.model import PLATFORM_FEED, Connection
from atelier.realtime.ports import ConnectionStore

CHANNEL = "admin"


@dataclass(frozen=True, slots=True)
class DisconnectDeps:
    """The dependencies of the end of a connection. feeds: makes the feeds; most ends need none."""

    connections: ConnectionStore
    feeds: Callable[[], FeedWriter]


def disconnect(deps: DisconnectDeps, connection_id: str, now: datetime) -> None:
    """Forget a connection. When it was an administrator's, the others hear that they are gone."""
    connection = deps.connections.connection(connection_id)
    deps.connections.remove(connection_id)
    if connection is not None and CHANNEL in connection.channels:
        deps.feeds().append(PLATFORM_FEED, [presence_event(connection, "offline", now)], now)


def presence_event(connection: Connection, change: str, now: datetime) -> FeedEvent:
    """An administrator came (`online`) or went (`offline`), with one of possibly several connections."""
    data = {"user_id": connection.viewer.user_id, "connection_id": connection.id}
    return FeedEvent(f"{connection.id}#{change}", f"presence.{change}", rfc3339(now), data)


def present_now(user_ids: Sequence[str]) -> dict[str, Any]:
    """The message to an administrator who begins to listen: who is there."""
    return {"type": "presence.list", "channel": CHANNEL, "data": {"user_ids": sorted(set(user_ids))}}
