"""Sums in memory: rows, marks of changed hours, and kept days and months, as the port `SumReads` promises them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from atelier.analytics.model import VIEWS, Counts, Dataset, Group, Row, Sums, View, add, by_view
from atelier.analytics.ports import DayOfView

Found = TypeVar("Found")
WORKSPACE = "wsp_of_the_tests"


class SumsInMemory:
    """One workspace. `meanwhile` runs after each read, as another process would between two of ours."""

    def __init__(self) -> None:
        self.counts: dict[Row, dict[str, int]] = {}
        self.changed: set[tuple[Dataset, datetime]] = set()
        self.kept: dict[tuple[View, date], DayOfView] = {}
        self.meanwhile: Callable[[], None] = lambda: None
        self.reads: list[str] = []

    def count(self, hour: datetime, group: Group, dataset: Dataset = Dataset.USAGE, **counts: int) -> None:
        row = self.counts.setdefault(Row(dataset, hour, group), {})
        for name, value in counts.items():
            row[name] = row.get(name, 0) + value
        self.changed.add((dataset, hour))

    def pack(self, dataset: Dataset, day: date) -> None:
        """Keep a day as its rows are now."""
        rows = {row: counts for row, counts in self.counts.items() if row.dataset is dataset and row.hour.date() == day}
        for view in VIEWS[dataset]:
            sums: Sums = {}
            for row, counts in rows.items():
                add(sums, row.group, counts)
            self.kept[view, day] = DayOfView(day, frozenset(row.hour.hour for row in rows), by_view(view, sums))
        self.changed = {(each, hour) for each, hour in self.changed if (each, hour.date()) != (dataset, day)}

    def pack_all(self) -> None:
        for dataset, day in {(dataset, hour.date()) for dataset, hour in self.changed}:
            self.pack(dataset, day)

    def days(self, workspace_id: str, view: View, first: date, last: date) -> Sequence[DayOfView]:
        found = [each for (of, day), each in self.kept.items() if of is view and first <= day <= last]
        return self._read("days", workspace_id, found)

    def months(self, workspace_id: str, view: View, first: date, last: date) -> dict[date, Sums]:
        result: dict[date, Sums] = {}
        for (of, day), each in self.kept.items():
            if of is view and first <= day <= last:
                for group, counts in each.sums.items():
                    add(result.setdefault(day.replace(day=1), {}), group, counts)
        return self._read("months", workspace_id, result)

    def changed_hours(self, workspace_id: str, dataset: Dataset, first: datetime, end: datetime) -> Sequence[datetime]:
        found = [hour for each, hour in self.changed if each is dataset and first <= hour < end]
        return self._read("changed_hours", workspace_id, sorted(found))

    def rows(self, workspace_id: str, dataset: Dataset, first: datetime, end: datetime) -> Iterator[tuple[Row, Counts]]:
        found = [(row, dict(counts)) for row, counts in self.counts.items()
                 if row.dataset is dataset and first <= row.hour < end]  # fmt: skip
        return iter(self._read("rows", workspace_id, sorted(found, key=lambda each: each[0].hour)))

    def _read(self, name: str, workspace_id: str, found: Found) -> Found:
        assert workspace_id == WORKSPACE
        self.reads.append(name)
        self.meanwhile()
        return found


def at(text: str) -> datetime:
    """`2026-11-29` or `2026-11-29T05`, in UTC."""
    day, _, hour = text.partition("T")
    return datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(hours=int(hour or 0))
