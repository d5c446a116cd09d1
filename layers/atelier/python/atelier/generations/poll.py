"""The second path to every asynchronous result: ask the provider, in case its webhook is late, lost or never sent."""

from __future__ import annotations

from dataclasses import replace

from atelier.errors import NotFound
from atelier.generations.attempt import Attempting, advance, conclude, read_inbox
from atelier.generations.model import Attempt, Generation
from atelier.generations.ports import Callback
from atelier.generations.run import stop_stage
from atelier.providers._contract import Cancelled, CancelResult, Done, Failed, Unknown


def poll(workspace_id: str, generation_id: str, attempt_id: str, polls: int, *, to: Attempting) -> None:
    """Ask about one attempt; does nothing when no result of it is awaited any more. Safe to repeat."""
    found = _waiting(workspace_id, generation_id, attempt_id, to)
    if found is None:
        return
    generation, current, callback = found
    provider = to.provider(generation, current)
    if provider is None:
        # Its secret is gone for now; the job is not.
        advance(generation, current, callback, Unknown("the provider is not set up"), polls, to)
        return
    # What makes the work again, or is to recognise it, must see all that it was made from.
    job = to.job(generation, current, with_files=provider.resend_safe or callback.reference is None)
    if callback.reference is None:
        # The submission's answer was lost: the job may exist. Found, it is followed; not found, it is waited for
        # until the deadline, and never sent again.
        reference = provider.find(job)
        if reference is None:
            advance(generation, current, callback, Unknown("not found yet"), polls, to)
            return
        callback = replace(callback, reference=reference)
        to.generations.save_callback(workspace_id, generation_id, callback)
    assert callback.reference is not None
    if generation.cancel_requested_at is not None and _stopped(generation, current, callback, to):
        return
    advance(generation, current, callback, provider.poll(callback.reference, job), polls, to)


def wake(workspace_id: str, generation_id: str, attempt_id: str, *, to: Attempting) -> None:
    """A webhook of this attempt is in the inbox: act on it, if the attempt waits."""
    found = _waiting(workspace_id, generation_id, attempt_id, to)
    if found is not None:
        read_inbox(*found, to)


def stop(workspace_id: str, generation_id: str, *, to: Attempting) -> None:
    """Carry a requested cancellation to the provider of the open attempt, if there is one that can; a run's to its
    stage under way."""
    try:
        generation = to.generations.get(workspace_id, generation_id)
    except NotFound:
        return
    if generation.pipeline is not None:
        stop_stage(generation, generations=to.generations, now=to.clock())
        return
    current = generation.attempt
    found = _waiting(workspace_id, generation_id, current.id, to) if current else None
    if found is None:
        return  # Nothing is out, or its callback is not saved yet: then the first poll carries the cancellation.
    _stopped(*found, to)


def _stopped(generation: Generation, current: Attempt, callback: Callback, to: Attempting) -> bool:
    provider = to.provider(generation, current)
    if (
        provider is None
        or callback.reference is None
        or provider.cancel(callback.reference) is not CancelResult.CANCELLED
    ):
        return False
    # The provider's last word says what the run cost up to here.
    progress = provider.poll(callback.reference, to.job(generation, current, with_files=provider.resend_safe))
    end = progress if isinstance(progress, Done | Failed | Cancelled) else Cancelled()
    conclude(generation, current, callback.task_token, end, to)
    return True


def _waiting(
    workspace_id: str, generation_id: str, attempt_id: str, to: Attempting
) -> tuple[Generation, Attempt, Callback] | None:
    try:
        generation = to.generations.get(workspace_id, generation_id)
    except NotFound:
        return None
    current = generation.awaited
    if current is None or current.id != attempt_id:
        return None
    callback = to.generations.callback(workspace_id, generation_id, attempt_id)
    return None if callback is None else (generation, current, callback)
