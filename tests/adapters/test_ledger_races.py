"""Races from a barrier, each repeated many times: what may happen once happens once, and no credit is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from atelier.errors import InsufficientCredits
from atelier.generations.cancel import cancel
from atelier.generations.finish import expire
from atelier.generations.model import Generation, Status
from atelier.generations.submit import Accepted
from tests.adapters.world import World, at_once
from tests.conftest import Tables

CALLERS, FUNDED, ROUNDS = 50, 10, 100
ENDINGS = {"settled", "released", "expired"}


@pytest.mark.parametrize("lane", range(4))
def test_of_fifty_callers_with_funds_for_ten_exactly_ten_are_served(tables: Tables, lane: int) -> None:
    for _ in range(ROUNDS // 4):
        world = World(tables)
        # The daily 50 credits are enough for ten submissions of five credits.
        results = at_once(CALLERS, lambda _, world=world: world.submit(width=1024, height=1280, model="local/canvas"))
        accepted = [result for result in results if isinstance(result, Accepted)]
        assert len(accepted) == FUNDED, lane
        assert sum(isinstance(result, InsufficientCredits) for result in results) == CALLERS - FUNDED
        assert (world.wallet().available, world.wallet().held) == (0, 50)
        world.assert_sound()


def test_a_reset_while_many_spend_across_midnight_gives_one_grant_and_loses_nothing(tables: Tables) -> None:
    for _ in range(10):
        world = World(tables)
        before = [world.submit(width=1024, height=1024).generation for _ in range(5)]
        world.now += timedelta(hours=12)

        def step(number: int, world: World = world, before: list[Generation] = before) -> object:
            if number < 5:
                world.attempt(before[number])
                return world.fail(before[number])
            if number < 10:
                return world.refreshed()
            return world.submit(width=1024, height=1024)

        results = at_once(20, step)
        assert not [result for result in results if isinstance(result, Exception)]
        kinds = [movement.key for movement in world.assert_sound()]
        assert kinds.count("daily#2026-11-21") == 1
        # The credits held yesterday returned to yesterday's grant, which has expired.
        assert (world.refreshed().available, world.wallet().held) == (10, 40)


def test_settle_against_release_against_expire_is_one_end(tables: Tables) -> None:
    for _ in range(25):
        world = World(tables)
        generation = world.submit(width=1024, height=1024, model="local/canvas").generation
        world.attempt(generation)
        late = world.get(generation)

        def end(number: int, world: World = world, late: Generation = late) -> Generation:
            match number % 3:
                case 0:
                    return world.finish(late)
                case 1:
                    return world.fail(late)
                case _:
                    return expire(late, to=world.finishing, now=world.now)

        results = at_once(9, end)
        assert not [result for result in results if isinstance(result, Exception)]
        kinds = [movement.kind for movement in world.assert_sound()]
        assert len([kind for kind in kinds if kind in ENDINGS]) == 1
        final = world.get(generation)
        # A result that arrives after the expiry is still delivered, free.
        before = {Status.EXPIRED} if "late" in kinds else set[Status]()
        assert {result.status for result in results if isinstance(result, Generation)} - before == {final.status}
        charged = 4 if "settled" in kinds else 0
        assert (final.credits_charged, world.wallet().available) == (charged, 50 - charged)
        assert ("late" in kinds) == (final.status is Status.SUCCEEDED and not charged)


def test_a_cancellation_against_the_first_attempt_leaves_one_truth(tables: Tables) -> None:
    for _ in range(25):
        world = World(tables)
        generation = world.submit(model="local/canvas").generation

        def step(number: int, world: World = world, generation: Generation = generation) -> object:
            if number:
                return cancel(world.workspace_id, generation.id, to=world.finishing, now=world.now)
            return world.attempt(generation)

        at_once(2, step)
        ended = world.finish(generation) if world.get(generation).is_open else world.get(generation)
        assert ended.status is Status.CANCELLED
        assert ended.credits_charged == 0
        assert world.wallet().available == 50
        world.assert_sound()
