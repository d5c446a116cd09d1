"""Turn an attempt's outcome into the final state of its generation: store the files and settle the credits, or release
the hold.

May run any number of times. Files have derived keys, so they are stored once. The end of the hold, the final state and
the assets are one transaction, and only the first such transaction succeeds.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from atelier.catalogue.catalogue import Catalogue
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.generations.bill import bill
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
from atelier.generations.estimate_error import estimated_cost
from atelier.generations.model import TEXT_KINDS, Attempt, AttemptStatus, DeliveredFile, Failure, Generation, Status
from atelier.generations.outcome import MODERATED_OUTPUT, Outcome
from atelier.generations.ports import (
    GenerationChanged,
    GenerationStore,
    InvalidMedia,
    Media,
    UndeliverableMedia,
    Workflow,
)
from atelier.ledger.model import EndState
from atelier.ledger.plan_hold import plan_late_result, plan_settlement
from atelier.ledger.ports import WalletStore
from atelier.moderation.model import OutputWithheld
from atelier.moderation.queue import Flag, FlagSource, FlagStore
from atelier.provider_port import ErrorClass, FinishReason
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class CloseDeps:
    """The dependencies of ending a generation without a result."""

    generations: GenerationStore
    wallets: WalletStore
    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class FinishDeps(CloseDeps):
    """The dependencies of ending a generation with a result."""

    media: Media
    workflow: Workflow
    # Notes what moderation withholds; None = it is not noted.
    flags: FlagStore | None = None


def finish(workspace_id: str, generation_id: str, outcome: Outcome, *, deps: FinishDeps, now: datetime) -> Generation:
    """Bring the generation to its final state and return it. A final generation stays as it is; only an expired one
    still takes its result. When the result cannot be delivered and another candidate is left, a new execution tries
    that one under the same hold, and the generation stays open. Raises NotFound."""
    generation = deps.generations.get(workspace_id, generation_id)
    if generation.status is Status.EXPIRED:
        return _finish_late(generation, outcome, deps, now)

    match decide_ending(generation, outcome, bills_on_cancel=lambda model: deps.catalogue.model(model).bills_on_cancel):
        case Keep():
            return generation
        case TryAnother(attempt):
            # That run of this function died before it started the next try.
            return _start_next_candidate(generation, attempt, deps)
        case EndUnbilled(status):
            return _close_unbilled(generation, status, outcome, deps, now)
        case EndBilled() as ending:
            return _close_billed(generation, ending, deps, now)
        case Deliver(attempt):
            delivery = _deliver(generation, attempt, outcome, deps)

    match decide_delivery(generation, attempt, outcome, delivery):
        case EndBilled() as ending:
            return _close_billed(generation, ending, deps, now)
        case FailAndTryAnother(attempt, undelivered):
            return _fail_and_try_another(generation, attempt, undelivered, deps, now)


def _close_unbilled(
    generation: Generation, status: Status, outcome: Outcome, deps: FinishDeps, now: datetime
) -> Generation:
    """End a generation without a running attempt. The cost of its last attempt, if there was one, is known."""
    if generation.attempt is not None:
        generation = generation.with_cost(generation.attempt.cost_microusd, generation.attempt.cost_source)
    return close(ended_generation(generation, status, 0, outcome, now), end_state(status, 0), deps, now)


def _close_billed(generation: Generation, ending: EndBilled, deps: FinishDeps, now: datetime) -> Generation:
    """End a generation with its running attempt, and settle the credits."""
    outcome, delivered = ending.outcome, ending.delivered
    results, files = (delivered.count, delivered.files) if delivered else (0, ())
    billed, charged = _settle(generation, ending.attempt, ending.bill_as, outcome, results, deps)
    if delivered is None:
        final = ended_generation(billed, ending.status, charged, outcome, now, ending.category)
    else:
        final = replace(billed, finish_reason=outcome.finish_reason).as_succeeded(delivered.files, charged, now)
        if final.reuse_key is not None and final.assets:
            # Written before the final state. That is safe: a reader of the key checks the status of the generation that
            # it names.
            deps.generations.keep_result(final.workspace_id, final.reuse_key, final.id)
    return close(final, end_state(final.status, charged), deps, now, files)


def _fail_and_try_another(
    generation: Generation, attempt: Attempt, undelivered: Outcome, deps: FinishDeps, now: datetime
) -> Generation:
    billed, _ = _settle(generation, attempt, "no_result", undelivered, 0, deps)
    failed = billed.with_attempt_ended(AttemptStatus.FAILED, now, undelivered.error_class)
    try:
        deps.generations.save_progress(generation, failed)
    except GenerationChanged:
        # The generation was cancelled or expired in parallel: decide again on what is written now.
        return finish(generation.workspace_id, generation.id, undelivered, deps=deps, now=now)
    return _start_next_candidate(failed, attempt, deps)


def _start_next_candidate(generation: Generation, failed: Attempt, deps: FinishDeps) -> Generation:
    """Start a new execution that tries the next candidate; the operator pays for the failed attempt. The current
    execution cannot return to its attempt step: that would cost every generation one more state transition."""
    again = f"{failed.id}-lost"
    if generation.parent_id is None:
        deps.workflow.start(generation.workspace_id, generation.id, again=again)
    else:
        deps.workflow.start_run(generation.workspace_id, generation.parent_id, again=again)
    return generation


def expire_generation(generation: Generation, *, deps: CloseDeps, now: datetime) -> Generation:
    """End a generation whose deadline has passed, in whatever state it is: the caller gets the credits back, and the
    operator pays what the provider may still bill."""
    attempt = generation.attempt
    if attempt is not None:
        generation = generation.with_cost(attempt.cost_microusd, attempt.cost_source)
    if generation.awaited_attempt is not None:
        # A model that has left the catalogue has no price, and its last generations must end all the same.
        with suppress(ValidationFailed):
            expected = bill(generation, generation.awaited_attempt, "expired", deps.catalogue)
            generation = generation.with_cost(expected.cost_microusd, expected.cost_source)
    message = "This took longer than it may; the credits are back."
    failure = Failure("PROVIDER_FAILED", ErrorClass.UNKNOWN_OUTCOME, message)
    return close(generation.as_ended(Status.EXPIRED, 0, failure, now), EndState.EXPIRED, deps, now)


def cancel_unsent(generation: Generation, *, deps: CloseDeps, now: datetime) -> Generation:
    """Cancel a generation that has no job at a provider, not yet or not any more. It is free and final at once."""
    if generation.attempt is not None:
        generation = generation.with_cost(generation.attempt.cost_microusd, generation.attempt.cost_source)
    return close(generation.as_ended(Status.CANCELLED, 0, None, now), EndState.RELEASED, deps, now)


def _finish_late(generation: Generation, outcome: Outcome, deps: FinishDeps, now: datetime) -> Generation:
    """Take the outcome of an expired generation. Its credits are released, so a late result is delivered free, at the
    operator's expense, unless the caller had cancelled. The cost is booked in any case: until now it was an
    estimate."""
    match decide_late(generation, outcome):
        case Keep():
            return generation
        case BookLate(attempt, bill_as, ended_as):
            if ended_as is not None:
                generation = generation.with_attempt_ended(ended_as, now, outcome.error_class)
            return _book_late(generation, attempt, bill_as, outcome, deps, now)
        case Deliver(attempt):
            delivery = _deliver(generation, attempt, outcome, deps)
    match delivery:
        case Delivered():
            return _deliver_late(generation, attempt, outcome, delivery, deps, now)
        case Undelivered():
            return _book_late(generation, attempt, "no_result", outcome, deps, now)
        case Withheld():
            return _book_late(generation, attempt, MODERATED_OUTPUT, outcome, deps, now)


def _deliver_late(
    generation: Generation, attempt: Attempt, outcome: Outcome, delivered: Delivered, deps: FinishDeps, now: datetime
) -> Generation:
    measured = with_audio_duration(outcome, delivered.files)
    billed, lost_credits = _settle(generation, attempt, "succeeded", measured, delivered.count, deps)
    final = replace(billed, finish_reason=measured.finish_reason).as_succeeded(delivered.files, 0, now)
    try:
        late = plan_late_result(final.id, lost_credits, end_facts(final), now)
        deps.generations.deliver_late(final, late, delivered.files)
    except GenerationChanged:
        return _retry_late(generation, outcome, deps, now)
    return final


def _book_late(
    generation: Generation, attempt: Attempt, ended_as: str, outcome: Outcome, deps: FinishDeps, now: datetime
) -> Generation:
    generation_booked, _ = _settle(generation, attempt, ended_as, outcome, 0, deps)
    try:
        deps.generations.book_late(generation_booked)
    except GenerationChanged:
        return _retry_late(generation, outcome, deps, now)
    return generation_booked


def _retry_late(before: Generation, outcome: Outcome, deps: FinishDeps, now: datetime) -> Generation:
    """Decide again after a failed write: a parallel writer has booked or delivered first, or the write had succeeded
    and its answer was lost."""
    stored = deps.generations.get(before.workspace_id, before.id)
    has_changed = (stored.status, stored.counted_microusd) != (before.status, before.counted_microusd)
    return _finish_late(stored, outcome, deps, now) if has_changed and stored.status is Status.EXPIRED else stored


def _settle(
    generation: Generation, attempt: Attempt, ended_as: str, outcome: Outcome, delivered: int, deps: FinishDeps
) -> tuple[Generation, int]:
    """The generation with the usage and cost of its attempt, and the credits to charge: never more than are held."""
    settlement = bill(
        generation,
        attempt,
        ended_as,
        deps.catalogue,
        delivered=delivered,
        usage=outcome.usage,
        reported_microusd=outcome.cost_microusd,
    )
    billed = replace(generation, usage=outcome.usage).with_cost(settlement.cost_microusd, settlement.cost_source)
    if ended_as == "succeeded" and settlement.cost_source != "estimate":
        billed = billed.with_estimate(estimated_cost(generation, attempt.model, deps.catalogue))
    return billed, charged_credits(generation, attempt, settlement.credits)


def close(
    final: Generation, end_state: EndState, deps: CloseDeps, now: datetime, files: tuple[DeliveredFile, ...] = ()
) -> Generation:
    """Write a final state together with the end of the hold and the delivered files. A stage has no hold: the end of
    its run settles for it. Returns the generation as it is stored, which is the other one's end when a parallel writer
    was first."""
    if final.parent_id is not None:
        return _close_stage(final, files, deps)
    hold = deps.wallets.hold(final.workspace_id, final.id)
    assert hold is not None, "a generation is written together with its hold"
    try:
        ending = plan_settlement(hold, end_state, final.credits_charged, end_facts(final), now)
        deps.generations.close_with_ending(final, ending, files)
    except GenerationChanged:
        # A parallel writer ended it first, or our own write had succeeded and its answer was lost.
        return deps.generations.get(final.workspace_id, final.id)
    return final


def _close_stage(ended: Generation, files: tuple[DeliveredFile, ...], deps: CloseDeps) -> Generation:
    try:
        deps.generations.close_as_ended(ended, files)
    except GenerationChanged:
        return deps.generations.get(ended.workspace_id, ended.id)
    return ended


def end_facts(ended: Generation) -> dict[str, int | str | None]:
    """The facts about a generation's end that its ledger movement keeps."""
    quoted: dict[str, int | str | None] = {"quote": ended.quote_id} if ended.quote_id else {}
    return {
        **quoted,
        "price_version": ended.price_version,
        "attempts": len(ended.attempts),
        "model": ended.attempts[-1].model if ended.attempts else None,
    }


def _deliver(
    generation: Generation, attempt: Attempt, outcome: Outcome, deps: FinishDeps
) -> Delivered | Undelivered | Withheld:
    """Store the outputs. An output that moderation withholds is left out; *withheld* = all of them are."""
    if not outcome.outputs and generation.recipe.kind in TEXT_KINDS:
        return Delivered(())
    if not outcome.outputs:
        return Undelivered("The provider delivered nothing.")

    hosts = deps.catalogue.model(attempt.model).output_hosts
    files: list[DeliveredFile] = []
    withheld: Withheld | None = None
    for number, output in enumerate(outcome.outputs):
        try:
            files.append(deps.media.deliver(generation, number, output, hosts))
        except OutputWithheld as error:
            # The other outputs are delivered, and only they are charged.
            withheld = Withheld(error.category)
            _flag(generation, attempt, error, deps)
        except UndeliverableMedia as error:
            # The caller's own length limit cut the text before it held anything to store: that is no failure.
            if isinstance(error, InvalidMedia) and outcome.finish_reason == FinishReason.LENGTH:
                continue
            return Undelivered(str(error))
    if withheld is not None and not files:
        return withheld
    return Delivered(tuple(files))


def _flag(generation: Generation, attempt: Attempt, withheld: OutputWithheld, deps: FinishDeps) -> None:
    """Note a withheld output for administrators. The generation ends whether that succeeds or not."""
    if deps.flags is None:
        return
    kind, at = generation.recipe.kind.value, generation.created_at
    names = generation.workspace_id, generation.user_id, withheld.category.value, kind, attempt.model, generation.id
    try:
        deps.flags.flag(Flag(FlagSource.RESULT, *names, at))
    except Exception:
        logger.exception("withheld output was not noted", generation_id=generation.id)
