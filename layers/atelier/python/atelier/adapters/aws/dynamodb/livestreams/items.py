"""The items of livestreams, in the community table, and their values.

    pk wsp_…  sk livestream#liv_…     a livestream, in its host's workspace
    pk wsp_…  sk viewers#liv_…        about how many watch it
    pk liv_…  sk place                whose livestream it is

A livestream that has to be looked at is in the index `due`, one for everybody that has not ended in the index `public`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.livestreams.model import Livestream, LivestreamAccess, LivestreamStatus

LIVESTREAM, VIEWERS, PLACE = "livestream#", "viewers#", "place"
DUE_OF, PUBLIC = "livestreams", "livestreams"
RELEASED_OF = "released-livestreams"
TEXTS = ("host_id", "title", "description", "workshop_id", "stream_id", "playback_id", "upload_id", "recording_failure")
TIMES = (
    "starts_at",
    "created_at",
    "updated_at",
    "creating_at",
    "orphans_at",
    "started_at",
    "live_at",
    "notified_at",
    "ended_at",
    "checked_at",
    "closed_at",
    "recording_at",
    "due_at",
)
NUMBERS = ("creations", "version")
LISTS = ("tiers", "recording_ids", "recording_asset_ids")


class _LivestreamDue(GlobalSecondaryIndex["LivestreamItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_of = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class _PublicLivestreams(GlobalSecondaryIndex["LivestreamItem"]):
    class Meta:
        index_name = "public"
        projection = KeysOnlyProjection()

    public = UnicodeAttribute(hash_key=True)
    starts_at = UnicodeAttribute(range_key=True)


class LivestreamItem(Item):
    """One livestream. due_of: there while due_at is. public: there while everybody sees it in the list. events: what
    was not published yet. The stream key is never stored: the service has it."""

    host_id = UnicodeAttribute()
    title = UnicodeAttribute()
    description = UnicodeAttribute(null=True)
    starts_at = UnicodeAttribute()
    access = UnicodeAttribute()
    status = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    tiers = CompactJSON(null=True)
    workshop_id = UnicodeAttribute(null=True)
    stream_id = UnicodeAttribute(null=True)
    playback_id = UnicodeAttribute(null=True)
    creating_at = UnicodeAttribute(null=True)
    creations = NumberAttribute(default=0)
    orphans_at = UnicodeAttribute(null=True)
    started_at = UnicodeAttribute(null=True)
    live_at = UnicodeAttribute(null=True)
    notified_at = UnicodeAttribute(null=True)
    ended_at = UnicodeAttribute(null=True)
    checked_at = UnicodeAttribute(null=True)
    closed_at = UnicodeAttribute(null=True)
    upload_id = UnicodeAttribute(null=True)
    recording_ids = CompactJSON(null=True)
    recording_at = UnicodeAttribute(null=True)
    recording_asset_ids = CompactJSON(null=True)
    recording_failure = UnicodeAttribute(null=True)
    events = CompactJSON(null=True)
    version = NumberAttribute()
    due_of = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    public = UnicodeAttribute(null=True)
    due = _LivestreamDue()
    of_public = _PublicLivestreams()


class _ReleasedDue(GlobalSecondaryIndex["LivestreamPlaceItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_of = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class LivestreamPlaceItem(Item):
    """Whose a livestream is, by its id alone. due_of, due_at, stream_id: there while the livestream is erased, and its
    stream is not removed from the service."""

    workspace_id = UnicodeAttribute()
    stream_id = UnicodeAttribute(null=True)
    due_of = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    due = _ReleasedDue()


class ViewerCountItem(Item):
    """Who asked to watch in a window of time, and in the one before. window: its number since 1970."""

    window = NumberAttribute()
    counted = NumberAttribute(default=0)
    counted_before = NumberAttribute(default=0)


ITEMS: tuple[type[Item], ...] = (LivestreamItem, LivestreamPlaceItem, ViewerCountItem)


def livestream_item(livestream: Livestream) -> LivestreamItem:
    """The stored form of a livestream."""
    values: dict[str, Any] = {name: getattr(livestream, name) or None for name in TEXTS}
    values |= {name: getattr(livestream, name) for name in NUMBERS}
    values |= {name: list(getattr(livestream, name)) or None for name in LISTS}
    values |= {name: rfc3339(at) if (at := getattr(livestream, name)) else None for name in TIMES}
    return LivestreamItem(
        livestream.workspace_id,
        LIVESTREAM + livestream.id,
        **values,
        access=livestream.access.value,
        status=livestream.status.value,
        events=[[type, json.loads(text)] for type, text in livestream.events] or None,
        due_of=DUE_OF if livestream.due_at else None,
        public=PUBLIC if is_listed(livestream) else None,
    )


def livestream_of(item: LivestreamItem) -> Livestream:
    """The livestream in an item."""
    values: dict[str, Any] = {name: getattr(item, name) for name in TEXTS}
    values |= {name: int(getattr(item, name)) for name in NUMBERS}
    values |= {name: tuple(getattr(item, name) or ()) for name in LISTS}
    values |= {name: _time(getattr(item, name)) for name in TIMES}
    values["description"] = item.description or ""
    return Livestream(
        id=item.sk.removeprefix(LIVESTREAM),
        workspace_id=item.pk,
        access=LivestreamAccess(item.access),
        status=LivestreamStatus(item.status),
        events=tuple((type, json.dumps(detail, separators=(",", ":"))) for type, detail in item.events or ()),
        **values,
    )


def is_listed(livestream: Livestream) -> bool:
    """Whether everybody sees a livestream in the list."""
    return livestream.access is LivestreamAccess.PUBLIC and livestream.status is not LivestreamStatus.ENDED


def _time(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None
