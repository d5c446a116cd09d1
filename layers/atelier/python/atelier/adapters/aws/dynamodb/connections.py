"""Tickets, connections and subscriptions in the realtime table.

pk ticket#<digest>   sk ticket                            who may connect with a ticket
pk connection#<id>   sk connection                        an open connection, and what it listens to
pk <user>            sk connection#<id>                   the same connection, to find a user's
pk <feed>            sk subscriber#<connection>#<channel> who listens to a channel of a feed
pk <user, workspace> sk close#<key>                       connections that have to end
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.expressions.condition import size  # pyright: ignore[reportUnknownVariableType]
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    ConditionsFailed,
    Item,
    batch_read,
    conditional,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.feeds import PAGE_PREFIX, new_pages
from atelier.errors import NotFound
from atelier.realtime.model import (
    CHANNELS_MAX,
    AlreadyListening,
    Closing,
    Connection,
    Listener,
    TooManyChannels,
    Viewer,
)
from atelier.realtime.push import Change, NewListener, NewPage

CONNECTION, TICKET = "connection", "ticket"
SUBSCRIBER_PREFIX, CLOSE_PREFIX = "subscriber#", "close#"
CLOSING_LIFETIME = timedelta(hours=1)
VIEWER_FIELDS = ("user_id", "workspace_id", "personal_id", "session_id", "token_id", "address")
BUSY = "The connection is busy. Try again."
TRIES_MAX = 20


class ConnectionTicketItem(Item):
    """Who may connect with a ticket."""

    viewer = CompactJSON()
    used_at_seconds = NumberAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class ConnectionItem(Item):
    """An open connection. `listens`: the feed and the channel of each subscription, with a space between."""

    viewer = CompactJSON()
    listens = UnicodeSetAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class SubscriberItem(Item):
    """Who listens. `sent`: the last event that was sent; missing until the subscription has begun."""

    cursor = NumberAttribute()
    sent = NumberAttribute(null=True)
    visible = UnicodeAttribute()
    user_id = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()


class ClosingItem(Item):
    """Connections that have to end; see `Closing`."""

    only = CompactJSON()
    expires_at_seconds = NumberAttribute()


class DynamoConnections:
    """ConnectionStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the table."""
        for item in (ConnectionTicketItem, ConnectionItem, SubscriberItem, ClosingItem):
            item.bind(table_name)

    def save_ticket(self, digest: str, viewer: Viewer, expires_at: datetime) -> None:
        expires_at_seconds = int(expires_at.timestamp())
        data = _viewer_data(viewer)
        ConnectionTicketItem(_ticket(digest), TICKET, viewer=data, expires_at_seconds=expires_at_seconds).save()

    def redeem_ticket(self, digest: str, now: datetime) -> Viewer | None:
        item = ConnectionTicketItem(_ticket(digest), TICKET)
        seconds = int(now.timestamp())
        valid = ConnectionTicketItem.used_at_seconds.does_not_exist() & (
            ConnectionTicketItem.expires_at_seconds > seconds
        )
        actions: list[Action] = [ConnectionTicketItem.used_at_seconds.set(seconds)]
        if not conditional(lambda: item.update(actions=actions, condition=valid)):
            return None
        return Viewer(**item.viewer)

    def open(self, connection_id: str, viewer: Viewer, expires_at: datetime) -> None:
        data: dict[str, Any] = {"viewer": _viewer_data(viewer), "expires_at_seconds": int(expires_at.timestamp())}

        def add_writes(write: Any) -> None:
            write.save(ConnectionItem(_connection(connection_id), CONNECTION, **data))
            write.save(ConnectionItem(viewer.user_id, _connection(connection_id), **data))

        write_transaction(add_writes, busy=BUSY, tries_max=TRIES_MAX)

    def connection(self, connection_id: str) -> Connection | None:
        item = _read(connection_id)
        return None if item is None else _value(connection_id, item)

    def connections_of(self, owner_id: str) -> Sequence[Connection]:
        if owner_id.startswith("usr_"):
            prefix = _connection("")
            items = ConnectionItem.query(owner_id, ConnectionItem.sk.startswith(prefix), consistent_read=True)
            return [_value(item.sk.removeprefix(prefix), item) for item in items]
        ids = {subscription.connection_id for subscription in self.subscriptions(owner_id)}
        found = (self.connection(connection_id) for connection_id in sorted(ids))
        return [connection for connection in found if connection is not None]

    def subscribe(self, subscription: Listener) -> None:
        item = SubscriberItem(
            subscription.feed_id,
            _subscriber(subscription.connection_id, subscription.channel),
            cursor=subscription.cursor,
            visible=" ".join(sorted(subscription.visible)),
            user_id=subscription.user_id,
            expires_at_seconds=int(subscription.expires_at.timestamp()),
        )
        listens = _listens(subscription.feed_id, subscription.channel)
        connection = ConnectionItem(_connection(subscription.connection_id), CONNECTION)
        few = ConnectionItem.listens.does_not_exist() | (size(Path("listens")) < CHANNELS_MAX)
        free = Item.pk.exists() & ~ConnectionItem.listens.contains(listens) & few

        def add_writes(write: Any) -> None:
            write.update(connection, [ConnectionItem.listens.add({listens})], free, part=CONNECTION)
            write.save(item)

        try:
            write_transaction(add_writes, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as failed:
            found = _read(subscription.connection_id)
            if found is None:
                raise NotFound from failed
            if listens in (found.listens or ()):
                raise AlreadyListening("This connection listens to the channel already.") from failed
            raise TooManyChannels(f"A connection listens to at most {CHANNELS_MAX} channels.") from failed

    def unsubscribe(self, connection_id: str, feed_id: str, channel: str) -> None:
        listens = _listens(feed_id, channel)
        actions = [ConnectionItem.listens.delete({listens})]

        def add_writes(write: Any) -> None:
            write.update(
                ConnectionItem(_connection(connection_id), CONNECTION), actions, Item.pk.exists(), part=CONNECTION
            )
            write.delete(SubscriberItem(feed_id, _subscriber(connection_id, channel)))

        try:
            write_transaction(add_writes, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return

    def subscription(self, connection_id: str, feed_id: str, channel: str) -> Listener | None:
        address = (SubscriberItem, feed_id, _subscriber(connection_id, channel))
        item = batch_read([address]).get(address)
        return _subscription(item) if isinstance(item, SubscriberItem) else None

    def begin(self, subscription: Listener, sent: int) -> bool:
        item = SubscriberItem(subscription.feed_id, _subscriber(subscription.connection_id, subscription.channel))
        waits = Item.pk.exists() & SubscriberItem.sent.does_not_exist()
        return conditional(lambda: item.update(actions=[SubscriberItem.sent.set(sent)], condition=waits))

    def subscriptions(self, feed_id: str) -> Sequence[Listener]:
        items = SubscriberItem.query(feed_id, SubscriberItem.sk.startswith(SUBSCRIBER_PREFIX), consistent_read=True)
        return [_subscription(item) for item in items]

    def remove(self, connection_id: str, feed_id: str | None = None) -> None:
        while (item := _read(connection_id)) is not None:
            # The connection goes first and as it was read, so that no subscription is added to it meanwhile.
            unchanged = (
                ConnectionItem.listens == item.listens if item.listens else ConnectionItem.listens.does_not_exist()
            )
            if conditional(lambda item=item, unchanged=unchanged: item.delete(condition=unchanged)):
                for listens in item.listens or ():
                    feed, _, channel = listens.partition(" ")
                    SubscriberItem(feed, _subscriber(connection_id, channel)).delete()
                ConnectionItem(item.viewer["user_id"], _connection(connection_id)).delete()
        if feed_id is not None:
            # What a removal that died has left.
            prefix = f"{SUBSCRIBER_PREFIX}{connection_id}#"
            for left in SubscriberItem.query(feed_id, SubscriberItem.sk.startswith(prefix)):
                left.delete()

    def request_closing(self, closing: Closing, key: str, now: datetime) -> None:
        only = {
            "session_id": closing.session_id,
            "token_id": closing.token_id,
            "workspace_id": closing.workspace_id,
        }
        ClosingItem(
            closing.owner_id,
            f"{CLOSE_PREFIX}{key}",
            only={name: value for name, value in only.items() if value is not None},
            expires_at_seconds=int((now + CLOSING_LIFETIME).timestamp()),
        ).save()


def changes(records: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    """What is to be sent or closed after a batch of the table's stream (DynamoDB JSON, with the new image)."""
    for record in records:
        keys = record["dynamodb"]["Keys"]
        pk, sk = keys["pk"]["S"], keys["sk"]["S"]
        if record["eventName"] != "INSERT":
            continue
        if sk.startswith(PAGE_PREFIX):
            yield from (NewPage(feed_id, page) for feed_id, page in new_pages([record]))
        elif sk.startswith(SUBSCRIBER_PREFIX):
            _, connection_id, channel = sk.split("#", 2)
            yield NewListener(connection_id, pk, channel)
        elif sk.startswith(CLOSE_PREFIX):
            yield Closing(pk, **ClosingItem.from_raw_data(record["dynamodb"]["NewImage"]).only)


def _read(connection_id: str) -> ConnectionItem | None:
    address = (ConnectionItem, _connection(connection_id), CONNECTION)
    item = batch_read([address]).get(address)
    return item if isinstance(item, ConnectionItem) else None


def _value(connection_id: str, item: ConnectionItem) -> Connection:
    channels = frozenset(listens.partition(" ")[2] for listens in item.listens or ())
    return Connection(connection_id, Viewer(**item.viewer), channels)


def _subscription(item: SubscriberItem) -> Listener:
    _, connection_id, channel = item.sk.split("#", 2)
    return Listener(
        connection_id,
        item.pk,
        channel,
        int(item.cursor),
        frozenset(item.visible.split()),
        _number(item.sent),
        item.user_id,
        datetime.fromtimestamp(int(item.expires_at_seconds), UTC),
    )


def _number(value: float | None) -> int | None:
    return None if value is None else int(value)


def _viewer_data(viewer: Viewer) -> dict[str, str | None]:
    return {name: getattr(viewer, name) for name in VIEWER_FIELDS}


def _ticket(digest: str) -> str:
    return f"{TICKET}#{digest}"


def _connection(connection_id: str) -> str:
    return f"{CONNECTION}#{connection_id}"


def _subscriber(connection_id: str, channel: str) -> str:
    return f"{SUBSCRIBER_PREFIX}{connection_id}#{channel}"


def _listens(feed_id: str, channel: str) -> str:
    return f"{feed_id} {channel}"
