"""The stored form of analytics. One partition for each workspace:

    receipt#<window>#<number>                  which facts of some minutes were counted, by batch
    row#usage#<hour>#<group>                   counts of the finest group in an hour, changed by ADD only
    row#credits#<hour>#
    changed#<dataset>#<hour>                   rows of this hour have changed since the sums of its day were kept
    day#<view>#<day>#<part>                    the sums of a day by a view, compressed; made from rows
    month#<view>#<month>#<part>                the sums of a month's kept days

Windows (their beginning), hours, days and months are UTC, as `2026-11-29T05:40`, `2026-11-29T05`, `2026-11-29` and
`2026-11`. Sums of the whole platform are in partitions `platform#<shard>`, and change in the transactions that keep a
day.
"""

from __future__ import annotations

import secrets
import zlib
from datetime import datetime, timedelta

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import Item
from atelier.analytics.model import Dataset, Group, Row, View
from atelier.clock import rfc3339

# Over how many partitions the work list and the sums of the platform are spread.
SHARDS = 16
STAMP_BYTES = 6
_SEPARATOR = "#"


class _PackDue(GlobalSecondaryIndex["ChangedHourItem"]):
    class Meta:
        index_name = "pack-due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class ReceiptItem(Item):
    """Digests of the ids of facts, one after the other (see `digest` in analytics/model.py)."""

    facts = BinaryAttribute(legacy_encoding=False)


class RowItem(Item):
    """Counts: one number attribute for each counter, beside the keys."""


class ChangedHourItem(Item):
    """`stamp` changes with every change of the hour's rows. `due_at`: when the hour is over, RFC 3339."""

    stamp = UnicodeAttribute()
    shard = UnicodeAttribute()
    due_at = UnicodeAttribute()
    pack_due = _PackDue()


class KeptSumsItem(Item):
    """Sums of a day or a month. `hours`: which hours of the day they contain, bit n for hour n; `packed_at`: when the
    day's rows were read; `parts`: how many items the sums are in. `version` counts the writes."""

    sums = BinaryAttribute(legacy_encoding=False)
    hours = NumberAttribute(null=True)
    packed_at = UnicodeAttribute(null=True)
    parts = NumberAttribute()
    version = NumberAttribute()


ITEMS: tuple[type[Item], ...] = (ReceiptItem, RowItem, ChangedHourItem, KeptSumsItem)


def bind(table: str) -> None:
    """Name the table of analytics."""
    for item in ITEMS:
        item.bind(table)


def shard_of(workspace_id: str) -> int:
    """The shard of a workspace, the same for ever."""
    return zlib.crc32(workspace_id.encode()) % SHARDS


def hour_text(hour: datetime) -> str:
    """`2026-11-29T05`."""
    return f"{hour:%Y-%m-%dT%H}"


def receipt_prefix(window: datetime) -> str:
    """The sort key of a window's receipts, without the number. Receipts of a window are numbered from 0."""
    return f"receipt#{window:%Y-%m-%dT%H:%M}#"


def receipt_key(window: datetime, number: int) -> str:
    """The sort key of a receipt."""
    return f"{receipt_prefix(window)}{number:05}"


def row_key(row: Row) -> str:
    """The sort key of a row."""
    group = row.group
    names = [group.project, group.token, group.user, group.model, group.kind]
    place = _SEPARATOR.join(names) if row.dataset is Dataset.USAGE else ""
    return f"row#{row.dataset.value}#{hour_text(row.hour)}#{place}"


def row_of(sort_key: str) -> Row:
    """The inverse of `row_key`."""
    _, dataset, hour, *names = sort_key.split(_SEPARATOR)
    group = Group(*names) if dataset == Dataset.USAGE else Group()
    return Row(Dataset(dataset), datetime.fromisoformat(f"{hour}:00:00+00:00"), group)


def changed_key(dataset: Dataset, hour: datetime) -> str:
    """The sort key of the mark of a changed hour."""
    return f"changed#{dataset.value}#{hour_text(hour)}"


def day_key(view: View, day: str, part: int = 0) -> str:
    """The sort key of a part of a day's sums."""
    return f"day#{view.value}#{day}#{part:03}"


def month_key(view: View, month: str, part: int = 0) -> str:
    """The sort key of a part of a month's sums."""
    return f"month#{view.value}#{month}#{part:03}"


def changed_hour(workspace_id: str, dataset: Dataset, hour: datetime) -> ChangedHourItem:
    """A new mark of a changed hour."""
    return ChangedHourItem(
        workspace_id,
        changed_key(dataset, hour),
        stamp=secrets.token_hex(STAMP_BYTES),
        shard=str(shard_of(workspace_id)),
        due_at=rfc3339(hour + timedelta(hours=1)),
    )
