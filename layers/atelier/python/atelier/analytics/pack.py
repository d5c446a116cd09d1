"""Keep the sums of days: what a report would otherwise add up from the rows of each hour.

The sums of a day are made anew from its rows, never changed by what was counted, so making them twice is harmless. They
are written together with the month's and the platform's, which change by the difference to what was kept before, and
with the end of the marks of the hours that they contain. A mark whose hour has changed meanwhile stops the write: then
the rows are read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta

from atelier.analytics.model import VIEWS, Dataset, Group, Sums, View, add, by_view, difference
from atelier.analytics.ports import DayChanged, KeptSums, PackedDay, SumStore, TooManyGroups
from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.retrying import retrying
from atelier.telemetry import logger, put_count

# How long after its end an hour is left alone, so that what streams deliver late is in the first sums already.
GRACE = timedelta(minutes=2)
TRIES_MAX = 10
TIME_MARGIN_MILLISECONDS = 15_000
# By which view the sums of the whole platform are kept.
PLATFORM_VIEWS = {Dataset.USAGE: View.MODEL, Dataset.CREDITS: View.CREDITS}
BUSY = "The day is changing quickly."


@dataclass(frozen=True, slots=True)
class PackDeps:
    """The dependencies. `pause(tries)` waits a little after a parallel write."""

    sums: SumStore
    pause: Callable[[int], None]


def pack_due(*, deps: PackDeps, now: datetime, context: TimeLeft | None = None) -> int:
    """Keep the sums of all days with hours that are over and have changed, until shortly before the time-out; returns
    how many. What is left is for the next run. A day that cannot be kept does not delay the others, but the run fails
    at the end (an ExceptionGroup). Safe to repeat, also in parallel."""
    failures: list[Exception] = []
    packed = 0
    for workspace_id, dataset, day in deps.sums.due(now):
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            break
        try:
            packed += pack_day(workspace_id, dataset, day, deps=deps, now=now)
        except Exception as error:
            logger.exception("day not kept", workspace_id=workspace_id, dataset=dataset.value, day=day.isoformat())
            failures.append(error)
    logger.info("days kept", days=packed, failed=len(failures))
    if failures:
        raise ExceptionGroup(f"{len(failures)} days could not be kept", failures)
    return packed


def pack_day(workspace_id: str, dataset: Dataset, day: date, *, deps: PackDeps, now: datetime) -> bool:
    """Keep the sums of one day, of the hours that are over; False if none of them has changed. Raises Unavailable when
    parallel writes change the day at every attempt."""

    def attempt() -> bool:
        return _pack(workspace_id, dataset, day, deps.sums, now)

    try:
        return retrying(attempt, on=DayChanged, busy=BUSY, tries_max=TRIES_MAX, pause=deps.pause)
    except TooManyGroups:
        # Reports of this day go on reading its rows, which is slower and as exact.
        logger.error("too many groups in a day", workspace_id=workspace_id, day=day.isoformat())
        put_count("AnalyticsDayTooLarge")
        deps.sums.leave_unpacked(workspace_id, dataset, day)
        return False


def _pack(workspace_id: str, dataset: Dataset, day: date, store: SumStore, now: datetime) -> bool:
    begin = datetime.combine(day, time(), UTC)
    end = min(begin + timedelta(days=1), last_ended_hour(now))
    marks = {hour: stamp for hour, stamp in store.marks(workspace_id, dataset, day).items() if hour < end}
    if not marks:
        return False
    before = store.kept(workspace_id, dataset, day)
    finest: Sums = {}
    hours: set[int] = set()
    for row, counts in store.rows(workspace_id, dataset, begin, end):
        add(finest, row.group, counts)
        hours.add(row.hour.hour)
    days = {view: by_view(view, finest) for view in VIEWS[dataset]}
    changes = {view: _difference(sums, _sums(before.days.get(view))) for view, sums in days.items()}
    months = {view: _sum(_sums(before.months.get(view)), changes[view]) for view in days}
    platform = changes[PLATFORM_VIEWS[dataset]]
    packed = PackedDay(dataset, day, frozenset(hours), days, months, platform, marks, now)
    store.keep(workspace_id, packed, before)
    return True


def _sums(kept: KeptSums | None) -> Sums:
    return kept.sums if kept else {}


def last_ended_hour(now: datetime) -> datetime:
    """The end of the last hour that is over, with the grace."""
    return (now - GRACE).replace(minute=0, second=0, microsecond=0)


def _difference(after: Sums, before: Mapping[Group, Mapping[str, int]]) -> Sums:
    changed = {group: difference(after.get(group, {}), before.get(group, {})) for group in {*after, *before}}
    return {group: counts for group, counts in changed.items() if counts}


def _sum(sums: Sums, changes: Sums) -> Sums:
    result: Sums = {group: dict(counts) for group, counts in sums.items()}
    for group, counts in changes.items():
        add(result, group, counts)
    without_zeros = {group: {name: n for name, n in counts.items() if n} for group, counts in result.items()}
    return {group: counts for group, counts in without_zeros.items() if counts}
