"""Updates: what administrators of the platform tell people. Values and rules. Pure.

An update is a *draft* until it is scheduled; when its time has come it is *sending*, shard by shard of the people, and
then *sent*. Before that it can be cancelled, also while it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.notifications.model import Action, Notification, NotificationKind, Recipient, notification_id


class UpdateState(StrEnum):
    """How far an update is."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    CANCELLED = "cancelled"


class UpdateTopic(StrEnum):
    """What an update is about."""

    NEWS = "news"
    FEATURE = "feature"
    MAINTENANCE = "maintenance"
    TERMS = "terms"


class ShardState(StrEnum):
    """How far the sending to one shard of the people is."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Segment:
    """To whom an update goes: to one user, or to everybody who fits each field that is set; all people fit none.

    tiers: of the personal workspace, without versions. locales: languages such as `de`. seen_after, seen_before: when
    the person signed in last."""

    user_id: str | None = None
    tiers: tuple[str, ...] = ()
    personas: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    seen_after: datetime | None = None
    seen_before: datetime | None = None

    @property
    def audience(self) -> str:
        """For whom it is, in one word: `user`, `segment` or `everybody`."""
        if self.user_id is not None:
            return "user"
        return "everybody" if self == Segment() else "segment"


@dataclass(frozen=True, slots=True)
class Content:
    """What an update says. shown_until: from then on it is sent to nobody more, and nobody sees it in the list."""

    segment: Segment
    topic: UpdateTopic
    title: str
    body: str
    action: Action | None = None
    is_action_item: bool = False
    shown_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """One update. version: counts its changes. send_at: when it is or was sent; None for a draft."""

    id: str
    content: Content
    created_by: str
    created_at: datetime
    updated_at: datetime
    version: int = 0
    state: UpdateState = UpdateState.DRAFT
    send_at: datetime | None = None

    @property
    def is_ended(self) -> bool:
        """Whether nothing can change any more."""
        return self.state in (UpdateState.SENT, UpdateState.CANCELLED)


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """How far the sending to one shard is. after: the place in the directory of the last person who was looked at.
    sent: how many got the update."""

    update_id: str
    shard: int
    state: ShardState = ShardState.RUNNING
    after: str | None = None
    sent: int = 0


@dataclass(frozen=True, slots=True)
class UpdateCounts:
    """How many people got an update, and how many of these have read and acknowledged it."""

    sent: int
    read: int
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person as a segment looks at them. place: in the directory. tier: None when the segment names none."""

    recipient: Recipient
    place: str
    persona: str
    role: str
    last_login_at: datetime
    tier: str | None = None


def is_in(segment: Segment, person: Candidate) -> bool:
    """Whether an update goes to a person."""
    language = (person.recipient.locale or "en").partition("-")[0].lower()
    return (
        person.recipient.is_active
        and (not segment.tiers or person.tier in segment.tiers)
        and (not segment.personas or person.persona in segment.personas)
        and (not segment.roles or person.role in segment.roles)
        and (not segment.locales or language in segment.locales)
        and (segment.seen_after is None or person.last_login_at >= segment.seen_after)
        and (segment.seen_before is None or person.last_login_at < segment.seen_before)
    )


def notification_of(update: Update, user_id: str) -> Notification:
    """The notification that an update is for a person: the same one however often it is sent."""
    content, at = update.content, update.send_at or update.updated_at
    return Notification(
        notification_id(user_id, update.id, NotificationKind.UPDATE, at),
        user_id,
        NotificationKind.UPDATE,
        content.title,
        content.body,
        at,
        action=content.action,
        update_id=update.id,
        is_action_item=content.is_action_item,
        shown_until=content.shown_until,
    )


def audit_facts(update: Update) -> Mapping[str, Any]:
    """What the log says of an update."""
    at = rfc3339(update.send_at) if update.send_at else None
    return {"title": update.content.title, "state": update.state.value, "send_at": at}
