"""Wait for a generation's end, for callers who would rather wait a little than ask again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from atelier.clock import Clock
from atelier.errors import Unavailable
from atelier.generations.model import Generation
from atelier.generations.ports import GenerationStore

WAIT_SECONDS_MAX = 25
FIRST_LOOK_SECONDS = 0.2
LOOK_SECONDS_MAX = 1.0
# A lease outlives its wait by this much: the last look, and clocks that differ.
LEASE_SPARE = timedelta(seconds=5)


class WaitSlots(Protocol):
    """Bounds how many of a subject's requests wait at once, over all instances. A lease ends by itself at `until`."""

    def take(self, subject: str, limit: int, until: datetime, now: datetime) -> str | None:
        """Take a free one of `limit` slots; None when there is none. Raises Unavailable."""
        ...

    def give_back(self, subject: str, slot: str, until: datetime) -> None:
        """End a lease. Raises nothing."""
        ...


@contextmanager
def wait_slot(subject: str, limit: int, seconds: int, *, slots: WaitSlots, now: datetime) -> Generator[bool]:
    """Whether `subject` may have one more request wait for this long: each keeps a worker busy, and all
    accounts share them. When the slots cannot be read it may, so that this limit never takes the product down."""
    until = now + timedelta(seconds=min(seconds, WAIT_SECONDS_MAX)) + LEASE_SPARE
    try:
        slot = slots.take(subject, limit, until, now)
    except Unavailable:
        yield True
        return
    try:
        yield slot is not None
    finally:
        if slot is not None:
            slots.give_back(subject, slot, until)


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
