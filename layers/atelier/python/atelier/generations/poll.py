"""Poll providers and carry cancellations to them. Polling is the second path to every asynchronous result, for webhooks
that are late, lost or never sent."""

from __future__ import annotations

from dataclasses import replace

from atelier.errors import NotFound
from atelier.generations.attempt import TokenReply, apply_progress, conclude_attempt, read_inbox
from atelier.generations.attempt_deps import AttemptDeps
from atelier.generations.attempt_messages import Poll
from atelier.generations.model import Attempt, Generation
from atelier.generations.pipeline_run import cancel_stage
from atelier.generations.ports import TaskCallback
from atelier.provider_port import Cancelled, CancelResult, Done, Failed, Unknown


def poll(workspace_id: str, generation_id: str, attempt_id: str, due: Poll, *, deps: AttemptDeps) -> None:
    """Make the poll that is due: ask the provider about one attempt. Does nothing when its result is no longer awaited.
    Safe to repeat."""
    found = _find_awaited(workspace_id, generation_id, attempt_id, deps)
    if found is None:
        return
    generation, current, callback = found
    if callback.outcome is not None:
        # A visit has stored the outcome and died, or the execution began to wait just then.
        deps.workflow.succeed(callback.task_token, callback.outcome)
        return
    provider = deps.provider(generation, current)
    if provider is None:
        # The platform's key is missing at the moment, but the job may still run: poll again later.
        apply_progress(generation, current, callback, Unknown("the provider is not set up"), due, deps)
        return
    # A provider that repeats the work, or has to find the job by its content, needs the input files as well.
    job = deps.job(generation, current, with_files=provider.resend_safe or callback.reference is None)
    if callback.reference is None:
        # The answer to the submission was lost, so the job may exist. If the provider finds it, it is polled from now
        # on; otherwise it is looked for until the deadline, and never sent again.
        reference = provider.find(job)
        if reference is None:
            apply_progress(generation, current, callback, Unknown("not found yet"), due, deps)
            return
        callback = replace(callback, reference=reference)
        deps.generations.save_callback(workspace_id, generation_id, callback)
    assert callback.reference is not None
    if generation.cancel_requested_at is not None and _try_cancel(generation, current, callback, deps):
        return
    apply_progress(generation, current, callback, provider.poll(callback.reference, job), due, deps)


def act_on_webhooks(workspace_id: str, generation_id: str, attempt_id: str, *, deps: AttemptDeps) -> None:
    """Act on the webhooks that are stored for this attempt, if its result is still awaited."""
    found = _find_awaited(workspace_id, generation_id, attempt_id, deps)
    if found is not None:
        read_inbox(*found, deps)


def cancel_at_provider(workspace_id: str, generation_id: str, *, deps: AttemptDeps) -> None:
    """Carry a requested cancellation to the provider of the running attempt; for a run, to its running stage."""
    try:
        generation = deps.generations.get(workspace_id, generation_id)
    except NotFound:
        return
    if generation.pipeline is not None:
        cancel_stage(generation, generations=deps.generations, now=deps.clock())
        return
    current = generation.attempt
    found = _find_awaited(workspace_id, generation_id, current.id, deps) if current else None
    if found is None:
        return  # No job is running, or its task token is not saved yet: then the first poll carries the cancellation.
    _try_cancel(*found, deps)


def _try_cancel(generation: Generation, current: Attempt, callback: TaskCallback, deps: AttemptDeps) -> bool:
    provider = deps.provider(generation, current)
    if (
        provider is None
        or callback.reference is None
        or provider.cancel(callback.reference) is not CancelResult.CANCELLED
    ):
        return False
    # One more poll after the cancellation reads what the provider bills for the work so far.
    progress = provider.poll(callback.reference, deps.job(generation, current, with_files=provider.resend_safe))
    end = progress if isinstance(progress, Done | Failed | Cancelled) else Cancelled()
    conclude_attempt(generation, current, TokenReply(callback.task_token, deps), end, deps)
    return True


def _find_awaited(
    workspace_id: str, generation_id: str, attempt_id: str, deps: AttemptDeps
) -> tuple[Generation, Attempt, TaskCallback] | None:
    try:
        generation = deps.generations.get(workspace_id, generation_id)
    except NotFound:
        return None
    current = generation.awaited_attempt
    if current is None or current.id != attempt_id:
        return None
    callback = deps.generations.callback(workspace_id, generation_id, attempt_id)
    # Without a token, no execution waits yet: the one that will reads what has come until then.
    return (generation, current, callback) if callback is not None and callback.task_token else None
