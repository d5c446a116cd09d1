"""What is read of any range is the sum of its rows, whatever was kept before and whatever has changed since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.analytics.model import Dataset, Group, View
from atelier.analytics.period import Period, Span, floor, shift
from atelier.analytics.read_sums import DIMENSIONS, Grouped, Selection, read_series, read_total
from tests.unit.analytics.sums_in_memory import WORKSPACE, SumsInMemory, at

START = at("2026-10-30")
HOURS = 24 * 40
GROUPS = [
    Group("prj_a", "", "usr_a", "local/canvas", "image"),
    Group("prj_a", "tok_a", "usr_a", "openai/gpt-image-1", "image"),
    Group("", "", "usr_b", "local/canvas", "image"),
    Group("prj_b", "", "usr_b", "pipeline/talking", "video"),
]
HOURS_OF_TEST = st.integers(0, HOURS - 1).map(lambda number: START + timedelta(hours=number))
COUNT = st.tuples(HOURS_OF_TEST, st.sampled_from(GROUPS), st.integers(-3, 9))
CHANGES = st.lists(st.one_of(COUNT, HOURS_OF_TEST), max_size=40)
SELECTIONS = st.builds(
    lambda group_by, filters: Selection(WORKSPACE, Dataset.USAGE, tuple(group_by), filters),
    st.lists(st.sampled_from(DIMENSIONS), max_size=2, unique=True),
    st.dictionaries(
        st.sampled_from(["user", "project", "kind"]), st.sampled_from(["usr_a", "prj_a", "image"]), max_size=1
    ),
)


def stored(changes: list[tuple[datetime, Group, int] | datetime]) -> SumsInMemory:
    """Counts, and in between the packing of a day."""
    sums = SumsInMemory()
    for change in changes:
        if isinstance(change, datetime):
            sums.pack(Dataset.USAGE, change.date())
        else:
            hour, group, number = change
            sums.count(hour, group, requests=number, credits=2 * number)
    return sums


def nonzero(groups: Grouped) -> Grouped:
    """Without counters and groups that are zero, which may be there or not."""
    kept = {key: {name: value for name, value in counts.items() if value} for key, counts in groups.items()}
    return {key: counts for key, counts in kept.items() if counts}


def expected(sums: SumsInMemory, selection: Selection, first: datetime, end: datetime) -> Grouped:
    rows = [(row.group, counts) for row, counts in sums.counts.items() if first <= row.hour < end]
    return nonzero(selection.group(rows))


def packs_after(sums: SumsInMemory, number: int) -> Callable[[], None]:
    """Keeps all days after that many reads."""
    return lambda: sums.pack_all() if len(sums.reads) == number else None


@given(CHANGES, SELECTIONS, st.sampled_from(Period), st.integers(0, 50), st.integers(0, 6))
def test_a_series_is_the_sum_of_its_rows_whenever_days_are_kept(
    changes: list[tuple[datetime, Group, int] | datetime],
    selection: Selection,
    period: Period,
    start: int,
    meanwhile: int,
) -> None:
    sums = stored(changes)
    sums.meanwhile = packs_after(sums, meanwhile)
    first = shift(period, floor(period, START), start if period is not Period.MONTHLY else start % 3)
    span = Span(period, first, shift(period, first, 3))
    found = read_series(selection, span, sums)
    assert found.keys() <= set(span.starts())
    for begin in span.starts():
        assert nonzero(found.get(begin, {})) == expected(sums, selection, begin, shift(period, begin, 1))


@given(CHANGES, SELECTIONS, HOURS_OF_TEST, st.integers(0, HOURS), st.integers(0, 6))
def test_a_total_is_the_sum_of_its_rows_whenever_days_are_kept(
    changes: list[tuple[datetime, Group, int] | datetime],
    selection: Selection,
    first: datetime,
    hours: int,
    meanwhile: int,
) -> None:
    sums = stored(changes)
    sums.meanwhile = packs_after(sums, meanwhile)
    end = first + timedelta(hours=hours)
    assert nonzero(read_total(selection, first, end, sums)) == expected(sums, selection, first, end)


def test_kept_days_and_months_are_read_without_rows() -> None:
    sums = stored([(START + timedelta(hours=number), GROUPS[0], 1) for number in range(0, HOURS, 7)])
    sums.pack_all()
    selection = Selection(WORKSPACE, Dataset.USAGE, ("model",))
    read_series(selection, Span(Period.DAILY, at("2026-11-01"), at("2026-12-01")), sums)
    read_series(selection, Span(Period.MONTHLY, at("2026-10-01"), at("2026-12-01")), sums)
    read_total(selection, at("2026-10-01"), at("2026-12-01"), sums)
    assert sums.reads == ["changed_hours", "days", "changed_hours", "months", "changed_hours", "months"]


def test_only_a_day_that_contains_a_changed_hour_is_read_from_its_rows_anew() -> None:
    sums = stored([(at("2026-11-03T05"), GROUPS[0], 1), at("2026-11-03")])
    sums.count(at("2026-11-03T06"), GROUPS[0], requests=1)
    sums.count(at("2026-11-03T07"), GROUPS[0], requests=1)
    span = Span(Period.DAILY, at("2026-11-03"), at("2026-11-04"))
    read_series(Selection(WORKSPACE, Dataset.USAGE), span, sums)
    assert sums.reads == ["changed_hours", "days", "rows"]
    sums.count(at("2026-11-03T05"), GROUPS[0], requests=1)
    assert read_series(Selection(WORKSPACE, Dataset.USAGE), span, sums)[span.first] == {
        (): {"requests": 4, "credits": 2}
    }


@pytest.mark.parametrize(
    ("dimensions", "view"),
    [
        ((), View.MODEL),
        (("provider", "kind"), View.MODEL),
        (("project",), View.PROJECT),
        (("token", "model"), View.ACTOR),
        (("project", "user"), View.PROJECT_ACTOR),
    ],
)
def test_a_selection_reads_the_smallest_view_that_has_its_dimensions(dimensions: tuple[str, ...], view: View) -> None:
    assert Selection(WORKSPACE, Dataset.USAGE, dimensions).view is view
    assert Selection(WORKSPACE, Dataset.USAGE, (), dict.fromkeys(dimensions, "x")).view is view
    assert Selection(WORKSPACE, Dataset.CREDITS).view is View.CREDITS
