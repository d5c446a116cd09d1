"""Decide what the outcome of an attempt means for its generation. Pure: values in, a value out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.generations.model import Attempt, AttemptStatus, DeliveredFile, Failure, Generation, Status
from atelier.generations.outcome import MODERATED_OUTPUT, Outcome
from atelier.ledger.model import EndState
from atelier.moderation.model import CATEGORY_NAMES, Category
from atelier.provider_port import ErrorClass


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave the generation as it is stored."""


@dataclass(frozen=True, slots=True)
class TryAnother:
    """Try the next candidate under the same hold: the delivery of this attempt, which has ended, failed before."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Deliver:
    """Deliver the outputs of this attempt."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Delivered:
    """The outputs were stored as these files. A text may be empty: then there is no file, but one result."""

    files: tuple[DeliveredFile, ...]

    @property
    def count(self) -> int:
        """The number of results that the provider bills."""
        return len(self.files) or 1


@dataclass(frozen=True, slots=True)
class Undelivered:
    """No output could be fetched and stored. The message is safe to show to the caller."""

    message: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Moderation withheld every output."""

    category: Category


@dataclass(frozen=True, slots=True)
class EndUnbilled:
    """End the generation without a result. No attempt is running, so nothing more is billed and nothing is charged."""

    status: Status


@dataclass(frozen=True, slots=True)
class EndBilled:
    """End the generation with its running attempt. `bill_as`: how the attempt's end is billed (see `Catalogue.settle`);
    `outcome`: the outcome, with what the delivery has shown; `delivered`: the result, None = there is none; `category`:
    the category for which moderation withheld it."""

    attempt: Attempt
    status: Status
    bill_as: str
    outcome: Outcome
    delivered: Delivered | None = None
    category: Category | None = None


def decide_ending(
    generation: Generation, outcome: Outcome, *, bills_on_cancel: Callable[[str], bool]
) -> Keep | TryAnother | Deliver | EndUnbilled | EndBilled:
    """What an outcome means for a generation that has not expired. `bills_on_cancel`: whether the provider of a model
    bills work that was stopped.

    | generation | attempt | outcome                                  | decision                           |
    |------------|---------|------------------------------------------|------------------------------------|
    | final      | any     | any                                      | Keep                               |
    | open       | running | unknown                                  | Keep                               |
    | open       | none    | cancelled                                | EndUnbilled cancelled              |
    | open       | none    | any other                                | EndUnbilled failed                 |
    | open       | any     | of an earlier attempt                    | Keep                               |
    | open       | ended   | succeeded, and a candidate is left       | TryAnother                         |
    | open       | ended   | cancelled, or cancellation is requested  | EndUnbilled cancelled              |
    | open       | ended   | any other                                | EndUnbilled failed                 |
    | open       | running | succeeded, not to be cancelled           | Deliver                            |
    | open       | running | succeeded, to be cancelled, stop billed  | Deliver                            |
    | open       | running | succeeded, to be cancelled, stop is free | EndBilled cancelled as *cancelled* |
    | open       | running | cancelled                                | EndBilled cancelled as *cancelled* |
    | open       | running | failed                                   | EndBilled failed by error class    |

    The first row that fits decides. *Unknown* with a running attempt: the provider may still deliver, so the hold stays
    until it answers or the deadline comes. *A candidate is left*: there is a next one, and no cancellation is
    requested. A result that comes after the request to stop counts as cancelled and is free; where the provider bills
    stopped work, it is paid for and delivered."""
    attempt, to_be_cancelled = generation.attempt, generation.cancel_requested_at is not None
    if not generation.is_open or (outcome.status == "unknown" and generation.awaited_attempt is not None):
        return Keep()
    if attempt is None:
        return EndUnbilled(Status.CANCELLED if outcome.status == "cancelled" else Status.FAILED)
    if outcome.attempt_id not in (None, attempt.id):
        return Keep()
    if attempt.ended_at is not None:
        if outcome.status == "succeeded" and has_next_candidate(generation):
            return TryAnother(attempt)
        return EndUnbilled(Status.CANCELLED if outcome.status == "cancelled" or to_be_cancelled else Status.FAILED)
    if outcome.status == "succeeded" and (not to_be_cancelled or bills_on_cancel(attempt.model)):
        return Deliver(attempt)
    if outcome.status in ("succeeded", "cancelled"):
        return EndBilled(attempt, Status.CANCELLED, "cancelled", outcome)
    return EndBilled(attempt, Status.FAILED, _error_class(outcome), outcome)


@dataclass(frozen=True, slots=True)
class FailAndTryAnother:
    """Write that this attempt failed, and try the next candidate under the same hold. `outcome`: the outcome with the
    failed delivery."""

    attempt: Attempt
    outcome: Outcome


def decide_delivery(
    generation: Generation, attempt: Attempt, outcome: Outcome, delivery: Delivered | Undelivered | Withheld
) -> FailAndTryAnother | EndBilled:
    """What the delivery of an attempt's outputs means for its generation.

    | delivery    | a candidate is left | decision                              |
    |-------------|---------------------|---------------------------------------|
    | Delivered   | -                   | EndBilled succeeded as *succeeded*    |
    | Undelivered | yes                 | FailAndTryAnother                     |
    | Undelivered | no                  | EndBilled failed as *no_result*       |
    | Withheld    | -                   | EndBilled failed as *moderated_output* |"""
    match delivery:
        case Delivered(files):
            measured = with_audio_duration(outcome, files)
            return EndBilled(attempt, Status.SUCCEEDED, "succeeded", measured, delivered=delivery)
        case Undelivered(message):
            undelivered = replace(outcome, error_class=ErrorClass.TRANSIENT, message=message)
            if has_next_candidate(generation):
                return FailAndTryAnother(attempt, undelivered)
            return EndBilled(attempt, Status.FAILED, "no_result", undelivered)
        case Withheld(category):
            message = f"Moderation withheld the result for {CATEGORY_NAMES[category]}. The credits are back."
            withheld = replace(outcome, error_class=MODERATED_OUTPUT, message=message)
            return EndBilled(attempt, Status.FAILED, MODERATED_OUTPUT, withheld, category=category)


@dataclass(frozen=True, slots=True)
class BookLate:
    """Book the real cost of this attempt of an expired generation. `bill_as`: how its end is billed; `ended_as`: the
    status in which the attempt has ended, None = it stays open, because its result is not taken."""

    attempt: Attempt
    bill_as: str
    ended_as: AttemptStatus | None = None


def decide_late(generation: Generation, outcome: Outcome) -> Keep | BookLate | Deliver:
    """What an outcome means for an expired generation. Its credits are released already.

    | attempt  | outcome                    | decision                                         |
    |----------|----------------------------|--------------------------------------------------|
    | ended    | any                        | Keep                                             |
    | awaited  | of another attempt         | Keep                                             |
    | awaited  | unknown                    | Keep                                             |
    | awaited  | failed                     | BookLate by its class; the attempt ends failed   |
    | awaited  | cancelled                  | BookLate *cancelled*; the attempt ends cancelled |
    | awaited  | succeeded, to be cancelled | BookLate *succeeded*; the attempt stays open     |
    | awaited  | succeeded                  | Deliver, free                                    |

    The cost is booked in any case: until now it was an estimate."""
    attempt = generation.awaited_attempt
    if attempt is None or outcome.attempt_id not in (None, attempt.id) or outcome.status == "unknown":
        return Keep()
    if outcome.status == "cancelled":
        return BookLate(attempt, "cancelled", AttemptStatus.CANCELLED)
    if outcome.status != "succeeded":
        return BookLate(attempt, _error_class(outcome), AttemptStatus.FAILED)
    if generation.cancel_requested_at is not None:
        return BookLate(attempt, "succeeded")
    return Deliver(attempt)


def has_next_candidate(generation: Generation) -> bool:
    """Whether a next candidate may be tried: there is one, and no cancellation is requested."""
    return generation.next_candidate is not None and generation.cancel_requested_at is None


def charged_credits(generation: Generation, attempt: Attempt, credits: int) -> int:
    """The credits to charge for an attempt that was billed `credits`: never more than are held, and nothing when the
    workspace's own key was used, because the workspace pays that provider itself."""
    charged = 0 if attempt.key else min(credits, generation.credits_held)
    assert 0 <= charged <= generation.credits_held, f"{generation.id} cannot be charged {charged} credits"
    return charged


def end_state(status: Status, charged: int) -> EndState:
    """How the hold of a generation ends that has not expired."""
    return EndState.SETTLED if status is Status.SUCCEEDED or charged else EndState.RELEASED


def ended_generation(
    generation: Generation,
    status: Status,
    charged: int,
    outcome: Outcome,
    now: datetime,
    category: Category | None = None,
) -> Generation:
    """The generation in its final state without a result. Only a failed one has a failure."""
    failure = replace(failure_of(outcome), category=category) if status is Status.FAILED else None
    return generation.as_ended(status, charged, failure, now)


def failure_of(outcome: Outcome) -> Failure:
    """The failure that a generation with this outcome shows."""
    message = outcome.message or "The provider could not make this."
    return Failure("PROVIDER_FAILED", _error_class(outcome), message, outcome.provider_code)


def with_audio_duration(outcome: Outcome, files: tuple[DeliveredFile, ...]) -> Outcome:
    """The outcome with the duration of the delivered audio as usage, where the provider reported none."""
    durations_ms = [file.duration_ms for file in files if file.type == "audio" and file.duration_ms is not None]
    usage = {"output_milliseconds": sum(durations_ms)} if durations_ms else {}
    return replace(outcome, usage=usage | outcome.usage)


def _error_class(outcome: Outcome) -> str:
    return outcome.error_class or ErrorClass.UNKNOWN_OUTCOME
