"""The decisions of the attempt step: each row of the tables in decide_attempt is one case here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atelier.generations.attempt_messages import AttemptFailed, Slot, SlotDue, VisitCause
from atelier.generations.decide_attempt import (
    Answer,
    AnswerCancelled,
    AwaitResult,
    Resend,
    TryCandidate,
    TryNext,
    decide_conclusion,
    decide_visit,
    new_attempt,
    with_failed_attempt,
)
from atelier.generations.model import AttemptStatus, Generation, Status
from atelier.generations.outcome import FINAL_CLASSES
from atelier.provider_port import Cancelled, Done, ErrorClass, Failed
from tests.unit.generations.values import FIRST, LATER, NOW, SECOND, attempt, generation

RUNNING, ENDED = attempt(), attempt(ended=True)
OWN = "key_01M7XC43T8VQH8B4746A8669M7"
BROKEN = Failed(ErrorClass.TRANSIENT, "It broke.")
EXPIRED = Status.EXPIRED

# What a visit does: (generation, can_resend, decision), in the order of the table of `decide_visit`.
VISITS = [
    (generation(RUNNING), False, AwaitResult(RUNNING)),
    (generation(RUNNING, cancelled=True), False, AwaitResult(RUNNING)),
    (generation(RUNNING, status=EXPIRED), False, AwaitResult(RUNNING)),
    (generation(RUNNING, status=EXPIRED), True, AnswerCancelled()),
    (generation(RUNNING, cancelled=True), True, AnswerCancelled()),
    (generation(RUNNING), True, Resend(RUNNING)),
    *((generation(ENDED, status=EXPIRED), can_resend, AnswerCancelled()) for can_resend in (False, True)),
    (generation(status=Status.CANCELLED), False, AnswerCancelled()),
    (generation(cancelled=True), False, AnswerCancelled()),
    (generation(ENDED, cancelled=True), False, AnswerCancelled()),
    *((generation(ENDED), can_resend, TryCandidate(None)) for can_resend in (False, True)),
    (generation(status=Status.QUEUED), False, TryCandidate(None)),
]

# How an attempt's end is passed on: (generation, end, decision), in the order of the table of `decide_conclusion`.
CONCLUSIONS = [
    (generation(RUNNING), BROKEN, TryNext(BROKEN)),
    (generation(RUNNING, candidates=(FIRST,)), BROKEN, Answer(must_be_read=True)),
    *(
        (generation(RUNNING), Failed(error_class, "No."), Answer(must_be_read=True))
        for error_class in sorted(FINAL_CLASSES)
    ),
    (generation(RUNNING, cancelled=True), BROKEN, Answer(must_be_read=True)),
    (generation(RUNNING), Cancelled(), Answer(must_be_read=True)),
    (generation(RUNNING, cancelled=True), Cancelled(), Answer(must_be_read=True)),
    (generation(RUNNING), Done(()), Answer(must_be_read=True)),
    (generation(RUNNING, status=EXPIRED), Done(()), Answer(must_be_read=True)),
    (generation(RUNNING, status=EXPIRED, cancelled=True), Done(()), Answer(must_be_read=False)),
    (generation(RUNNING, status=EXPIRED), BROKEN, Answer(must_be_read=False)),
    (generation(RUNNING, status=EXPIRED), Cancelled(), Answer(must_be_read=False)),
]


@pytest.mark.parametrize(("of", "can_resend", "decision"), VISITS)
def test_a_visit_awaits_resends_answers_or_tries_a_candidate(
    of: Generation, can_resend: bool, decision: AwaitResult | Resend | AnswerCancelled | TryCandidate
) -> None:
    assert decide_visit(of, None, can_resend=can_resend) == decision


def test_the_next_candidate_is_tried_with_the_slot_that_is_due() -> None:
    slot = Slot(SECOND, NOW)
    assert decide_visit(generation(), SlotDue(slot), can_resend=False) == TryCandidate(slot)
    assert decide_visit(generation(), SlotDue(None), can_resend=False) == TryCandidate(None)
    assert decide_visit(generation(ENDED), AttemptFailed("att_1", "capacity"), can_resend=False) == TryCandidate(None)


@pytest.mark.parametrize(("of", "end", "decision"), CONCLUSIONS)
def test_an_attempts_end_leads_to_the_next_candidate_or_to_an_answer(
    of: Generation, end: Done | Failed | Cancelled, decision: TryNext | Answer
) -> None:
    assert decide_conclusion(of, end, LATER) == decision


def test_after_a_rate_limit_the_same_candidate_may_be_tried_again() -> None:
    limited = Failed(ErrorClass.RATE_LIMITED, "Slow down.")
    alone = generation(RUNNING, candidates=(FIRST,))
    assert decide_conclusion(alone, limited, LATER) == TryNext(limited)
    tried = generation(
        *(attempt(number, ended=True, error_class=ErrorClass.RATE_LIMITED) for number in (1, 2, 3)),
        attempt(4),
        candidates=(FIRST,),
    )
    assert decide_conclusion(tried, limited, LATER) == Answer(must_be_read=True)


def test_a_failed_attempt_ends_with_its_error_and_its_cost() -> None:
    failed = with_failed_attempt(generation(RUNNING), AttemptFailed("att_1", "capacity", 700, "usage"), LATER)
    expected = replace(
        RUNNING,
        status=AttemptStatus.FAILED,
        ended_at=LATER,
        error_class="capacity",
        cost_microusd=700,
        cost_source="usage",
    )
    assert failed.attempts == (expected,)
    assert (failed.cost_microusd, failed.cost_source) == (700, "usage")


@pytest.mark.parametrize(
    ("of", "cause"),
    [
        (generation(RUNNING), None),
        (generation(RUNNING), SlotDue(None)),
        (generation(), AttemptFailed("att_1", "capacity")),
        (generation(ENDED, attempt(2)), AttemptFailed("att_1", "capacity")),
    ],
    ids=["no cause", "slot due", "no attempt", "earlier attempt"],
)
def test_a_visit_without_a_failure_of_the_latest_attempt_changes_nothing(
    of: Generation, cause: VisitCause | None
) -> None:
    assert with_failed_attempt(of, cause, LATER) is of


@pytest.mark.parametrize(
    ("candidate", "provider", "model", "key"),
    [(SECOND, "local", SECOND, None), (f"{FIRST}@{OWN}", "replicate", FIRST, OWN)],
)
def test_a_new_attempt_has_the_candidates_model_and_key(
    candidate: str, provider: str, model: str, key: str | None
) -> None:
    begun = new_attempt(candidate, NOW)
    assert (begun.provider, begun.model, begun.key, begun.started_at) == (provider, model, key, NOW)
    assert (begun.status, begun.ended_at) == (AttemptStatus.SUBMITTING, None)
    assert begun.id.startswith("att_")
