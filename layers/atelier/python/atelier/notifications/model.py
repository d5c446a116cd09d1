"""Values of notifications. Pure.

A *notification* is one message for one person, made from an event of a workspace or from an update of the platform's
administrators. It is *unread* until it is read or archived. An *action item* wants something done: it stays in the list
until it is acknowledged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.ids import derived_id

# A notification that nobody has to see any more is deleted this long after it was read or archived.
RETENTION = timedelta(days=180)
# Counters of what became of an update are written by many readers at once: each person has one of these.
COUNTER_SHARDS = 16


class NotificationKind(StrEnum):
    """What a notification is about; `kinds.py` says who gets it, and how."""

    GENERATION_FAILED = "generation_failed"
    BUDGET_ALERT = "budget_alert"
    PAYMENT_FAILED = "payment_failed"
    INVITATION = "invitation"
    QUOTA_NEARLY_USED = "quota_nearly_used"
    CREDITS_LOW = "credits_low"
    CREDITS_GRANTED = "credits_granted"
    PROVIDER_KEY_REFUSED = "provider_key_refused"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint_disabled"
    MENTIONED = "mentioned"
    DEPLOYMENT_ENDED = "deployment_ended"
    WORKSHOP_REMINDER = "workshop_reminder"
    WORKSHOP_OFFER = "workshop_offer"
    WORKSHOP_MOVED = "workshop_moved"
    WORKSHOP_CANCELLED = "workshop_cancelled"
    LIVESTREAM_OPEN = "livestream_open"
    LISTING_APPROVED = "listing_approved"
    LISTING_HIDDEN = "listing_hidden"
    LISTING_REJECTED = "listing_rejected"
    LISTING_SOLD = "listing_sold"
    ROYALTY_EARNED = "royalty_earned"
    SALE_REFUNDED = "sale_refunded"
    UPDATE = "update"


class Channel(StrEnum):
    """A way in which a notification reaches a person or a program. webhook: an event in the workspace's feed."""

    IN_APP = "in_app"
    EMAIL = "email"
    WEBHOOK = "webhook"


class Digest(StrEnum):
    """When mails are sent: each by itself, or all of an hour or a day together."""

    AT_ONCE = "at_once"
    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From when until when no mail is sent, in the person's time zone. They may contain midnight, and are not empty."""

    begin: time
    end: time


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person has chosen. chosen: (kind, channel) → whether it is on; what is not there is as `kinds.py` says."""

    chosen: Mapping[tuple[str, str], bool]
    quiet_hours: QuietHours | None = None
    digest: Digest = Digest.AT_ONCE


NO_PREFERENCES = Preferences({})


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person as a sender of notifications needs them. email: None = the address is not verified. locale, time_zone:
    as in the profile. is_active: no suspended account, and none that is being deleted."""

    user_id: str
    email: str | None
    locale: str | None
    time_zone: str | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class Action:
    """What a notification leads to. url: a path of Studio, or an https address."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification. title, body: plain text in the person's language. workspace_id: None for an update.
    update_id: the update that it is, if it is one. shown_until: from then on it is archived."""

    id: str
    user_id: str
    kind: NotificationKind
    title: str
    body: str
    created_at: datetime
    action: Action | None = None
    workspace_id: str | None = None
    update_id: str | None = None
    is_action_item: bool = False
    read_at: datetime | None = None
    acknowledged_at: datetime | None = None
    archived_at: datetime | None = None
    shown_until: datetime | None = None

    @property
    def is_unread(self) -> bool:
        """Whether it counts as unread."""
        return self.read_at is None and self.archived_at is None

    @property
    def is_open(self) -> bool:
        """Whether it is an action item that nobody has acknowledged."""
        return self.is_action_item and self.acknowledged_at is None

    @property
    def expires_at(self) -> datetime | None:
        """When it may be deleted: never while it is unread or open."""
        if self.is_unread or self.is_open:
            return None
        return max(at for at in (self.read_at, self.acknowledged_at, self.archived_at) if at) + RETENTION


def notification_id(user_id: str, event_id: str, kind: str, at: datetime) -> str:
    """The id of the notification of an event for a person: the same one however often the event comes."""
    return derived_id("ntf", at, f"{user_id} {kind} {event_id}")


def counter_shard(user_id: str) -> int:
    """In which of COUNTER_SHARDS counters of an update a person counts."""
    return hashlib.sha256(user_id.encode()).digest()[0] % COUNTER_SHARDS


def is_over(notification: Notification, now: datetime) -> bool:
    """Whether nobody should see it in the list any more."""
    return notification.shown_until is not None and notification.shown_until <= now


def as_read(before: Notification, now: datetime) -> Notification:
    """The notification, read."""
    return before if before.read_at else replace(before, read_at=now)


def as_acknowledged(before: Notification, now: datetime) -> Notification:
    """The notification, acknowledged, and so read."""
    return as_read(before if before.acknowledged_at else replace(before, acknowledged_at=now), now)


def as_archived(before: Notification, now: datetime) -> Notification:
    """The notification, archived."""
    return before if before.archived_at else replace(before, archived_at=now)
