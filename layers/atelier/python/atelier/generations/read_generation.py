"""Read a generation, and wait for its end within the request if the caller wants that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.caller import Caller
from atelier.dataclass import dataclass
from atelier.generations.model import Generation
from atelier.generations.ports import GenerationStore


@dataclass(frozen=True, slots=True)
class ReadDeps:
    """The dependencies of reading a generation. wait(generation, seconds, requested_at, user_id): the generation after
    waiting for its end, for a bounded time."""

    generations: GenerationStore
    wait: Callable[[Generation, int, datetime, str], Generation]


@dataclass(frozen=True, slots=True)
class ReadGeneration:
    """A generation. `waited_seconds`: how long the caller would have waited for its end, if it has ended; None = the
    caller did not want to wait, or it goes on."""

    generation: Generation
    waited_seconds: int | None


def read_generation(
    deps: ReadDeps, caller: Caller, generation_id: str, wait_seconds: int | None, now: datetime
) -> ReadGeneration:
    """The generation as it is now, or at its end if that comes within `wait_seconds`. Raises NotFound."""
    generation = deps.generations.get(caller.workspace_id, generation_id)
    if not wait_seconds:
        return ReadGeneration(generation, None)
    generation = deps.wait(generation, wait_seconds, now, caller.user_id)
    return ReadGeneration(generation, None if generation.is_open else wait_seconds)
