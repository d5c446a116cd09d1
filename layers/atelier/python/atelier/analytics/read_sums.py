"""Read sums of any range. What is kept by day and month is read as it is kept; hours whose rows have changed since are
read from their rows.

The marks of changed hours are read first. Whoever keeps a day meanwhile deletes marks that we have seen, and we read
the day then: it contains these hours, so we take the day from its rows. Read the other way round, an hour could be in
neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, time

from atelier.analytics.model import Counts, Dataset, Group, Sums, View, add, by_view, day_of, hour_of
from atelier.analytics.period import DAY, HOUR, Period, Span, ceiling, floor, shift
from atelier.analytics.ports import SumReads
from atelier.dataclass import dataclass

# By what sums can be grouped and filtered: attributes of `Group`.
DIMENSIONS = ("provider", "model", "kind", "project", "token", "user")
# The values of a group in the order of the dimensions that were chosen.
Key = tuple[str, ...]
Grouped = dict[Key, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a report is about: one workspace's sums by up to two dimensions, of those that match a filter (dimension →
    value)."""

    workspace_id: str
    dataset: Dataset
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def view(self) -> View:
        """The smallest view that has all dimensions of the selection."""
        if self.dataset is Dataset.CREDITS:
            return View.CREDITS
        wanted = {*self.group_by, *self.filters}
        by_actor = bool(wanted & {"token", "user"})
        if "project" in wanted:
            return View.PROJECT_ACTOR if by_actor else View.PROJECT
        return View.ACTOR if by_actor else View.MODEL

    def group(self, sums: Iterable[tuple[Group, Counts]]) -> Grouped:
        """Sums that match the filters, by the chosen dimensions."""
        result: Grouped = {}
        for group, counts in sums:
            if all(getattr(group, name) == value for name, value in self.filters.items()):
                key = tuple(str(getattr(group, name)) for name in self.group_by)
                kept = result.setdefault(key, {})
                for name, value in counts.items():
                    kept[name] = kept.get(name, 0) + value
        return result


def read_series(selection: Selection, span: Span, reads: SumReads) -> dict[datetime, Grouped]:
    """The groups of each period, by its beginning; periods without anything are not there."""
    if span.period is Period.HOURLY:
        by_hour: defaultdict[datetime, list[tuple[Group, Counts]]] = defaultdict(list)
        for row, counts in reads.rows(selection.workspace_id, selection.dataset, span.first, span.end):
            by_hour[row.hour].append((row.group, counts))
        return {hour: selection.group(sums) for hour, sums in by_hour.items()}
    changed = _changed(selection, span.first, span.end, reads)
    if span.period is Period.DAILY:
        found = _days(selection, span.first, span.end, changed, reads)
    else:
        found = _months(selection, span.first, span.end, changed, reads)
    return {_midnight(day): selection.group(sums.items()) for day, sums in found.items()}


def read_total(selection: Selection, first: datetime, end: datetime, reads: SumReads) -> Grouped:
    """The groups of a range of whole hours: whole months from months, whole days from days, the rest from rows."""
    changed = _changed(selection, first, end, reads)
    sums: list[tuple[Group, Counts]] = []
    for period, begin, until in _parts(first, end):
        if period is Period.HOURLY:
            rows = reads.rows(selection.workspace_id, selection.dataset, begin, until)
            sums += [(row.group, counts) for row, counts in rows]
        else:
            read = _months if period is Period.MONTHLY else _days
            for each in read(selection, begin, until, changed, reads).values():
                sums += each.items()
    return selection.group(sums)


def _parts(first: datetime, end: datetime) -> Sequence[tuple[Period, datetime, datetime]]:
    """A range in parts that whole months, whole days and hours make up, none of them empty."""
    days = ceiling(Period.DAILY, first), floor(Period.DAILY, end)
    if days[0] >= days[1]:
        return [(Period.HOURLY, first, end)] if first < end else []
    months = ceiling(Period.MONTHLY, days[0]), floor(Period.MONTHLY, days[1])
    if months[0] >= months[1]:
        months = days[1], days[1]
    parts = [
        (Period.HOURLY, first, days[0]),
        (Period.DAILY, days[0], months[0]),
        (Period.MONTHLY, *months),
        (Period.DAILY, months[1], days[1]),
        (Period.HOURLY, days[1], end),
    ]
    return [part for part in parts if part[1] < part[2]]


def _changed(selection: Selection, first: datetime, end: datetime, reads: SumReads) -> Mapping[date, set[datetime]]:
    """The changed hours in a range, by day. The range may begin or end within a day that is read from rows anyway."""
    by_day: defaultdict[date, set[datetime]] = defaultdict(set)
    for hour in reads.changed_hours(selection.workspace_id, selection.dataset, first, end):
        by_day[day_of(hour)].add(hour_of(hour))
    return by_day


def _days(
    selection: Selection,
    first: datetime,
    end: datetime,
    changed: Mapping[date, set[datetime]],
    reads: SumReads,
) -> dict[date, Sums]:
    """The sums of the days in [first, end), two midnights, by the selection's view."""
    kept = reads.days(selection.workspace_id, selection.view, day_of(first), day_of(end - DAY))
    contained = {each.day: each.hours for each in kept}
    result: dict[date, Sums] = {each.day: each.sums for each in kept}
    for day, hours in changed.items():
        if not first <= _midnight(day) < end:
            continue
        if any(hour.hour in contained.get(day, ()) for hour in hours):
            # The day contains an hour as it was before it changed.
            result[day] = _rows(selection, _midnight(day), _midnight(day) + DAY, reads)
        else:
            sums = {group: dict(counts) for group, counts in result.get(day, {}).items()}
            for begin, until in _runs(hours):
                for group, counts in _rows(selection, begin, until, reads).items():
                    add(sums, group, counts)
            result[day] = sums
    return result


def _months(
    selection: Selection,
    first: datetime,
    end: datetime,
    changed: Mapping[date, set[datetime]],
    reads: SumReads,
) -> dict[date, Sums]:
    """The sums of the months in [first, end), by the first day of each. A month with a changed hour is the sum of its
    days, because the sums of a month do not say which hours they contain."""
    unsettled = {day.replace(day=1) for day in changed if first <= _midnight(day) < end}
    result = dict(reads.months(selection.workspace_id, selection.view, day_of(first), day_of(end - DAY)))
    for month in unsettled:
        begin = _midnight(month)
        sums: Sums = {}
        for each in _days(selection, begin, shift(Period.MONTHLY, begin, 1), changed, reads).values():
            for group, counts in each.items():
                add(sums, group, counts)
        result[month] = sums
    return result


def _rows(selection: Selection, first: datetime, end: datetime, reads: SumReads) -> Sums:
    """The sums of the hours in [first, end) by the selection's view."""
    sums: Sums = {}
    for row, counts in reads.rows(selection.workspace_id, selection.dataset, first, end):
        add(sums, row.group, counts)
    return by_view(selection.view, sums)


def _runs(hours: Collection[datetime]) -> Iterable[tuple[datetime, datetime]]:
    """Hours as ranges of hours that follow one another, so that one request reads each range."""
    begin = until = None
    for hour in sorted(hours):
        if until != hour:
            if begin is not None and until is not None:
                yield begin, until
            begin = hour
        until = hour + HOUR
    if begin is not None and until is not None:
        yield begin, until


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
