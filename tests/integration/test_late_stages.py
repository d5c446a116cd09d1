"""What comes too late is not begun: no provider is sent a job that may still run at the deadline, when the credits are
given back. A workspace can make its own endpoint as slow as it likes, so a stage of its own comes first here."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.generations.decide_candidate import WAKE_MARGIN
from atelier.generations.finish import finish
from atelier.generations.model import QUEUE_ALLOWANCE, Generation, Recipe, Status
from atelier.generations.outcome import Outcome, no_time_left_outcome
from atelier.generations.pipelines import StageOptions, build_pipeline, with_enhance_stage
from atelier.generations.poll import poll
from atelier.generations.submit import Submission, submit_generation
from atelier.generations.sweep import sweep
from atelier.provider_keys.model import CustomModel, ProviderKey, WorkspaceProviders
from atelier.provider_port import Accepted, Done, ErrorClass, Failed, Job, Output, SubmitOutcome
from atelier.routing.circuit_breaker import Health
from atelier.routing.rank_offers import Routes
from tests.conftest import Tables
from tests.integration.pipeline_world import SMALL, PipelineWorld
from tests.integration.test_routing import submitted
from tests.integration.world import DONE, ScriptedProvider

OWN = "key_" + "0" * 25 + "7"
SECOND = timedelta(seconds=1)
FILM = "replicate/stable-video-diffusion"
TOO_LATE = no_time_left_outcome().message
FILMED = Done((Output(url="https://replicate.delivery/out.mp4"),), {"predict_milliseconds": 60000})


class SlowWorld(PipelineWorld):
    """A world whose workspace has an endpoint of its own, `mine`, beside the platform's providers."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables, providers=frozenset({"local", "replicate"}))
        self.mine = self.own[OWN] = ScriptedProvider()

    def begin(self, *, enhance: bool = False) -> Generation:
        """A run whose first stage is the workspace's own: the image for a film; with `enhance`, an image's prompt."""
        kind = "text" if enhance else "image"
        key = ProviderKey(
            OWN,
            self.workspace_id,
            "usr_A",
            "custom",
            "mine",
            "abcd",
            b"",
            "k",
            self.now,
            base_url="https://slow.example/v1",
            models=(CustomModel("slow", kind),),
        )
        routes = Routes(self.workspace_id, WorkspaceProviders((key,), {}), Health, self.now)
        pipeline = build_pipeline(
            "image_to_video", {"image": StageOptions("custom/slow"), "video": StageOptions(FILM)}, None
        )
        if enhance:
            (image, _) = build_pipeline("image_to_video", {"image": StageOptions("replicate/sdxl", SMALL)}, None).stages
            pipeline = replace(pipeline, stages=with_enhance_stage((image,), StageOptions("custom/slow")))
        return submit_generation(
            Submission(
                self.workspace_id, "usr_A", Recipe(pipeline.stages[-1].kind, "a lighthouse"), None, pipeline=pipeline
            ),
            deps=replace(self.submit_deps, routes_of_wallet=lambda wallet: routes),
            now=self.now,
        ).generation

    def run_time(self, model: str) -> timedelta:
        return timedelta(seconds=self.catalogue.model(model).run_seconds_max)

    def answer_slowly(self, *answers: SubmitOutcome) -> None:
        """The own endpoint gives these answers, each at the end of its longest run."""

        def pass_time(job: Job) -> None:
            self.now += self.run_time("custom/slow") - SECOND

        self.mine.answers, self.mine.before_answer = list(answers), pass_time

    def make_own_stage(self, run: Generation) -> Generation:
        """Attempts the own stage until it has ended; what it waits for comes as late as a wake-up may."""
        stage, causes = self.next_stage(run), len(self.execution.causes)
        results, waits = len(self.execution.results), len(self.execution.later_attempts)
        cause = None
        while len(self.execution.results) == results:
            self.attempt(stage, cause=cause)
            cause = self.execution.causes[-1] if len(self.execution.causes) > causes else None
            causes = len(self.execution.causes)
            if len(self.execution.later_attempts) > waits:
                waits = len(self.execution.later_attempts)
                self.now += timedelta(seconds=self.execution.later_attempts[-1][2]) + WAKE_MARGIN - SECOND
        outcome = Outcome.from_data(self.execution.results[-1])
        return finish(self.workspace_id, stage.id, outcome, deps=self.finish_deps, now=self.now)


@pytest.fixture
def world(tables: Tables) -> SlowWorld:
    return SlowWorld(tables)


def limited(retry_after: timedelta | None = None) -> Failed:
    seconds = None if retry_after is None else int(retry_after.total_seconds())
    return Failed(ErrorClass.RATE_LIMITED, "Later.", retry_after_seconds=seconds)


@pytest.mark.parametrize("enhance", [False, True])
def test_a_platforms_stage_without_time_left_is_not_sent_and_free(world: SlowWorld, enhance: bool) -> None:
    run = world.begin(enhance=enhance)
    # Slow refusals have used up the time of the whole run, until the last moment at which the own stage may begin.
    world.answer_slowly(DONE)
    stage = world.next_stage(run)
    world.now = run.deadline_at - world.run_time("custom/slow")
    own = world.make_own_stage(run)
    assert (own.id, own.status) == (stage.id, Status.SUCCEEDED)
    assert world.now < run.deadline_at
    ended = world.run_to_end(run)
    assert world.replicate.submitted == []
    assert ended.failure is not None
    assert (ended.failure.message, ended.cost_microusd) == (TOO_LATE, 0)
    world.assert_settled(run, Status.FAILED, 0)


def test_an_own_stage_that_can_not_end_in_time_is_not_begun_either(world: SlowWorld) -> None:
    run = world.begin()
    world.now = run.deadline_at - world.run_time("custom/slow") + SECOND
    assert world.make_own_stage(run).status is Status.FAILED
    world.end_run(run)
    assert world.mine.submitted == []
    world.assert_settled(run, Status.FAILED, 0)


def test_a_stage_waits_for_no_retry_that_takes_the_time_of_later_stages(world: SlowWorld) -> None:
    run = world.begin()
    longest = QUEUE_ALLOWANCE - WAKE_MARGIN
    world.mine.answers = [limited(longest + SECOND), DONE]
    own = world.make_own_stage(run)
    assert (own.status, len(world.mine.submitted)) == (Status.FAILED, 1)
    world.end_run(run)
    world.assert_settled(run, Status.FAILED, 0)


def test_a_run_with_one_retry_and_the_slowest_stages_ends_in_time_and_is_charged(world: SlowWorld) -> None:
    run = world.begin()
    world.mine.answers = [limited(QUEUE_ALLOWANCE - WAKE_MARGIN)]
    stage = world.next_stage(run)
    world.attempt(stage)
    world.answer_slowly(DONE)
    world.attempt(stage, cause=world.execution.causes[-1])
    world.now += timedelta(seconds=world.execution.later_attempts[-1][2]) + WAKE_MARGIN - SECOND
    own = world.make_own_stage(run)
    assert (own.status, len(world.mine.submitted)) == (Status.SUCCEEDED, 2)
    world.replicate.answers = [Accepted("r1")]
    film = world.next_stage(run, own)
    world.attempt(film)
    assert len(world.replicate.submitted) == 1
    # The provider takes all the time that it may, and the deadline has not come.
    world.now += world.run_time(FILM)
    assert sweep(world.workspace_id, deps=world.finish_deps, now=world.now) == 0
    world.replicate.progress = FILMED
    poll(*world.execution.polls[-1], deps=world.attempt_deps)
    assert world.finish(film).status is Status.SUCCEEDED
    charged = world.end_run(run).credits_charged
    assert charged > 0
    world.assert_settled(run, Status.SUCCEEDED, charged)


def test_a_retry_of_a_run_that_ran_out_of_time_makes_only_what_is_missing(world: SlowWorld) -> None:
    run = world.begin()
    world.answer_slowly(DONE)
    world.now = run.deadline_at - world.run_time("custom/slow")
    world.make_own_stage(run)
    world.run_to_end(run)
    again = world.retry(run).generation
    # The deadline is that of the film alone.
    assert again.deadline_at - again.created_at == QUEUE_ALLOWANCE + world.run_time(FILM)
    world.replicate.answers = [Accepted("r1")]
    world.attempt(world.next_stage(again))
    assert (len(world.mine.submitted), len(world.replicate.submitted)) == (1, 1)


@pytest.mark.parametrize(("late", "sent"), [(timedelta(), 1), (SECOND, 0)])
def test_a_generation_begins_until_its_run_time_before_the_deadline(
    world: SlowWorld, late: timedelta, sent: int
) -> None:
    generation = submitted(world, "replicate/sdxl")
    world.now = generation.deadline_at - world.run_time("replicate/sdxl") + late
    world.attempt(generation)
    ended = world.finish(generation)
    assert len(world.replicate.submitted) == sent
    assert (ended.status, ended.failure is None) == (Status.SUCCEEDED if sent else Status.FAILED, bool(sent))
    assert (world.wallet().held, ended.credits_charged > 0) == (0, bool(sent))
    world.assert_sound()


def test_a_quicker_candidate_is_tried_when_the_first_has_too_little_time(world: SlowWorld) -> None:
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.now = generation.deadline_at - world.run_time("local/canvas")
    world.attempt(generation)
    assert [each.model for each in world.finish(generation).attempts] == ["local/canvas"]
    assert world.replicate.submitted == []


def test_a_failed_attempt_is_followed_by_none_without_time(world: SlowWorld) -> None:
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.replicate.answers = [Failed(ErrorClass.CAPACITY, "Full.")]
    world.attempt(generation)
    world.now = generation.deadline_at - SECOND
    world.attempt(generation, cause=world.execution.failures[-1])
    ended = world.finish(generation)
    assert ended.failure is not None
    assert (ended.failure.error_class, ended.failure.message) == (ErrorClass.TIMEOUT_UNSTARTED, TOO_LATE)
    assert (world.local.submitted, ended.status, world.wallet().held) == ([], Status.FAILED, 0)


def test_a_candidate_that_has_left_the_catalogue_is_passed_over(world: SlowWorld) -> None:
    generation = submitted(world, "local/canvas")
    candidates = GenerationItem.candidates.set(["replicate/gone", "local/canvas"])
    GenerationItem(world.workspace_id, generation.id).update([candidates])
    world.attempt(generation)
    assert [each.model for each in world.finish(generation).attempts] == ["local/canvas"]
