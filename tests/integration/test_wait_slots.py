"""The limit on waiting requests of one account: over all instances, in parallel, and after a crash."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb.wait_slots import DynamoWaitSlots, WaitItem
from atelier.errors import Unavailable
from atelier.generations.wait import wait_slot
from tests.embedded_aws import Tables

NOW = datetime(2026, 11, 20, 21, 4, 5, tzinfo=UTC)
UNTIL = NOW + timedelta(seconds=30)


@pytest.fixture
def slots(tables: Tables) -> DynamoWaitSlots:
    DynamoWaitSlots.bind(tables.requests)
    return DynamoWaitSlots()


def test_no_more_than_the_limit_of_64_parallel_requests_wait(slots: DynamoWaitSlots) -> None:
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda _: slots.lease("usr_A", 8, UNTIL, NOW), range(64)))
    held = [slot for slot in taken if slot is not None]
    assert 1 <= len(held) <= 8
    assert len(set(held)) == len(held)
    # Another account has its own slots.
    assert slots.lease("usr_B", 8, UNTIL, NOW) is not None


def test_a_finished_wait_frees_its_slot(slots: DynamoWaitSlots) -> None:
    with wait_slot("usr_A", 1, 25, slots=slots, now=NOW) as first:
        assert first
        with wait_slot("usr_A", 1, 25, slots=slots, now=NOW) as second:
            assert not second
    with wait_slot("usr_A", 1, 25, slots=slots, now=NOW) as third:
        assert third


def test_the_slot_of_a_crashed_request_expires(slots: DynamoWaitSlots) -> None:
    assert slots.lease("usr_A", 1, UNTIL, NOW) == "0"
    assert slots.lease("usr_A", 1, UNTIL, UNTIL - timedelta(milliseconds=1)) is None
    later = UNTIL + timedelta(seconds=30)
    assert slots.lease("usr_A", 1, later, UNTIL) == "0"
    # The first holder gives its expired slot back: the new holder keeps it.
    slots.end_lease("usr_A", "0", UNTIL)
    assert slots.lease("usr_A", 1, later, UNTIL) is None


def test_every_request_may_wait_while_the_slot_store_is_unavailable(slots: DynamoWaitSlots) -> None:
    WaitItem.bind("no-such-table")
    with pytest.raises(Unavailable):
        slots.lease("usr_A", 1, UNTIL, NOW)
    for _ in range(2):
        with wait_slot("usr_A", 1, 25, slots=slots, now=NOW) as may_wait:
            assert may_wait
