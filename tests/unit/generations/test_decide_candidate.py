"""The choice of a candidate: each row of the tables in decide_candidate is one case here."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from atelier.generations.attempt_messages import Slot
from atelier.generations.decide_candidate import (
    DELAY_MAX,
    WAKE_MARGIN,
    Delay,
    LimitedCandidate,
    NoTimeLeft,
    UseSlot,
    decide_in_time,
    decide_rate_limited,
    decide_reservation,
    decide_slot,
    latest_start,
)
from atelier.routing.rate_limit import SLOT_GRACE
from tests.unit.generations.values import FIRST, LATER, NOW, SECOND

SECOND_OF_TIME = timedelta(seconds=1)
GENERATION_ID = "gen_01M7XC43T8VQH8B4746A8669M7"

# What a reserved slot is good for: (slot, decision), in the order of the table of `decide_slot`.
SLOTS = [
    (None, None),
    (Slot("other/model", NOW), None),
    (Slot(SECOND, LATER), Delay(LATER, Slot(SECOND, LATER))),
    (Slot(SECOND, NOW), UseSlot(SECOND)),
    (Slot(SECOND, NOW - SLOT_GRACE), UseSlot(SECOND)),
    (Slot(SECOND, NOW - SLOT_GRACE - SECOND_OF_TIME), None),
]

# What follows from a reservation: (when the slot is, whether it is reserved, decision), in the order of the table of
# `decide_reservation`; LATER is the latest start.
RESERVATIONS = [
    (LATER, True, Delay(LATER, Slot(FIRST, LATER))),
    (NOW, False, Delay(NOW, None)),
    (LATER, False, Delay(LATER, None)),
    (LATER + SECOND_OF_TIME, False, None),
]

# Which candidates may begin at NOW, when the deadline is LATER, in the order of the table of `decide_in_time`.
TIME_LEFT = LATER - NOW
IN_TIME = [
    ({}, []),
    ({FIRST: TIME_LEFT, SECOND: SECOND_OF_TIME}, [FIRST, SECOND]),
    ({FIRST: TIME_LEFT + SECOND_OF_TIME, SECOND: TIME_LEFT}, [SECOND]),
    ({FIRST: TIME_LEFT + SECOND_OF_TIME}, NoTimeLeft()),
]


@pytest.mark.parametrize(("slot", "decision"), SLOTS)
def test_a_reserved_slot_is_used_awaited_or_dropped(slot: Slot | None, decision: Delay | UseSlot | None) -> None:
    assert decide_slot(slot, [FIRST, SECOND], NOW) == decision


@pytest.mark.parametrize(("at", "is_reserved", "decision"), RESERVATIONS)
def test_a_slot_up_to_the_latest_start_is_waited_for(at: datetime, is_reserved: bool, decision: Delay | None) -> None:
    assert decide_reservation(FIRST, at, LATER, is_reserved=is_reserved) == decision


@pytest.mark.parametrize(("run_times", "decision"), IN_TIME)
def test_only_a_candidate_that_can_end_before_the_deadline_begins(
    run_times: dict[str, timedelta], decision: list[str] | NoTimeLeft
) -> None:
    assert decide_in_time(run_times, LATER, NOW) == decision


@pytest.mark.parametrize(
    ("deadline_in", "later_stages", "latest_in"),
    [
        (timedelta(minutes=5), timedelta(), timedelta(minutes=3) - WAKE_MARGIN),
        (timedelta(minutes=5), timedelta(minutes=1), timedelta(minutes=2) - WAKE_MARGIN),
        (timedelta(minutes=5), timedelta(minutes=4), -timedelta(minutes=1) - WAKE_MARGIN),
        (timedelta(hours=5), timedelta(minutes=1), DELAY_MAX),
    ],
)
def test_the_latest_start_leaves_time_for_the_run_and_later_stages(
    deadline_in: timedelta, later_stages: timedelta, latest_in: timedelta
) -> None:
    assert latest_start(NOW + deadline_in, timedelta(minutes=2), later_stages, NOW) == NOW + latest_in


def test_a_wake_up_that_is_as_late_as_its_slot_allows_is_still_in_time() -> None:
    latest = latest_start(LATER, SECOND_OF_TIME, timedelta(), NOW)
    assert decide_in_time({FIRST: SECOND_OF_TIME}, LATER, latest + SLOT_GRACE) == [FIRST]


def limited(candidate: str, *, seconds: int, latest_seconds: int = 900) -> LimitedCandidate:
    return LimitedCandidate(candidate, NOW + timedelta(seconds=seconds), NOW + timedelta(seconds=latest_seconds))


def test_of_rate_limited_candidates_the_first_that_can_end_in_time_is_waited_for() -> None:
    sooner, later = limited(FIRST, seconds=10, latest_seconds=9), limited(SECOND, seconds=60)
    delay = decide_rate_limited([later, sooner], GENERATION_ID, NOW)
    assert delay is not None
    assert later.until <= delay.until <= later.until + timedelta(seconds=60)
    assert delay.slot is None
    assert decide_rate_limited([sooner], GENERATION_ID, NOW) is None
    assert decide_rate_limited([], GENERATION_ID, NOW) is None


def test_generations_that_wait_for_one_rate_limit_return_at_different_times() -> None:
    ids = [f"{GENERATION_ID[:-2]}{number:02}" for number in range(50)]
    delays = [decide_rate_limited([limited(FIRST, seconds=60)], each, NOW) for each in ids]
    times = {delay.until for delay in delays if delay is not None}
    assert len(times) > 30
    assert min(times) >= NOW + timedelta(seconds=60)
    assert max(times) < NOW + timedelta(seconds=120)


def test_the_share_of_the_waiting_time_never_passes_the_latest_start() -> None:
    delays = [
        decide_rate_limited([limited(FIRST, seconds=60, latest_seconds=61)], f"gen_{number}", NOW)
        for number in range(20)
    ]
    assert {delay.until <= NOW + timedelta(seconds=61) for delay in delays if delay is not None} == {True}
