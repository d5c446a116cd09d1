"""Channels, connections and subscriptions as values. Pure.

A channel is a part of a feed: the events that match it and that its reader may see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.errors import Conflict, ValidationFailed
from atelier.feeds.model import FeedEntry, FeedEvent
from atelier.identity.permissions import PLATFORM_READ
from atelier.ids import is_id

TICKET_LIFETIME = timedelta(seconds=30)
# The gateway ends a connection after this time, and one on which nothing is sent after ten minutes.
CONNECTION_LIFETIME = timedelta(hours=2)
CHANNELS_MAX = 20
PLATFORM_FEED = "platform"
# What a reader needs to see events, by the first word of their type; other types want OTHER_EVENTS.
EVENT_PERMISSIONS = {
    "asset": "assets.read",
    "budget": "budgets.read",
    "comment": "sites.read",
    "credits": "credits.read",
    "deployment": "sites.read",
    "generation": "generations.read",
    "integration": "integrations.manage",
    "invoice": "billing.read",
    "member": "members.read",
    "notification": "account.read",
    "pack": "billing.read",
    "project": "projects.read",
    "quota": "workspace.read",
    "stage": "generations.read",
    "subscription": "billing.read",
    "webhook_endpoint": "webhooks.read",
    "workspace": "workspace.read",
}
OTHER_EVENTS = "workspace.manage"
_SUBJECTS = {
    "generation": ("gen", "generations.read"),
    "project": ("prj", "projects.read"),
    "deployment": ("dep", "sites.read"),
}
_WHOLE = {
    "workspace": "workspace.read",
    "wallet": "credits.read",
    "notifications": "account.read",
    "admin": PLATFORM_READ,
}


class AlreadyListening(Conflict):
    """The connection listens to the channel already."""


class TooManyChannels(Conflict):
    """The connection listens to CHANNELS_MAX channels."""


@dataclass(frozen=True, slots=True)
class EventChannel:
    """One channel. name: as clients write it; kind: the word before the colon; subject_id: what comes after it."""

    name: str
    kind: str
    subject_id: str | None
    permission: str

    def feed_id(self, user_id: str, workspace_id: str) -> str:
        """The feed that the channel is a part of."""
        return {"notifications": user_id, "admin": PLATFORM_FEED}.get(self.kind, workspace_id)

    def has(self, event: FeedEvent) -> bool:
        """Whether an event of the feed belongs to the channel. The channel of a run has the events of its stages."""
        match self.kind:
            case "generation":
                return self.subject_id in (event.data.get("generation_id"), event.data.get("run_id"))
            case "project" | "deployment":
                return event.data.get(f"{self.kind}_id") == self.subject_id
            case "wallet":
                return event.type.partition(".")[0] in ("credits", "budget", "pack", "invoice")
            case _:
                return True


def parse_channel(name: str) -> EventChannel:
    """The channel with this name. Raises ValidationFailed."""
    kind, _, subject_id = name.partition(":")
    if kind in _SUBJECTS:
        prefix, permission = _SUBJECTS[kind]
        if is_id(subject_id, prefix):
            return EventChannel(name, kind, subject_id, permission)
    elif name in _WHOLE:
        return EventChannel(name, name, None, _WHOLE[name])
    names = [*(f"{kind}:<id>" for kind in _SUBJECTS), *_WHOLE]
    raise ValidationFailed([{"path": "channel", "message": f"must be one of {', '.join(names)}"}])


def visible_events(has_permission: Callable[[str], bool]) -> frozenset[str]:
    """The first words of the types of events that a reader may see; `*` = types that EVENT_PERMISSIONS does not
    name."""
    words = {word for word, permission in EVENT_PERMISSIONS.items() if has_permission(permission)}
    return frozenset(words | ({"*"} if has_permission(OTHER_EVENTS) else set()))


def entries_of(channel: EventChannel, visible: frozenset[str], entries: Sequence[FeedEntry]) -> list[FeedEntry]:
    """Those entries of the feed that belong to the channel and that its reader may see."""
    return [entry for entry in entries if _may_see(entry.event, visible) and channel.has(entry.event)]


def _may_see(event: FeedEvent, visible: frozenset[str]) -> bool:
    word = event.type.partition(".")[0]
    return word in visible or (word not in EVENT_PERMISSIONS and "*" in visible)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who may open a connection with a ticket, and from where: a session or an API token of a user, in a workspace.
    personal_id: the user's personal workspace; address: of the request for the ticket."""

    user_id: str
    workspace_id: str
    personal_id: str
    session_id: str | None
    token_id: str | None
    address: str

    def claims(self, now: datetime) -> dict[str, str | int]:
        """What the authorizer would say of a request of this viewer now: the connection itself is the proof."""
        proof = {"token_id": self.token_id} if self.token_id else {"session_id": str(self.session_id)}
        expires_at = int((now + timedelta(minutes=1)).timestamp())
        return {"user_id": self.user_id, "workspace_id": self.personal_id, "expires_at": expires_at, **proof}


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection. `channels`: the names of those that it listens to."""

    id: str
    viewer: Viewer
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Listener:
    """A subscription: a connection that listens to a channel. cursor: of the last event that the client had; sent: the
    last event that was sent, None until the subscription has begun; visible: see `visible_events`."""

    connection_id: str
    feed_id: str
    channel: str
    cursor: int
    visible: frozenset[str]
    sent: int | None
    user_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Closing:
    """Connections that have to end: those of a user (`usr_…`) or of a workspace (`wsp_…`), of one session, API token or
    workspace alone if it is named."""

    owner_id: str
    session_id: str | None = None
    token_id: str | None = None
    workspace_id: str | None = None

    def includes(self, viewer: Viewer) -> bool:
        """Whether a connection of this viewer has to end."""
        wanted = (self.session_id, self.token_id, self.workspace_id)
        found = (viewer.session_id, viewer.token_id, viewer.workspace_id)
        return all(name is None or name == other for name, other in zip(wanted, found, strict=True))
