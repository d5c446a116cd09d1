"""Turn an attempt's outcome into the final state of its generation: store the files and settle the credits, or release
the hold.

May run any number of times. Files and assets have derived keys, so they are stored once. The end of the hold and the
final state are one transaction, and only the first such transaction succeeds.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from atelier.catalogue.catalogue import Catalogue
from atelier.errors import ValidationFailed
from atelier.generations.bill import bill
from atelier.generations.model import TEXT_KINDS, Attempt, AttemptStatus, DeliveredFile, Failure, Generation, Status
from atelier.generations.outcome import MODERATED_OUTPUT, Outcome
from atelier.generations.ports import (
    AssetStore,
    GenerationChanged,
    GenerationStore,
    InvalidMedia,
    Media,
    UndeliverableMedia,
    Workflow,
)
from atelier.ledger.model import EndState, plan_late_result, plan_settlement
from atelier.ledger.ports import WalletStore
from atelier.moderation.model import CATEGORY_NAMES, Category, OutputWithheld
from atelier.provider_port import ErrorClass, FinishReason


@dataclass(frozen=True)
class CloseDeps:
    """The dependencies of ending a generation without a result."""

    generations: GenerationStore
    wallets: WalletStore
    catalogue: Catalogue


@dataclass(frozen=True)
class FinishDeps(CloseDeps):
    """The dependencies of ending a generation with a result."""

    media: Media
    assets: AssetStore
    workflow: Workflow


def finish(workspace_id: str, generation_id: str, outcome: Outcome, *, deps: FinishDeps, now: datetime) -> Generation:
    """Bring the generation to its final state and return it. A final generation stays as it is; only an expired one
    still takes its result. When the result cannot be delivered and another candidate is left, a new execution tries
    that one under the same hold, and the generation stays open. Raises NotFound."""
    generation = deps.generations.get(workspace_id, generation_id)
    if generation.status is Status.EXPIRED:
        return _finish_late(generation, outcome, deps, now)
    if not generation.is_open:
        return generation

    attempt = generation.attempt
    if outcome.status == "unknown" and attempt is not None and attempt.ended_at is None:
        # The provider may have the job and may still deliver it: the hold stays until the provider answers, or until
        # the deadline.
        return generation
    if attempt is None:
        # Nothing was sent to a provider, so nothing is charged.
        status = Status.CANCELLED if outcome.status == "cancelled" else Status.FAILED
        return close(generation.as_ended(status, 0, _failure(outcome), now), EndState.RELEASED, deps, now)
    if outcome.attempt_id not in (None, attempt.id):
        return generation  # The outcome is of an earlier attempt, which has failed here; another one is under way.
    if attempt.ended_at is not None and outcome.status == "succeeded" and _has_next_candidate(generation):
        # The delivery has failed here before, and that run of this function died before it started the next try.
        return _start_next_candidate(generation, attempt, deps)
    if attempt.ended_at is not None:
        # The attempt has failed before, no other candidate is tried, and its cost is known.
        stopped = outcome.status == "cancelled" or generation.cancel_requested_at is not None
        status = Status.CANCELLED if stopped else Status.FAILED
        ended = generation.with_cost(attempt.cost_microusd, attempt.cost_source)
        return close(
            ended.as_ended(status, 0, None if stopped else _failure(outcome), now), EndState.RELEASED, deps, now
        )

    assets: tuple[DeliveredFile, ...] = ()
    delivered = 0
    withheld: Category | None = None
    ended_as = outcome.error_class or ErrorClass.UNKNOWN_OUTCOME
    if outcome.status in ("succeeded", "cancelled"):
        ended_as = outcome.status
    stopping_is_free = not deps.catalogue.model(attempt.model).bills_on_cancel
    if ended_as == "succeeded" and generation.cancel_requested_at and stopping_is_free:
        # The caller asked to stop before the result was known here, so it counts as cancelled and is free. A model
        # whose provider bills stopped work is the exception: its result is paid for and delivered.
        ended_as = "cancelled"

    if ended_as == "succeeded":
        try:
            assets = _deliver(generation, attempt, outcome, deps)
            # An empty text has no asset but counts as one result: the provider bills it.
            delivered = len(assets) or 1
        except UndeliverableMedia as error:
            outcome = replace(outcome, error_class=ErrorClass.TRANSIENT, message=str(error))
            ended_as = "no_result"
            if _has_next_candidate(generation):
                billed, _ = _settle(generation, attempt, ended_as, outcome, 0, deps)
                failed = billed.with_attempt_ended(AttemptStatus.FAILED, now, ErrorClass.TRANSIENT)
                try:
                    deps.generations.save_progress(generation, failed)
                except GenerationChanged:
                    # The generation was cancelled or expired in parallel: decide again on what is written now.
                    return finish(workspace_id, generation_id, outcome, deps=deps, now=now)
                return _start_next_candidate(failed, attempt, deps)
        except OutputWithheld as error:
            withheld = error.category
            message = f"Moderation withheld the result for {CATEGORY_NAMES[withheld]}. The credits are back."
            outcome = replace(outcome, error_class=MODERATED_OUTPUT, message=message)
            ended_as = MODERATED_OUTPUT

    outcome = _with_audio_duration(outcome, assets)
    generation, charged = _settle(generation, attempt, ended_as, outcome, delivered, deps)
    if ended_as == "succeeded":
        generation = replace(generation, finish_reason=outcome.finish_reason)
        if generation.reuse_key is not None and assets:
            # Written before the final state, like the assets. That is safe: a reader of the key checks the status of
            # the generation that it names.
            deps.generations.keep_result(workspace_id, generation.reuse_key, generation_id)
        return close(generation.as_succeeded(assets, charged, now), EndState.SETTLED, deps, now)
    status = Status.CANCELLED if ended_as == "cancelled" else Status.FAILED
    failure = replace(_failure(outcome), category=withheld) if status is Status.FAILED else None
    ended = generation.as_ended(status, charged, failure, now)
    return close(ended, EndState.SETTLED if charged else EndState.RELEASED, deps, now)


def _has_next_candidate(generation: Generation) -> bool:
    return generation.next_candidate is not None and generation.cancel_requested_at is None


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
    attempt = generation.awaited_attempt
    if attempt is None or outcome.attempt_id not in (None, attempt.id) or outcome.status == "unknown":
        return generation
    if outcome.status != "succeeded":
        ended_as, status = outcome.error_class or ErrorClass.UNKNOWN_OUTCOME, AttemptStatus.FAILED
        if outcome.status == "cancelled":
            ended_as, status = "cancelled", AttemptStatus.CANCELLED
        ended = generation.with_attempt_ended(status, now, outcome.error_class)
        return _book_late(ended, attempt, ended_as, outcome, deps, now)
    if generation.cancel_requested_at is not None:
        return _book_late(generation, attempt, "succeeded", outcome, deps, now)
    try:
        assets = _deliver(generation, attempt, outcome, deps)
    except (UndeliverableMedia, OutputWithheld) as error:
        ended_as = "no_result" if isinstance(error, UndeliverableMedia) else MODERATED_OUTPUT
        return _book_late(generation, attempt, ended_as, outcome, deps, now)
    measured = _with_audio_duration(outcome, assets)
    billed, lost_credits = _settle(generation, attempt, "succeeded", measured, len(assets) or 1, deps)
    delivered = replace(billed, finish_reason=measured.finish_reason).as_succeeded(assets, 0, now)
    try:
        deps.generations.deliver_late(
            delivered, plan_late_result(delivered.id, lost_credits, end_facts(delivered), now)
        )
    except GenerationChanged:
        return _retry_late(generation, outcome, deps, now)
    return delivered


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


def _with_audio_duration(outcome: Outcome, assets: tuple[DeliveredFile, ...]) -> Outcome:
    """The outcome with the duration of the delivered audio as usage, where the provider reported none."""
    durations_ms = [asset.duration_ms for asset in assets if asset.type == "audio" and asset.duration_ms is not None]
    usage = {"output_milliseconds": sum(durations_ms)} if durations_ms else {}
    return replace(outcome, usage=usage | outcome.usage)


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
    # A workspace that uses its own key pays the provider itself.
    return billed, 0 if attempt.key else min(settlement.credits, generation.credits_held)


def close(final: Generation, end_state: EndState, deps: CloseDeps, now: datetime) -> Generation:
    """Write a final state together with the end of the hold. A stage has no hold: the end of its run settles for it.
    Returns the generation as it is stored, which is the other one's end when a parallel writer was first."""
    if final.parent_id is not None:
        return _close_stage(final, deps)
    hold = deps.wallets.hold(final.workspace_id, final.id)
    assert hold is not None, "a generation is written together with its hold"
    try:
        deps.generations.close_with_ending(
            final, plan_settlement(hold, end_state, final.credits_charged, end_facts(final), now)
        )
    except GenerationChanged:
        # A parallel writer ended it first, or our own write had succeeded and its answer was lost.
        return deps.generations.get(final.workspace_id, final.id)
    return final


def _close_stage(ended: Generation, deps: CloseDeps) -> Generation:
    try:
        deps.generations.close_as_ended(ended)
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


def _deliver(generation: Generation, attempt: Attempt, outcome: Outcome, deps: FinishDeps) -> tuple[DeliveredFile, ...]:
    """Store the outputs as assets and return them. An output that moderation withholds is left out. Raises
    UndeliverableMedia, or OutputWithheld when every output is withheld."""
    hosts = deps.catalogue.model(attempt.model).output_hosts
    if not outcome.outputs and generation.recipe.kind in TEXT_KINDS:
        return ()
    if not outcome.outputs:
        raise UndeliverableMedia("The provider delivered nothing.")
    deliveries: dict[int, DeliveredFile] = {}
    withheld: OutputWithheld | None = None
    for number, output in enumerate(outcome.outputs):
        try:
            deliveries[number] = deps.media.deliver(generation, number, output, hosts)
        except OutputWithheld as error:
            # The other outputs are delivered, and only they are charged.
            withheld = error
        except InvalidMedia:
            # The caller's own length limit cut the text before it held anything to store: that is no failure.
            if outcome.finish_reason != FinishReason.LENGTH:
                raise
    if withheld is not None and not deliveries:
        raise withheld
    for number, delivered in deliveries.items():
        deps.assets.record(generation, delivered, number)
    return tuple(deliveries.values())


def _failure(outcome: Outcome) -> Failure:
    return Failure(
        "PROVIDER_FAILED",
        outcome.error_class or ErrorClass.UNKNOWN_OUTCOME,
        outcome.message or "The provider could not make this.",
        outcome.provider_code,
    )
