"""Races from a barrier, each repeated many times: what may happen once happens once, and no credit is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from atelier.errors import InsufficientCredits
from atelier.generations.cancel import cancel
from atelier.generations.finish import expire_generation
from atelier.generations.model import Generation, Status
from atelier.generations.submit import AcceptedGeneration
from tests.conftest import Tables
from tests.integration.world import World, run_concurrently

CALLERS, FUNDED, ROUNDS = 50, 10, 100
ENDINGS = {"settled", "released", "expired"}


@pytest.mark.parametrize("lane", range(4))
def test_credits_for_ten_serve_exactly_ten_of_fifty_parallel_callers(tables: Tables, lane: int) -> None:
    for _ in range(ROUNDS // 4):
        world = World(tables)
        # The daily 50 credits are enough for ten submissions of five credits.
        results = run_concurrently(
            CALLERS, lambda _, world=world: world.submit(width=1024, height=1280, model="local/canvas")
        )
        accepted = [result for result in results if isinstance(result, AcceptedGeneration)]
        assert len(accepted) == FUNDED, lane
        assert sum(isinstance(result, InsufficientCredits) for result in results) == CALLERS - FUNDED
        assert (world.wallet().available, world.wallet().held) == (0, 50)
        world.assert_sound()


def test_a_daily_reset_during_parallel_spending_books_one_grant(tables: Tables) -> None:
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

        results = run_concurrently(20, step)
        assert not [result for result in results if isinstance(result, Exception)]
        kinds = [movement.key for movement in world.assert_sound()]
        assert kinds.count("daily#2026-11-21") == 1
        # The credits held yesterday returned to yesterday's grant, which has expired.
        assert (world.refreshed().available, world.wallet().held) == (10, 40)


def test_racing_settle_release_and_expire_end_the_hold_once(tables: Tables) -> None:
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
                    return expire_generation(late, deps=world.finish_deps, now=world.now)

        results = run_concurrently(9, end)
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


def test_a_cancellation_racing_the_first_attempt_always_cancels_free(tables: Tables) -> None:
    for _ in range(25):
        world = World(tables)
        generation = world.submit(model="local/canvas").generation

        def step(number: int, world: World = world, generation: Generation = generation) -> object:
            if number:
                return cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
            return world.attempt(generation)

        run_concurrently(2, step)
        ended = world.finish(generation) if world.get(generation).is_open else world.get(generation)
        assert ended.status is Status.CANCELLED
        assert ended.credits_charged == 0
        assert world.wallet().available == 50
        world.assert_sound()
