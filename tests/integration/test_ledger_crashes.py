"""A process that dies before or after any write of the ledger's operations: the same calls, made again, finish them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from atelier.ledger.model import GrantSource
from atelier.ledger.post import give_back, grant, revoke
from tests.conftest import Tables
from tests.integration.world import World, client_event_hook

PAYMENT, REFUND, DISPUTE = "grant#stripe#in_1#il_1", "revoke#stripe#re_1", "revoke#stripe#dp_1"
BEFORE, AFTER = "before-call", "after-call"
# Today's grant, the payment, a part of it refunded, the refund given back, a dispute that takes it again, and the
# payment of the debt.
WRITES = 6


class Death(BaseException):
    """The end of the process."""


@contextmanager
def dying(event: str, number: int) -> Iterator[list[int]]:
    """The process dies before or after its write of this number, from 1; 0 = never. Yields the number of writes."""
    writes = [0]

    def count(**_: Any) -> None:
        writes[0] += 1
        if writes[0] == number:
            raise Death

    with client_event_hook(f"{event}.dynamodb.TransactWriteItems", count):
        yield writes


def lifetime_of_a_payment(world: World) -> tuple[int, ...]:
    """A paid invoice, a refund that fails, and a dispute; returns what each of the calls answered."""
    workspace_id, deps, now = world.workspace_id, world.post_deps, world.now
    ends = now + timedelta(days=30)
    paid = grant(workspace_id, PAYMENT, GrantSource.MONTHLY, 40, expires_at=ends, deps=deps, now=now)
    assert paid.grant is not None
    return (
        paid.grant.amount,
        revoke(workspace_id, REFUND, PAYMENT, 30, "refund", deps=deps, now=now),
        give_back(workspace_id, REFUND, "refund failed", deps=deps, now=now),
        revoke(workspace_id, DISPUTE, PAYMENT, 99, "dispute", deps=deps, now=now),
        world.refreshed().available,
    )


@pytest.mark.parametrize("event", [BEFORE, AFTER])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_operations_interrupted_at_any_write_are_finished_by_repetition(
    tables: Tables, event: str, number: int
) -> None:
    world = World(tables)
    with pytest.raises(Death), dying(event, number):
        lifetime_of_a_payment(world)
    answers = lifetime_of_a_payment(world)
    assert answers == lifetime_of_a_payment(world) == (40, 30, 30, 40, 50)
    keys = [movement.key for movement in world.assert_sound()]
    assert sorted(key for key in keys if "stripe" in key) == [
        f"{PAYMENT}",
        "grant#stripe#re_1#returned",
        DISPUTE,
        REFUND,
    ]


def test_the_operations_of_a_payment_make_as_many_writes_as_are_explored(tables: Tables) -> None:
    world = World(tables)
    with dying(BEFORE, 0) as writes:
        lifetime_of_a_payment(world)
    assert writes == [WRITES]
