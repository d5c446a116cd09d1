"""Sending to connections on the embedded store: in order, each event once, and no client holds others up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest

from atelier.adapters.aws.dynamodb.connections import DynamoConnections, SubscriberItem, changes
from atelier.adapters.aws.dynamodb.feeds import DynamoFeeds
from atelier.caller import Caller
from atelier.clock import rfc3339
from atelier.feeds.model import FeedEvent, StreamPosition
from atelier.identity.permissions import PLATFORM_READ
from atelier.realtime.connect import TicketDeps, connect, issue_ticket
from atelier.realtime.model import CONNECTION_LIFETIME, Closing, Viewer
from atelier.realtime.ports import ConnectionGone
from atelier.realtime.presence import DisconnectDeps, disconnect
from atelier.realtime.push import PushDeps, push_all
from atelier.realtime.receive import MessageDeps, receive
from tests.conftest import Tables
from tests.integration.world import run_concurrently
from tests.table_streams import TableStream

NOW = datetime(2026, 11, 29, 22, tzinfo=UTC)
WORKSPACE, USER, SESSION = "wsp_01JDF000000000000000000001", "usr_01JDF000000000000000000002", "ses_3"
GENERATION = "gen_01JDF000000000000000000004"


class Gateway:
    """Messenger that keeps what was sent. `gone`: clients that are not there any more; `fails_after`: for how many
    messages the whole gateway still works."""

    def __init__(self) -> None:
        self.sent: dict[str, list[dict[str, Any]]] = {}
        self.gone: set[str] = set()
        self.closed: list[str] = []
        self._lock = threading.Lock()

    def post(self, connection_id: str, message: bytes) -> None:
        if connection_id in self.gone:
            raise ConnectionGone
        with self._lock:
            self.sent.setdefault(connection_id, []).append(json.loads(message))

    def close(self, connection_id: str) -> None:
        self.closed.append(connection_id)

    def sequences(self, connection_id: str) -> list[int]:
        """The numbers of the events that a client got; answers to its messages are left out."""
        sent = self.sent.get(connection_id, [])
        return [message["sequence"] for message in sent if "." in message["type"] and "sequence" in message]


class Realtime:
    """Real time over one test's table, whose stream is delivered when the test says so."""

    def __init__(self, tables: Tables, aws: botocore.session.Session) -> None:
        self.connections, self.feeds, self.gateway = DynamoConnections(), DynamoFeeds(), Gateway()
        self.connections.bind(tables.realtime)
        self.feeds.bind(tables.realtime)
        self.role = "owner"
        self.stream = TableStream(aws.create_client("dynamodb"), aws.create_client("dynamodbstreams"), tables.realtime)
        self.deps = PushDeps(self.connections, self.feeds, self.gateway, lambda *_: ("/file", "/thumbnail"))
        self._position = 0

    def open(self, connection_id: str, user_id: str = USER) -> None:
        """Connects with a new ticket."""
        caller = Caller(user_id, WORKSPACE, self.role, SESSION)
        ticket = issue_ticket(TicketDeps(self.connections, self.feeds, "ws://here/ws"), caller, WORKSPACE, "::1", NOW)
        assert connect(self.connections, connection_id, ticket["ticket"], "::1", NOW)

    def say(self, connection_id: str, now: datetime = NOW, **message: Any) -> None:
        """A message of a client arrives."""

        def authorize(viewer: Viewer, permission: str, _: datetime) -> Caller:
            assert viewer.workspace_id == WORKSPACE
            # The gate itself is tried in tests/local/test_realtime.py.
            assert permission == PLATFORM_READ or Caller(USER, WORKSPACE, self.role).has_permission(permission)
            return Caller(viewer.user_id, viewer.workspace_id, self.role, viewer.session_id)

        deps = MessageDeps(self.connections, self.feeds, self.feeds, self.gateway, authorize, lambda *_: True)
        receive(deps, connection_id, json.dumps(message), now)

    def happen(self, *types: str, generation_id: str = GENERATION) -> None:
        """Events of a generation are appended."""
        self._position += 1
        data = {"workspace_id": WORKSPACE, "generation_id": generation_id}
        events = [FeedEvent(f"{self._position}.{n}", type, rfc3339(NOW), data) for n, type in enumerate(types)]
        self.feeds.append(WORKSPACE, events, NOW, StreamPosition("generations", self._position))

    def deliver(self, now: datetime = NOW) -> list[dict[str, Any]]:
        """Delivers what the stream has; returns its records."""
        records = self.stream.new_records()
        push_all(self.deps, changes(records), now)
        return records


@pytest.fixture
def world(tables: Tables, aws: botocore.session.Session) -> Realtime:
    return Realtime(tables, aws)


def test_a_ticket_is_redeemed_once_by_parallel_clients(world: Realtime) -> None:
    caller = Caller(USER, WORKSPACE, "owner", SESSION)
    ticket = issue_ticket(TicketDeps(world.connections, world.feeds, "ws://here/ws"), caller, WORKSPACE, "::1", NOW)

    def one(number: int) -> bool:
        return connect(world.connections, f"c{number}", ticket["ticket"], "::1", NOW)

    assert sorted(run_concurrently(8, one), key=bool) == [False] * 7 + [True]


@pytest.mark.parametrize(("address", "seconds"), [("::2", 0), ("::1", 30), ("::1", 3600)])
def test_a_ticket_is_for_its_address_and_half_a_minute(world: Realtime, address: str, seconds: int) -> None:
    caller = Caller(USER, WORKSPACE, "owner", SESSION)
    ticket = issue_ticket(TicketDeps(world.connections, world.feeds, "ws://here/ws"), caller, WORKSPACE, "::1", NOW)
    assert not connect(world.connections, "c", ticket["ticket"], address, NOW + timedelta(seconds=seconds))


def test_events_around_a_subscription_come_once_wherever_the_stream_stands(world: Realtime) -> None:
    world.open("a")
    cursor = world.feeds.newest(WORKSPACE, NOW)
    world.happen("generation.queued")
    world.say("a", action="subscribe", channel="workspace", cursor=cursor)
    # Appended before the subscription begins, and delivered after it.
    world.happen("generation.running", "generation.progress")
    world.deliver()
    world.happen("generation.succeeded")
    world.deliver()
    first = cursor + 1
    assert world.gateway.sequences("a") == [first, first + 1, first + 2, first + 3]
    assert world.gateway.sent["a"][0] == {"type": "subscribed", "channel": "workspace", "sequence": cursor}


def test_a_batch_that_is_delivered_again_repeats_numbers_and_skips_none(world: Realtime) -> None:
    world.open("a")
    world.say("a", action="subscribe", channel="workspace")
    world.deliver()
    world.happen("generation.queued")
    world.happen("generation.running")
    records = world.deliver()
    push_all(world.deps, changes(records), NOW)
    numbers = world.gateway.sequences("a")
    # A client leaves out what is not above its cursor.
    assert sorted(set(numbers)) == [numbers[0], numbers[0] + 1]
    assert numbers == [numbers[0], numbers[0] + 1] * 2


def test_a_subscription_that_is_delivered_again_begins_once(world: Realtime) -> None:
    world.open("a")
    world.happen("generation.queued")
    world.say("a", action="subscribe", channel="workspace", cursor=world.feeds.newest(WORKSPACE, NOW) - 1)
    records = world.deliver()
    push_all(world.deps, changes(records), NOW)
    assert len(world.gateway.sequences("a")) == 1


def test_a_client_that_has_gone_is_forgotten_and_holds_nobody_up(world: Realtime) -> None:
    for name in ("a", "b", "c"):
        world.open(name)
        world.say(name, action="subscribe", channel="workspace")
        world.say(name, action="subscribe", channel=f"generation:{GENERATION}")
    world.deliver()
    world.gateway.gone.add("b")
    world.happen("generation.queued")
    world.deliver()
    assert [len(world.gateway.sequences(name)) for name in ("a", "b", "c")] == [2, 0, 2]
    assert world.connections.connection("b") is None
    left = SubscriberItem.query(WORKSPACE, SubscriberItem.sk.startswith("subscriber#"))
    assert {item.sk.split("#")[1] for item in left} == {"a", "c"}


def test_a_connection_ends_after_its_lifetime(world: Realtime) -> None:
    world.open("a")
    world.say("a", action="subscribe", channel="workspace")
    world.deliver()
    world.happen("generation.queued")
    world.deliver(NOW + CONNECTION_LIFETIME)
    assert (world.gateway.sequences("a"), world.gateway.closed) == ([], ["a"])


def test_a_viewer_gets_no_event_of_the_plan(world: Realtime) -> None:
    world.role = "viewer"
    world.open("a")
    world.say("a", action="subscribe", channel="workspace")
    world.deliver()
    world.happen("invoice.paid", "generation.queued", "webhook_endpoint.disabled", "credits.spent", "unknown.kind")
    world.deliver()
    types = [message["type"] for message in world.gateway.sent["a"][1:]]
    assert types == ["generation.queued", "credits.spent"]


def test_a_channel_has_its_generation_and_the_stages_of_its_run(world: Realtime) -> None:
    world.open("a")
    world.say("a", action="subscribe", channel=f"generation:{GENERATION}")
    world.deliver()
    world.happen("generation.queued", generation_id="gen_01JDF000000000000000000009")
    world.happen("generation.queued")
    data = {"generation_id": "gen_01JDF000000000000000000008", "run_id": GENERATION}
    world.feeds.append(WORKSPACE, [FeedEvent("s", "stage.running", rfc3339(NOW), data)], NOW, StreamPosition("x", 1))
    world.deliver()
    assert [message["type"] for message in world.gateway.sent["a"][1:]] == ["generation.queued", "stage.running"]


@pytest.mark.parametrize(
    ("closing", "closed"),
    [
        (Closing(USER, session_id=SESSION), ["a"]),
        (Closing(USER, session_id="ses_other"), []),
        (Closing(USER, token_id="tok_1"), []),
        (Closing(USER, workspace_id=WORKSPACE), ["a"]),
        (Closing(USER, workspace_id="wsp_other"), []),
        (Closing(WORKSPACE), ["a"]),
        (Closing("usr_01JDF00000000000000000000Z", session_id=SESSION), []),
    ],
)
def test_what_has_ended_closes_its_own_connections(world: Realtime, closing: Closing, closed: list[str]) -> None:
    world.open("a")
    world.say("a", action="subscribe", channel="workspace")
    world.deliver()
    world.connections.request_closing(closing, "1", NOW)
    world.deliver()
    assert world.gateway.closed == closed
    assert (world.connections.connection("a") is None) == bool(closed)


def test_a_connection_listens_to_twenty_channels_at_most(world: Realtime) -> None:
    world.open("a")
    for number in range(21):
        world.say("a", action="subscribe", channel=f"generation:gen_01JDF0000000000000000000{number:02}")
    world.deliver()
    types = [message["type"] for message in world.gateway.sent["a"]]
    assert (types.count("subscribed"), types.count("error")) == (20, 1)
    world.say("a", action="unsubscribe", channel="generation:gen_01JDF000000000000000000000")
    world.say("a", action="subscribe", channel="wallet")
    world.deliver()
    assert world.gateway.sent["a"][-1]["type"] == "subscribed"


def test_a_removal_beside_a_subscription_leaves_no_listener(world: Realtime) -> None:
    for number in range(5):
        name = f"c{number}"
        world.open(name)

        def one(which: int, name: str = name) -> None:
            calls: list[Callable[[], object]] = [
                lambda: world.say(name, action="subscribe", channel="workspace"),
                lambda: world.connections.remove(name),
                lambda: world.say(name, action="subscribe", channel="wallet"),
            ]
            calls[which]()

        run_concurrently(3, one)
        world.connections.remove(name)
    assert list(SubscriberItem.query(WORKSPACE, SubscriberItem.sk.startswith("subscriber#"))) == []


def test_administrators_see_who_of_them_is_there(world: Realtime) -> None:
    other = "usr_01JDF000000000000000000005"
    world.open("a")
    world.open("b", other)
    world.say("a", action="subscribe", channel="admin")
    world.deliver()
    world.say("b", action="subscribe", channel="admin")
    world.deliver()
    disconnect(DisconnectDeps(world.connections, lambda: world.feeds), "b", NOW)
    world.deliver()
    lists = [message["data"]["user_ids"] for message in world.gateway.sent["b"] if message["type"] == "presence.list"]
    assert lists == [[USER, other]]
    heard = [(m["type"], m["data"]["user_id"]) for m in world.gateway.sent["a"] if m["type"].startswith("presence.o")]
    assert heard == [("presence.online", USER), ("presence.online", other), ("presence.offline", other)]
