"""Wait for the end of a generation within the request, so that the caller need not poll."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.errors import RateLimited, Unavailable
from atelier.generations.model import Generation
from atelier.generations.ports import GenerationStore

WAIT_SECONDS_MAX = 25
# Pauses between two reads of the generation: a seventh of the time waited so far, so that its end is seen that much
# later at most. A wait of ten seconds reads 30 times, which costs a twentieth of the time of the function that waits.
READ_DELAY_SECONDS_MIN = 0.07
READ_DELAY_SECONDS_MAX = 1.0
READ_DELAY_SHARE = 1 / 7
# A lease lasts this much longer than its wait, for the last read and for clocks that differ.
LEASE_MARGIN = timedelta(seconds=5)
RETRY_AFTER_SECONDS = 5


class WaitSlots(Protocol):
    """Bounds how many requests of one subject wait at the same time, over all instances. A lease ends by itself at
    `until`."""

    def lease(self, subject: str, limit: int, until: datetime, now: datetime) -> str | None:
        """Lease one of `limit` slots and return its name; None when all are taken. Raises Unavailable."""
        ...

    def end_lease(self, subject: str, slot: str, until: datetime) -> None:
        """End a lease before its time. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class WaitDeps:
    """The dependencies of waiting for a generation. waits_max: how many requests of one account may wait at the same
    time. sleep: pauses for so many seconds."""

    generations: GenerationStore
    slots: WaitSlots
    waits_max: int
    sleep: Callable[[float], None]
    clock: Clock


def wait(
    deps: WaitDeps, generation: Generation, seconds: int, requested_at: datetime, user_id: str | None = None
) -> Generation:
    """Wait for the end of a generation, for a bounded time. When too many requests of the account wait already, the
    generation is returned at once. user_id: of the account that waits; None = the one that created it."""
    if not generation.is_open:
        return generation
    with wait_slot(
        user_id or generation.user_id, deps.waits_max, seconds, slots=deps.slots, now=deps.clock()
    ) as may_wait:
        if not may_wait:
            return generation
        return wait_for_end(
            generation, requested_at, seconds, generations=deps.generations, sleep=deps.sleep, clock=deps.clock
        )


@contextmanager
def wait_slot(subject: str, limit: int, seconds: int, *, slots: WaitSlots, now: datetime) -> Generator[bool]:
    """Lease a wait slot for the body of a `with`, and tell whether there was one. The waits of one subject are bounded
    because each keeps a worker busy, and all accounts share the workers. When the slots cannot be read the request may
    wait, so that this limit never takes the product down."""
    until = now + timedelta(seconds=min(seconds, WAIT_SECONDS_MAX)) + LEASE_MARGIN
    try:
        slot = slots.lease(subject, limit, until, now)
    except Unavailable:
        yield True
        return
    try:
        yield slot is not None
    finally:
        if slot is not None:
            slots.end_lease(subject, slot, until)


@contextmanager
def required_wait_slot(user_id: str, limit: int, *, slots: WaitSlots, now: datetime) -> Generator[None]:
    """Lease a wait slot while a request waits for a server that its caller has named. Raises RateLimited when `limit`
    requests of the account do so already."""
    with wait_slot(f"outside#{user_id}", limit, WAIT_SECONDS_MAX, slots=slots, now=now) as may_wait:
        if not may_wait:
            raise RateLimited(limit=limit, retry_after_seconds=RETRY_AFTER_SECONDS)
        yield


def wait_for_end(
    generation: Generation,
    requested_at: datetime,
    seconds: int,
    *,
    generations: GenerationStore,
    sleep: Callable[[float], None],
    clock: Clock,
) -> Generation:
    """The generation once it is final, or in its state `seconds` after `asked_at`, the time of the request (at most
    25 s: the gateway's time-out is 29 s)."""
    until = requested_at + timedelta(seconds=min(seconds, WAIT_SECONDS_MAX))
    waited = 0.0
    while generation.is_open and clock() < until:
        pause = min(max(waited * READ_DELAY_SHARE, READ_DELAY_SECONDS_MIN), READ_DELAY_SECONDS_MAX)
        sleep(pause)
        waited += pause
        generation = generations.get(generation.workspace_id, generation.id)
    return generation
