"""Bounds for long requests, composed: how many of one account may keep a worker busy at once, over all instances."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from atelier.adapters.aws.dynamodb.wait_slots import DynamoWaitSlots
from atelier.clock import system_clock
from atelier.generations.wait import required_wait_slot
from atelier.settings import RequestsTable, WaitLimits


@cache
def slots() -> DynamoWaitSlots:
    """The wait slots of this deployment."""
    store = DynamoWaitSlots()
    store.bind(RequestsTable.read().name)
    return store


def bounded_outside_request(user_id: str) -> AbstractContextManager[None]:
    """A context in which a request waits for a server that its caller has named. Raises RateLimited when too many
    requests of the account do so already."""
    return required_wait_slot(user_id, WaitLimits.read().concurrent_waits_max, slots=slots(), now=system_clock())
