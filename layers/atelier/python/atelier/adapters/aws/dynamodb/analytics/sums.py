"""The kept sums and the rows of analytics on DynamoDB, for reports and for keeping them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    Transaction,
    TransactionConflict,
    batch_read,
    transaction,
)
from atelier.adapters.aws.dynamodb.analytics.items import (
    SHARDS,
    ChangedHourItem,
    KeptSumsItem,
    RowItem,
    changed_key,
    day_key,
    hour_text,
    month_key,
    row_of,
    shard_of,
)
from atelier.adapters.aws.dynamodb.analytics.kept_sums import decode_parts, encode_parts
from atelier.adapters.aws.dynamodb.analytics.row_counts import additions, counts_of, raw_items
from atelier.analytics.model import VIEWS, Counts, Dataset, Row, Sums, View
from atelier.analytics.ports import DayChanged, DayOfView, KeptDay, KeptSums, PackedDay, TooManyGroups
from atelier.clock import parse_rfc3339, rfc3339

# What DynamoDB allows in one transaction, with some room.
TRANSACTION_ITEMS_MAX = 100
TRANSACTION_BYTES_MAX = 3_500_000
# The sort key of a part of kept sums, by its number.
PartKey = Callable[[int], str]
# Sorts after every part and every group.
_LAST = "~"


class DynamoSums:
    """SumReads on DynamoDB. consistent: read what was written last, at twice the price."""

    def __init__(self, *, consistent: bool = False) -> None:
        self._consistent = consistent

    def days(self, workspace_id: str, view: View, first: date, last: date) -> Sequence[DayOfView]:
        items = self._kept(workspace_id, f"day#{view.value}#{first}", f"day#{view.value}#{last}#{_LAST}")
        return [
            DayOfView(date.fromisoformat(day), _hours(parts[0]), decode_parts(each.sums for each in parts))
            for day, parts in _by_period(items).items()
        ]

    def months(self, workspace_id: str, view: View, first: date, last: date) -> Mapping[date, Sums]:
        lowest, highest = f"month#{view.value}#{first:%Y-%m}", f"month#{view.value}#{last:%Y-%m}#{_LAST}"
        items = self._kept(workspace_id, lowest, highest)
        return {
            date.fromisoformat(f"{month}-01"): decode_parts(each.sums for each in parts)
            for month, parts in _by_period(items).items()
        }

    def changed_hours(self, workspace_id: str, dataset: Dataset, first: datetime, end: datetime) -> Sequence[datetime]:
        return sorted(self._marks(workspace_id, dataset, first, end))

    def rows(self, workspace_id: str, dataset: Dataset, first: datetime, end: datetime) -> Iterator[tuple[Row, Counts]]:
        if first >= end:
            return
        prefix = f"row#{dataset.value}#"
        last = end - timedelta(hours=1)
        between = RowItem.sk.between(f"{prefix}{hour_text(first)}#", f"{prefix}{hour_text(last)}#{_LAST}")
        for item in raw_items(RowItem, workspace_id, between, consistent=self._consistent):
            counts = counts_of(item)
            if counts:
                yield row_of(item["sk"]["S"]), counts

    def _kept(self, workspace_id: str, lowest: str, highest: str) -> Iterator[KeptSumsItem]:
        between = KeptSumsItem.sk.between(lowest, highest)
        return iter(KeptSumsItem.query(workspace_id, between, consistent_read=self._consistent))

    def _marks(self, workspace_id: str, dataset: Dataset, first: datetime, end: datetime) -> dict[datetime, str]:
        if first >= end:
            return {}
        between = ChangedHourItem.sk.between(
            changed_key(dataset, first), changed_key(dataset, end - timedelta(hours=1))
        )
        found = ChangedHourItem.query(workspace_id, between, consistent_read=self._consistent)
        return {_hour(item.sk): item.stamp for item in found}


class DynamoSumStore(DynamoSums):
    """SumStore on DynamoDB."""

    def __init__(self) -> None:
        super().__init__(consistent=True)

    def due(self, now: datetime) -> Iterator[tuple[str, Dataset, date]]:
        for shard in range(SHARDS):
            over = ChangedHourItem.due_at <= rfc3339(now)
            found = {
                (item.pk, Dataset(item.sk.split("#")[1]), _hour(item.sk).date()): None
                for item in ChangedHourItem.pack_due.query(str(shard), over)
            }
            yield from found

    def marks(self, workspace_id: str, dataset: Dataset, day: date) -> dict[datetime, str]:
        begin = datetime.combine(day, time(), UTC)
        return self._marks(workspace_id, dataset, begin, begin + timedelta(days=1))

    def kept(self, workspace_id: str, dataset: Dataset, day: date) -> KeptDay:
        views = VIEWS[dataset]
        days = {view: partial(day_key, view, f"{day}") for view in views}
        months = {view: partial(month_key, view, f"{day:%Y-%m}") for view in views}
        first = _read(workspace_id, [key(0) for key in (*days.values(), *months.values())])
        return KeptDay(_decoded(workspace_id, days, first), _decoded(workspace_id, months, first))

    def keep(self, workspace_id: str, packed: PackedDay, before: KeptDay) -> None:
        write = _SumsTransaction(workspace_id)
        facts = {"hours": sum(1 << hour for hour in packed.hours), "packed_at": rfc3339(packed.at)}
        for view, sums in packed.days.items():
            write.put(partial(day_key, view, f"{packed.day}"), sums, before.days.get(view), facts)
        for view, sums in packed.months.items():
            write.put(partial(month_key, view, f"{packed.day:%Y-%m}"), sums, before.months.get(view), {})
        partition = f"platform#{packed.day}#{shard_of(workspace_id)}"
        for group, counts in packed.platform.items():
            write.add(RowItem(partition, f"{packed.dataset.value}#{group.model}#{group.kind}"), counts)
        for hour, stamp in packed.marks.items():
            write.end_mark(changed_key(packed.dataset, hour), stamp)
        write.commit()

    def leave_unpacked(self, workspace_id: str, dataset: Dataset, day: date) -> None:
        for hour in self.marks(workspace_id, dataset, day):
            item = ChangedHourItem(workspace_id, changed_key(dataset, hour))
            item.update([ChangedHourItem.shard.remove()])


class _SumsTransaction:
    """One transaction, built within what DynamoDB allows."""

    def __init__(self, workspace_id: str) -> None:
        self._workspace_id = workspace_id
        self._write: Transaction = transaction()
        self._items = self._bytes = 0

    def put(self, key: PartKey, sums: Sums, before: KeptSums | None, facts: Mapping[str, Any]) -> None:
        """Write sums in parts; parts that are needed no more are deleted."""
        parts = encode_parts(sums)
        version = before.version if before else 0
        for number, part in enumerate(parts):
            self._count(len(part))
            numbers = {"parts": len(parts), "version": version + 1}
            item = KeptSumsItem(self._workspace_id, key(number), sums=part, **numbers, **facts)
            is_unchanged = KeptSumsItem.version == version if version else KeptSumsItem.pk.does_not_exist()
            # The first part has the version for all.
            self._write.save(item, is_unchanged if number == 0 else None, part="sums" if number == 0 else "")
        for number in range(len(parts), before.parts if before else 0):
            self._count(0)
            self._write.delete(KeptSumsItem(self._workspace_id, key(number)))

    def add(self, item: Item, counts: Counts) -> None:
        self._count(1000)
        self._write.update(item, additions(counts))

    def end_mark(self, key: str, stamp: str) -> None:
        self._count(0)
        item = ChangedHourItem(self._workspace_id, key)
        self._write.delete(item, ChangedHourItem.stamp == stamp, part="mark")

    def commit(self) -> None:
        """Raises DayChanged."""
        try:
            with self._write:
                pass
        except (ConditionsFailed, TransactionConflict) as error:
            raise DayChanged from error

    def _count(self, size: int) -> None:
        self._items += 1
        self._bytes += size
        if self._items > TRANSACTION_ITEMS_MAX or self._bytes > TRANSACTION_BYTES_MAX:
            raise TooManyGroups


def _read(workspace_id: str, keys: Sequence[str]) -> dict[str, KeptSumsItem]:
    """The items with these keys that exist (consistent read)."""
    found = batch_read((KeptSumsItem, workspace_id, key) for key in keys)
    return {key: item for (_, _, key), item in found.items() if isinstance(item, KeptSumsItem)}


def _decoded(
    workspace_id: str, keys: Mapping[View, PartKey], first: Mapping[str, KeptSumsItem]
) -> dict[View, KeptSums]:
    """Kept sums by view, given their first parts."""
    result: dict[View, KeptSums] = {}
    for view, key in keys.items():
        if item := first.get(key(0)):
            parts = int(item.parts)
            others = _read(workspace_id, [key(number) for number in range(1, parts)]) if parts > 1 else {}
            in_order = [item, *(others[place] for place in sorted(others))]
            result[view] = KeptSums(decode_parts(each.sums for each in in_order), int(item.version), parts)
    return result


def _by_period(items: Iterator[KeptSumsItem]) -> dict[str, list[KeptSumsItem]]:
    parts: defaultdict[str, list[KeptSumsItem]] = defaultdict(list)
    for item in items:
        parts[item.sk.split("#")[2]].append(item)
    return dict(parts)


def _hours(item: KeptSumsItem) -> frozenset[int]:
    bits = int(item.hours or 0)
    return frozenset(hour for hour in range(24) if bits >> hour & 1)


def _hour(key: str) -> datetime:
    return parse_rfc3339(f"{key.rpartition('#')[2]}:00:00Z")
