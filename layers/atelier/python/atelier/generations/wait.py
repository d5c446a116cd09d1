"""Wait for a generation's end, for callers who would rather wait a little than ask again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from atelier.clock import Clock
from atelier.generations.model import Generation
from atelier.generations.ports import GenerationStore

WAIT_SECONDS_MAX = 25
FIRST_LOOK_SECONDS = 0.2
LOOK_SECONDS_MAX = 1.0


def wait_for_end(
    generation: Generation,
    asked_at: datetime,
    seconds: int,
    *,
    generations: GenerationStore,
    sleep: Callable[[float], None],
    clock: Clock,
) -> Generation:
    """The generation once it is final, or as it stands `seconds` after the request came (at most 25: the gateway gives
    up at 29)."""
    until = asked_at + timedelta(seconds=min(seconds, WAIT_SECONDS_MAX))
    pause = FIRST_LOOK_SECONDS
    while generation.is_open and clock() < until:
        sleep(pause)
        pause = min(pause * 1.3, LOOK_SECONDS_MAX)
        generation = generations.get(generation.workspace_id, generation.id)
    return generation
