"""The rules of workshops: refunds, reminders, series."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import ValidationFailed
from atelier.workshops.model import (
    REFUND_RULES,
    Enrolment,
    EnrolmentState,
    Visibility,
    Workshop,
    WorkshopStatus,
    refund_of,
)
from atelier.workshops.series import Repetition, occurrences

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
START = NOW + timedelta(days=10)
HOUR = timedelta(hours=1)
WORKSHOP = Workshop(
    "wks_A",
    "wsp_A",
    "usr_E",
    "Light",
    "",
    START,
    START + HOUR,
    "Europe/Berlin",
    10,
    31,
    Visibility.PUBLIC,
    WorkshopStatus.SCHEDULED,
    NOW,
    NOW,
)


def enrolment(price: int) -> Enrolment:
    return Enrolment("enr_A", "wks_A", "wsp_A", "usr_B", "wsp_B", price, EnrolmentState.ENROLLED, NOW, NOW, START)


@given(price=st.integers(1, 100_000), minutes=st.integers(1, 30_000))
def test_a_refund_is_a_part_of_the_fee_and_never_grows_with_time(price: int, minutes: int) -> None:
    at = START - timedelta(minutes=minutes)
    refund = refund_of(enrolment(price), WORKSHOP, at)
    assert 0 <= refund <= price
    assert refund >= refund_of(enrolment(price), WORKSHOP, at + timedelta(seconds=59))
    assert refund == price or minutes <= 48 * 60
    assert refund == 0 or minutes > 24 * 60


def test_rules_are_in_order_and_end_with_the_start() -> None:
    assert [rule.before for rule in REFUND_RULES] == sorted((rule.before for rule in REFUND_RULES), reverse=True)
    assert REFUND_RULES[-1].before == timedelta(0)


def test_who_agreed_to_another_start_gets_everything_back() -> None:
    moved = replace(WORKSHOP, starts_at=NOW + HOUR)
    assert refund_of(enrolment(31), moved, NOW) == 31


@pytest.mark.parametrize(
    ("before_start", "reminded", "due"),
    [
        (25 * HOUR, None, None),
        (24 * HOUR, None, 24),
        (2 * HOUR, None, 24),
        (2 * HOUR, 24, None),
        (HOUR, 24, 1),
        # The schedule did not run for a day: one reminder is enough.
        (HOUR / 2, None, 1),
        (HOUR / 2, 1, None),
        (timedelta(0), 24, None),
    ],
)
def test_a_reminder_is_due_once_for_each_lead(before_start: timedelta, reminded: int | None, due: int | None) -> None:
    assert replace(WORKSHOP, reminded=reminded).due_reminder(START - before_start) == due


def test_what_is_due_next_is_the_earliest_of_reminders_offers_and_start() -> None:
    assert WORKSHOP.next_due_at([]) == START - 24 * HOUR
    assert WORKSHOP.next_due_at([NOW + HOUR]) == NOW + HOUR
    assert replace(WORKSHOP, reminded=24).next_due_at([]) == START - HOUR
    assert replace(WORKSHOP, reminded=1).next_due_at([]) == START
    assert replace(WORKSHOP, started_at=START).next_due_at([]) is None
    assert replace(WORKSHOP, status=WorkshopStatus.CANCELLED).next_due_at([NOW]) is None


def local_times(repetition: Repetition, first: datetime, zone: str) -> list[str]:
    found = occurrences(first, first + HOUR, zone, repetition)
    assert all(end - start == HOUR for start, end in found)
    return [f"{start.astimezone(ZoneInfo(zone)):%m-%d %H:%M}" for start, _ in found]


def test_a_series_keeps_its_local_time_when_the_clocks_change() -> None:
    first = datetime(2026, 10, 18, 16, tzinfo=UTC)
    berlin = local_times(Repetition(1, count=3), first, "Europe/Berlin")
    assert berlin == ["10-18 18:00", "10-25 18:00", "11-01 18:00"]
    spring = datetime(2027, 3, 21, 17, tzinfo=UTC)
    assert local_times(Repetition(1, until=date(2027, 3, 28)), spring, "Europe/Berlin") == [
        "03-21 18:00",
        "03-28 18:00",
    ]
    assert local_times(Repetition(2, count=2), first, "UTC") == ["10-18 16:00", "11-01 16:00"]


def test_a_local_time_that_is_left_out_is_an_hour_later_and_a_double_one_the_first() -> None:
    # On 28 March 2027 there is no 02:30 in Berlin; on 31 October 2027 it comes twice.
    gap = occurrences(
        datetime(2027, 3, 21, 1, 30, tzinfo=UTC),
        datetime(2027, 3, 21, 2, 30, tzinfo=UTC),
        "Europe/Berlin",
        Repetition(1, count=2),
    )
    assert gap[1][0] == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    fold = occurrences(
        datetime(2027, 10, 24, 0, 30, tzinfo=UTC),
        datetime(2027, 10, 24, 1, 30, tzinfo=UTC),
        "Europe/Berlin",
        Repetition(1, count=2),
    )
    assert fold[1][0] == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


def test_a_series_has_at_most_a_years_workshops() -> None:
    assert len(occurrences(START, START + HOUR, "UTC", Repetition(1, until=(START + timedelta(weeks=51)).date()))) == 52
    with pytest.raises(ValidationFailed):
        occurrences(START, START + HOUR, "UTC", Repetition(1, until=(START + timedelta(weeks=52)).date()))
