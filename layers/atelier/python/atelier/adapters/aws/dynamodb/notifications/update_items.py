"""The stored form of updates of the platform's administrators.

pk updates      sk upd_…          one update
pk updates-due  sk <time>#upd_…   when it is to be sent
pk upd_…        sk shard#N        how far the sending to one shard of the people is
pk upd_…        sk count#N        how many of some of the people have read and acknowledged it
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.notifications.model import Action, counter_shard
from atelier.notifications.updates import (
    Content,
    Segment,
    ShardProgress,
    ShardState,
    Update,
    UpdateState,
    UpdateTopic,
)

UPDATES, DUE = "updates", "updates-due"
SHARD_PREFIX, COUNT_PREFIX = "shard#", "count#"


class UpdateItem(Item):
    """One update."""

    state = UnicodeAttribute()
    version = NumberAttribute()
    content = CompactJSON()
    created_by = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    send_at = UnicodeAttribute(null=True)


class DueUpdateItem(Item):
    """When an update is to be sent."""


class UpdateShardItem(Item):
    """How far the sending to one shard of the people is."""

    state = UnicodeAttribute()
    after = UnicodeAttribute(null=True)
    sent = NumberAttribute()


class UpdateCountItem(Item):
    """How many of the people of one shard have read and acknowledged an update."""

    read = NumberAttribute(null=True)
    acknowledged = NumberAttribute(null=True)


def update_item(update: Update) -> UpdateItem:
    return UpdateItem(
        UPDATES,
        update.id,
        state=update.state.value,
        version=update.version,
        content=_content_data(update.content),
        created_by=update.created_by,
        created_at=rfc3339(update.created_at),
        updated_at=rfc3339(update.updated_at),
        send_at=_text(update.send_at),
    )


def decode_update(item: UpdateItem) -> Update:
    return Update(
        item.sk,
        _content(item.content),
        item.created_by,
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        int(item.version),
        UpdateState(item.state),
        _time(item.send_at),
    )


def due_item(update: Update) -> DueUpdateItem:
    assert update.send_at is not None
    return DueUpdateItem(DUE, f"{rfc3339(update.send_at)}#{update.id}")


def shard_item(progress: ShardProgress) -> UpdateShardItem:
    return UpdateShardItem(
        progress.update_id,
        f"{SHARD_PREFIX}{progress.shard}",
        state=progress.state.value,
        after=progress.after,
        sent=progress.sent,
    )


def decode_shard(item: UpdateShardItem) -> ShardProgress:
    shard = int(item.sk.removeprefix(SHARD_PREFIX))
    return ShardProgress(item.pk, shard, ShardState(item.state), item.after, int(item.sent))


def update_count_item(update_id: str, user_id: str) -> UpdateCountItem:
    return UpdateCountItem(update_id, f"{COUNT_PREFIX}{counter_shard(user_id)}")


def _content_data(content: Content) -> dict[str, Any]:
    segment, action = content.segment, content.action
    return {
        "segment": {
            "user_id": segment.user_id,
            "tiers": list(segment.tiers),
            "personas": list(segment.personas),
            "roles": list(segment.roles),
            "locales": list(segment.locales),
            "seen_after": _text(segment.seen_after),
            "seen_before": _text(segment.seen_before),
        },
        "topic": content.topic.value,
        "title": content.title,
        "body": content.body,
        "action": [action.label, action.url] if action else None,
        "is_action_item": content.is_action_item,
        "shown_until": _text(content.shown_until),
    }


def _content(data: dict[str, Any]) -> Content:
    segment = data["segment"]
    return Content(
        Segment(
            segment["user_id"],
            tuple(segment["tiers"]),
            tuple(segment["personas"]),
            tuple(segment["roles"]),
            tuple(segment["locales"]),
            _time(segment["seen_after"]),
            _time(segment["seen_before"]),
        ),
        UpdateTopic(data["topic"]),
        data["title"],
        data["body"],
        Action(*data["action"]) if data["action"] else None,
        data["is_action_item"],
        _time(data["shown_until"]),
    )


def _text(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None


def _time(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None
