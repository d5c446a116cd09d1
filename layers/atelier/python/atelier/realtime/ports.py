"""The ports of real time: where connections are kept, and how they are spoken to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from atelier.realtime.model import Closing, Connection, Listener, Viewer


class ConnectionStore(Protocol):
    """Tickets, connections and subscriptions."""

    def save_ticket(self, digest: str, viewer: Viewer, expires_at: datetime) -> None:
        """Keep a ticket by the hash of its text."""
        ...

    def redeem_ticket(self, digest: str, now: datetime) -> Viewer | None:
        """Who may connect with a ticket. Of any number of calls, one finds it; None = it is unknown, used or over."""
        ...

    def open(self, connection_id: str, viewer: Viewer, expires_at: datetime) -> None:
        """Keep a new connection."""
        ...

    def connection(self, connection_id: str) -> Connection | None:
        """A connection that is open."""
        ...

    def connections_of(self, owner_id: str) -> Sequence[Connection]:
        """The open connections of a user; or those that listen to the feed of a workspace."""
        ...

    def subscribe(self, subscription: Listener) -> None:
        """Keep a subscription, which begins when the stream of subscriptions delivers it. Raises AlreadyListening,
        TooManyChannels, or NotFound when the connection is gone."""
        ...

    def unsubscribe(self, connection_id: str, feed_id: str, channel: str) -> None:
        """End a subscription, if there is one."""
        ...

    def subscription(self, connection_id: str, feed_id: str, channel: str) -> Listener | None:
        """A subscription as it is now."""
        ...

    def begin(self, subscription: Listener, sent: int) -> bool:
        """Note that a subscription has begun, and what was sent; False when it is gone or has begun before."""
        ...

    def subscriptions(self, feed_id: str) -> Sequence[Listener]:
        """All subscriptions to channels of a feed."""
        ...

    def remove(self, connection_id: str, feed_id: str | None = None) -> None:
        """Forget a connection and its subscriptions. feed_id: a feed with a subscription that an earlier removal may
        have left."""
        ...

    def request_closing(self, closing: Closing, key: str, now: datetime) -> None:
        """Have connections ended, when the stream delivers it. key: one for each request."""
        ...


class ConnectionGone(Exception):
    """The client has gone, or it is too slow to be waited for."""


class Messenger(Protocol):
    """The gateway that holds the connections."""

    def post(self, connection_id: str, message: bytes) -> None:
        """Send a message. Raises ConnectionGone, within some seconds."""
        ...

    def close(self, connection_id: str) -> None:
        """End a connection, if it is open. Raises nothing."""
        ...
