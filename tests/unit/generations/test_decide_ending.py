"""The decisions of the finish step: each row of the tables in decide_ending is one case here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.generations.decide_ending import (
    BookLate,
    Deliver,
    Delivered,
    EndBilled,
    EndUnbilled,
    FailAndTryAnother,
    Keep,
    TryAnother,
    Undelivered,
    Withheld,
    charged_credits,
    decide_delivery,
    decide_ending,
    decide_late,
    end_state,
    ended_generation,
    with_audio_duration,
)
from atelier.generations.model import Attempt, AttemptStatus, DeliveredFile, Failure, Generation, Status
from atelier.generations.outcome import MODERATED_OUTPUT, Outcome
from atelier.ledger.model import EndState
from atelier.moderation.model import Category
from atelier.provider_port import ErrorClass
from tests.unit.generations.values import FIRST, LATER, attempt, generation

RUNNING, ENDED = attempt(), attempt(ended=True)
BILLED_STOP = attempt(model="openai/billed")
SUCCEEDED, CANCELLED, UNKNOWN = Outcome("succeeded"), Outcome("cancelled"), Outcome("unknown")
FAILED = Outcome("failed", error_class=ErrorClass.TRANSIENT, message="It broke.", provider_code="E1")
NAMELESS = Outcome("failed")
EARLIER = Outcome("failed", error_class=ErrorClass.CAPACITY, attempt_id="att_0")
OUTCOMES = (SUCCEEDED, CANCELLED, UNKNOWN, FAILED)
ALONE = (FIRST,)


def expired(*attempts: Attempt, cancelled: bool = False) -> Generation:
    return replace(generation(RUNNING, cancelled=cancelled), status=Status.EXPIRED, attempts=attempts)


# (generation, outcome, decision), in the order of the table of `decide_ending`.
ENDINGS = [
    *((generation(ENDED, status=Status.SUCCEEDED), outcome, Keep()) for outcome in OUTCOMES),
    *((generation(status=Status.CANCELLED), outcome, Keep()) for outcome in OUTCOMES),
    (generation(RUNNING), UNKNOWN, Keep()),
    (generation(RUNNING, cancelled=True), UNKNOWN, Keep()),
    (generation(), CANCELLED, EndUnbilled(Status.CANCELLED)),
    *((generation(), outcome, EndUnbilled(Status.FAILED)) for outcome in (FAILED, UNKNOWN, SUCCEEDED)),
    (generation(RUNNING), EARLIER, Keep()),
    (generation(ENDED), EARLIER, Keep()),
    (generation(ENDED), SUCCEEDED, TryAnother(ENDED)),
    (generation(ENDED), CANCELLED, EndUnbilled(Status.CANCELLED)),
    *((generation(ENDED, cancelled=True), outcome, EndUnbilled(Status.CANCELLED)) for outcome in OUTCOMES),
    (generation(ENDED, candidates=ALONE), SUCCEEDED, EndUnbilled(Status.FAILED)),
    *((generation(ENDED), outcome, EndUnbilled(Status.FAILED)) for outcome in (FAILED, UNKNOWN)),
    (generation(RUNNING), SUCCEEDED, Deliver(RUNNING)),
    (generation(RUNNING), replace(SUCCEEDED, attempt_id=RUNNING.id), Deliver(RUNNING)),
    (generation(BILLED_STOP, cancelled=True), SUCCEEDED, Deliver(BILLED_STOP)),
    (
        generation(RUNNING, cancelled=True),
        SUCCEEDED,
        EndBilled(RUNNING, Status.CANCELLED, "cancelled", SUCCEEDED),
    ),
    (generation(RUNNING), CANCELLED, EndBilled(RUNNING, Status.CANCELLED, "cancelled", CANCELLED)),
    (generation(RUNNING), FAILED, EndBilled(RUNNING, Status.FAILED, "transient", FAILED)),
    (generation(RUNNING), NAMELESS, EndBilled(RUNNING, Status.FAILED, "unknown_outcome", NAMELESS)),
    # A cancellation that came too late to stop a failure leaves it a failure.
    (generation(RUNNING, cancelled=True), FAILED, EndBilled(RUNNING, Status.FAILED, "transient", FAILED)),
]

# (generation, outcome, decision), in the order of the table of `decide_late`.
LATE = [
    *((expired(), outcome, Keep()) for outcome in OUTCOMES),
    *((expired(ENDED), outcome, Keep()) for outcome in OUTCOMES),
    (expired(RUNNING), EARLIER, Keep()),
    (expired(RUNNING), UNKNOWN, Keep()),
    (expired(RUNNING), FAILED, BookLate(RUNNING, "transient", AttemptStatus.FAILED)),
    (expired(RUNNING), NAMELESS, BookLate(RUNNING, "unknown_outcome", AttemptStatus.FAILED)),
    (expired(RUNNING), CANCELLED, BookLate(RUNNING, "cancelled", AttemptStatus.CANCELLED)),
    (expired(RUNNING, cancelled=True), SUCCEEDED, BookLate(RUNNING, "succeeded", None)),
    (expired(RUNNING), SUCCEEDED, Deliver(RUNNING)),
]


@pytest.mark.parametrize(("of", "outcome", "decision"), ENDINGS)
def test_an_outcome_keeps_delivers_or_ends_its_generation(
    of: Generation, outcome: Outcome, decision: Keep | TryAnother | Deliver | EndUnbilled | EndBilled
) -> None:
    assert decide_ending(of, outcome, bills_on_cancel=lambda model: model == BILLED_STOP.model) == decision


@pytest.mark.parametrize(("of", "outcome", "decision"), LATE)
def test_a_late_outcome_is_kept_booked_or_delivered(
    of: Generation, outcome: Outcome, decision: Keep | BookLate | Deliver
) -> None:
    assert decide_late(of, outcome) == decision


SONG = DeliveredFile("ast_1", "audio", "0" * 64, "mp3", 9, duration_ms=1500)
BEFORE = Outcome("succeeded", usage={"predict_milliseconds": 7})
BROKEN_FETCH = replace(BEFORE, error_class="transient", message="No file.")


def test_delivered_files_end_the_generation_with_its_measured_usage() -> None:
    delivered = Delivered((SONG,))
    measured = replace(BEFORE, usage={"predict_milliseconds": 7, "output_milliseconds": 1500})
    expected = EndBilled(RUNNING, Status.SUCCEEDED, "succeeded", measured, delivered)
    assert decide_delivery(generation(RUNNING), RUNNING, BEFORE, delivered) == expected
    assert (Delivered(()).count, delivered.count, Delivered((SONG, SONG)).count) == (1, 1, 2)


def test_an_undelivered_result_is_tried_with_another_candidate_if_one_is_left() -> None:
    undelivered = Undelivered("No file.")
    assert decide_delivery(generation(RUNNING), RUNNING, BEFORE, undelivered) == FailAndTryAnother(
        RUNNING, BROKEN_FETCH
    )
    ended = EndBilled(RUNNING, Status.FAILED, "no_result", BROKEN_FETCH)
    for of in (generation(RUNNING, candidates=ALONE), generation(RUNNING, cancelled=True)):
        assert decide_delivery(of, RUNNING, BEFORE, undelivered) == ended


def test_a_withheld_result_fails_with_its_category_and_no_other_candidate() -> None:
    ending = decide_delivery(generation(RUNNING), RUNNING, BEFORE, Withheld(Category.MINORS))
    assert isinstance(ending, EndBilled)
    assert (ending.status, ending.bill_as, ending.category) == (Status.FAILED, MODERATED_OUTPUT, Category.MINORS)
    assert ending.outcome.error_class == MODERATED_OUTPUT
    assert "The credits are back." in str(ending.outcome.message)


def test_a_reported_audio_duration_is_not_replaced_by_the_measured_one() -> None:
    reported = Outcome("succeeded", usage={"output_milliseconds": 900})
    assert with_audio_duration(reported, (SONG, SONG)).usage == {"output_milliseconds": 900}
    assert with_audio_duration(BEFORE, (SONG, SONG)).usage["output_milliseconds"] == 3000
    assert with_audio_duration(BEFORE, ()).usage == BEFORE.usage


def test_only_a_failed_generation_has_a_failure() -> None:
    failed = ended_generation(generation(RUNNING), Status.FAILED, 3, FAILED, LATER, Category.MINORS)
    assert failed.failure == Failure("PROVIDER_FAILED", "transient", "It broke.", "E1", Category.MINORS)
    assert (failed.status, failed.credits_charged, failed.completed_at) == (Status.FAILED, 3, LATER)
    nameless = ended_generation(generation(), Status.FAILED, 0, NAMELESS, LATER)
    assert nameless.failure == Failure("PROVIDER_FAILED", "unknown_outcome", "The provider could not make this.")
    assert ended_generation(generation(RUNNING), Status.CANCELLED, 0, CANCELLED, LATER).failure is None


@pytest.mark.parametrize(
    ("status", "charged", "state"),
    [
        (Status.SUCCEEDED, 0, EndState.SETTLED),
        (Status.SUCCEEDED, 4, EndState.SETTLED),
        (Status.FAILED, 4, EndState.SETTLED),
        (Status.CANCELLED, 4, EndState.SETTLED),
        (Status.FAILED, 0, EndState.RELEASED),
        (Status.CANCELLED, 0, EndState.RELEASED),
    ],
)
def test_a_hold_is_settled_for_a_result_or_a_charge_and_else_released(
    status: Status, charged: int, state: EndState
) -> None:
    assert end_state(status, charged) is state


@given(credits=st.integers(0, 50), held=st.integers(0, 50))
def test_no_more_is_charged_than_is_held_and_nothing_for_the_workspaces_own_key(credits: int, held: int) -> None:
    of = replace(generation(RUNNING), credits_held=held)
    assert charged_credits(of, RUNNING, credits) == min(credits, held)
    assert charged_credits(of, replace(RUNNING, key="key_1"), credits) == 0


def test_a_negative_charge_is_a_fault_and_never_booked() -> None:
    with pytest.raises(AssertionError, match="cannot be charged -1 credits"):
        charged_credits(generation(RUNNING), RUNNING, -1)
