"""Wallets with very many grants, and DynamoDB's documented limits, some of which the emulator does not have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb import connection
from atelier.adapters.aws.dynamodb.ledger.items import wallet_item
from atelier.errors import Conflict
from atelier.ledger.model import DRAWS_MAX
from atelier.ledger.operations import GRANTS_MAX
from atelier.ledger.post import adjust
from tests.conftest import Tables
from tests.integration.world import World, stock

PARTS_MAX, EXPRESSION_BYTES_MAX, OPERATORS_MAX, ITEM_BYTES_MAX = 100, 4096, 300, 400_000
OPERATORS = ("AND", "OR", "NOT", "+", "-", "=", ">=", "<=", "<", ">", "<>")


@dataclass
class Largest:
    """The largest transaction, expression (bytes) and number of operators that were sent."""

    parts: int = 0
    expression_bytes: int = 0
    operators: int = 0


@contextmanager
def measured() -> Iterator[Largest]:
    """Measures the transactions that are sent within the block."""
    largest = Largest()

    def measure(params: dict[str, Any], **_: Any) -> None:
        writes = [next(iter(item.values())) for item in params["TransactItems"]]
        largest.parts = max(largest.parts, len(writes))
        for write in writes:
            for name in ("UpdateExpression", "ConditionExpression"):
                text = write.get(name, "")
                operators = sum(word in OPERATORS for word in text.replace("(", " ").replace(")", " ").split())
                largest.expression_bytes = max(largest.expression_bytes, len(text.encode()))
                # The equals sign of an assignment is no operator.
                assignments = text.count(" = ") if name == "UpdateExpression" else 0
                largest.operators = max(largest.operators, operators - assignments)

    events = connection().client.meta.events
    events.register("provide-client-params.dynamodb.TransactWriteItems", measure)
    try:
        yield largest
    finally:
        events.unregister("provide-client-params.dynamodb.TransactWriteItems", measure)


@pytest.fixture
def world(tables: Tables) -> World:
    world = World(tables)
    world.refreshed()
    return world


def test_grants_that_expire_together_are_booked_whatever_their_number(world: World) -> None:
    world.submit(width=1024, height=1024)
    expires_at = world.now + timedelta(hours=1)
    stock(world, GRANTS_MAX, expires_at)
    world.now = expires_at
    with measured() as largest:
        wallet = world.refreshed()
    assert (wallet.available, [grant.remaining for grant in wallet.grants]) == (46, [46])
    assert [movement.kind for movement in world.movements()].count("expire") == GRANTS_MAX
    assert largest.parts <= PARTS_MAX


def test_a_debt_is_not_paid_from_expired_credits(world: World) -> None:
    expires_at = world.now + timedelta(hours=1)
    stock(world, GRANTS_MAX, expires_at)
    item = wallet_item(world.wallet())
    item.debt = 60
    item.save()
    world.now = expires_at
    wallet = world.refreshed()
    assert (wallet.available, wallet.debt) == (0, 10)


@pytest.mark.parametrize("operation", ["hold", "adjustment"])
def test_credits_are_taken_from_as_many_grants_as_fit_one_update(world: World, operation: str) -> None:
    stock(world, GRANTS_MAX, world.now + timedelta(minutes=30))

    def spend(credits: int) -> None:
        if operation == "adjustment":
            key = f"adjust#{credits}"
            adjust(world.workspace_id, key, -credits, reason="r", by="usr_A", deps=world.post_deps, now=world.now)
            return
        generation = world.submit(model="local/canvas", width=2048, height=2048, n=credits // 16).generation
        assert generation.credits_held == credits
        world.attempt(generation)
        world.fail(generation)

    with measured() as largest:
        spend(48)
        with pytest.raises(Conflict) as refusal:
            spend(64)
    assert refusal.value.facts["limit"] == DRAWS_MAX
    assert largest.expression_bytes <= EXPRESSION_BYTES_MAX
    assert largest.operators <= OPERATORS_MAX


def test_a_wallet_with_the_maximum_number_of_grants_fits_one_item(world: World) -> None:
    stock(world, GRANTS_MAX, world.now + timedelta(minutes=30))
    assert len(str(wallet_item(world.wallet()).serialize())) < ITEM_BYTES_MAX / 4
