"""The stored form of notifications: the items, and their conversion from and to values.

pk usr_…  sk ntf_…                       one notification; deleted by TTL when it is neither unread nor open
pk usr_…  sk unread                      how many are unread
pk usr_…  sk preferences                 what the person has chosen
pk due#N  sk <time>#usr_…#ntf_…          a mail that is due then
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.notifications.model import (
    Action,
    Digest,
    Notification,
    NotificationKind,
    Preferences,
    QuietHours,
    counter_shard,
)

UNREAD = "unread"
PREFERENCES = "preferences"
# Mails that are due are spread over this many partitions: an update may make a million of them.
DUE_SHARDS = 8
# A mail that could not be requested for this long is not sent any more.
DUE_LIFETIME = timedelta(days=7)


class NotificationItem(Item):
    """One notification."""

    kind = UnicodeAttribute()
    title = UnicodeAttribute()
    body = UnicodeAttribute()
    created_at = UnicodeAttribute()
    action_label = UnicodeAttribute(null=True)
    action_url = UnicodeAttribute(null=True)
    workspace_id = UnicodeAttribute(null=True)
    update_id = UnicodeAttribute(null=True)
    is_action_item = NumberAttribute(null=True)
    read_at = UnicodeAttribute(null=True)
    acknowledged_at = UnicodeAttribute(null=True)
    archived_at = UnicodeAttribute(null=True)
    shown_until = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute(null=True)


class UnreadCountItem(Item):
    """How many notifications of a person are unread."""

    unread = NumberAttribute(null=True)


class NotificationPreferencesItem(Item):
    """What a person has chosen. chosen: `<kind> <channel>` → 1 or 0."""

    chosen = CompactJSON()
    # A Digest.
    mails = UnicodeAttribute()
    quiet_begin = UnicodeAttribute(null=True)
    quiet_end = UnicodeAttribute(null=True)


class DueMailItem(Item):
    """A mail about a notification, when it is due."""

    expires_at_seconds = NumberAttribute()


def due_mail_item(user_id: str, notification_id: str, at: datetime) -> DueMailItem:
    expires = int((at + DUE_LIFETIME).timestamp())
    return DueMailItem(due_pk(user_id), f"{rfc3339(at)}#{user_id}#{notification_id}", expires_at_seconds=expires)


def due_pk(user_id: str) -> str:
    return f"due#{counter_shard(user_id) % DUE_SHARDS}"


def notification_item(each: Notification) -> NotificationItem:
    return NotificationItem(
        each.user_id,
        each.id,
        kind=each.kind.value,
        title=each.title,
        body=each.body,
        created_at=rfc3339(each.created_at),
        action_label=each.action.label if each.action else None,
        action_url=each.action.url if each.action else None,
        workspace_id=each.workspace_id,
        update_id=each.update_id,
        is_action_item=1 if each.is_action_item else None,
        read_at=_text(each.read_at),
        acknowledged_at=_text(each.acknowledged_at),
        archived_at=_text(each.archived_at),
        shown_until=_text(each.shown_until),
        expires_at_seconds=expiry(each),
    )


def decode_notification(item: NotificationItem) -> Notification:
    has_action = item.action_label and item.action_url
    return Notification(
        item.sk,
        item.pk,
        NotificationKind(item.kind),
        item.title,
        item.body,
        parse_rfc3339(item.created_at),
        action=Action(item.action_label, item.action_url) if has_action else None,
        workspace_id=item.workspace_id,
        update_id=item.update_id,
        is_action_item=bool(item.is_action_item),
        read_at=_time(item.read_at),
        acknowledged_at=_time(item.acknowledged_at),
        archived_at=_time(item.archived_at),
        shown_until=_time(item.shown_until),
    )


def expiry(each: Notification) -> int | None:
    return int(each.expires_at.timestamp()) if each.expires_at else None


def preferences_item(user_id: str, preferences: Preferences) -> NotificationPreferencesItem:
    quiet = preferences.quiet_hours
    return NotificationPreferencesItem(
        user_id,
        PREFERENCES,
        chosen={f"{kind} {channel}": int(is_on) for (kind, channel), is_on in preferences.chosen.items()},
        mails=preferences.digest.value,
        quiet_begin=quiet.begin.isoformat("minutes") if quiet else None,
        quiet_end=quiet.end.isoformat("minutes") if quiet else None,
    )


def decode_preferences(item: NotificationPreferencesItem) -> Preferences:
    stored: dict[str, Any] = item.chosen
    chosen = {(kind, channel): bool(is_on) for key, is_on in stored.items() for kind, channel in [key.split(" ")]}
    has_quiet = item.quiet_begin and item.quiet_end
    quiet = QuietHours(time.fromisoformat(item.quiet_begin), time.fromisoformat(item.quiet_end)) if has_quiet else None
    return Preferences(chosen, quiet, Digest(item.mails))


def _text(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None


def _time(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None
