"""Runs through the real use cases on the embedded store: crashed, repeated, failed, cancelled or expired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.catalogue.catalogue import catalogue
from atelier.errors import Conflict, IdempotencyMismatch, InsufficientCredits, ValidationFailed
from atelier.generations.attempt_messages import Poll
from atelier.generations.cancel import cancel
from atelier.generations.finish import finish
from atelier.generations.model import Generation, Kind, Recipe, Status, stage_id
from atelier.generations.outcome import Outcome
from atelier.generations.pipelines import PIPELINES, StageOptions, build_pipeline, enhanced_pipeline
from atelier.generations.poll import cancel_at_provider, poll
from atelier.generations.ports import Filters
from atelier.generations.quote import QuoteInput, pipeline_for, quote
from atelier.generations.reconcile import Repairs, reconcile
from atelier.generations.submit import AcceptedGeneration
from atelier.generations.sweep import sweep
from atelier.ledger.model import EndState
from atelier.ledger.plan_hold import plan_settlement
from atelier.provider_port import Accepted as ProviderAccepted
from atelier.provider_port import Done, ErrorClass, Failed, Output, Pending
from tests.conftest import Tables
from tests.integration.pipeline_world import CREDITS, SMALL, STAGE_OPTIONS, PipelineWorld, stage_names
from tests.integration.world import DONE, NOON, run_concurrently

BROKEN = Outcome("failed", error_class=ErrorClass.TRANSIENT, message="It broke.")
EVERY = list(PIPELINES)
STAGES = [(name, number) for name in EVERY for number in range(len(PIPELINES[name]))]


@pytest.fixture
def world(tables: Tables) -> PipelineWorld:
    return PipelineWorld(tables)


@pytest.fixture
def remote(tables: Tables) -> PipelineWorld:
    """A world whose videos come from an asynchronous provider that needs an input image."""
    made = PipelineWorld(tables, providers=frozenset({"local", "replicate"}))
    made.replicate.answers = [ProviderAccepted("r1")]
    return made


SVD = {
    "image": StageOptions("local/canvas", SMALL),
    "video": StageOptions("replicate/stable-video-diffusion"),
}


# ---- complete runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_a_run_holds_once_for_all_stages_and_is_charged_their_sum(world: PipelineWorld, name: str) -> None:
    run = world.submit_pipeline(name).generation
    assert (run.status, run.credits_held, run.candidates) == (Status.QUEUED, sum(CREDITS[name]), ())
    ended = world.run_to_end(run)
    assert ended == world.get(run)
    assert [stage.credits_charged for stage in world.stages(run)] == list(CREDITS[name])
    assert [job.kind for job in world.local.submitted] == [step.kind for step in PIPELINES[name]]
    assert ended.progress == 100
    world.assert_settled(run, Status.SUCCEEDED, sum(CREDITS[name]))


@pytest.mark.parametrize("name", EVERY)
def test_each_stage_starts_from_the_output_of_the_stage_before(world: PipelineWorld, name: str) -> None:
    run = world.run_to_end(world.submit_pipeline(name).generation)
    made = world.stages(run)
    for step, stage in zip(PIPELINES[name], made, strict=True):
        from_before = {
            role: (made[stage_names(name).index(step.starts_from[role])].assets[0].id,) for role in step.starts_from
        }
        inputs = {role: tuple(source.asset_id for source in files) for role, files in stage.recipe.inputs.items()}
        assert inputs == from_before
        kept = world.assets.get(world.workspace_id, stage.assets[0].id)
        assert (kept.generation_id, kept.made_from) == (
            stage.id,
            tuple(each for ids in from_before.values() for each in ids),
        )
        assert (stage.parent_id, stage.stage, stage.deadline_at) == (run.id, step.name, run.deadline_at)
    assert run.assets == made[-1].assets
    assert [attempt.model for attempt in run.attempts] == [stage.attempts[0].model for stage in made]


def test_a_stored_run_is_read_back_unchanged(world: PipelineWorld) -> None:
    for prompt in ("a lighthouse", "a very long prompt " * 400):
        run = world.submit_pipeline("enhanced_upscale", prompt=prompt).generation
        assert world.get(run) == run
        stage = world.next_stage(run)
        assert world.generations.get(world.workspace_id, stage.id) == stage


def test_an_enhanced_prompt_is_used_shown_and_charged_and_the_original_is_kept(world: PipelineWorld) -> None:
    recipe = Recipe(Kind.IMAGE, "a lighthouse", parameters={**SMALL, "seed": 7})
    run = world.run_to_end(world.submit_recipe(recipe, enhanced_pipeline(recipe)).generation)
    enhance, image = world.stages(run)
    assert "Rewrite the prompt" in world.local.submitted[0].parameters["system"]
    assert (enhance.recipe.prompt, image.recipe.prompt) == ("a lighthouse", "a lighthouse, in soft light")
    assert (run.recipe.prompt, run.enhanced_prompt) == ("a lighthouse", "a lighthouse, in soft light")
    assert image.recipe.parameters["seed"] == 7
    world.assert_settled(run, Status.SUCCEEDED, enhance.credits_charged + image.credits_charged)


def test_an_empty_enhancement_leaves_the_prompt_unchanged(world: PipelineWorld) -> None:
    world.writes = " ``` "
    run = world.run_to_end(world.submit_pipeline("enhanced_upscale").generation)
    assert world.stages(run)[1].recipe.prompt == "a lighthouse"


def test_an_enhanced_prompt_refused_by_moderation_ends_the_run(world: PipelineWorld) -> None:
    world.refuses = "soft light"
    run = world.run_to_end(world.submit_pipeline("enhanced_upscale").generation)
    assert [job.kind for job in world.local.submitted] == [Kind.TEXT]
    assert run.failure is not None
    assert run.failure.code == "MODERATED"
    world.assert_settled(run, Status.FAILED, 1)


# ---- crashes, repeats, races -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_a_run_restarted_after_a_stage_pays_for_no_stage_twice(world: PipelineWorld, name: str, number: int) -> None:
    run = world.submit_pipeline(name).generation
    for _ in range(number + 1):
        world.run_stage(world.next_stage(run))
    # A new execution has no state of an earlier one.
    world.run_to_end(run)
    assert [job.kind for job in world.local.submitted] == [step.kind for step in PIPELINES[name]]
    world.assert_settled(run, Status.SUCCEEDED, sum(CREDITS[name]))


def test_a_planned_stage_is_found_by_the_next_execution(world: PipelineWorld) -> None:
    run = world.submit_pipeline("image_to_video").generation
    first = world.next_stage(run)
    assert world.next_stage(run) == first
    assert first.id == stage_id(run.id, 0)
    assert world.get(run).stages_begun == 1


def test_an_open_stage_is_not_repeated_by_its_own_execution(world: PipelineWorld) -> None:
    run = world.submit_pipeline("image_to_video").generation
    stage = world.next_stage(run)
    assert world.plan(run, stage) is None
    # The run stays open until the stage ends.
    assert world.end_run(run).status is Status.RUNNING


def test_parallel_executions_run_each_stage_once(world: PipelineWorld) -> None:
    run = world.submit_pipeline("enhanced_upscale").generation
    for number in range(3):
        found = run_concurrently(8, lambda _: world.next_stage(run))
        assert {stage.id for stage in found if isinstance(stage, Generation)} == {stage_id(run.id, number)}
        assert len(found) == 8
        world.run_stage(world.next_stage(run))
    ends = run_concurrently(8, lambda _: world.end_run(run))
    assert {end.status for end in ends if isinstance(end, Generation)} == {Status.SUCCEEDED}
    world.assert_settled(run, Status.SUCCEEDED, 4)


def test_a_run_finished_again_changes_nothing(world: PipelineWorld) -> None:
    run = world.run_to_end(world.submit_pipeline("talking_avatar").generation)
    before = world.movements()
    assert world.plan(run) is None
    assert world.end_run(run) == world.get(run)
    assert world.movements() == before


def test_parallel_submissions_with_one_key_create_one_run(world: PipelineWorld) -> None:
    results = run_concurrently(12, lambda _: world.submit_pipeline("image_to_video", key="order-1"))
    assert len({result.generation.id for result in results if isinstance(result, AcceptedGeneration)}) == 1
    with pytest.raises(IdempotencyMismatch):
        world.submit_pipeline("image_to_video", key="order-1", options={})


# ---- failed, cancelled and expired runs ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_a_failed_run_is_charged_for_its_delivered_stages_only(world: PipelineWorld, name: str, number: int) -> None:
    run = world.submit_pipeline(name).generation
    for _ in range(number):
        world.run_stage(world.next_stage(run))
    world.run_stage(world.next_stage(run), BROKEN)
    failed = world.run_to_end(run)
    assert failed.failure is not None
    assert failed.failure.message == "It broke."
    assert len(world.local.submitted) == number + 1
    world.assert_settled(run, Status.FAILED, sum(CREDITS[name][:number]))


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_a_retried_run_keeps_its_finished_stages_and_pays_for_the_rest(
    world: PipelineWorld, name: str, number: int
) -> None:
    run = world.submit_pipeline(name).generation
    for _ in range(number):
        world.run_stage(world.next_stage(run))
    world.run_stage(world.next_stage(run), BROKEN)
    world.run_to_end(run)
    before, delivered = len(world.local.submitted), [stage.assets for stage in world.stages(run)[:number]]
    again = world.retry(run).generation
    assert again.credits_held == sum(CREDITS[name][number:])
    ended = world.run_to_end(again)
    assert ended.status is Status.SUCCEEDED
    assert [job.kind for job in world.local.submitted[before:]] == [step.kind for step in PIPELINES[name][number:]]
    assert ended.credits_charged == sum(CREDITS[name][number:])
    assert [stage.assets for stage in world.stages(again)[:number]] == delivered
    world.assert_sound()


@pytest.mark.parametrize("remove", [PipelineWorld.delete, PipelineWorld.archive], ids=["deleted", "archived"])
def test_a_retry_repeats_a_stage_whose_file_was_deleted_or_archived(
    world: PipelineWorld, remove: Callable[[PipelineWorld, str], None]
) -> None:
    run = world.submit_pipeline("image_to_video").generation
    image = world.run_stage(world.next_stage(run))
    world.run_stage(world.next_stage(run), BROKEN)
    world.run_to_end(run)
    remove(world, image.assets[0].id)
    again = world.run_to_end(world.retry(run).generation)
    assert again.credits_charged == sum(CREDITS["image_to_video"])


def test_a_retry_of_a_succeeded_run_repeats_every_stage(world: PipelineWorld) -> None:
    run = world.run_to_end(world.submit_pipeline("talking_avatar").generation)
    assert world.retry(run).generation.credits_held == sum(CREDITS["talking_avatar"])


@pytest.mark.parametrize("name", EVERY)
def test_a_retry_of_a_run_with_every_stage_done_holds_nothing(world: PipelineWorld, name: str) -> None:
    run = world.submit_pipeline(name).generation
    while stage := world.plan(run):
        world.run_stage(stage)
    # The run itself is not finished yet.
    jobs = len(world.local.submitted)
    again = world.run_to_end(world.retry(run).generation)
    assert (again.status, again.credits_held, again.credits_charged) == (Status.SUCCEEDED, 0, 0)
    ended = world.run_to_end(run)
    assert (ended.credits_charged, again.assets) == (sum(CREDITS[name]), ended.assets)
    assert len(world.local.submitted) == jobs
    world.assert_sound()


def test_a_run_cancelled_before_its_first_stage_is_free_and_final(world: PipelineWorld) -> None:
    run = world.submit_pipeline("image_to_video").generation
    assert cancel(world.workspace_id, run.id, deps=world.finish_deps, now=world.now).status is Status.CANCELLED
    world.run_to_end(run)
    assert world.local.submitted == []
    world.assert_settled(run, Status.CANCELLED, 0)


@pytest.mark.parametrize(("name", "number"), [each for each in STAGES if each[1] > 0])
def test_a_run_cancelled_between_stages_is_charged_for_its_delivered_stages(
    world: PipelineWorld, name: str, number: int
) -> None:
    run = world.submit_pipeline(name).generation
    for _ in range(number):
        world.run_stage(world.next_stage(run))
    cancelled = cancel(world.workspace_id, run.id, deps=world.finish_deps, now=world.now)
    assert cancelled.cancel_requested_at == world.now
    cancel_at_provider(world.workspace_id, run.id, deps=world.attempt_deps)
    world.run_to_end(run)
    assert len(world.local.submitted) == number
    world.assert_settled(run, Status.CANCELLED, sum(CREDITS[name][:number]))


def test_a_planned_stage_is_cancelled_with_its_run(world: PipelineWorld) -> None:
    run = world.submit_pipeline("image_to_video").generation
    stage = world.next_stage(run)
    cancel(world.workspace_id, run.id, deps=world.finish_deps, now=world.now)
    cancel_at_provider(world.workspace_id, run.id, deps=world.attempt_deps)
    assert world.get(stage).status is Status.CANCELLED
    world.run_stage(stage)
    world.run_to_end(run)
    assert world.local.submitted == []
    world.assert_settled(run, Status.CANCELLED, 0)


def test_the_cancellation_of_a_run_reaches_the_provider_of_its_stage(remote: PipelineWorld) -> None:
    run = remote.submit_pipeline("image_to_video", options=SVD).generation
    remote.run_stage(remote.next_stage(run))
    film = remote.next_stage(run)
    remote.attempt(film)
    # First the API's call, then what the outbox does for the run and for the stage.
    cancel(remote.workspace_id, film.id, deps=remote.finish_deps, now=remote.now)
    assert remote.get(run).cancel_requested_at is not None
    cancel_at_provider(remote.workspace_id, run.id, deps=remote.attempt_deps)
    assert remote.get(film).cancel_requested_at is not None
    cancel_at_provider(remote.workspace_id, film.id, deps=remote.attempt_deps)
    assert remote.replicate.cancelled == ["r1"]
    remote.finish(film)
    ended = remote.run_to_end(run)
    used = remote.get(film).credits_charged
    assert 0 < used < film.credits_held
    remote.assert_settled(ended, Status.CANCELLED, 1 + used)


@pytest.mark.parametrize("number", [0, 1])
def test_an_expired_run_is_charged_for_delivered_stages_and_expires_its_open_stage(
    remote: PipelineWorld, number: int
) -> None:
    options = SVD if number else {"image": StageOptions("replicate/sdxl", SMALL), "video": SVD["video"]}
    run = remote.submit_pipeline("image_to_video", options=options).generation
    for _ in range(number):
        remote.run_stage(remote.next_stage(run))
    out = remote.next_stage(run)
    remote.attempt(out)
    remote.now = run.deadline_at
    assert sweep(remote.workspace_id, deps=remote.finish_deps, now=remote.now) == 1
    assert remote.get(out).status is Status.EXPIRED
    remote.assert_settled(run, Status.EXPIRED, number)
    assert remote.plan(run) is None
    assert sweep(remote.workspace_id, deps=remote.finish_deps, now=remote.now) == 0


def test_a_stage_after_the_runs_deadline_is_not_submitted(remote: PipelineWorld) -> None:
    run = remote.submit_pipeline("image_to_video", options=SVD).generation
    remote.run_stage(remote.next_stage(run))
    remote.now = run.deadline_at
    remote.run_to_end(run)
    assert remote.replicate.submitted == []
    remote.assert_settled(run, Status.FAILED, 1)


def test_a_run_that_crashed_after_its_last_stage_succeeds_at_the_sweep(world: PipelineWorld) -> None:
    run = world.submit_pipeline("image_to_video").generation
    for _ in range(2):
        world.run_stage(world.next_stage(run))
    world.now = run.deadline_at
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    assert world.assert_settled(run, Status.SUCCEEDED, 7).assets


def test_a_late_last_stage_is_delivered_free_with_its_run(remote: PipelineWorld) -> None:
    run = remote.submit_pipeline("image_to_video", options=SVD).generation
    remote.run_stage(remote.next_stage(run))
    film = remote.next_stage(run)
    remote.attempt(film)
    remote.now = run.deadline_at
    sweep(remote.workspace_id, deps=remote.finish_deps, now=remote.now)
    remote.replicate.progress = DONE
    attempt = remote.get(film).attempts[0]
    poll(remote.workspace_id, film.id, attempt.id, Poll(5), deps=remote.attempt_deps)
    assert remote.finish(film).status is Status.SUCCEEDED
    ended = remote.end_run(run)
    assert ended.assets == remote.get(film).assets
    # The charge of the deadline stays; the video is the operator's loss.
    assert (ended.status, ended.credits_charged) == (Status.SUCCEEDED, 1)
    lost = [e.amount for m in remote.movements() for e in m.entries if e.account == "operator_loss"]
    assert sum(lost) > 0
    assert remote.end_run(run) == remote.get(run)
    remote.assert_sound()


def test_a_late_first_stage_does_not_reopen_its_expired_run(remote: PipelineWorld) -> None:
    options = {"image": StageOptions("replicate/sdxl", SMALL), "video": SVD["video"]}
    run = remote.submit_pipeline("image_to_video", options=options).generation
    image = remote.next_stage(run)
    remote.attempt(image)
    remote.now = run.deadline_at
    sweep(remote.workspace_id, deps=remote.finish_deps, now=remote.now)
    remote.replicate.progress = DONE
    poll(remote.workspace_id, image.id, remote.get(image).attempts[0].id, Poll(5), deps=remote.attempt_deps)
    assert remote.finish(image).status is Status.SUCCEEDED
    assert remote.run_to_end(run).status is Status.EXPIRED
    assert remote.get(run).credits_charged == 0
    # The late stage's cost is part of its run's cost.
    assert remote.get(run).cost_microusd == remote.get(image).cost_microusd == 1950


def test_a_sweep_racing_a_finish_ends_a_run_once(world: PipelineWorld) -> None:
    for _ in range(5):
        run = world.submit_pipeline("talking_avatar").generation
        speech = world.next_stage(run)
        world.attempt(speech)
        world.now = run.deadline_at
        outcome = Outcome.from_data(world.execution.results[-1])

        def one(number: int, run: Generation = run, speech: Generation = speech, outcome: Outcome = outcome) -> object:
            if number % 2:
                return sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
            finish(world.workspace_id, speech.id, outcome, deps=world.finish_deps, now=world.now)
            return world.run_to_end(run)

        run_concurrently(4, one)
        sweep(world.workspace_id, deps=world.finish_deps, now=world.now + timedelta(minutes=10))
        ended = world.get(run)
        assert not ended.is_open
        assert ended.credits_charged == sum(stage.credits_charged for stage in world.stages(run))
        world.assert_sound()


# ---- fallbacks and polls ---------------------------------------------------------------------------------------------


def test_a_stage_falls_back_to_its_next_candidate_under_the_same_hold(tables: Tables) -> None:
    world = PipelineWorld(tables, providers=frozenset({"local", "replicate"}))
    world.replicate.answers = [Failed(ErrorClass.CAPACITY, "busy")]
    run = world.submit_pipeline("image_to_video", options=SVD).generation
    image = world.next_stage(run)
    item = GenerationItem(world.workspace_id, image.id)
    item.update([GenerationItem.candidates.set(["replicate/sdxl", "local/canvas"])])
    world.attempt(image)
    (lost,) = world.execution.failures
    world.attempt(image, cause=lost)
    ended = world.finish(image)
    assert [attempt.model for attempt in ended.attempts] == ["replicate/sdxl", "local/canvas"]
    assert world.get(run).credits_held == run.credits_held


def test_a_result_without_a_waiting_execution_starts_a_new_one_for_the_run(remote: PipelineWorld) -> None:
    run = remote.submit_pipeline("image_to_video", options=SVD).generation
    remote.run_stage(remote.next_stage(run))
    film = remote.next_stage(run)
    remote.attempt(film)
    remote.replicate.progress, remote.execution.listening = DONE, False
    attempt = remote.get(film).attempts[0]
    for due in (Poll(3), Poll(no_waiter=True)):
        poll(remote.workspace_id, film.id, attempt.id, due, deps=remote.attempt_deps)
    assert remote.execution.started == [f"run {run.id}-{attempt.id}"]
    # The new execution waits for the same attempt.
    assert remote.next_stage(run).id == film.id


# ---- credits and cost ------------------------------------------------------------------------------------------------


def test_a_run_needs_exactly_the_credits_of_its_maximum_price(world: PipelineWorld) -> None:
    options = {"image": StageOptions(parameters=SMALL), "video": StageOptions(parameters={"duration_seconds": 24})}
    run = world.submit_pipeline("image_to_video", options=options).generation
    assert run.credits_held == 49
    cancel(world.workspace_id, run.id, deps=world.finish_deps, now=world.now)
    world.submit()
    exact = world.submit_pipeline("image_to_video", options=options).generation
    assert world.wallet().available == 0
    with pytest.raises(InsufficientCredits):
        world.submit_pipeline("talking_avatar")
    assert world.run_to_end(exact).credits_charged == 49


def test_credits_for_seven_runs_accept_exactly_seven_of_fifty_in_parallel(world: PipelineWorld) -> None:
    results = run_concurrently(50, lambda number: world.submit_pipeline("image_to_video", prompt=f"number {number}"))
    assert sum(isinstance(result, AcceptedGeneration) for result in results) == 7
    assert sum(isinstance(result, InsufficientCredits) for result in results) == 43
    world.assert_sound()


def test_a_runs_quote_is_the_sum_of_its_stages_and_is_redeemed_once(world: PipelineWorld) -> None:
    pipeline = build_pipeline("image_to_video", STAGE_OPTIONS["image_to_video"], None)
    recipe = Recipe(Kind.VIDEO, "a lighthouse")
    ask = QuoteInput.of(recipe, pipeline)
    promise, offers = quote(world.workspace_id, ask, catalogue=world.catalogue, now=world.now)
    assert (promise.credits_max, [offer.model for offer in offers]) == (7, ["local/canvas", "local/film"])
    assert world.submit_recipe(recipe, pipeline, quote=promise).generation.credits_held == 7
    with pytest.raises(Conflict):
        world.submit_recipe(recipe, pipeline, quote=promise)
    with pytest.raises(ValidationFailed):
        world.submit_recipe(recipe, build_pipeline("image_to_video", {}, None), quote=promise)


def test_a_run_is_charged_no_more_than_its_quote(world: PipelineWorld) -> None:
    pipeline = build_pipeline("image_to_video", STAGE_OPTIONS["image_to_video"], None)
    recipe = Recipe(Kind.VIDEO, "a lighthouse")
    promise, _ = quote(world.workspace_id, QuoteInput.of(recipe, pipeline), catalogue=world.catalogue, now=world.now)
    run = world.submit_recipe(recipe, pipeline, quote=replace(promise, credits_max=5)).generation
    assert world.run_to_end(run).credits_charged == run.credits_held == 5


def test_the_cost_and_usage_of_a_run_are_those_of_its_stages(remote: PipelineWorld) -> None:
    run = remote.submit_pipeline("image_to_video", options=SVD).generation
    remote.run_stage(remote.next_stage(run))
    film = remote.next_stage(run)
    remote.attempt(film)
    remote.replicate.progress = Done((Output(data=b"film"),), {"predict_milliseconds": 60_000})
    poll(remote.workspace_id, film.id, remote.get(film).attempts[0].id, Poll(), deps=remote.attempt_deps)
    remote.finish(film)
    ended = remote.run_to_end(run)
    assert ended.cost_microusd == remote.get(film).cost_microusd == 84_000
    # The image stage reported 2000 ms too.
    assert ended.usage == {"predict_milliseconds": 62_000}
    remote.assert_settled(run, Status.SUCCEEDED, 1 + remote.get(film).credits_charged)


# ---- listing and reconciling -----------------------------------------------------------------------------------------


def test_a_listing_pages_through_runs_without_their_stages(world: PipelineWorld) -> None:
    runs = [world.run_to_end(world.submit_pipeline("talking_avatar", options={}).generation) for _ in range(6)]
    single = world.submit().generation
    seen: list[str] = []
    after: str | None = None
    while True:
        page = world.generations.list(world.workspace_id, Filters(), after, 2)
        seen += [generation.id for generation in page.generations]
        after = page.next_id
        if after is None:
            break
    assert sorted(seen) == sorted([single.id, *(run.id for run in runs)])
    assert len(seen) == 7
    by_model = world.generations.list(world.workspace_id, Filters(model="local/talker"), None, 10)
    assert len(by_model.generations) == 6


def test_the_reconciler_does_not_change_a_running_run(world: PipelineWorld) -> None:
    run = world.submit_pipeline("image_to_video").generation
    world.run_stage(world.next_stage(run))
    world.next_stage(run)
    found = reconcile(
        world.workspace_id,
        created_after=world.now - timedelta(hours=3),
        thorough=True,
        deps=world.finish_deps,
        now=world.now,
    )
    assert found == Repairs()
    assert world.run_to_end(run).status is Status.SUCCEEDED


def test_a_run_closed_by_the_reconciler_has_no_open_stage(remote: PipelineWorld) -> None:
    run = remote.submit_pipeline("image_to_video", options=SVD).generation
    remote.run_stage(remote.next_stage(run))
    film = remote.next_stage(run)
    remote.attempt(film)
    hold = remote.wallets.hold(remote.workspace_id, run.id)
    assert hold is not None
    # As after one table was restored to another point in time.
    remote.wallets.end_hold(remote.workspace_id, plan_settlement(hold, EndState.SETTLED, 1, {}, remote.now))
    since, found = remote.now - timedelta(hours=30), []
    for _ in range(2):
        again = reconcile(
            remote.workspace_id, created_after=since, thorough=True, deps=remote.finish_deps, now=remote.now
        )
        found.append(again)
    assert found == [Repairs(closed=1), Repairs()]
    assert (remote.get(run).status, remote.get(film).status) == (Status.FAILED, Status.EXPIRED)
    remote.assert_sound()


# ---- requests that become runs ---------------------------------------------------------------------------------------


def test_a_request_becomes_a_run_when_its_model_needs_an_input_that_a_stage_makes() -> None:
    prices = catalogue(frozenset({"local", "replicate"}))

    def found(recipe: Recipe, *, enhance: bool = False) -> list[str] | None:
        pipeline = pipeline_for(recipe, enhance=enhance, catalogue=prices, now=NOON)
        return [stage.name for stage in pipeline.stages] if pipeline else None

    svd = Recipe(Kind.VIDEO, "a lighthouse", "replicate/stable-video-diffusion")
    assert found(svd) == ["image", "video"]
    assert found(svd, enhance=True) == ["enhance", "image", "video"]
    assert found(Recipe(Kind.VIDEO, "a lighthouse", "local/film")) is None
    assert found(Recipe(Kind.AVATAR, "Hello", "local/talker")) is None
    assert found(Recipe(Kind.IMAGE, "a lighthouse")) is None
    assert found(Recipe(Kind.IMAGE, "a lighthouse"), enhance=True) == ["enhance", "image"]
    with pytest.raises(ValidationFailed):
        found(Recipe(Kind.AVATAR, "Hello", "local/talker"), enhance=True)


def test_an_avatar_without_audio_gets_a_speech_stage_with_the_voice_parameter() -> None:
    prices = catalogue(frozenset({"local", "replicate"}))
    recipe = Recipe(Kind.AVATAR, "Hello", "replicate/sadtalker", parameters={"voice": "ben", "still": False})
    pipeline = pipeline_for(recipe, enhance=False, catalogue=prices, now=NOON)
    assert pipeline is not None
    speech, avatar = pipeline.stages
    assert (speech.parameters, avatar.parameters) == ({"voice": "ben"}, {"still": False})
    assert (speech.kind, avatar.model, avatar.starts_from) == (Kind.AUDIO, "replicate/sadtalker", {"audio": "speech"})


def test_a_pipeline_refuses_an_unknown_stage_and_enhancing_a_spoken_text() -> None:
    with pytest.raises(ValidationFailed):
        build_pipeline("image_to_video", {"speech": StageOptions()}, None)
    with pytest.raises(ValidationFailed):
        build_pipeline("talking_avatar", {}, None, enhance=True)
    assert build_pipeline("image_to_video", {}, None, enhance=True).stages[0].name == "enhance"


def test_a_pending_stages_progress_does_not_change_its_runs_progress(remote: PipelineWorld) -> None:
    run = remote.submit_pipeline("image_to_video", options=SVD).generation
    remote.run_stage(remote.next_stage(run))
    film = remote.next_stage(run)
    assert remote.get(run).progress == 50
    remote.attempt(film)
    remote.replicate.progress = Pending(40)
    poll(remote.workspace_id, film.id, remote.get(film).attempts[0].id, Poll(), deps=remote.attempt_deps)
    assert (remote.get(film).progress, remote.get(run).progress) == (40, 50)
