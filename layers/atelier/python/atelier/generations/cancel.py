"""Cancel a generation: it is final at once while nothing was sent; afterwards the provider is asked to stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from atelier.errors import Conflict
from atelier.generations.finish import CloseDeps, cancel_unsent
from atelier.generations.model import Generation, Status
from atelier.generations.ports import GenerationChanged
from atelier.retrying import LostRace, retrying

TRIES_MAX = 10


def cancel(workspace_id: str, generation_id: str, *, deps: CloseDeps, now: datetime) -> Generation:
    """The generation after the request: cancelled, or running with `cancel_requested_at` set. Repeating it changes
    nothing. Raises NotFound, or Conflict when it ended in another way before."""

    def attempt() -> Generation:
        generation = deps.generations.get(workspace_id, generation_id)
        if generation.parent_id is not None:
            # A stage is a part of its run, so the whole run is cancelled.
            return cancel(workspace_id, generation.parent_id, deps=deps, now=now)
        if generation.status is Status.CANCELLED or (generation.is_open and generation.cancel_requested_at):
            return generation
        if not generation.is_open:
            raise Conflict(f"This generation is {generation.status} already.", status=generation.status.value)
        if not generation.begun_count or (generation.attempts and generation.awaited_attempt is None):
            # Nothing is at a provider. An attempt that begins in parallel makes this write fail; the next pass then
            # requests the cancellation.
            ended = cancel_unsent(generation, deps=deps, now=now)
            if ended.status is not Status.CANCELLED:
                raise LostRace
            return ended
        requested = replace(generation, cancel_requested_at=now)
        deps.generations.save_progress(generation, requested)
        return requested

    busy = "This generation is changing quickly. Try again."
    return retrying(attempt, on=(GenerationChanged, LostRace), busy=busy, tries_max=TRIES_MAX)
