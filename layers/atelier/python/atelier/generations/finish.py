"""Turn an attempt's outcome into the generation's end: bytes stored, credits settled, or the hold given back.

May run any number of times. Media and assets have derived keys; the end of the hold and the final state are one
transaction, and only the first one counts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from atelier.errors import ValidationFailed
from atelier.generations.bill import bill
from atelier.generations.model import WRITTEN, Attempt, AttemptStatus, Delivered, Failure, Generation, Status
from atelier.generations.outcome import MODERATED_OUTPUT, Outcome
from atelier.generations.ports import (
    AssetStore,
    GenerationMoved,
    GenerationStore,
    Media,
    UndeliverableMedia,
    UnusableMedia,
    Workflow,
)
from atelier.ledger.model import EndState, end_hold, late_success
from atelier.ledger.ports import WalletStore
from atelier.moderation.model import WORDS, Category, OutputWithheld
from atelier.pricing.catalogue import Catalogue
from atelier.providers._contract import ErrorClass, FinishReason


@dataclass(frozen=True)
class Closing:
    """The collaborators of an end without a result."""

    generations: GenerationStore
    wallets: WalletStore
    catalogue: Catalogue


@dataclass(frozen=True)
class Finishing(Closing):
    """The collaborators of an end with one."""

    media: Media
    assets: AssetStore
    workflow: Workflow


def finish(workspace_id: str, generation_id: str, outcome: Outcome, *, to: Finishing, now: datetime) -> Generation:
    """Bring the generation to its final state and return it. A generation that is final already stays as it is, but one
    that has expired still takes its result. Where a result cannot be had and there is another candidate, that one is
    tried by a new execution, under the same hold, and the generation stays open."""
    generation = to.generations.get(workspace_id, generation_id)
    if generation.status is Status.EXPIRED:
        return _finish_late(generation, outcome, to, now)
    if not generation.is_open:
        return generation
    attempt = generation.attempt
    if outcome.status == "unknown" and attempt is not None and attempt.ended_at is None:
        # The provider may have the job and may still deliver it: the hold stays until it says otherwise, or until the
        # deadline.
        return generation
    if attempt is None:
        # Nothing was ever sent: there is nothing to pay for.
        status = Status.CANCELLED if outcome.status == "cancelled" else Status.FAILED
        return close(generation.ended(status, 0, _failure(outcome), now), EndState.RELEASED, to, now)
    if outcome.attempt_id not in (None, attempt.id):
        return generation  # Of an attempt that has failed here before: another is under way.
    if attempt.ended_at is not None and outcome.status == "succeeded" and _another_may_try(generation):
        # It has failed here before, and whoever wrote that died before the next step.
        return _try_another(generation, attempt, to)
    if attempt.ended_at is not None:
        # It has failed before, nobody else is tried, and what it cost is known.
        stopped = outcome.status == "cancelled" or generation.cancel_requested_at is not None
        status = Status.CANCELLED if stopped else Status.FAILED
        ended = generation.billed(attempt.cost_microusd, attempt.cost_source)
        return close(ended.ended(status, 0, None if stopped else _failure(outcome), now), EndState.RELEASED, to, now)
    assets: tuple[Delivered, ...] = ()
    delivered = 0
    withheld: Category | None = None
    ended_as = outcome.error_class or ErrorClass.UNKNOWN_OUTCOME
    if outcome.status in ("succeeded", "cancelled"):
        ended_as = outcome.status
    stopping_is_free = not to.catalogue.model(attempt.model).bills_on_cancel
    if ended_as == "succeeded" and generation.cancel_requested_at and stopping_is_free:
        # Asked to stop in time, as far as the caller is concerned. Where a stopped run is billed, the picture is paid
        # for and delivered.
        ended_as = "cancelled"
    if ended_as == "succeeded":
        try:
            assets = _deliver(generation, attempt, outcome, to)
            # A text without a word is one text all the same: the model has worked for it.
            delivered = len(assets) or 1
        except UndeliverableMedia as error:
            outcome = replace(outcome, error_class=ErrorClass.TRANSIENT, message=str(error))
            ended_as = "no_result"
            if _another_may_try(generation):
                billed, _ = _settled(generation, attempt, ended_as, outcome, 0, to)
                failed = billed.attempt_ended(AttemptStatus.FAILED, now, ErrorClass.TRANSIENT)
                try:
                    to.generations.save_progress(generation, failed)
                except GenerationMoved:
                    # Cancelled or expired meanwhile: the next look decides on what is written now.
                    return finish(workspace_id, generation_id, outcome, to=to, now=now)
                return _try_another(failed, attempt, to)
        except OutputWithheld as error:
            withheld = error.category
            message = f"Moderation withheld the result for {WORDS[withheld]}. The credits are back."
            outcome = replace(outcome, error_class=MODERATED_OUTPUT, message=message)
            ended_as = MODERATED_OUTPUT
    outcome = _measured(outcome, assets)
    generation, charged = _settled(generation, attempt, ended_as, outcome, delivered, to)
    if ended_as == "succeeded":
        generation = replace(generation, finish_reason=outcome.finish_reason)
        if generation.reuse_key is not None and assets:
            # Before it counts, as its assets: whoever finds the key looks at what the generation has come to.
            to.generations.keep_result(workspace_id, generation.reuse_key, generation_id)
        return close(generation.succeeded(assets, charged, now), EndState.SETTLED, to, now)
    status = Status.CANCELLED if ended_as == "cancelled" else Status.FAILED
    failure = replace(_failure(outcome), category=withheld) if status is Status.FAILED else None
    ended = generation.ended(status, charged, failure, now)
    return close(ended, EndState.SETTLED if charged else EndState.RELEASED, to, now)


def _another_may_try(generation: Generation) -> bool:
    return generation.next_candidate is not None and generation.cancel_requested_at is None


def _try_another(generation: Generation, failed: Attempt, to: Finishing) -> Generation:
    """What the failed attempt cost is the operator's; the execution that ends here cannot go back to its attempt step
    without a transition more for everybody."""
    again = f"{failed.id}-lost"
    if generation.parent_id is None:
        to.workflow.start(generation.workspace_id, generation.id, again=again)
    else:
        to.workflow.start_run(generation.workspace_id, generation.parent_id, again=again)
    return generation


def expire(generation: Generation, *, to: Closing, now: datetime) -> Generation:
    """End a generation whose deadline has passed, whatever became of it: the caller gets the credits back, and what the
    provider may still bill is the operator's."""
    attempt = generation.attempt
    if attempt is not None:
        generation = generation.billed(attempt.cost_microusd, attempt.cost_source)
    if generation.awaited is not None:
        # A model that has left the catalogue must not keep its last generations from ending.
        with suppress(ValidationFailed):
            expected = bill(generation, generation.awaited, "expired", to.catalogue)
            generation = generation.billed(expected.cost_microusd, expected.cost_source)
    message = "This took longer than it may; the credits are back."
    failure = Failure("PROVIDER_FAILED", ErrorClass.UNKNOWN_OUTCOME, message)
    return close(generation.ended(Status.EXPIRED, 0, failure, now), EndState.EXPIRED, to, now)


def withdraw(generation: Generation, *, to: Closing, now: datetime) -> Generation:
    """Cancel a generation of which nothing is at a provider, not yet or not any more: free, and final at once."""
    if generation.attempt is not None:
        generation = generation.billed(generation.attempt.cost_microusd, generation.attempt.cost_source)
    return close(generation.ended(Status.CANCELLED, 0, None, now), EndState.RELEASED, to, now)


def _finish_late(generation: Generation, outcome: Outcome, to: Finishing, now: datetime) -> Generation:
    """The credits are back, so a result that comes now is free, and the operator's loss; wanted all the same, unless
    somebody had asked to stop. What was used is booked in any case: until now it was an estimate."""
    attempt = generation.awaited
    if attempt is None or outcome.attempt_id not in (None, attempt.id) or outcome.status == "unknown":
        return generation
    if outcome.status != "succeeded":
        ended_as, status = outcome.error_class or ErrorClass.UNKNOWN_OUTCOME, AttemptStatus.FAILED
        if outcome.status == "cancelled":
            ended_as, status = "cancelled", AttemptStatus.CANCELLED
        ended = generation.attempt_ended(status, now, outcome.error_class)
        return _booked_late(ended, attempt, ended_as, outcome, to, now)
    if generation.cancel_requested_at is not None:
        return _booked_late(generation, attempt, "succeeded", outcome, to, now)
    try:
        assets = _deliver(generation, attempt, outcome, to)
    except (UndeliverableMedia, OutputWithheld) as error:
        ended_as = "no_result" if isinstance(error, UndeliverableMedia) else MODERATED_OUTPUT
        return _booked_late(generation, attempt, ended_as, outcome, to, now)
    measured = _measured(outcome, assets)
    billed, lost = _settled(generation, attempt, "succeeded", measured, len(assets) or 1, to)
    delivered = replace(billed, finish_reason=measured.finish_reason).succeeded(assets, 0, now)
    try:
        to.generations.deliver_late(delivered, late_success(delivered.id, lost, facts(delivered), now))
    except GenerationMoved:
        return _late_again(generation, outcome, to, now)
    return delivered


def _booked_late(
    generation: Generation, attempt: Attempt, ended_as: str, outcome: Outcome, to: Finishing, now: datetime
) -> Generation:
    booked, _ = _settled(generation, attempt, ended_as, outcome, 0, to)
    try:
        to.generations.book_late(booked)
    except GenerationMoved:
        return _late_again(generation, outcome, to, now)
    return booked


def _late_again(seen: Generation, outcome: Outcome, to: Finishing, now: datetime) -> Generation:
    """Another has booked or delivered meanwhile, or our own write's answer was lost."""
    written = to.generations.get(seen.workspace_id, seen.id)
    moved = (written.status, written.counted_microusd) != (seen.status, seen.counted_microusd)
    return _finish_late(written, outcome, to, now) if moved and written.status is Status.EXPIRED else written


def _measured(outcome: Outcome, assets: tuple[Delivered, ...]) -> Outcome:
    """With how long the delivered sound lasts, where the provider has not said it."""
    lasting = [asset.duration_ms for asset in assets if asset.type == "audio" and asset.duration_ms is not None]
    usage = {"output_milliseconds": sum(lasting)} if lasting else {}
    return replace(outcome, usage=usage | outcome.usage)


def _settled(
    generation: Generation, attempt: Attempt, ended_as: str, outcome: Outcome, delivered: int, to: Finishing
) -> tuple[Generation, int]:
    """The generation with what its attempt used and cost, and the credits that this comes to: never more than held."""
    settled = bill(
        generation,
        attempt,
        ended_as,
        to.catalogue,
        delivered=delivered,
        usage=outcome.usage,
        reported_microusd=outcome.cost_microusd,
    )
    billed = replace(generation, usage=outcome.usage).billed(settled.cost_microusd, settled.cost_source)
    # With a key of their own they have paid the provider themselves.
    return billed, 0 if attempt.key else min(settled.credits, generation.credits_held)


def close(ended: Generation, state: EndState, to: Closing, now: datetime) -> Generation:
    """Write a final state, and with it the end of the hold; a stage has none, its run's end settles for it. Returns
    what is written: another's end may have been first."""
    if ended.parent_id is not None:
        return _close_stage(ended, to)
    hold = to.wallets.hold(ended.workspace_id, ended.id)
    assert hold is not None, "a generation is written together with its hold"
    try:
        to.generations.close_with_ending(ended, end_hold(hold, state, ended.credits_charged, facts(ended), now))
    except GenerationMoved:
        # Another path ended it first, or our own write's answer was lost: what is written counts.
        return to.generations.get(ended.workspace_id, ended.id)
    return ended


def _close_stage(ended: Generation, to: Closing) -> Generation:
    try:
        to.generations.close_as_ended(ended)
    except GenerationMoved:
        return to.generations.get(ended.workspace_id, ended.id)
    return ended


def facts(ended: Generation) -> dict[str, int | str | None]:
    """What the ledger keeps of a generation's end."""
    quoted: dict[str, int | str | None] = {"quote": ended.quote_id} if ended.quote_id else {}
    return {
        **quoted,
        "price_version": ended.price_version,
        "attempts": len(ended.attempts),
        "model": ended.attempts[-1].model if ended.attempts else None,
    }


def _deliver(generation: Generation, attempt: Attempt, outcome: Outcome, to: Finishing) -> tuple[Delivered, ...]:
    hosts = to.catalogue.model(attempt.model).output_hosts
    if not outcome.outputs and generation.recipe.kind in WRITTEN:
        return ()
    if not outcome.outputs:
        raise UndeliverableMedia("The provider delivered nothing.")
    made: dict[int, Delivered] = {}
    withheld: OutputWithheld | None = None
    for number, output in enumerate(outcome.outputs):
        try:
            made[number] = to.media.deliver(generation, number, output, hosts)
        except OutputWithheld as error:
            # The others are delivered, and only they are paid for.
            withheld = error
        except UnusableMedia:
            # Cut off before there was anything in it that could be kept, by the caller's own bound.
            if outcome.finish_reason != FinishReason.LENGTH:
                raise
    if withheld is not None and not made:
        raise withheld
    for number, delivered in made.items():
        to.assets.record(generation, delivered, number)
    return tuple(made.values())


def _failure(outcome: Outcome) -> Failure:
    return Failure(
        "PROVIDER_FAILED",
        outcome.error_class or ErrorClass.UNKNOWN_OUTCOME,
        outcome.message or "The provider could not make this.",
        outcome.provider_code,
    )
