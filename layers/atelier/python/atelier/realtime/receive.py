"""What a client's message asks for: to listen to a channel, to listen no more, or a sign of life."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from atelier.caller import Caller
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import AtelierError, BadRequest, NotFound, ValidationFailed
from atelier.feeds.model import WATCHED_FOR
from atelier.feeds.ports import FeedReader, FeedWriter
from atelier.realtime.model import (
    CONNECTION_LIFETIME,
    Connection,
    EventChannel,
    Listener,
    Viewer,
    parse_channel,
    visible_events,
)
from atelier.realtime.ports import ConnectionGone, ConnectionStore, Messenger
from atelier.realtime.presence import CHANNEL, presence_event, present_now
from atelier.realtime.present import encode
from atelier.realtime.schemas import SubscribeAction, UnsubscribeAction

if TYPE_CHECKING:
    from pydantic import BaseModel

MESSAGE_CHARACTERS_MAX = 4096
ACTIONS: dict[str, type[BaseModel]] = {"subscribe": SubscribeAction, "unsubscribe": UnsubscribeAction}


@dataclass(frozen=True, slots=True)
class MessageDeps:
    """The dependencies of messages. authorize(viewer, permission, now): the viewer as a caller who has the permission
    now; raises AtelierError. exists(workspace_id, subject_id): whether a workspace has this generation or project."""

    connections: ConnectionStore
    feeds: FeedReader
    writer: FeedWriter
    messenger: Messenger
    authorize: Callable[[Viewer, str, datetime], Caller]
    exists: Callable[[str, str], bool]


def receive(deps: MessageDeps, connection_id: str, text: str, now: datetime) -> None:
    """Act on a message. Whatever is wrong with it is answered with an error, and the connection stays open."""
    connection = deps.connections.connection(connection_id)
    if connection is None:
        deps.messenger.close(connection_id)
        return
    try:
        answer = _answer(deps, connection, text, now)
        if answer is not None:
            deps.messenger.post(connection_id, encode(answer))
    except ConnectionGone:
        deps.connections.remove(connection_id)


def _answer(deps: MessageDeps, connection: Connection, text: str, now: datetime) -> dict[str, Any] | None:
    try:
        return _act(deps, connection, text, now)
    except ValidationError as error:
        return _error(ValidationFailed.of_model(error), text)
    except AtelierError as error:
        return _error(error, text)


def _act(deps: MessageDeps, connection: Connection, text: str, now: datetime) -> dict[str, Any] | None:
    """The answer to a message; None when the answer comes with the subscription's events."""
    values = _parse(text)
    action = values.get("action")
    if action == "ping":
        return {"type": "pong", "at": rfc3339(now)}
    if not isinstance(action, str) or action not in ACTIONS:
        raise ValidationFailed([{"path": "action", "message": "must be subscribe, unsubscribe or ping"}])
    parsed = ACTIONS[action].model_validate(values)
    if isinstance(parsed, SubscribeAction):
        _subscribe(deps, connection, parse_channel(parsed.channel), parsed.cursor, now)
        return None
    assert isinstance(parsed, UnsubscribeAction)
    channel = parse_channel(parsed.channel)
    viewer = connection.viewer
    deps.connections.unsubscribe(connection.id, channel.feed_id(viewer.user_id, viewer.workspace_id), channel.name)
    return {"type": "unsubscribed", "channel": channel.name}


def _parse(text: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(text) if len(text) <= MESSAGE_CHARACTERS_MAX else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise BadRequest(f"Send a JSON object of at most {MESSAGE_CHARACTERS_MAX} characters.")
    return cast("dict[str, Any]", values)


def _subscribe(
    deps: MessageDeps, connection: Connection, channel: EventChannel, cursor: int | None, now: datetime
) -> None:
    viewer = connection.viewer
    caller = deps.authorize(viewer, channel.permission, now)
    if channel.kind in ("generation", "project") and not deps.exists(caller.workspace_id, channel.subject_id or ""):
        raise NotFound
    feed_id = channel.feed_id(viewer.user_id, viewer.workspace_id)
    deps.feeds.watch(feed_id, now + WATCHED_FOR)
    subscription = Listener(
        connection.id,
        feed_id,
        channel.name,
        # Read before the subscription is stored, so that it has what is appended in between.
        deps.feeds.newest(feed_id, now) if cursor is None else cursor,
        visible_events(caller.has_permission),
        None,
        viewer.user_id,
        now + CONNECTION_LIFETIME,
    )
    deps.connections.subscribe(subscription)
    if channel.kind == CHANNEL:
        listening = deps.connections.subscriptions(feed_id)
        deps.messenger.post(connection.id, encode(present_now([each.user_id for each in listening])))
        deps.writer.append(feed_id, [presence_event(connection, "online", now)], now)


def _error(error: AtelierError, text: str) -> dict[str, Any]:
    try:
        channel = json.loads(text[:MESSAGE_CHARACTERS_MAX]).get("channel")
    except (ValueError, AttributeError, RecursionError):
        channel = None
    named = {"channel": channel} if isinstance(channel, str) else {}
    return {"type": "error", "error": error.code, "message": error.message, **named}
