"""Identical requests answered with an earlier result: free, and only when the caller allows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem, ReuseItem
from atelier.errors import Conflict, IdempotencyMismatch, NotFound
from atelier.generations.model import Generation, Kind, Recipe, Status
from atelier.generations.ports import Filters
from atelier.generations.submit import AcceptedGeneration
from atelier.ids import new_id
from atelier.projects.ports import ProjectInUse
from tests.conftest import Tables
from tests.integration.pipeline_world import SMALL, PipelineWorld
from tests.integration.test_budgets import project
from tests.integration.world import run_concurrently

NAMED = Recipe(Kind.IMAGE, "a lighthouse", parameters={**SMALL, "seed": 7})
UNNAMED = replace(NAMED, parameters=SMALL)


@pytest.fixture
def world(tables: Tables) -> PipelineWorld:
    return PipelineWorld(tables)


def made(world: PipelineWorld, recipe: Recipe, *, reuse: bool = False) -> Generation:
    return world.run_stage(world.submit_recipe(recipe, None, reuse=reuse).generation)


def test_an_identical_request_reuses_the_earlier_result_free(world: PipelineWorld) -> None:
    first = made(world, NAMED)
    again = world.submit_recipe(NAMED, None, reuse=True).generation
    assert (again.status, again.assets, again.reused_from) == (Status.SUCCEEDED, first.assets, first.id)
    assert (again.credits_held, again.credits_charged, again.cost_microusd) == (0, 0, 0)
    assert again == world.get(again)
    assert world.movement_kinds() == {"grant": 1, "hold": 1, "settled": 1}
    assert len(world.local.submitted) == 1
    # The reused generation is listed, and a further reuse names the first generation, not the reused one.
    assert {each.id for each in world.generations.list(world.workspace_id, Filters(), None, 10).generations} == {
        first.id,
        again.id,
    }
    assert world.submit_recipe(NAMED, None, reuse=True).generation.reused_from == first.id


def test_an_identical_request_without_the_reuse_flag_is_generated_again(world: PipelineWorld) -> None:
    made(world, NAMED)
    again = world.submit_recipe(NAMED, None).generation
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
def test_a_request_that_differs_is_generated_again(world: PipelineWorld, other: Recipe) -> None:
    made(world, NAMED)
    assert world.submit_recipe(other, None, reuse=True).generation.status is Status.QUEUED


def test_an_explicit_default_matches_an_omitted_parameter(world: PipelineWorld) -> None:
    made(world, NAMED)
    said = replace(NAMED, parameters={**NAMED.parameters, "n": 1})
    assert world.submit_recipe(said, None, reuse=True).generation.status is Status.SUCCEEDED


def test_a_result_without_a_seed_is_reusable_only_when_made_with_the_reuse_flag(world: PipelineWorld) -> None:
    made(world, UNNAMED)
    first = made(world, UNNAMED, reuse=True)
    again = world.submit_recipe(UNNAMED, None, reuse=True).generation
    assert again.reused_from == first.id
    # The parameters show the seed that produced the result.
    assert again.recipe.parameters == first.recipe.parameters


def test_a_request_without_a_seed_and_reuse_flag_writes_no_reuse_item(world: PipelineWorld) -> None:
    generation = made(world, UNNAMED)
    assert generation.reuse_key is None
    assert list(ReuseItem.query(world.workspace_id, ReuseItem.sk.startswith("reuse#"))) == []


def test_an_archived_or_deleted_result_is_not_reused(world: PipelineWorld) -> None:
    first = made(world, NAMED)
    world.archive(first.assets[0].id)
    assert world.submit_recipe(NAMED, None, reuse=True).generation.status is Status.QUEUED
    second = made(world, NAMED)
    assert world.submit_recipe(NAMED, None, reuse=True).generation.reused_from == second.id
    world.delete(second.assets[0].id)
    assert world.submit_recipe(NAMED, None, reuse=True).generation.status is Status.QUEUED


def test_a_failed_result_or_one_with_another_watermark_is_not_reused(world: PipelineWorld) -> None:
    world.fail(world.submit_recipe(NAMED, None).generation)
    assert world.submit_recipe(NAMED, None, reuse=True).generation.status is Status.QUEUED
    first = made(world, NAMED)
    # As in a tier without a watermark.
    GenerationItem(world.workspace_id, first.id).update([GenerationItem.watermark.set(0)])
    assert world.submit_recipe(NAMED, None, reuse=True).generation.status is Status.QUEUED


def test_results_are_not_reused_across_workspaces(world: PipelineWorld, tables: Tables) -> None:
    made(world, NAMED)
    other = PipelineWorld(tables)
    assert other.submit_recipe(NAMED, None, reuse=True).generation.status is Status.QUEUED


def test_parallel_reuse_requests_with_one_key_create_one_generation(world: PipelineWorld) -> None:
    made(world, NAMED)
    results = run_concurrently(12, lambda _: world.submit_recipe(NAMED, None, key="order-1", reuse=True))
    assert len({result.generation.id for result in results if isinstance(result, AcceptedGeneration)}) == 1
    assert all(isinstance(result, AcceptedGeneration) for result in results)
    with pytest.raises(IdempotencyMismatch):
        world.submit_recipe(NAMED, None, key="order-1")


def test_an_identical_run_reuses_the_earlier_runs_result(world: PipelineWorld) -> None:
    first = world.run_to_end(world.submit_pipeline("image_to_video", reuse=True).generation)
    again = world.submit_pipeline("image_to_video", reuse=True).generation
    assert (again.status, again.assets, again.reused_from) == (Status.SUCCEEDED, first.assets, first.id)
    assert world.movement_kinds() == {"grant": 1, "hold": 1, "settled": 1}
    assert world.submit_pipeline("image_to_video", options={}, reuse=True).generation.status is Status.QUEUED


def test_a_reused_result_needs_no_credits(world: PipelineWorld) -> None:
    made(world, NAMED)
    large = {"width": 2048, "height": 1536, "n": 4}
    world.submit_recipe(Recipe(Kind.IMAGE, "all of it", parameters=large), None)
    world.submit()
    assert world.wallet().available == 0
    assert world.submit_recipe(NAMED, None, reuse=True).generation.status is Status.SUCCEEDED


@pytest.mark.parametrize("prompt", ["a lighthouse", "a lighthouse " * 40], ids=["short", "long"])
def test_a_reused_result_is_subject_to_its_projects_rules(world: PipelineWorld, tables: Tables, prompt: str) -> None:
    recipe = replace(NAMED, prompt=prompt)
    made(world, recipe)
    for missing in (new_id("prj", world.now), project(PipelineWorld(tables))):
        with pytest.raises(NotFound):
            world.submit_recipe(recipe, None, reuse=True, project_id=missing)
    name = project(world)
    assert world.submit_recipe(recipe, None, reuse=True, project_id=name).generation.status is Status.SUCCEEDED
    with pytest.raises(ProjectInUse):
        world.projects.delete(world.workspace_id, name)
    budget = world.projects.budget(world.workspace_id, name)
    assert budget is not None
    assert (budget.generations, budget.spent_microusd, budget.reserved_microusd) == (1, 0, 0)
    described = world.projects.get(world.workspace_id, name)
    archived = replace(described, archived_at=world.now), replace(budget, archived=True)
    world.projects.change((described, budget), archived)
    with pytest.raises(Conflict):
        world.submit_recipe(recipe, None, reuse=True, project_id=name)
