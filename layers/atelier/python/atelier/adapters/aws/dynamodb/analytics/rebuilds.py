"""Rebuilds of analytics on DynamoDB, in the partition of their workspace:

rebuild                                    how far the rebuild is
rebuilt#<dataset>#<hour>#<group>           its rows
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    ConditionsFailed,
    Item,
    Transaction,
    TransactionConflict,
    transaction,
)
from atelier.adapters.aws.dynamodb.analytics.items import (
    ChangedHourItem,
    KeptSumsItem,
    RowItem,
    changed_hour,
    day_key,
    hour_text,
    row_key,
    row_of,
)
from atelier.adapters.aws.dynamodb.analytics.row_counts import additions, counts_of, raw_items
from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSumStore
from atelier.analytics.model import VIEWS, Counts, Dataset, Row
from atelier.analytics.ports import ComparedDay, Rebuild, RebuildTaken
from atelier.clock import parse_rfc3339, rfc3339

REBUILD = "rebuild"
ROW, REBUILT = "row#", "rebuilt#"
RowCounts = dict[Row, Counts]


class RebuildItem(Item):
    """How far a rebuild is; see `Rebuild`."""

    started_at = UnicodeAttribute()
    first_unsettled = UnicodeAttribute()
    reading = UnicodeAttribute(null=True)
    place = UnicodeAttribute(null=True)
    records = NumberAttribute()
    differences = NumberAttribute()
    left_out = CompactJSON()
    version = NumberAttribute()


class DynamoRebuilds:
    """RebuildStore on DynamoDB."""

    @staticmethod
    def bind(table: str) -> None:
        """Name the table of analytics."""
        RebuildItem.bind(table)

    def begin(self, workspace_id: str, new: Rebuild) -> Rebuild:
        try:
            return _decode(RebuildItem.get(workspace_id, REBUILD, consistent_read=True))
        except DoesNotExist:
            return new

    def add_page(self, workspace_id: str, before: Rebuild, after: Rebuild, counts: Mapping[Row, Counts]) -> Rebuild:
        with _taken(), transaction() as write:
            for row, numbers in counts.items():
                if any(numbers.values()):
                    write.update(RowItem(workspace_id, REBUILT + row_key(row).removeprefix(ROW)), additions(numbers))
            return _save(write, workspace_id, before, after)

    def days(self, workspace_id: str, dataset: Dataset, state: Rebuild) -> Iterator[ComparedDay]:
        end = state.first_unsettled
        rebuilt, kept = (_days(workspace_id, prefix, dataset, end) for prefix in (REBUILT, ROW))
        left, right = next(rebuilt, None), next(kept, None)
        while left or right:
            day = min(each[0] for each in (left, right) if each)
            changed = _changed(workspace_id, dataset, day, state.started_at)
            of_left, of_right = (each[1] if each and each[0] == day else {} for each in (left, right))
            yield ComparedDay(of_left, of_right, changed)
            left = next(rebuilt, None) if left and left[0] == day else left
            right = next(kept, None) if right and right[0] == day else right

    def repair(self, workspace_id: str, state: Rebuild, differences: Mapping[Row, Counts]) -> Rebuild:
        with _taken(), transaction() as write:
            for row, numbers in differences.items():
                write.update(RowItem(workspace_id, row_key(row)), additions(numbers))
            # Facts of these hours that were counted after the rows were compared have left a mark, or a day that was
            # kept since.
            for dataset, hour in {(row.dataset, row.hour) for row in differences}:
                is_new = ChangedHourItem.pk.does_not_exist()
                write.save(changed_hour(workspace_id, dataset, hour), is_new, part="mark")
            for dataset, day in {(row.dataset, row.hour.date()) for row in differences}:
                packed_at = KeptSumsItem.packed_at
                is_older = packed_at.does_not_exist() | (packed_at < rfc3339(state.started_at))
                write.check(KeptSumsItem, workspace_id, _kept_key(dataset, day), is_older, part="day")
            return _save(write, workspace_id, state, state)

    def finish(self, workspace_id: str, state: Rebuild) -> None:
        with RowItem.batch_write() as batch:
            for item in raw_items(RowItem, workspace_id, RowItem.sk.startswith(REBUILT), consistent=True):
                batch.delete(RowItem(workspace_id, item["sk"]["S"]))
        RebuildItem(workspace_id, REBUILD).delete()


@contextmanager
def _taken() -> Generator[None]:
    """Turns the failure of a transaction, because another call was faster, into RebuildTaken."""
    try:
        yield
    except (ConditionsFailed, TransactionConflict) as error:
        raise RebuildTaken from error


def _save(write: Transaction, workspace_id: str, before: Rebuild, after: Rebuild) -> Rebuild:
    """Add the state to a transaction, on condition that it is as it was read."""
    saved = replace(after, version=before.version + 1)
    is_unchanged = RebuildItem.version == before.version if before.version else RebuildItem.pk.does_not_exist()
    write.save(_encode(workspace_id, saved), is_unchanged, part="rebuild")
    return saved


def _encode(workspace_id: str, state: Rebuild) -> RebuildItem:
    return RebuildItem(
        workspace_id,
        REBUILD,
        started_at=rfc3339(state.started_at),
        first_unsettled=rfc3339(state.first_unsettled),
        reading=state.reading.value if state.reading else None,
        place=state.place,
        records=state.records,
        differences=state.differences,
        left_out=sorted(map(rfc3339, state.left_out)),
        version=state.version,
    )


def _decode(item: RebuildItem) -> Rebuild:
    return Rebuild(
        started_at=parse_rfc3339(item.started_at),
        first_unsettled=parse_rfc3339(item.first_unsettled),
        reading=Dataset(item.reading) if item.reading else None,
        place=item.place,
        records=int(item.records),
        differences=int(item.differences),
        left_out=frozenset(map(parse_rfc3339, item.left_out)),
        version=int(item.version),
    )


def _days(workspace_id: str, prefix: str, dataset: Dataset, end: datetime) -> Iterator[tuple[date, RowCounts]]:
    """The rows before `end` by day, in order."""
    begin = f"{prefix}{dataset.value}#"
    # The hour's text sorts before those of its own rows, which are not read.
    until = RowItem.sk.between(begin, f"{begin}{hour_text(end)}")
    items = raw_items(RowItem, workspace_id, until, consistent=True)
    rows = ((row_of(ROW + item["sk"]["S"].removeprefix(prefix)), counts_of(item)) for item in items)
    for day, of_day in groupby(rows, key=lambda each: each[0].hour.date()):
        yield day, dict(of_day)


def _changed(workspace_id: str, dataset: Dataset, day: date, since: datetime) -> frozenset[datetime]:
    """The hours of a day in which facts were counted since a time, as far as that can be told: its marked hours, or the
    whole day when its sums were kept since."""
    # The marks are read first: one that ends meanwhile leaves a day that was kept after `since`.
    marks = DynamoSumStore().marks(workspace_id, dataset, day)
    kept = next(
        iter(KeptSumsItem.query(workspace_id, KeptSumsItem.sk == _kept_key(dataset, day), consistent_read=True)), None
    )
    if kept is None or kept.packed_at < rfc3339(since):
        return frozenset(marks)
    begin = datetime.combine(day, time(), UTC)
    return frozenset(begin + timedelta(hours=hour) for hour in range(24))


def _kept_key(dataset: Dataset, day: date) -> str:
    """The sort key of the first part of a day's sums; all views of a day are kept together."""
    return day_key(VIEWS[dataset][0], f"{day}")
