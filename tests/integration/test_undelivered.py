"""A result that cannot be fetched: the next candidate is tried under the same hold, and nothing is charged twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.generations.cancel import cancel
from atelier.generations.model import Generation, Status
from atelier.generations.outcome import Outcome
from atelier.generations.sweep import sweep
from atelier.provider_port import Accepted, ErrorClass
from tests.conftest import Tables
from tests.integration.pipeline_world import PipelineWorld
from tests.integration.test_routing import submitted
from tests.integration.world import World


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def made_and_lost(world: World, *candidates: str) -> Generation:
    """A generation whose first candidate has finished with a result that cannot be fetched."""
    generation = submitted(world, *candidates)
    world.attempt(generation)
    world.media.broken = True
    return world.finish(generation)


def test_the_next_candidate_is_tried_and_the_operator_bears_the_first_ones_cost(world: World) -> None:
    open_still = made_and_lost(world, "replicate/sdxl", "local/canvas")
    (lost,) = open_still.attempts
    assert (open_still.status, lost.status, lost.error_class) == (Status.RUNNING, "failed", ErrorClass.TRANSIENT)
    assert world.execution.started == [f"{open_still.id}-{lost.id}-lost"]
    assert world.wallet().held == open_still.credits_held > 0
    world.media.broken = False
    world.attempt(open_still)
    ended = world.finish(open_still)
    assert (ended.status, [each.model for each in ended.attempts]) == (
        Status.SUCCEEDED,
        ["replicate/sdxl", "local/canvas"],
    )
    assert ended.cost_microusd == lost.cost_microusd > 0
    assert len(world.replicate.submitted) == len(world.local.submitted) == 1
    assert (ended.credits_charged, world.wallet().held) == (1, 0)
    assert [movement.kind for movement in world.assert_sound()].count("settled") == 1


def test_a_generation_without_a_further_candidate_fails_free(world: World) -> None:
    open_still = made_and_lost(world, "replicate/sdxl", "local/canvas")
    world.attempt(open_still)
    ended = world.finish(open_still)
    assert (ended.status, ended.credits_charged) == (Status.FAILED, 0)
    assert [each.status for each in ended.attempts] == ["failed", "failed"]
    assert len(world.execution.started) == 1
    assert world.wallet().held == 0
    world.assert_sound()


def test_a_repeated_finish_starts_the_same_execution(world: World) -> None:
    first = made_and_lost(world, "replicate/sdxl", "local/canvas")
    assert world.finish(first) == world.get(first)
    assert len(set(world.execution.started)) == 1


def test_a_repeated_outcome_of_a_failed_attempt_does_not_end_the_next_attempt(world: World) -> None:
    first = made_and_lost(world, "replicate/sdxl", "replicate/sdxl")
    said = Outcome.from_data(world.execution.results[-1])
    world.replicate.answers = [Accepted("r2")]
    world.attempt(first)
    world.media.broken = False
    # The first execution's finish task is repeated, when the file can be fetched again.
    assert world.finish(first, said).status is Status.RUNNING
    assert world.get(first).awaited_attempt is not None


def test_a_cancelled_generation_is_not_tried_with_another_candidate(world: World) -> None:
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    world.media.broken = True
    ended = world.finish(generation)
    assert not ended.is_open
    assert (ended.credits_charged, world.execution.started, world.wallet().held) == (0, [], 0)


def test_a_cancellation_after_an_undelivered_result_is_final_and_keeps_the_cost(world: World) -> None:
    lost = made_and_lost(world, "replicate/sdxl", "local/canvas")
    cancelled = cancel(world.workspace_id, lost.id, deps=world.finish_deps, now=world.now)
    assert (cancelled.status, cancelled.credits_charged) == (Status.CANCELLED, 0)
    assert cancelled.cost_microusd == lost.attempts[0].cost_microusd
    world.attempt(lost)
    assert world.local.submitted == []
    world.assert_sound()


def test_a_generation_that_expired_after_an_undelivered_result_stays_expired(world: World) -> None:
    lost = made_and_lost(world, "replicate/sdxl", "local/canvas")
    world.now = lost.deadline_at + timedelta(seconds=1)
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    expired = world.get(lost)
    # The cost is what the first attempt was billed; no attempt is open that could cost more.
    assert (expired.status, expired.cost_microusd) == (Status.EXPIRED, lost.attempts[0].cost_microusd)
    assert world.finish(lost) == expired
    world.assert_sound()


def test_a_stages_next_candidate_is_tried_by_a_new_execution_of_its_run(tables: Tables) -> None:
    world = PipelineWorld(tables)
    run = world.submit_pipeline("image_to_video").generation
    stage = world.next_stage(run)
    GenerationItem(world.workspace_id, stage.id).update(
        [GenerationItem.candidates.set(["replicate/sdxl", "local/canvas"])]
    )
    world.media.broken = True
    lost = world.run_stage(stage)
    assert lost.is_open
    assert world.execution.started == [f"run {run.id}-{lost.attempts[0].id}-lost"]
    # The old execution ends here; the new one attempts the same stage.
    assert world.plan(run, stage) is None
    assert world.end_run(run).is_open
    world.media.broken = False
    ended = world.run_to_end(run)
    assert ended.status is Status.SUCCEEDED
    assert [each.model for each in world.get(stage).attempts] == ["replicate/sdxl", "local/canvas"]
    assert ended.cost_microusd >= lost.attempts[0].cost_microusd > 0
    assert world.wallet().held == 0
