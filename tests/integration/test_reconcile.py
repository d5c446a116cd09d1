"""The reconciler repairs holds and generations that disagree by ordinary entries; a second run writes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.ledger.transactions import put_hold
from atelier.generations.model import Generation, Status
from atelier.generations.reconcile import Repairs, reconcile
from atelier.ledger.model import EndState
from atelier.ledger.plan_hold import plan_hold, plan_settlement
from tests.conftest import Tables
from tests.integration.world import World, run_concurrently


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def run(world: World, *, thorough: bool = True) -> Repairs:
    return reconcile(
        world.workspace_id,
        created_after=world.now - timedelta(hours=30),
        thorough=thorough,
        deps=world.finish_deps,
        now=world.now,
    )


def forget(generation: Generation) -> None:
    GenerationItem(generation.workspace_id, generation.id).delete()


def end_alone(world: World, generation: Generation, state: EndState, charged: int = 0) -> None:
    """Ends a hold but not its generation."""
    hold = world.wallets.hold(world.workspace_id, generation.id)
    assert hold is not None
    world.wallets.end_hold(world.workspace_id, plan_settlement(hold, state, charged, {}, world.now))


def assert_settled(world: World) -> None:
    assert run(world) == Repairs()
    assert world.wallet().holds_open == 0
    world.assert_sound()


def test_consistent_holds_and_generations_are_not_changed(world: World) -> None:
    done, waiting = world.submit().generation, world.submit().generation
    world.attempt(done)
    world.finish(done)
    assert run(world) == Repairs()
    assert (world.get(done).status, world.get(waiting).status) == (Status.SUCCEEDED, Status.QUEUED)
    assert world.wallet().holds_open == 1


def test_a_hold_without_a_generation_is_released_once_by_three_parallel_runs(world: World) -> None:
    before = world.refreshed().available
    forget(world.submit().generation)
    found = [result for result in run_concurrently(3, lambda _: run(world)) if isinstance(result, Repairs)]
    assert sum(each.released for each in found) == 1
    assert world.wallet().available == before
    assert_settled(world)


@pytest.mark.parametrize(
    ("status", "charged", "kind"),
    [
        (Status.SUCCEEDED, 3, "settled"),
        (Status.FAILED, 0, "released"),
        (Status.FAILED, 1, "settled"),
        (Status.CANCELLED, 0, "released"),
        (Status.EXPIRED, 0, "expired"),
    ],
)
def test_an_open_hold_is_ended_as_its_closed_generation_says(
    world: World, status: Status, charged: int, kind: str
) -> None:
    generation = world.submit(width=1024, height=1024).generation
    item = GenerationItem(generation.workspace_id, generation.id)
    item.update([GenerationItem.status.set(status.value), GenerationItem.credits_charged.set(charged)])
    assert run(world) == Repairs(ended=1)
    assert next(movement.kind for movement in world.movements()) == kind
    assert world.wallet().available == 50 - charged
    assert_settled(world)


@pytest.mark.parametrize(
    ("state", "charged", "status"),
    [
        (EndState.RELEASED, 0, Status.FAILED),
        (EndState.SETTLED, 1, Status.FAILED),
        (EndState.EXPIRED, 0, Status.EXPIRED),
    ],
)
def test_an_open_generation_is_closed_as_its_ended_hold_says(
    world: World, state: EndState, charged: int, status: Status
) -> None:
    generation = world.submit().generation
    end_alone(world, generation, state, charged)
    assert run(world) == Repairs(closed=1)
    assert (world.get(generation).status, world.get(generation).credits_charged) == (status, charged)
    assert_settled(world)


def test_an_old_hold_is_found_only_by_a_thorough_run(world: World) -> None:
    forget(world.submit().generation)
    world.now += timedelta(days=3)
    assert run(world, thorough=False) == Repairs()
    assert run(world) == Repairs(released=1)
    assert_settled(world)
    # Three days later that day's grant has expired, so its released credits are not available.
    assert world.refreshed().available == 50
    world.assert_sound()


def test_a_hold_that_belongs_to_no_generation_is_not_ended(world: World) -> None:
    world.refreshed()

    opening = plan_hold(
        world.wallet(), "pip_" + "0" * 26, 3, world.now + timedelta(hours=1), {}, world.now, holds_open_max=9
    )
    with transaction() as write:
        put_hold(write, world.workspace_id, opening)
    assert run(world) == Repairs()
    assert world.wallet().holds_open == 1
