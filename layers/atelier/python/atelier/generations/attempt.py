"""Try the next candidate: write the attempt, send its job to the provider, and reply to the execution: with the end, or
by seeing to it that the end is awaited.

A function that dies after it has written the attempt leaves one of two states: nothing was sent, or the provider has
the job and we do not know. Both look the same here, so an attempt that is found half done is never sent again, unless
the provider recognises a repeated job (`resend_safe`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from math import ceil

from atelier.catalogue.candidates import parse_candidate
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.generations.attempt_deps import AttemptDeps
from atelier.generations.attempt_messages import FINISH_SECONDS, AttemptFailed, Poll, Slot, VisitCause
from atelier.generations.bill import bill
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
from atelier.generations.decide_candidate import Delay, NoTimeLeft
from atelier.generations.model import Attempt, Generation
from atelier.generations.outcome import (
    Outcome,
    input_deleted_outcome,
    input_unusable_outcome,
    no_time_left_outcome,
    outcome_of,
    unavailable_outcome,
)
from atelier.generations.ports import GenerationChanged, InputUnusable, Media, OutputLocation, TaskCallback
from atelier.generations.reply import VisitReply
from atelier.generations.select_candidate import CandidateSelection, health_scope
from atelier.provider_port import (
    Accepted,
    Cancelled,
    Done,
    ErrorClass,
    Failed,
    Job,
    Pending,
    PollOutcome,
    Provider,
    Unknown,
    WebhookInvalid,
)
from atelier.telemetry import logger, put_count

# Percent. Progress that grew by less than this is not written.
PROGRESS_STEP_PERCENT = 10
FIRST_POLL = Poll()
# An attempt is still polled for this long after its deadline. The longest delay between two such polls is SQS's
# maximum.
LATE_POLLING_SECONDS_MAX = 3600
LATE_POLL_DELAY_SECONDS_MAX = 900


def attempt(
    workspace_id: str, generation_id: str, reply: VisitReply, *, cause: VisitCause | None = None, deps: AttemptDeps
) -> None:
    """One visit of the workflow's attempt step. It ends with one call of the reply.

    `cause`: how the attempt before this visit failed, or the slot that is due now; None = the first visit of an
    execution. Raises GenerationChanged when the generation was changed in parallel: the next visit decides again."""
    stored = deps.generations.get(workspace_id, generation_id)
    generation = with_failed_attempt(stored, cause, deps.clock())
    running = generation.awaited_attempt
    provider = deps.provider(generation, running) if running else None

    match decide_visit(generation, cause, can_resend=provider is not None and provider.resend_safe):
        case AwaitResult(running):
            reply.await_result(generation, running, None)
        case Resend(running):
            _send(generation, running, provider, deps.job(generation, running), reply, deps)
        case AnswerCancelled():
            _answer(stored, generation, Outcome("cancelled"), reply, deps)
        case TryCandidate(slot):
            _try_candidate(stored, generation, slot, reply, deps)


def _try_candidate(
    stored: Generation, generation: Generation, slot: Slot | None, reply: VisitReply, deps: AttemptDeps
) -> None:
    """Select a candidate, write the attempt, and send its job."""
    selected = CandidateSelection(
        generation, deps.health, deps.rate_limiter, lambda model: deps.run_seconds(model, generation), deps.clock()
    ).select(slot)
    match selected:
        case None:
            last = generation.attempt
            _answer(stored, generation, unavailable_outcome(last.error_class if last else None), reply, deps)
        case NoTimeLeft():
            _answer(stored, generation, no_time_left_outcome(), reply, deps)
        case Delay():
            _save_failed_attempt(stored, generation, deps)
            _delay(generation, selected, reply, deps)
        case str() if not reply.has_time_for(deps.run_seconds(parse_candidate(selected)[0], generation)):
            # Its slot in the provider's rate limit is taken, so it goes along.
            _save_failed_attempt(stored, generation, deps)
            reply.await_slot(generation, Delay(deps.clock(), Slot(selected, deps.clock())))
        case str():
            _begin(stored, generation, new_attempt(selected, deps.clock()), reply, deps)


def _begin(stored: Generation, generation: Generation, begun: Attempt, reply: VisitReply, deps: AttemptDeps) -> None:
    """Write a new attempt and send its job."""
    after = generation.with_attempt(begun)
    # Everything that the sending needs is fetched before the write: an attempt that is written counts as sent.
    provider = deps.provider(after, begun)
    try:
        job = deps.job(after, begun)
    except NotFound:
        _answer(stored, generation, input_deleted_outcome(), reply, deps)
        return
    except InputUnusable as refusal:
        _answer(stored, generation, input_unusable_outcome(str(refusal)), reply, deps)
        return

    try:
        deps.generations.save_progress(stored, after)
    except GenerationChanged:
        after = deps.generations.get(stored.workspace_id, stored.id)
        if after.attempt is None or after.attempt.id != begun.id:
            # The generation was cancelled or expired, or a parallel visit wrote first: the next visit decides again.
            raise
        # The attempt that is stored is our own: the write had succeeded and only its answer was lost.
    _send(after, begun, provider, job, reply, deps)


def _send(
    generation: Generation, current: Attempt, provider: Provider | None, job: Job, reply: VisitReply, deps: AttemptDeps
) -> None:
    """Send the job of a written attempt, and act on the provider's answer."""
    if provider is None:
        refusal = Failed(ErrorClass.AUTH, "This provider is not set up here.")
        conclude_attempt(generation, current, reply, refusal, deps)
        return
    match provider.submit(job):
        case Accepted(reference):
            reply.await_result(generation, current, reference)
        case Unknown() as silence:
            silent = Failed(ErrorClass.UNKNOWN_OUTCOME, silence.message)
            _record_health(generation, current, silent, deps, deps.clock())
            reply.await_result(generation, current, None)
        case Done() | Failed() as end:
            conclude_attempt(generation, current, reply, end, deps)


def _answer(stored: Generation, generation: Generation, outcome: Outcome, reply: VisitReply, deps: AttemptDeps) -> None:
    """Reply on a visit that begins no attempt."""
    _save_failed_attempt(stored, generation, deps)
    reply.answer(generation, outcome)


def _save_failed_attempt(stored: Generation, generation: Generation, deps: AttemptDeps) -> None:
    """Write how the previous attempt ended, on a visit that begins no attempt of its own."""
    if generation is not stored and generation.is_open:
        deps.generations.save_progress(stored, generation)


def _delay(generation: Generation, delay: Delay, reply: VisitReply, deps: AttemptDeps) -> None:
    slot = str(delay.slot) if delay.slot else None
    logger.info("attempt waits for its turn", generation_id=generation.id, turn=slot, until=rfc3339(delay.until))
    try:
        deps.generations.save_delay(generation, delay.until, delay.slot.candidate if delay.slot else None)
    except Exception:
        # It is for the reader of the generation; the attempt waits all the same.
        logger.exception("delay was not written", generation_id=generation.id)
    reply.await_slot(generation, delay)


def _record_health(
    generation: Generation, current: Attempt, end: Done | Failed | Cancelled, deps: AttemptDeps, now: datetime
) -> None:
    """Record in the provider's health how an attempt ended at `now`. A failed write is only logged: it must not keep
    the attempt from ending."""
    scope = health_scope(generation, current.model, current.key)
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
    reply: VisitReply,
    end: Done | Failed | Cancelled,
    deps: AttemptDeps,
    *,
    poll: Poll = FIRST_POLL,
) -> None:
    """Reply with how the attempt ended, or have the workflow try the next candidate. Safe to repeat.

    `poll`: the poll that brought the end. It decides what happens when no execution waits on the token any more."""
    now = deps.clock()
    match decide_conclusion(generation, end, now):
        case TryNext(failure):
            # First, because the choice of the next candidate depends on it.
            _record_health(generation, current, end, deps, now)
            # With a task token, the failure travels with the answer, and the next visit writes it together with its own
            # attempt. Nothing is written here, so no crash can leave an ended attempt that the workflow knows not of.
            delivered = reply.try_next(generation, current, _failed_attempt(generation, current, failure, deps))
            _ensure_delivered(delivered, generation, current, poll, deps)
        case Answer(must_be_read):
            # First, because a result is worth more than what it says about its provider.
            delivered = reply.conclude(generation, current, end)
            _record_health(generation, current, end, deps, now)
            if must_be_read:
                _ensure_delivered(delivered, generation, current, poll, deps)


def staged_outcome(generation: Generation, current: Attempt, end: Done | Failed | Cancelled, media: Media) -> Outcome:
    """The outcome of an ended attempt. Bytes that the provider sent are stored first."""
    outputs = tuple(
        OutputLocation(url=output.url)
        if output.data is None
        else OutputLocation(key=media.stage(generation.id, current.id, number, output.data))
        for number, output in enumerate(end.outputs if isinstance(end, Done) else ())
    )
    return outcome_of(end, outputs, current.id)


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


def _ensure_delivered(delivered: bool, generation: Generation, current: Attempt, poll: Poll, deps: AttemptDeps) -> None:
    """Make sure that the answer has a reader: when no execution took it, poll once more, then start a new execution."""
    if delivered:
        return
    if not poll.no_waiter:
        # Either another path has answered first and the generation is being finished, or the execution is gone. The
        # delayed poll tells which.
        deps.queue.poll_later(generation.workspace_id, generation.id, current.id, Poll(no_waiter=True), FINISH_SECONDS)
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
    poll: Poll,
    deps: AttemptDeps,
) -> None:
    """Act on the progress of an attempt, as a webhook or a poll reports it. A pending job is polled again later."""
    match progress:
        case Done() | Failed() | Cancelled() as end:
            conclude_attempt(generation, current, TokenReply(callback.task_token, deps), end, deps, poll=poll)
        case Pending() | Unknown() if not generation.is_open:
            if poll.is_first_without_waiter and callback.reference is not None:
                # Count the time-out in the provider's health once: at the poll that the expiry itself queues. A
                # submission without an answer was counted when it happened.
                silent = Failed(ErrorClass.TIMEOUT_STARTED, "No answer before the deadline.")
                _record_health(generation, current, silent, deps, deps.clock())
            _poll_late(generation, current, callback, poll, deps)
        case Pending() | Unknown():
            if isinstance(progress, Pending) and progress.progress >= generation.progress + PROGRESS_STEP_PERCENT:
                with suppress(GenerationChanged):
                    deps.generations.save_progress(generation, replace(generation, progress=progress.progress))
            delay = poll.delay_seconds(deps.poll_seconds)
            deps.queue.poll_later(generation.workspace_id, generation.id, current.id, poll.next(), delay)


def _poll_late(generation: Generation, current: Attempt, callback: TaskCallback, poll: Poll, deps: AttemptDeps) -> None:
    """Poll an expired attempt with growing delay, for at most an hour. The credits are released already; the result may
    still come."""
    overdue_seconds = int((deps.clock() - generation.deadline_at).total_seconds())
    if overdue_seconds >= LATE_POLLING_SECONDS_MAX:
        # This was the last poll. An execution that still waits is released.
        deps.workflow.succeed(callback.task_token, Outcome("unknown").as_data())
        return
    # The delay is the time since the deadline, so it doubles from poll to poll.
    delay = min(max(overdue_seconds, deps.poll_seconds), LATE_POLL_DELAY_SECONDS_MAX)
    deps.queue.poll_later(generation.workspace_id, generation.id, current.id, poll.next(), delay)


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
            apply_progress(generation, current, callback, event.progress, FIRST_POLL, deps)
            return True
    return False


@dataclass(frozen=True, slots=True)
class TokenReply:
    """The reply to an execution that waits on a task token. The token is answered now, or saved with the attempt, so
    that a webhook or a poll answers it later."""

    task_token: str
    deps: AttemptDeps

    def has_time_for(self, run_seconds: int) -> bool:
        return True

    def answer(self, generation: Generation, outcome: Outcome) -> None:
        self.deps.workflow.succeed(self.task_token, outcome.as_data())

    def conclude(self, generation: Generation, current: Attempt, end: Done | Failed | Cancelled) -> bool:
        outcome = staged_outcome(generation, current, end, self.deps.media)
        return self.deps.workflow.succeed(self.task_token, outcome.as_data())

    def try_next(self, generation: Generation, current: Attempt, failed: AttemptFailed) -> bool:
        return self.deps.workflow.try_next(self.task_token, failed)

    def await_slot(self, generation: Generation, delay: Delay) -> None:
        seconds = max(ceil((delay.until - self.deps.clock()).total_seconds()), 1)
        self.deps.queue.resume_later(generation.workspace_id, generation.id, self.task_token, delay.slot, seconds)

    def await_result(self, generation: Generation, current: Attempt, reference: str | None) -> None:
        deps, ids = self.deps, (generation.workspace_id, generation.id)
        # An earlier visit may have saved a reference or an outcome before it died; they stay.
        callback = deps.generations.save_callback(*ids, TaskCallback(current.id, self.task_token, reference))
        if callback.outcome is not None:
            deps.workflow.succeed(self.task_token, callback.outcome)
            return
        deps.queue.poll_later(*ids, current.id, FIRST_POLL, deps.poll_seconds)
        # A webhook may have arrived before the task token was saved; the function that read it then found none.
        read_inbox(generation, current, callback, deps)
