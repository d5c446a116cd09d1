"""Polls, slots and causes of a visit: their JSON forms, and the forms that earlier builds have written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from atelier.generations.attempt_messages import AttemptFailed, Poll, Slot, SlotDue, VisitCause, visit_cause

SLOT = Slot("replicate/sdxl@key_1", datetime(2026, 11, 20, 12, 30, tzinfo=UTC))
SLOT_TEXT = "2026-11-20T12:30:00.000Z replicate/sdxl@key_1"

# The cause of a visit, and the JSON values that every build writes for it.
CAUSES: list[tuple[VisitCause, dict[str, Any]]] = [
    (AttemptFailed("att_1", "capacity"), {"attempt_id": "att_1", "error_class": "capacity"}),
    (
        AttemptFailed("att_1", "transient", 700, "usage"),
        {"attempt_id": "att_1", "error_class": "transient", "cost_microusd": 700, "cost_source": "usage"},
    ),
    (SlotDue(SLOT), {"attempt_id": "", "error_class": "rate_limited", "turn": SLOT_TEXT}),
    (SlotDue(None), {"attempt_id": "", "error_class": "rate_limited"}),
]

# A poll, and the JSON values that this build writes for it.
POLLS = [
    (Poll(), {"polls": 0}),
    (Poll(3), {"polls": 3}),
    (Poll(no_waiter=True), {"polls": 0, "no_waiter": True}),
    (Poll(2, no_waiter=True), {"polls": 2, "no_waiter": True}),
]


@pytest.mark.parametrize(("cause", "data"), CAUSES)
def test_the_json_form_of_a_visits_cause_is_stable_and_is_read_back(cause: VisitCause, data: dict[str, Any]) -> None:
    written = json.loads(json.dumps(cause.as_data()))
    assert written == data
    assert visit_cause(written) == cause


@pytest.mark.parametrize(("poll", "data"), POLLS)
def test_a_poll_is_read_back_from_its_message(poll: Poll, data: dict[str, Any]) -> None:
    assert poll.as_data() == data
    assert Poll.from_data({"do": "poll", "attempt_id": "att_1", **json.loads(json.dumps(data))}) == poll


@pytest.mark.parametrize(
    ("polls", "poll"),
    [(0, Poll()), (999, Poll(999)), (1000, Poll(no_waiter=True)), (1003, Poll(3, no_waiter=True))],
)
def test_a_message_of_an_earlier_build_marks_its_poll_by_the_number_1000(polls: int, poll: Poll) -> None:
    assert Poll.from_data({"do": "poll", "polls": polls}) == poll


def test_a_slot_message_without_a_reservation_is_read_as_none() -> None:
    assert SlotDue.from_data({"do": "try", "task_token": "t", "turn": None}) == SlotDue(None)
    assert SlotDue.from_data({"do": "try", "task_token": "t", "turn": SLOT_TEXT}) == SlotDue(SLOT)


def test_only_the_first_poll_of_a_series_without_a_waiter_is_the_first() -> None:
    first = Poll(no_waiter=True)
    assert first.is_first_without_waiter
    assert not first.next().is_first_without_waiter
    assert not Poll().is_first_without_waiter
    assert (Poll().next(), first.next()) == (Poll(1), Poll(1, no_waiter=True))


@pytest.mark.parametrize(
    ("poll", "seconds"),
    [(Poll(), 5), (Poll(1), 10), (Poll(3), 40), (Poll(4), 60), (Poll(99), 60), (Poll(no_waiter=True), 60)],
)
def test_the_delay_doubles_from_poll_to_poll_up_to_a_minute(poll: Poll, seconds: int) -> None:
    assert poll.delay_seconds(5) == seconds
