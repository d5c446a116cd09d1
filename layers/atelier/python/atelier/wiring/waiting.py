"""Bounds for long requests, composed: how many of one account may keep a worker busy at once, over all instances."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

from atelier.adapters.aws.dynamodb.wait_slots import DynamoWaitSlots
from atelier.clock import system_clock
from atelier.errors import RateLimited
from atelier.generations.wait import WAIT_SECONDS_MAX, wait_slot
from atelier.settings import RequestsTable, WaitLimits

RETRY_AFTER_SECONDS = 5


@cache
def _slots() -> DynamoWaitSlots:
    slots = DynamoWaitSlots()
    slots.bind(RequestsTable.read().name)
    return slots


def bounded_wait(user_id: str, seconds: int) -> AbstractContextManager[bool]:
    """A context in which one more request of an account waits for its result; False when too many wait already."""
    return wait_slot(user_id, WaitLimits.read().concurrent_waits_max, seconds, slots=_slots(), now=system_clock())


@contextmanager
def bounded_outside_request(user_id: str) -> Generator[None]:
    """A context in which a request waits for a server that its caller has named. Raises RateLimited when too many
    requests of the account do so already."""
    limit = WaitLimits.read().concurrent_waits_max
    with wait_slot(f"outside#{user_id}", limit, WAIT_SECONDS_MAX, slots=_slots(), now=system_clock()) as may_wait:
        if not may_wait:
            raise RateLimited(limit=limit, retry_after_seconds=RETRY_AFTER_SECONDS)
        yield
