"""Decide what a visit of the attempt step does, and how an attempt's end is passed on. Pure: values in, a value out."""

from __future__ import annotations

from datetime import datetime

from atelier.catalogue.candidates import parse_candidate
from atelier.dataclass import dataclass
from atelier.generations.attempt_messages import AttemptFailed, Slot, SlotDue, VisitCause
from atelier.generations.model import Attempt, AttemptStatus, Generation
from atelier.generations.outcome import FINAL_CLASSES
from atelier.ids import new_id
from atelier.provider_port import Cancelled, Done, Failed


@dataclass(frozen=True, slots=True)
class AwaitResult:
    """Save the task token and wait: the provider may have this attempt's job."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Resend:
    """Send this attempt's job again: the provider recognises a repeated job."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class AnswerCancelled:
    """Answer the task token with *cancelled*: nothing is at a provider, and nothing may be sent."""


@dataclass(frozen=True, slots=True)
class TryCandidate:
    """Begin an attempt with the next candidate. `slot`: what was reserved for this visit, if anything."""

    slot: Slot | None


def decide_visit(
    generation: Generation, cause: VisitCause | None, *, can_resend: bool
) -> AwaitResult | Resend | AnswerCancelled | TryCandidate:
    """What a visit of the attempt step does. `can_resend`: the provider of the running attempt is set up and recognises
    a repeated job.

    | latest attempt | generation                  | can_resend | decision        |
    |----------------|-----------------------------|------------|-----------------|
    | running        | any                         | no         | AwaitResult     |
    | running        | final or to be cancelled    | yes        | AnswerCancelled |
    | running        | open                        | yes        | Resend          |
    | none or ended  | final or to be cancelled    | -          | AnswerCancelled |
    | none or ended  | open                        | -          | TryCandidate    |

    In the first row the job may have been sent. Its result is awaited as long as it may come, after the deadline too; a
    requested cancellation reaches the provider with the first poll."""
    running = generation.awaited_attempt
    if running is not None and not can_resend:
        return AwaitResult(running)
    if not generation.is_open or generation.cancel_requested_at is not None:
        return AnswerCancelled()
    if running is not None:
        return Resend(running)
    return TryCandidate(cause.slot if isinstance(cause, SlotDue) else None)


def with_failed_attempt(generation: Generation, cause: VisitCause | None, now: datetime) -> Generation:
    """The generation with its latest attempt ended, when the visit begins because that attempt failed; otherwise the
    same object. A failure of an earlier attempt is written already."""
    last = generation.attempt
    if not isinstance(cause, AttemptFailed) or last is None or last.id != cause.attempt_id:
        return generation
    billed = generation.with_cost(cause.cost_microusd, cause.cost_source)
    return billed.with_attempt_ended(AttemptStatus.FAILED, now, cause.error_class)


def new_attempt(candidate: str, now: datetime) -> Attempt:
    """A new attempt with a candidate, before its job is sent."""
    model, key = parse_candidate(candidate)
    return Attempt(new_id("att", now), model.partition("/")[0], model, AttemptStatus.SUBMITTING, now, key=key)


@dataclass(frozen=True, slots=True)
class TryNext:
    """Have the workflow try the next candidate after this failure."""

    failure: Failed


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the task token with the attempt's end. `must_be_read`: when no execution waits for the answer any more, a
    new one is needed."""

    must_be_read: bool


def decide_conclusion(generation: Generation, end: Done | Failed | Cancelled, now: datetime) -> TryNext | Answer:
    """How the end of the running attempt is passed on to the workflow.

    | end       | generation                | candidate left | decision             |
    |-----------|---------------------------|----------------|----------------------|
    | Failed    | open                      | yes            | TryNext              |
    | Failed    | open                      | no             | Answer, must be read |
    | Failed    | open, to be cancelled     | -              | Answer, must be read |
    | Cancelled | open                      | -              | Answer, must be read |
    | Done      | open                      | -              | Answer, must be read |
    | Done      | expired                   | -              | Answer, must be read |
    | Done      | expired, to be cancelled  | -              | Answer               |
    | other     | expired                   | -              | Answer               |

    A candidate is left when the failure is not one of FINAL_CLASSES and `next_candidate` names one; after a rate limit
    it may be the same one again. A late result is delivered free, so it must be read; a late failure changes nothing
    for the caller."""
    is_wanted = generation.cancel_requested_at is None
    if isinstance(end, Failed) and generation.is_open and is_wanted and _has_candidate_left(generation, end, now):
        return TryNext(end)
    return Answer(must_be_read=generation.is_open or (isinstance(end, Done) and is_wanted))


def _has_candidate_left(generation: Generation, end: Failed, now: datetime) -> bool:
    if end.error_class in FINAL_CLASSES:
        return False
    return generation.with_attempt_ended(AttemptStatus.FAILED, now, end.error_class).next_candidate is not None
