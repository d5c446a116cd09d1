"""Real time, composed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from atelier.adapters.aws.dynamodb.connections import DynamoConnections
from atelier.adapters.aws.dynamodb.connections import changes as _changes
from atelier.adapters.aws.dynamodb.identity.closings import closings as _closings
from atelier.caller import Caller
from atelier.clock import Clock
from atelier.realtime.model import Closing, Viewer
from atelier.realtime.presence import DisconnectDeps
from atelier.settings import (
    AwsEndpoint,
    Deployment,
    GenerationsTable,
    LibraryTable,
    RealtimeTable,
    WaitLimits,
    WebSocketGateway,
)
from atelier.wiring.feeds import feeds

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.subjects import DynamoSubjects
    from atelier.adapters.aws.websocket import GatewayConnections
    from atelier.realtime.connect import TicketDeps
    from atelier.realtime.push import Change, PushDeps
    from atelier.realtime.read_events import ReadEventsDeps
    from atelier.realtime.receive import MessageDeps


@cache
def connections() -> DynamoConnections:
    """The connections of this deployment."""
    store = DynamoConnections()
    store.bind(RealtimeTable.read().name)
    return store


@cache
def messenger() -> GatewayConnections:
    """The gateway that holds the connections."""
    from atelier.adapters.aws.websocket import GatewayConnections

    return GatewayConnections(WebSocketGateway.read().url, AwsEndpoint.read().endpoint_url)


@cache
def ticket_deps() -> TicketDeps:
    """The dependencies of tickets."""
    from atelier.realtime.connect import TicketDeps

    # http becomes ws, and https wss.
    socket_url = "ws" + Deployment.read().public_url.removeprefix("http") + "/ws"
    return TicketDeps(connections(), feeds(), socket_url)


@cache
def receive_deps() -> MessageDeps:
    """The dependencies of messages from clients."""
    from atelier.realtime.receive import MessageDeps

    return MessageDeps(connections(), feeds(), feeds(), messenger(), authorize, subjects().exists)


@cache
def disconnect_deps() -> DisconnectDeps:
    """The dependencies of the end of a connection."""
    return DisconnectDeps(connections(), feeds)


@cache
def push_deps() -> PushDeps:
    """The dependencies of sending to clients."""
    from atelier.realtime.push import PushDeps
    from atelier.wiring.media_urls import asset_urls

    return PushDeps(connections(), feeds(), messenger(), asset_urls)


def read_deps(clock: Clock) -> ReadEventsDeps:
    """The dependencies of waiting for events."""
    from atelier.realtime.read_events import ReadEventsDeps
    from atelier.wiring.media_urls import asset_urls

    return ReadEventsDeps(feeds(), subjects().exists, asset_urls, _wait_slot, time.sleep, clock)


def authorize(viewer: Viewer, permission: str, now: datetime) -> Caller:
    """The viewer of a connection as a caller, if session or token, role and membership allow the permission now."""
    from atelier.wiring.auth import gate

    return gate()(viewer.claims(now), viewer.workspace_id, permission, fresh=True, now=now)


@cache
def subjects() -> DynamoSubjects:
    """The generations and projects that channels name."""
    from atelier.adapters.aws.dynamodb.subjects import DynamoSubjects

    return DynamoSubjects(GenerationsTable.read().name, LibraryTable.read().name)


def closings(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Closing]]:
    """The connections that have to end after a batch of the identity table's stream."""
    return _closings(records)


def changes(records: Sequence[dict[str, Any]]) -> Iterator[Change]:
    """What is to be sent or closed after a batch of the realtime table's stream."""
    return _changes(records)


def _wait_slot(user_id: str, seconds: int, now: datetime) -> AbstractContextManager[bool]:
    from atelier.generations.wait import wait_slot
    from atelier.wiring.waiting import slots

    return wait_slot(user_id, WaitLimits.read().concurrent_waits_max, seconds, slots=slots(), now=now)
