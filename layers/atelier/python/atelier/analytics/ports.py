"""Ports of analytics."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from atelier.analytics.chart import Chart, Theme
from atelier.analytics.model import Counts, Dataset, Group, Milestone, Row, Sums, View
from atelier.dataclass import dataclass


class ReceiptTaken(Exception):
    """Another consumer has counted facts of this window meanwhile: read its receipts again."""


class FactLog(Protocol):
    """Where facts are counted: receipts of what was counted, and the sums by row."""

    def counted(self, workspace_id: str, window: datetime) -> Sequence[frozenset[bytes]]:
        """The digests of the facts of a window that were counted, by receipt, in order (consistent read)."""
        ...

    def count(self, workspace_id: str, receipts: Mapping[tuple[datetime, int], Collection[bytes]],
              counts: Mapping[Row, Counts]) -> None:  # fmt: skip
        """Write receipts (by window and number; the digests of facts) and add to rows, all or nothing, and mark the
        rows' hours as changed. Raises ReceiptTaken when a receipt exists already."""
        ...


@dataclass(frozen=True, slots=True)
class DayOfView:
    """The sums of one day by one view. `hours`: which hours of the day they contain (0–23); what changed after that is
    in the marks of changed hours."""

    day: date
    hours: frozenset[int]
    sums: Sums


class SumReads(Protocol):
    """Reads the sums of one workspace."""

    def days(self, workspace_id: str, view: View, first: date, last: date) -> Sequence[DayOfView]:
        """The kept sums of the days from first to last (both inclusive)."""
        ...

    def months(self, workspace_id: str, view: View, first: date, last: date) -> Mapping[date, Sums]:
        """The kept sums of months, by the first day of the month: the sum of the kept days. Both inclusive."""
        ...

    def changed_hours(self, workspace_id: str, dataset: Dataset, first: datetime, end: datetime) -> Sequence[datetime]:
        """The hours whose rows have changed since the sums of their day were kept, in [first, end)."""
        ...

    def rows(self, workspace_id: str, dataset: Dataset, first: datetime, end: datetime) -> Iterable[tuple[Row, Counts]]:
        """The counts of the hours in [first, end), in the order of their hours."""
        ...


class PlatformSums(Protocol):
    """Reads the sums of the whole platform."""

    def of_day(self, day: date) -> Iterable[tuple[Dataset, Group, Counts]]:
        """The sums of a day by model and kind; a group may come several times, once for each shard."""
        ...


class DayChanged(Exception):
    """The day, its month or its rows have changed since they were read: read them again."""


class TooManyGroups(Exception):
    """The sums of one day are more than one transaction can write."""


@dataclass(frozen=True, slots=True)
class KeptSums:
    """Kept sums of a view, and by what the next write of them is conditional. `version` is 0 before the first write;
    `parts`: the number of items that they are stored in."""

    sums: Sums
    version: int
    parts: int


@dataclass(frozen=True, slots=True)
class KeptDay:
    """What is kept of a day and of its month, by view. A view without kept sums is not there."""

    days: Mapping[View, KeptSums]
    months: Mapping[View, KeptSums]


@dataclass(frozen=True, slots=True)
class PackedDay:
    """The sums of a day as they are to be kept, and of its month with it. `hours`: those of the day that they contain;
    `platform`: what is added to the platform's sums of the day; `marks`: the marks of changed hours that end with
    it; `at`: when its rows were read."""

    dataset: Dataset
    day: date
    hours: frozenset[int]
    days: Mapping[View, Sums]
    months: Mapping[View, Sums]
    platform: Sums
    marks: Mapping[datetime, str]
    at: datetime


class SumStore(Protocol):
    """Keeps the sums of days. All reads but `due` are consistent."""

    def due(self, now: datetime) -> Iterator[tuple[str, Dataset, date]]:
        """The days of workspaces with changed hours that were over at `now`; the oldest first in each shard."""
        ...

    def marks(self, workspace_id: str, dataset: Dataset, day: date) -> Mapping[datetime, str]:
        """The changed hours of a day, with the stamps of their marks."""
        ...

    def rows(self, workspace_id: str, dataset: Dataset, first: datetime, end: datetime) -> Iterable[tuple[Row, Counts]]:
        """The counts of the hours in [first, end), in the order of their hours."""
        ...

    def kept(self, workspace_id: str, dataset: Dataset, day: date) -> KeptDay: ...

    def keep(self, workspace_id: str, packed: PackedDay, before: KeptDay) -> None:
        """Write the sums, add to the platform's, and delete the marks, in one transaction; `before` is what was read
        to make them. Raises DayChanged or TooManyGroups."""
        ...

    def leave_unpacked(self, workspace_id: str, dataset: Dataset, day: date) -> None:
        """Take a day's marks from the list of what is due; they stay as marks for reports."""
        ...


@dataclass(frozen=True, slots=True)
class ContributedRecord:
    """A stored record with what it contributes, and its place in the order of reading. `changed_at`: when it has
    changed last. `may_have_ended_from`: from when on it may have had an earlier end, which was counted in another
    hour; None = it had none."""

    place: str
    contribution: Mapping[Row, Counts]
    changed_at: datetime
    may_have_ended_from: datetime | None = None


class RecordPages(Protocol):
    """Reads all records of one kind of a workspace, in a fixed order."""

    def page(self, workspace_id: str, after: str | None) -> Sequence[ContributedRecord]:
        """Records after a place; None = from the first one. None at the end (consistent read)."""
        ...


class RecordRemovals(Protocol):
    """Whether records have left a workspace."""

    def since(self, workspace_id: str, at: datetime) -> bool: ...


class RebuildTaken(Exception):
    """Another call goes on with this rebuild at the same time."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """How far a rebuild is. `first_unsettled`: the hours before it are compared. `reading`: whose records are being
    read, None = all were read; `place`: after which record. `left_out`: settled hours that are not compared.
    `version` counts the writes."""

    started_at: datetime
    first_unsettled: datetime
    reading: Dataset | None = Dataset.USAGE
    place: str | None = None
    records: int = 0
    differences: int = 0
    left_out: frozenset[datetime] = frozenset()
    version: int = 0


@dataclass(frozen=True, slots=True)
class ComparedDay:
    """The rebuilt rows and the rows of a day. `changed`: the hours in which facts may have been counted since the
    rebuild has started."""

    rebuilt: Mapping[Row, Counts]
    kept: Mapping[Row, Counts]
    changed: frozenset[datetime]


class RebuildStore(Protocol):
    """Keeps a rebuild of a workspace. There is one at a time."""

    def begin(self, workspace_id: str, new: Rebuild) -> Rebuild:
        """The rebuild that was begun before, or else `new`."""
        ...

    def add_page(self, workspace_id: str, before: Rebuild, after: Rebuild, counts: Mapping[Row, Counts]) -> Rebuild:
        """Add to the rebuilt rows and note how far the reading is, in one transaction; returns `after` with its
        version. Raises RebuildTaken."""
        ...

    def days(self, workspace_id: str, dataset: Dataset, state: Rebuild) -> Iterator[ComparedDay]:
        """The days before `state.first_unsettled` that have any rows (consistent read)."""
        ...

    def repair(self, workspace_id: str, state: Rebuild, differences: Mapping[Row, Counts]) -> Rebuild:
        """Add differences to rows, and mark their hours as changed, in one transaction. Raises RebuildTaken, also when
        facts of these hours were counted meanwhile."""
        ...

    def finish(self, workspace_id: str, state: Rebuild) -> None:
        """Delete the rebuilt rows, then the rebuild. Safe to repeat."""


class ChartPainter(Protocol):
    """Draws charts."""

    def svg(self, chart: Chart, theme: Theme) -> bytes:
        """The chart as SVG with a title and a description, without scripts, links or fonts of its own; the same bytes
        for the same chart."""
        ...


class MilestoneStore(Protocol):
    """Which milestones were reached."""

    def unmarked(self, milestones: Collection[Milestone]) -> Sequence[Milestone]:
        """Those that are not marked yet (consistent read)."""
        ...

    def mark(self, milestone: Milestone) -> bool:
        """Mark and count a milestone; False if it was marked before."""
        ...


class PeopleSums(Protocol):
    """How many reached each kind of milestone, by the name of the kind."""

    def of_day(self, day: date) -> Mapping[str, int]: ...

    def of_cohort(self, month: date) -> Mapping[str, int]:
        """Of those who signed up in the month. Active months have the number of months after it in their name:
        `active_in_month_2`."""
        ...
