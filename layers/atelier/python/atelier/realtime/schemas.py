"""Requests and responses of real time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from atelier.lazy_model import LazyModel

Cursor = Annotated[int, Field(ge=0, le=10**15 - 1, description="The `sequence` of the last event that you have.")]
ChannelName = Annotated[
    str,
    Field(
        max_length=64,
        description="`generation:gen_…`, `project:prj_…`, `deployment:dep_…`, `workspace`, `wallet`, `notifications`, "
        "or, for administrators of the platform, `admin`.",
    ),
]


class TicketView(TypedDict):
    """A ticket opens one connection, within `expires_in` seconds, from the address that it was given to."""

    ticket: str
    url: Annotated[str, Field(description="Where to connect; it contains the ticket.")]
    expires_in: int


class EventsQuery(LazyModel):
    """Which events, and how long to wait for the first of them."""

    model_config = ConfigDict(extra="forbid")
    channel: ChannelName
    cursor: Annotated[Cursor | None, Field(description="Without one: the events from now on.")] = None
    wait: Annotated[int, Field(ge=0, le=20, description="Seconds.")] = 0


class ChannelEvent(TypedDict):
    """One event. `sequence` grows from event to event of a channel, in `workspace` by one if you may see all events."""

    type: str
    channel: str
    sequence: int
    at: Annotated[str, Field(description="RFC 3339, UTC.")]
    data: dict[str, Any]


class EventList(TypedDict):
    """Events in order. `next_cursor`: to go on from. `incomplete`: events before these may be lost, because the cursor
    is more than a day old: read the present state anew."""

    items: list[ChannelEvent]
    next_cursor: int
    incomplete: bool


class SubscribeAction(LazyModel):
    """What a client sends to listen to a channel."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["subscribe"]
    channel: ChannelName
    cursor: Cursor | None = None


class UnsubscribeAction(LazyModel):
    """What a client sends to listen no more."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["unsubscribe"]
    channel: ChannelName
