"""Try the next candidate: write the attempt, send it to the provider, and answer or leave a way to be woken.

Crash points (reliability.md): C4 the attempt is saved and nothing was sent; C5 the provider has it and we do not know.
Both look the same here, so an attempt found half done is never sent again unless the provider is safe to resend to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from math import ceil
from zlib import crc32

from atelier.clock import Clock
from atelier.errors import NotFound
from atelier.frozen import dataclass
from atelier.generations.bill import bill
from atelier.generations.model import Attempt, AttemptStatus, Generation, Sources
from atelier.generations.outcome import FINAL_CLASSES, Outcome, outcome_of, source_gone, source_unusable, unavailable
from atelier.generations.ports import (
    AttemptQueue,
    Callback,
    GenerationMoved,
    GenerationStore,
    InputUnusable,
    Lost,
    Media,
    StoredOutput,
    WebhookInbox,
    Workflow,
)
from atelier.generations.turn import Choice, Turn, Wait, scope_of
from atelier.ids import new_id
from atelier.pricing.candidates import candidate_parts
from atelier.pricing.catalogue import Catalogue
from atelier.pricing.model import inputs_for
from atelier.providers._contract import (
    Accepted,
    Cancelled,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    Pending,
    Progress,
    Provider,
    Unknown,
    WebhookInvalid,
)
from atelier.routing.book import HealthBook
from atelier.routing.places import Places
from atelier.telemetry import count, logger

# Percent; a smaller step is not worth a write.
PROGRESS_STEP = 10
# A number of polls that no attempt reaches by asking: it marks a poll about a result that nobody had waited for.
UNHEARD = 1000
# Within this time whoever was faster has made the end.
FINISH_SECONDS = 60
# How long after its deadline an attempt is still asked about, and the longest wait between two questions (SQS's own).
LATE_SECONDS_MAX = 3600
LATE_POLL_SECONDS_MAX = 900


@dataclass(frozen=True, slots=True)
class Attempting:
    """The collaborators of everything that happens around an attempt."""

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
    health: HealthBook
    places: Places
    # The adapter made with a workspace's own key (workspace, provider, key id); None when the key cannot be used.
    own_provider: Callable[[str, str, str], Provider | None]

    def provider(self, generation: Generation, attempt: Attempt) -> Provider | None:
        """The adapter of an attempt, with the access that it is made with."""
        if attempt.key is None:
            return self.providers.get(attempt.provider)
        return self.own_provider(generation.workspace_id, attempt.provider, attempt.key)

    def run_seconds(self, model: str, generation: Generation) -> int:
        """How long a model may run for a generation."""
        return self.catalogue.model(model).run_seconds(generation.recipe.parameters)

    def job(self, generation: Generation, attempt: Attempt, *, with_files: bool = True) -> Job:
        """The attempt's work in the provider's terms; without its files where only its result is asked for. Raises
        NotFound when a file is gone, InputUnusable when one will not do."""
        model = self.catalogue.model(attempt.model)
        recipe = generation.recipe
        # A later candidate may know other parameters than the first; a seed of its own is the same in every visit.
        parameters = self.catalogue.parameters_for(
            attempt.model, recipe.parameters, seed=crc32(generation.id.encode()), facts=recipe.facts
        )
        # What another account's webhooks are signed with we do not know: an attempt with an own key is polled.
        is_told = model.supports_webhook and attempt.key is None
        return Job(
            attempt_id=attempt.id,
            kind=recipe.kind,
            model=attempt.model,
            prompt=recipe.prompt,
            negative_prompt=recipe.negative_prompt,
            parameters=parameters,
            settings=model.settings,
            webhook_url=self.webhook_url(generation, attempt) if is_told else None,
            run_seconds_max=model.run_seconds(parameters),
            inputs=self._inputs(generation.workspace_id, inputs_for(model, recipe.inputs)) if with_files else {},
        )

    def _inputs(self, workspace_id: str, sources: Sources) -> dict[str, tuple[Input, ...]]:
        inputs = {
            role: tuple(self.media.input(workspace_id, each) for each in given) for role, given in sources.items()
        }
        pictures = inputs.get("image") or inputs.get("reference")
        if pictures and (masks := inputs.get("mask")):
            inputs["mask"] = tuple(self.media.mask(mask, pictures[0]) for mask in masks)
        return inputs


def attempt(
    workspace_id: str, generation_id: str, task_token: str, *, lost: Lost | None = None, to: Attempting
) -> None:
    """One visit of the workflow's attempt step. Always ends with the task answered, or with the callback saved so that
    a webhook, a poll or the deadline answers it."""
    seen = to.generations.get(workspace_id, generation_id)
    generation = seen
    if lost and seen.attempt and seen.attempt.id == lost.attempt_id:
        generation = seen.billed(lost.cost_microusd, lost.cost_source)
        generation = generation.attempt_ended(AttemptStatus.FAILED, to.clock(), lost.error_class)
    current = generation.attempt
    if generation.awaited is not None:
        provider = to.provider(generation, generation.awaited)
        if provider is None or not provider.resend_safe:
            # It may be out: it is waited for, and a cancellation that is asked for reaches it by the first poll. After
            # the deadline too, as long as its result may still come.
            _await(generation, generation.awaited, task_token, None, to)
            return
    if not generation.is_open or generation.cancel_requested_at is not None:
        _tell(seen, generation, to)
        to.workflow.succeed(task_token, Outcome("cancelled").as_data())
        return
    if current is None or current.ended_at is not None:
        turn = Turn.read(lost.turn) if lost and lost.turn else None
        chosen = Choice(
            generation, to.health, to.places, lambda model: to.run_seconds(model, generation), to.clock()
        ).next(turn)
        if not isinstance(chosen, str):
            _tell(seen, generation, to)
            if chosen is None:
                to.workflow.succeed(task_token, unavailable(current.error_class if current else None).as_data())
            else:
                _wait(generation, chosen, task_token, to)
            return
        model, key = candidate_parts(chosen)
        begun = Attempt(
            new_id("att", to.clock()),
            model.partition("/")[0],
            model,
            AttemptStatus.SUBMITTING,
            to.clock(),
            key=key,
        )
        after = generation.attempting(begun)
        # All that the sending needs is fetched before: who dies after this write leaves an attempt that may be out.
        provider = to.provider(after, begun)
        try:
            job = to.job(after, begun)
        except NotFound:
            _tell(seen, generation, to)
            to.workflow.succeed(task_token, source_gone().as_data())
            return
        except InputUnusable as refusal:
            _tell(seen, generation, to)
            to.workflow.succeed(task_token, source_unusable(str(refusal)).as_data())
            return
        try:
            to.generations.save_progress(seen, after)
        except GenerationMoved:
            after = to.generations.get(workspace_id, generation_id)
            if after.attempt is None or after.attempt.id != begun.id:
                # Cancelled, expired, or another visit was faster: the next visit decides on what is written now.
                raise
            # Our own write, whose answer was lost.
        generation, current = after, begun
    else:
        job, provider = to.job(generation, current), to.provider(generation, current)
    if provider is None:
        refusal = Failed(ErrorClass.AUTH, "This provider is not set up here.")
        conclude(generation, current, task_token, refusal, to)
        return
    match provider.submit(job):
        case Accepted(reference):
            _await(generation, current, task_token, reference, to)
        case Unknown() as silence:
            _note(generation, current, Failed(ErrorClass.UNKNOWN_OUTCOME, silence.message), to)
            _await(generation, current, task_token, None, to)
        case Done() | Failed() as end:
            conclude(generation, current, task_token, end, to)


def _tell(seen: Generation, generation: Generation, to: Attempting) -> None:
    """Write how the attempt before this visit ended where no attempt of its own is written with it."""
    if generation is not seen and generation.is_open:
        to.generations.save_progress(seen, generation)


def _wait(generation: Generation, wait: Wait, task_token: str, to: Attempting) -> None:
    seconds = max(ceil((wait.until - to.clock()).total_seconds()), 1)
    turn = str(wait.turn) if wait.turn else None
    logger.info("attempt waits for its turn", generation_id=generation.id, turn=turn, seconds=seconds)
    to.queue.try_later(generation.workspace_id, generation.id, task_token, turn, seconds)


def _note(generation: Generation, current: Attempt, end: Done | Failed | Cancelled, to: Attempting) -> None:
    """Tell the health book how an attempt ended. What cannot be told must not keep the attempt from its end."""
    scope, now = scope_of(generation, current.model, current.key), to.clock()
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
            to.health.succeeded(scope, latency_ms, started_at=current.started_at, now=now)
        elif isinstance(end, Failed):
            count("AttemptsFailed", Provider=current.provider, ErrorClass=end.error_class)
            to.health.failed(
                scope,
                end.error_class,
                end.message,
                retry_after_seconds=end.retry_after_seconds,
                provider_wide=end.provider_wide,
                started_at=current.started_at,
                now=now,
            )
        else:
            to.health.undecided(scope, started_at=current.started_at, now=now)
    except Exception:
        logger.exception("health was not written", provider=current.provider)


def conclude(
    generation: Generation,
    current: Attempt,
    task_token: str,
    end: Done | Failed | Cancelled,
    to: Attempting,
    *,
    polls: int = 0,
) -> None:
    """Answer the waiting task with how the attempt ended, or send it on to the next candidate. Safe to repeat."""
    _note(generation, current, end, to)
    wanted = generation.cancel_requested_at is None
    if isinstance(end, Failed) and generation.is_open and wanted and _goes_on(generation, end, to):
        # The next visit records the failure together with its own attempt: nothing is written in between, so there is
        # no state in which the attempt has ended and nobody was told.
        heard = to.workflow.try_next(task_token, _lost(generation, current, end, to))
        _answered(heard, generation, current, polls, to)
        return
    outputs: tuple[StoredOutput, ...] = ()
    if isinstance(end, Done):
        outputs = tuple(
            StoredOutput(url=output.url)
            if output.data is None
            else StoredOutput(key=to.media.stage(generation.id, current.id, number, output.data))
            for number, output in enumerate(end.outputs)
        )
    heard = to.workflow.succeed(task_token, outcome_of(end, outputs, current.id).as_data())
    if generation.is_open or (isinstance(end, Done) and wanted):
        _answered(heard, generation, current, polls, to)


def _goes_on(generation: Generation, end: Failed, to: Attempting) -> bool:
    """Whether after this failure somebody may still be tried; the same candidate too, where it only takes no more
    requests for now."""
    if end.error_class in FINAL_CLASSES:
        return False
    return generation.attempt_ended(AttemptStatus.FAILED, to.clock(), end.error_class).next_candidate is not None


def _lost(generation: Generation, current: Attempt, end: Failed, to: Attempting) -> Lost:
    """What the next visit is told; what was billed for nothing is told too."""
    billed = bill(
        generation,
        current,
        end.error_class,
        to.catalogue,
        usage=end.usage,
        reported_microusd=end.cost_microusd,
    )
    return Lost(current.id, end.error_class, cost_microusd=billed.cost_microusd, cost_source=billed.cost_source)


def _answered(heard: bool, generation: Generation, current: Attempt, polls: int, to: Attempting) -> None:
    if heard:
        return
    if polls < UNHEARD:
        # Either somebody else was faster and the end is being made, or the execution is gone: time tells.
        to.queue.poll_later(generation.workspace_id, generation.id, current.id, UNHEARD, FINISH_SECONDS)
        return
    # It is gone (timed out, or the emulator was restarted) and the result is still wanted. A new execution waits for
    # the same attempt, and its first poll brings the same answer to somebody who listens.
    if generation.parent_id is not None and generation.is_open:
        # With its run, which goes on afterwards.
        to.workflow.start_run(generation.workspace_id, generation.parent_id, again=current.id)
        return
    again = current.id if generation.is_open else f"{current.id}-late"
    to.workflow.start(generation.workspace_id, generation.id, again=again)


def advance(
    generation: Generation, current: Attempt, callback: Callback, progress: Progress, polls: int, to: Attempting
) -> None:
    """Act on what a webhook or a poll says of an open attempt; a job still pending is asked again later."""
    match progress:
        case Done() | Failed() | Cancelled() as end:
            conclude(generation, current, callback.task_token, end, to, polls=polls)
        case Pending() | Unknown() if not generation.is_open:
            if polls == UNHEARD and callback.reference is not None:
                # The one question that each expiry asks. Who was silent from the start has its mark from then.
                _note(generation, current, Failed(ErrorClass.TIMEOUT_STARTED, "No answer before the deadline."), to)
            _ask_late(generation, current, callback, polls, to)
        case Pending() | Unknown():
            if isinstance(progress, Pending) and progress.progress >= generation.progress + PROGRESS_STEP:
                with suppress(GenerationMoved):
                    to.generations.save_progress(generation, replace(generation, progress=progress.progress))
            delay = min(to.poll_seconds * 2 ** min(polls, 6), 60)
            to.queue.poll_later(generation.workspace_id, generation.id, current.id, polls + 1, delay)


def _ask_late(generation: Generation, current: Attempt, callback: Callback, polls: int, to: Attempting) -> None:
    """Time was up and the credits are back; the result may still come, ever less likely."""
    overdue_seconds = int((to.clock() - generation.deadline_at).total_seconds())
    if overdue_seconds >= LATE_SECONDS_MAX:
        # Nobody asks any more. An execution that still waits must not do so for nothing.
        to.workflow.succeed(callback.task_token, Outcome("unknown").as_data())
        return
    # As long again as it has taken so far.
    delay = min(max(overdue_seconds, to.poll_seconds), LATE_POLL_SECONDS_MAX)
    to.queue.poll_later(generation.workspace_id, generation.id, current.id, polls + 1, delay)


def read_inbox(generation: Generation, current: Attempt, callback: Callback, to: Attempting) -> bool:
    """Act on a kept webhook that ends the attempt; True when there was one."""
    provider = to.provider(generation, current)
    if provider is None:
        return False
    for kept in to.inbox.find(current.provider, current.id):
        try:
            event = provider.parse_webhook(
                kept.headers,
                kept.body,
                int(kept.received_at.timestamp()),
                to.job(generation, current, with_files=False),
            )
        except WebhookInvalid:
            continue  # About another job, or signed with a secret that is ours no more: the poll decides.
        if callback.reference is not None and event.reference != callback.reference:
            continue  # Signed by the provider, but about another job: no business of this attempt.
        if not isinstance(event.progress, (Pending, Unknown)):
            advance(generation, current, callback, event.progress, 0, to)
            return True
    return False


def _await(generation: Generation, current: Attempt, task_token: str, reference: str | None, to: Attempting) -> None:
    if reference is None:
        # An earlier visit may have learnt it and died afterwards.
        earlier = to.generations.callback(generation.workspace_id, generation.id, current.id)
        reference = earlier.reference if earlier else None
    callback = Callback(current.id, task_token, reference)
    to.generations.save_callback(generation.workspace_id, generation.id, callback)
    to.queue.poll_later(generation.workspace_id, generation.id, current.id, 0, to.poll_seconds)
    # A webhook may have come before the callback was there to be found; its own reader then did nothing.
    read_inbox(generation, current, callback, to)
