"""Make the sums of a workspace anew from its records, compare, and repair.

All records are read page by page and counted into rows of their own (*rebuilt* rows), with the place of the reading in
the same transaction: it can stop anywhere and goes on where it was. Then the rebuilt rows of each day are compared with
its rows, and, if that is wanted, the difference is added.

Only *settled* hours are compared: those so old that no change of them can still be on its way in a stream. What a
record that has changed lately may still change is left out, and so is an hour in which something was counted since the
rebuild has started; the next rebuild compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from typing import Any

from atelier.analytics.model import Counts, Dataset, Row, add_rows, difference, hour_of
from atelier.analytics.ports import ContributedRecord, Rebuild, RebuildStore, RecordPages, RecordRemovals
from atelier.clock import TimeLeft, rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.telemetry import logger, put_count

# Streams keep a change for a day, and a consumer may need some time for it.
SETTLED_AFTER = timedelta(hours=26)
# How many rows one transaction changes, with the place of the rebuild and the marks of their hours below 100 items.
ROWS_PER_WRITE = 45
EXAMPLES_MAX = 10
TIME_MARGIN_MILLISECONDS = 20_000


@dataclass(frozen=True, slots=True)
class RebuildDeps:
    """The dependencies. `pages` by dataset: the records of generations and of the wallet."""

    store: RebuildStore
    pages: Mapping[Dataset, RecordPages]
    removals: RecordRemovals


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """`is_done`: False = the time is up, and the next call goes on. `differences`: how many rows differed;
    `hours_left_out`: hours that are old enough but may still change. `examples`: some of the rows that differed, with
    their difference (rebuilt minus kept)."""

    is_done: bool
    records: int
    differences: int
    hours_left_out: int
    examples: tuple[tuple[Row, Counts], ...] = ()


def rebuild(
    workspace_id: str, *, repairs: bool, deps: RebuildDeps, now: datetime, context: TimeLeft | None = None
) -> RebuildResult:
    """Rebuild, compare, and, with `repairs`, add the differences. Call again until it is done. Raises Conflict while
    what records that have left the workspace had contributed may not be subtracted yet, and RebuildTaken when another
    call goes on with the same rebuild at the same time."""
    if deps.removals.since(workspace_id, now - SETTLED_AFTER):
        raise Conflict("A project was moved out of the workspace in the last 26 hours. Try again after that time.")
    state = deps.store.begin(workspace_id, Rebuild(now, hour_of(now - SETTLED_AFTER)))
    while state.reading is not None:
        if _time_is_up(context):
            return RebuildResult(False, state.records, state.differences, len(state.left_out))
        state = _read_page(workspace_id, state, state.reading, deps)
    examples: list[tuple[Row, Counts]] = []
    for dataset in Dataset:
        for differing, left_out in _differing(workspace_id, dataset, state, deps.store):
            examples += list(differing.items())[: max(0, EXAMPLES_MAX - len(examples))]
            state = replace(
                state,
                differences=state.differences + len(differing),
                left_out=state.left_out | left_out,
            )
            if repairs and differing:
                state = deps.store.repair(workspace_id, state, differing)
    deps.store.finish(workspace_id, state)
    result = RebuildResult(True, state.records, state.differences, len(state.left_out), tuple(examples))
    logger.info("rebuilt", workspace_id=workspace_id, records=result.records, differences=result.differences)
    if result.differences:
        put_count("AnalyticsDiffer")
    return result


def compare_all(
    workspaces: Iterable[str], *, deps: RebuildDeps, now: datetime, context: TimeLeft | None = None
) -> dict[str, int]:
    """Compare the sums of workspaces, and change nothing; returns how many were compared and how many rows differ. A
    workspace that fails does not delay the others, but the run fails at the end (an ExceptionGroup)."""
    failures: list[Exception] = []
    compared = differences = 0
    for workspace_id in workspaces:
        try:
            result = rebuild(workspace_id, repairs=False, deps=deps, now=now, context=context)
        except Conflict:
            logger.info("not compared yet", workspace_id=workspace_id)
            continue
        except Exception as error:
            logger.exception("not compared", workspace_id=workspace_id)
            failures.append(error)
            continue
        if not result.is_done:
            break
        compared += 1
        differences += result.differences
    if failures:
        raise ExceptionGroup(f"{len(failures)} workspaces could not be compared", failures)
    return {"compared": compared, "differences": differences}


def report(result: RebuildResult) -> dict[str, Any]:
    """A result in JSON values."""
    return {
        "is_done": result.is_done,
        "records": result.records,
        "differences": result.differences,
        "hours_left_out": result.hours_left_out,
        "examples": [
            {
                "dataset": row.dataset.value,
                "hour": rfc3339(row.hour),
                "group": astuple(row.group),
                "missing": dict(counts),
            }
            for row, counts in result.examples
        ],
    }


def _read_page(workspace_id: str, state: Rebuild, dataset: Dataset, deps: RebuildDeps) -> Rebuild:
    """Count as many further records as one transaction holds."""
    counts: dict[Row, dict[str, int]] = {}
    left_out = set(state.left_out)
    place, records = state.place, 0
    for record in (page := deps.pages[dataset].page(workspace_id, state.place)):
        if len(counts) > ROWS_PER_WRITE:
            break
        add_rows(counts, {row: each for row, each in record.contribution.items() if row.hour < state.first_unsettled})
        left_out |= _unsettled_hours(record, state.first_unsettled)
        place, records = record.place, records + 1
    order = [*Dataset, None]
    after = replace(
        state,
        reading=dataset if page else order[order.index(dataset) + 1],
        place=place if page else None,
        records=state.records + records,
        left_out=frozenset(left_out),
    )
    return deps.store.add_page(workspace_id, state, after, counts)


def _unsettled_hours(record: ContributedRecord, first_unsettled: datetime) -> set[datetime]:
    """The settled hours that a change of this record may still change."""
    if record.changed_at < first_unsettled:
        return set()
    hours = {row.hour for row in record.contribution}
    if record.may_have_ended_from is not None:
        # It ended once without a result; where that was counted is not stored.
        hour = hour_of(record.may_have_ended_from)
        while hour < first_unsettled:
            hours.add(hour)
            hour += timedelta(hours=1)
    return {hour for hour in hours if hour < first_unsettled}


def _differing(
    workspace_id: str, dataset: Dataset, state: Rebuild, store: RebuildStore
) -> Iterator[tuple[dict[Row, dict[str, int]], frozenset[datetime]]]:
    """The differences of settled hours (rebuilt minus kept), in groups for one transaction each, with the hours that
    were left out."""
    for day in store.days(workspace_id, dataset, state):
        rows = sorted({*day.rebuilt, *day.kept}, key=lambda row: (row.hour, repr(row.group)))
        found = {row: difference(day.rebuilt.get(row, {}), day.kept.get(row, {})) for row in rows}
        differing = {row: changed for row, changed in found.items() if changed}
        left_out = frozenset(row.hour for row in differing if row.hour in day.changed)
        compared = [(row, each) for row, each in differing.items() if row.hour not in left_out | state.left_out]
        for first in range(0, max(len(compared), 1), ROWS_PER_WRITE):
            yield dict(compared[first : first + ROWS_PER_WRITE]), left_out


def _time_is_up(context: TimeLeft | None) -> bool:
    return context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS
