"""How many requests of one account that keep a worker busy for long may be under way at once, over all instances."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

from atelier.aws.dynamodb.wait_slots import DynamoWaitSlots
from atelier.clock import system_clock
from atelier.errors import RateLimited
from atelier.generations.wait import WAIT_SECONDS_MAX, wait_slot
from atelier.settings import RequestsTable, Waiting

RETRY_AFTER_SECONDS = 5


@cache
def _slots() -> DynamoWaitSlots:
    slots = DynamoWaitSlots()
    slots.bind(RequestsTable.read().name)
    return slots


def wait_of(user_id: str, seconds: int) -> AbstractContextManager[bool]:
    """Whether one more request of an account may wait for its result."""
    return wait_slot(user_id, Waiting.read().at_once, seconds, slots=_slots(), now=system_clock())


@contextmanager
def request_to_others(user_id: str) -> Generator[None]:
    """While a request waits for a server that its caller named. Raises RateLimited when so many of an account do."""
    limit = Waiting.read().at_once
    with wait_slot(f"outside#{user_id}", limit, WAIT_SECONDS_MAX, slots=_slots(), now=system_clock()) as may_wait:
        if not may_wait:
            raise RateLimited(limit=limit, retry_after_seconds=RETRY_AFTER_SECONDS)
        yield
