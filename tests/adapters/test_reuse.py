"""Identical requests answered with an earlier result: free, and only when the caller allows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atelier.aws.dynamodb.generations import GenerationItem, ReuseItem
from atelier.aws.dynamodb.library import AssetItem
from atelier.errors import Conflict, IdempotencyMismatch, NotFound
from atelier.generations.model import Generation, Kind, Recipe, Status
from atelier.generations.ports import Filters
from atelier.generations.submit import Accepted
from atelier.ids import new_id
from atelier.projects.ports import ProjectInUse
from tests.adapters.runs import SMALL, RunWorld
from tests.adapters.test_budgets import project
from tests.adapters.world import at_once
from tests.conftest import Tables

NAMED = Recipe(Kind.IMAGE, "a lighthouse", parameters={**SMALL, "seed": 7})
UNNAMED = replace(NAMED, parameters=SMALL)


@pytest.fixture
def world(tables: Tables) -> RunWorld:
    return RunWorld(tables)


def made(world: RunWorld, recipe: Recipe, *, reuse: bool = False) -> Generation:
    return world.make(world.ask(recipe, None, reuse=reuse).generation)


def test_an_identical_request_shows_the_earlier_result_and_costs_nothing(world: RunWorld) -> None:
    first = made(world, NAMED)
    again = world.ask(NAMED, None, reuse=True).generation
    assert (again.status, again.assets, again.reused_from) == (Status.SUCCEEDED, first.assets, first.id)
    assert (again.credits_held, again.credits_charged, again.cost_microusd) == (0, 0, 0)
    assert again == world.get(again)
    assert world.kinds() == {"grant": 1, "hold": 1, "settled": 1}
    assert len(world.local.submitted) == 1
    # The reused generation is listed, and a further reuse names the first generation, not the reused one.
    assert {each.id for each in world.generations.list(world.workspace_id, Filters(), None, 10).generations} == {
        first.id,
        again.id,
    }
    assert world.ask(NAMED, None, reuse=True).generation.reused_from == first.id


def test_without_leave_it_is_made_again(world: RunWorld) -> None:
    made(world, NAMED)
    again = world.ask(NAMED, None).generation
    assert (again.status, again.reused_from, again.credits_held) == (Status.QUEUED, None, 1)


@pytest.mark.parametrize(
    "other",
    [
        replace(NAMED, prompt="a lamp"),
        replace(NAMED, parameters={**SMALL, "seed": 8}),
        replace(NAMED, parameters={**SMALL, "seed": 7, "n": 2}),
        replace(NAMED, model="local/canvas"),
        UNNAMED,
    ],
    ids=["prompt", "seed", "number", "model", "no seed"],
)
def test_another_request_is_no_identical_one(world: RunWorld, other: Recipe) -> None:
    made(world, NAMED)
    assert world.ask(other, None, reuse=True).generation.status is Status.QUEUED


def test_a_default_that_is_said_is_the_same_as_one_that_is_not(world: RunWorld) -> None:
    made(world, NAMED)
    said = replace(NAMED, parameters={**NAMED.parameters, "n": 1})
    assert world.ask(said, None, reuse=True).generation.status is Status.SUCCEEDED


def test_without_a_seed_a_result_is_kept_for_those_who_asked_for_it(world: RunWorld) -> None:
    made(world, UNNAMED)
    first = made(world, UNNAMED, reuse=True)
    again = world.ask(UNNAMED, None, reuse=True).generation
    assert again.reused_from == first.id
    # The parameters show the seed that produced the result.
    assert again.recipe.parameters == first.recipe.parameters


def test_nothing_is_kept_for_a_request_that_names_no_seed_and_asks_for_nothing(world: RunWorld) -> None:
    generation = made(world, UNNAMED)
    assert generation.reuse_key is None
    assert list(ReuseItem.query(world.workspace_id, ReuseItem.sk.startswith("reuse#"))) == []


def test_a_result_that_is_not_there_any_more_serves_nobody(world: RunWorld) -> None:
    first = made(world, NAMED)
    item = AssetItem(world.workspace_id, first.assets[0].id)
    item.update([AssetItem.archived_at.set("2026-11-20T12:00:00Z")])
    assert world.ask(NAMED, None, reuse=True).generation.status is Status.QUEUED
    second = made(world, NAMED)
    assert world.ask(NAMED, None, reuse=True).generation.reused_from == second.id
    world.delete(second.assets[0].id)
    assert world.ask(NAMED, None, reuse=True).generation.status is Status.QUEUED


def test_a_result_of_another_look_or_that_never_came_serves_nobody(world: RunWorld) -> None:
    world.fail(world.ask(NAMED, None).generation)
    assert world.ask(NAMED, None, reuse=True).generation.status is Status.QUEUED
    first = made(world, NAMED)
    # As in a tier without a watermark.
    GenerationItem(world.workspace_id, first.id).update([GenerationItem.watermark.set(0)])
    assert world.ask(NAMED, None, reuse=True).generation.status is Status.QUEUED


def test_another_workspace_has_its_own_results(world: RunWorld, tables: Tables) -> None:
    made(world, NAMED)
    other = RunWorld(tables)
    assert other.ask(NAMED, None, reuse=True).generation.status is Status.QUEUED


def test_one_key_many_times_at_once_is_one_generation(world: RunWorld) -> None:
    made(world, NAMED)
    results = at_once(12, lambda _: world.ask(NAMED, None, key="order-1", reuse=True))
    assert len({result.generation.id for result in results if isinstance(result, Accepted)}) == 1
    assert all(isinstance(result, Accepted) for result in results)
    with pytest.raises(IdempotencyMismatch):
        world.ask(NAMED, None, key="order-1")


def test_a_run_is_served_whole(world: RunWorld) -> None:
    first = world.play(world.begin("image_to_video", reuse=True).generation)
    again = world.begin("image_to_video", reuse=True).generation
    assert (again.status, again.assets, again.reused_from) == (Status.SUCCEEDED, first.assets, first.id)
    assert world.kinds() == {"grant": 1, "hold": 1, "settled": 1}
    assert world.begin("image_to_video", asked={}, reuse=True).generation.status is Status.QUEUED


def test_it_needs_no_credits(world: RunWorld) -> None:
    made(world, NAMED)
    large = {"width": 2048, "height": 1536, "n": 4}
    world.ask(Recipe(Kind.IMAGE, "all of it", parameters=large), None)
    world.submit()
    assert world.wallet().available == 0
    assert world.ask(NAMED, None, reuse=True).generation.status is Status.SUCCEEDED


@pytest.mark.parametrize("prompt", ["a lighthouse", "a lighthouse " * 40], ids=["short", "long"])
def test_its_project_is_asked_as_for_any_other(world: RunWorld, tables: Tables, prompt: str) -> None:
    recipe = replace(NAMED, prompt=prompt)
    made(world, recipe)
    for missing in (new_id("prj", world.now), project(RunWorld(tables))):
        with pytest.raises(NotFound):
            world.ask(recipe, None, reuse=True, project_id=missing)
    name = project(world)
    assert world.ask(recipe, None, reuse=True, project_id=name).generation.status is Status.SUCCEEDED
    with pytest.raises(ProjectInUse):
        world.projects.delete(world.workspace_id, name)
    budget = world.projects.budget(world.workspace_id, name)
    assert budget is not None
    assert (budget.generations, budget.spent_microusd, budget.reserved_microusd) == (1, 0, 0)
    described = world.projects.get(world.workspace_id, name)
    archived = replace(described, archived_at=world.now), replace(budget, archived=True)
    world.projects.change((described, budget), archived)
    with pytest.raises(Conflict):
        world.ask(recipe, None, reuse=True, project_id=name)
