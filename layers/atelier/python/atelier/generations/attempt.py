"""Try the next candidate: write the attempt, send its job to the provider, and either answer the task token or save it.

A function that dies after it has written the attempt leaves one of two states: nothing was sent, or the provider has
the job and we do not know. Both look the same here, so an attempt that is found half done is never sent again, unless
the provider recognises a repeated job (`resend_safe`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from math import ceil
from zlib import crc32

from atelier.catalogue.candidates import parse_candidate
from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.model import accepted_inputs
from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.generations.bill import bill
from atelier.generations.model import Attempt, AttemptStatus, Generation, InputAssets
from atelier.generations.outcome import (
    FINAL_CLASSES,
    Outcome,
    input_deleted_outcome,
    input_unusable_outcome,
    outcome_of,
    unavailable_outcome,
)
from atelier.generations.ports import (
    AttemptFailed,
    AttemptQueue,
    GenerationChanged,
    GenerationStore,
    InputUnusable,
    Media,
    OutputLocation,
    TaskCallback,
    Workflow,
)
from atelier.generations.select_candidate import CandidateSelection, Delay, Slot, health_scope
from atelier.ids import new_id
from atelier.inbox.ports import WebhookInbox
from atelier.provider_port import (
    Accepted,
    Cancelled,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    Pending,
    PollOutcome,
    Provider,
    Unknown,
    WebhookInvalid,
)
from atelier.routing.health_cache import HealthCache
from atelier.routing.rate_limiter import RateLimiter
from atelier.telemetry import logger, put_count

# Percent. Progress that grew by less than this is not written.
PROGRESS_STEP_PERCENT = 10
# A poll count that no attempt reaches by polling. It is a flag: it marks the poll that follows an unanswered task
# token.
NO_WAITER_POLLS = 1000
# A parallel finish of the same generation has ended within this time.
FINISH_SECONDS = 60
# An attempt is still polled for this long after its deadline. The longest delay between two such polls is SQS's
# maximum.
LATE_POLLING_SECONDS_MAX = 3600
LATE_POLL_DELAY_SECONDS_MAX = 900


@dataclass(frozen=True, slots=True)
class AttemptDeps:
    """The dependencies of submitting, polling, cancelling and concluding an attempt."""

    generations: GenerationStore
    catalogue: Catalogue
    providers: Mapping[str, Provider]
    workflow: Workflow
    queue: AttemptQueue
    media: Media
    inbox: WebhookInbox
    webhook_url: Callable[[Generation, Attempt], str]
    poll_seconds: int
    clock: Clock
    health: HealthCache
    rate_limiter: RateLimiter
    # (workspace id, provider, key id) -> the adapter that uses the workspace's own key; None when it cannot be used.
    own_provider: Callable[[str, str, str], Provider | None]

    def provider(self, generation: Generation, attempt: Attempt) -> Provider | None:
        """The adapter of an attempt's provider, with the platform's key or the workspace's own; None without access."""
        if attempt.key is None:
            return self.providers.get(attempt.provider)
        return self.own_provider(generation.workspace_id, attempt.provider, attempt.key)

    def run_seconds(self, model: str, generation: Generation) -> int:
        """The longest time, in seconds, that a model may run for a generation."""
        return self.catalogue.model(model).run_seconds(generation.recipe.parameters)

    def job(self, generation: Generation, attempt: Attempt, *, with_files: bool = True) -> Job:
        """The attempt as a job for the provider. `with_files=False` leaves out the input files: reading a result does
        not need them. Raises NotFound when an input file was deleted, InputUnusable when one does not fit."""
        model = self.catalogue.model(attempt.model)
        recipe = generation.recipe
        # A later candidate may take other parameters than the first. The seed is derived from the generation's id, so
        # that every visit sends the same one.
        parameters = self.catalogue.parameters_for(
            attempt.model, recipe.parameters, seed=crc32(generation.id.encode()), facts=recipe.facts
        )
        # The webhooks of another account are signed with a secret that we do not have, so an attempt with the
        # workspace's own key is only polled.
        uses_webhook = model.supports_webhook and attempt.key is None
        return Job(
            attempt_id=attempt.id,
            kind=recipe.kind,
            model=attempt.model,
            prompt=recipe.prompt,
            negative_prompt=recipe.negative_prompt,
            parameters=parameters,
            settings=model.settings,
            webhook_url=self.webhook_url(generation, attempt) if uses_webhook else None,
            run_seconds_max=model.run_seconds(parameters),
            inputs=self._inputs(generation.workspace_id, accepted_inputs(model, recipe.inputs)) if with_files else {},
        )

    def _inputs(self, workspace_id: str, sources: InputAssets) -> dict[str, tuple[Input, ...]]:
        inputs = {
            role: tuple(self.media.read_input(workspace_id, each) for each in given) for role, given in sources.items()
        }
        images = inputs.get("image") or inputs.get("reference")
        if images and (masks := inputs.get("mask")):
            inputs["mask"] = tuple(self.media.prepare_mask(mask, images[0]) for mask in masks)
        return inputs


def attempt(
    workspace_id: str, generation_id: str, task_token: str, *, failed: AttemptFailed | None = None, deps: AttemptDeps
) -> None:
    """One visit of the workflow's attempt step. It ends with the task token answered, with the token saved so that a
    webhook or a poll answers it later, or with the visit queued again for its reserved slot.

    `lost`: how the attempt before this visit failed, or the slot that is due now. Raises GenerationMoved when the
    generation was changed in parallel: the next visit decides again."""
    before = deps.generations.get(workspace_id, generation_id)
    generation = before
    if failed and before.attempt and before.attempt.id == failed.attempt_id:
        generation = before.with_cost(failed.cost_microusd, failed.cost_source)
        generation = generation.with_attempt_ended(AttemptStatus.FAILED, deps.clock(), failed.error_class)
    current = generation.attempt

    if generation.awaited_attempt is not None:
        provider = deps.provider(generation, generation.awaited_attempt)
        if provider is None or not provider.resend_safe:
            # The job may have been sent, so its result is awaited, after the deadline too, as long as it may still
            # come. A requested cancellation reaches the provider with the first poll.
            _await_result(generation, generation.awaited_attempt, task_token, None, deps)
            return

    if not generation.is_open or generation.cancel_requested_at is not None:
        _save_failed_attempt(before, generation, deps)
        deps.workflow.succeed(task_token, Outcome("cancelled").as_data())
        return

    if current is None or current.ended_at is not None:
        slot = Slot.parse(failed.turn) if failed and failed.turn else None
        selected = CandidateSelection(
            generation, deps.health, deps.rate_limiter, lambda model: deps.run_seconds(model, generation), deps.clock()
        ).select(slot)
        if not isinstance(selected, str):
            _save_failed_attempt(before, generation, deps)
            if selected is None:
                deps.workflow.succeed(
                    task_token, unavailable_outcome(current.error_class if current else None).as_data()
                )
            else:
                _requeue(generation, selected, task_token, deps)
            return

        model, key = parse_candidate(selected)
        new_attempt = Attempt(
            new_id("att", deps.clock()),
            model.partition("/")[0],
            model,
            AttemptStatus.SUBMITTING,
            deps.clock(),
            key=key,
        )
        after = generation.with_attempt(new_attempt)
        # Everything that the sending needs is fetched before the write: an attempt that is written counts as sent.
        provider = deps.provider(after, new_attempt)
        try:
            job = deps.job(after, new_attempt)
        except NotFound:
            _save_failed_attempt(before, generation, deps)
            deps.workflow.succeed(task_token, input_deleted_outcome().as_data())
            return
        except InputUnusable as refusal:
            _save_failed_attempt(before, generation, deps)
            deps.workflow.succeed(task_token, input_unusable_outcome(str(refusal)).as_data())
            return

        try:
            deps.generations.save_progress(before, after)
        except GenerationChanged:
            after = deps.generations.get(workspace_id, generation_id)
            if after.attempt is None or after.attempt.id != new_attempt.id:
                # The generation was cancelled or expired, or a parallel visit wrote first: the next visit decides
                # again.
                raise
            # The attempt that is stored is our own: the write had succeeded and only its answer was lost.
        generation, current = after, new_attempt
    else:
        job, provider = deps.job(generation, current), deps.provider(generation, current)

    if provider is None:
        refusal = Failed(ErrorClass.AUTH, "This provider is not set up here.")
        conclude_attempt(generation, current, task_token, refusal, deps)
        return
    match provider.submit(job):
        case Accepted(reference):
            _await_result(generation, current, task_token, reference, deps)
        case Unknown() as silence:
            _record_health(generation, current, Failed(ErrorClass.UNKNOWN_OUTCOME, silence.message), deps)
            _await_result(generation, current, task_token, None, deps)
        case Done() | Failed() as end:
            conclude_attempt(generation, current, task_token, end, deps)


def _save_failed_attempt(before: Generation, generation: Generation, deps: AttemptDeps) -> None:
    """Write how the previous attempt ended, on a visit that writes no attempt of its own."""
    if generation is not before and generation.is_open:
        deps.generations.save_progress(before, generation)


def _requeue(generation: Generation, delay: Delay, task_token: str, deps: AttemptDeps) -> None:
    seconds = max(ceil((delay.until - deps.clock()).total_seconds()), 1)
    slot = str(delay.slot) if delay.slot else None
    logger.info("attempt waits for its turn", generation_id=generation.id, turn=slot, seconds=seconds)
    deps.queue.resume_later(generation.workspace_id, generation.id, task_token, slot, seconds)


def _record_health(generation: Generation, current: Attempt, end: Done | Failed | Cancelled, deps: AttemptDeps) -> None:
    """Record in the provider's health how an attempt ended. A failed write is only logged: it must not keep the attempt
    from ending."""
    scope, now = health_scope(generation, current.model, current.key), deps.clock()
    latency_ms = int((now - current.started_at).total_seconds() * 1000)
    logger.info(
        "attempt ended",
        generation_id=generation.id,
        attempt_id=current.id,
        model=current.model,
        key=current.key,
        error_class=end.error_class if isinstance(end, Failed) else None,
        latency_ms=latency_ms,
    )
    try:
        if isinstance(end, Done):
            deps.health.record_success(scope, latency_ms, started_at=current.started_at, now=now)
        elif isinstance(end, Failed):
            put_count("AttemptsFailed", Provider=current.provider, ErrorClass=end.error_class)
            deps.health.record_failure(
                scope,
                end.error_class,
                end.message,
                retry_after_seconds=end.retry_after_seconds,
                provider_wide=end.provider_wide,
                started_at=current.started_at,
                now=now,
            )
        else:
            deps.health.record_inconclusive(scope, started_at=current.started_at, now=now)
    except Exception:
        logger.exception("health was not written", provider=current.provider)


def conclude_attempt(
    generation: Generation,
    current: Attempt,
    task_token: str,
    end: Done | Failed | Cancelled,
    deps: AttemptDeps,
    *,
    polls: int = 0,
) -> None:
    """Answer the task token with how the attempt ended, or have the workflow try the next candidate. Safe to repeat.

    `polls`: how many polls came before; it decides what happens when no execution waits on the token any more."""
    _record_health(generation, current, end, deps)
    is_wanted = generation.cancel_requested_at is None
    if isinstance(end, Failed) and generation.is_open and is_wanted and _has_candidate_left(generation, end, deps):
        # The failure travels with the answer, and the next visit writes it together with its own attempt. Nothing is
        # written here, so no crash can leave an ended attempt that the workflow does not know of.
        delivered = deps.workflow.try_next(task_token, _failed_attempt(generation, current, end, deps))
        _ensure_delivered(delivered, generation, current, polls, deps)
        return
    outputs: tuple[OutputLocation, ...] = ()
    if isinstance(end, Done):
        outputs = tuple(
            OutputLocation(url=output.url)
            if output.data is None
            else OutputLocation(key=deps.media.stage(generation.id, current.id, number, output.data))
            for number, output in enumerate(end.outputs)
        )
    delivered = deps.workflow.succeed(task_token, outcome_of(end, outputs, current.id).as_data())
    if generation.is_open or (isinstance(end, Done) and is_wanted):
        _ensure_delivered(delivered, generation, current, polls, deps)


def _has_candidate_left(generation: Generation, end: Failed, deps: AttemptDeps) -> bool:
    """Whether a candidate is left to try after this failure. After a rate limit this may be the same candidate."""
    if end.error_class in FINAL_CLASSES:
        return False
    return generation.with_attempt_ended(AttemptStatus.FAILED, deps.clock(), end.error_class).next_candidate is not None


def _failed_attempt(generation: Generation, current: Attempt, end: Failed, deps: AttemptDeps) -> AttemptFailed:
    """The failed attempt as the next visit receives it, with what the provider bills for it."""
    settlement = bill(
        generation,
        current,
        end.error_class,
        deps.catalogue,
        usage=end.usage,
        reported_microusd=end.cost_microusd,
    )
    return AttemptFailed(
        current.id, end.error_class, cost_microusd=settlement.cost_microusd, cost_source=settlement.cost_source
    )


def _ensure_delivered(delivered: bool, generation: Generation, current: Attempt, polls: int, deps: AttemptDeps) -> None:
    """Make sure that the answer has a reader: when no execution took it, poll once more, then start a new execution."""
    if delivered:
        return
    if polls < NO_WAITER_POLLS:
        # Either another path has answered first and the generation is being finished, or the execution is gone. The
        # delayed poll tells which.
        deps.queue.poll_later(generation.workspace_id, generation.id, current.id, NO_WAITER_POLLS, FINISH_SECONDS)
        return
    # The execution is gone (timed out, or the emulator was restarted) and the result is still wanted. A new execution
    # waits for the same attempt, and its first poll brings it the same answer.
    if generation.parent_id is not None and generation.is_open:
        # A stage continues in an execution of its run, which then goes on to the next stage.
        deps.workflow.start_run(generation.workspace_id, generation.parent_id, again=current.id)
        return
    again = current.id if generation.is_open else f"{current.id}-late"
    deps.workflow.start(generation.workspace_id, generation.id, again=again)


def apply_progress(
    generation: Generation,
    current: Attempt,
    callback: TaskCallback,
    progress: PollOutcome,
    polls: int,
    deps: AttemptDeps,
) -> None:
    """Act on the progress of an attempt, as a webhook or a poll reports it. A pending job is polled again later."""
    match progress:
        case Done() | Failed() | Cancelled() as end:
            conclude_attempt(generation, current, callback.task_token, end, deps, polls=polls)
        case Pending() | Unknown() if not generation.is_open:
            if polls == NO_WAITER_POLLS and callback.reference is not None:
                # Count the time-out in the provider's health once: at the poll that the expiry itself queues. A
                # submission without an answer was counted when it happened.
                _record_health(
                    generation, current, Failed(ErrorClass.TIMEOUT_STARTED, "No answer before the deadline."), deps
                )
            _poll_late(generation, current, callback, polls, deps)
        case Pending() | Unknown():
            if isinstance(progress, Pending) and progress.progress >= generation.progress + PROGRESS_STEP_PERCENT:
                with suppress(GenerationChanged):
                    deps.generations.save_progress(generation, replace(generation, progress=progress.progress))
            delay = min(deps.poll_seconds * 2 ** min(polls, 6), 60)
            deps.queue.poll_later(generation.workspace_id, generation.id, current.id, polls + 1, delay)


def _poll_late(generation: Generation, current: Attempt, callback: TaskCallback, polls: int, deps: AttemptDeps) -> None:
    """Poll an expired attempt with growing delay, for at most an hour. The credits are released already; the result may
    still come."""
    overdue_seconds = int((deps.clock() - generation.deadline_at).total_seconds())
    if overdue_seconds >= LATE_POLLING_SECONDS_MAX:
        # This was the last poll. An execution that still waits is released.
        deps.workflow.succeed(callback.task_token, Outcome("unknown").as_data())
        return
    # The delay is the time since the deadline, so it doubles from poll to poll.
    delay = min(max(overdue_seconds, deps.poll_seconds), LATE_POLL_DELAY_SECONDS_MAX)
    deps.queue.poll_later(generation.workspace_id, generation.id, current.id, polls + 1, delay)


def read_inbox(generation: Generation, current: Attempt, callback: TaskCallback, deps: AttemptDeps) -> bool:
    """Act on the first stored webhook that ends the attempt. Returns whether there was one."""
    provider = deps.provider(generation, current)
    if provider is None:
        return False
    for webhook in deps.inbox.find(current.provider, current.id):
        try:
            event = provider.parse_webhook(
                webhook.headers,
                webhook.body,
                int(webhook.received_at.timestamp()),
                deps.job(generation, current, with_files=False),
            )
        except WebhookInvalid:
            continue  # About another job, or signed with a secret that has been replaced: a poll decides.
        if callback.reference is not None and event.reference != callback.reference:
            continue  # The provider signed it, but it is about another job.
        if not isinstance(event.progress, (Pending, Unknown)):
            apply_progress(generation, current, callback, event.progress, 0, deps)
            return True
    return False


def _await_result(
    generation: Generation, current: Attempt, task_token: str, reference: str | None, deps: AttemptDeps
) -> None:
    """Save the task token and the provider's reference, queue the first poll, and read webhooks that are here
    already."""
    if reference is None:
        # An earlier visit may have saved the reference before it died.
        earlier = deps.generations.callback(generation.workspace_id, generation.id, current.id)
        reference = earlier.reference if earlier else None
    callback = TaskCallback(current.id, task_token, reference)
    deps.generations.save_callback(generation.workspace_id, generation.id, callback)
    deps.queue.poll_later(generation.workspace_id, generation.id, current.id, 0, deps.poll_seconds)
    # A webhook may have arrived before the task token was saved; the function that read it then found none.
    read_inbox(generation, current, callback, deps)
