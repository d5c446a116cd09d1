"""Runs through the real use cases on the embedded store: crashed, repeated, failed, cancelled or expired."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.aws.dynamodb.generations import GenerationItem
from atelier.errors import Conflict, IdempotencyMismatch, InsufficientCredits, ValidationFailed
from atelier.generations.cancel import cancel
from atelier.generations.finish import finish
from atelier.generations.model import Generation, Kind, Recipe, Status, stage_id
from atelier.generations.outcome import Outcome
from atelier.generations.pipelines import PIPELINES, Asked, assembled, with_enhancement
from atelier.generations.poll import poll, stop
from atelier.generations.ports import Filters
from atelier.generations.quote import Ask, pipeline_for, quote
from atelier.generations.reconcile import Repairs, reconcile
from atelier.generations.submit import Accepted
from atelier.generations.sweep import sweep
from atelier.ledger.model import EndState, end_hold
from atelier.pricing.catalogue import catalogue
from atelier.providers._contract import Accepted as ProviderAccepted
from atelier.providers._contract import Done, ErrorClass, Failed, Output, Pending
from tests.adapters.runs import ASKED, CREDITS, SMALL, RunWorld, names
from tests.adapters.world import DONE, NOON, at_once
from tests.conftest import Tables

BROKEN = Outcome("failed", error_class=ErrorClass.TRANSIENT, message="It broke.")
EVERY = list(PIPELINES)
STAGES = [(name, number) for name in EVERY for number in range(len(PIPELINES[name]))]


@pytest.fixture
def world(tables: Tables) -> RunWorld:
    return RunWorld(tables)


@pytest.fixture
def remote(tables: Tables) -> RunWorld:
    """A world whose videos come from an asynchronous provider that needs an input image."""
    made = RunWorld(tables, providers=frozenset({"local", "replicate"}))
    made.replicate.answers = [ProviderAccepted("r1")]
    return made


SVD = {
    "image": Asked("local/canvas", SMALL),
    "video": Asked("replicate/stable-video-diffusion"),
}


# ---- complete runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_a_run_holds_once_for_all_stages_and_is_charged_once_for_what_they_come_to(world: RunWorld, name: str) -> None:
    run = world.begin(name).generation
    assert (run.status, run.credits_held, run.candidates) == (Status.QUEUED, sum(CREDITS[name]), ())
    ended = world.play(run)
    assert ended == world.get(run)
    assert [stage.credits_charged for stage in world.stages(run)] == list(CREDITS[name])
    assert [job.kind for job in world.local.submitted] == [step.kind for step in PIPELINES[name]]
    assert ended.progress == 100
    world.assert_settled(run, Status.SUCCEEDED, sum(CREDITS[name]))


@pytest.mark.parametrize("name", EVERY)
def test_each_stage_starts_from_what_the_one_before_has_made_and_every_file_is_kept(world: RunWorld, name: str) -> None:
    run = world.play(world.begin(name).generation)
    made = world.stages(run)
    for step, stage in zip(PIPELINES[name], made, strict=True):
        from_before = {
            role: (made[names(name).index(step.starts_from[role])].assets[0].id,) for role in step.starts_from
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


def test_what_is_written_of_a_run_reads_back_the_same(world: RunWorld) -> None:
    for prompt in ("a lighthouse", "a very long prompt " * 400):
        run = world.begin("enhanced_upscale", prompt=prompt).generation
        assert world.get(run) == run
        stage = world.planned(run)
        assert world.generations.get(world.workspace_id, stage.id) == stage


def test_an_enhanced_prompt_is_made_with_shown_and_paid_for_and_the_original_kept(world: RunWorld) -> None:
    recipe = Recipe(Kind.IMAGE, "a lighthouse", parameters={**SMALL, "seed": 7})
    run = world.play(world.ask(recipe, with_enhancement(recipe)).generation)
    enhance, image = world.stages(run)
    assert "Rewrite the prompt" in world.local.submitted[0].parameters["system"]
    assert (enhance.recipe.prompt, image.recipe.prompt) == ("a lighthouse", "a lighthouse, in soft light")
    assert (run.recipe.prompt, run.enhanced_prompt) == ("a lighthouse", "a lighthouse, in soft light")
    assert image.recipe.parameters["seed"] == 7
    world.assert_settled(run, Status.SUCCEEDED, enhance.credits_charged + image.credits_charged)


def test_a_model_that_writes_nothing_leaves_the_prompt_as_it_was(world: RunWorld) -> None:
    world.writes = " ``` "
    run = world.play(world.begin("enhanced_upscale").generation)
    assert world.stages(run)[1].recipe.prompt == "a lighthouse"


def test_an_enhanced_prompt_that_must_not_be_used_ends_the_run_and_nothing_is_made_of_it(world: RunWorld) -> None:
    world.refuses = "soft light"
    run = world.play(world.begin("enhanced_upscale").generation)
    assert [job.kind for job in world.local.submitted] == [Kind.TEXT]
    assert run.failure is not None
    assert run.failure.code == "MODERATED"
    world.assert_settled(run, Status.FAILED, 1)


# ---- crashes, repeats, races -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_a_run_that_is_killed_after_a_stage_and_started_again_pays_for_none_twice(
    world: RunWorld, name: str, number: int
) -> None:
    run = world.begin(name).generation
    for _ in range(number + 1):
        world.make(world.planned(run))
    # A new execution has no state of an earlier one.
    world.play(run)
    assert [job.kind for job in world.local.submitted] == [step.kind for step in PIPELINES[name]]
    world.assert_settled(run, Status.SUCCEEDED, sum(CREDITS[name]))


def test_a_stage_that_was_planned_and_not_tried_is_found_by_the_next_execution(world: RunWorld) -> None:
    run = world.begin("image_to_video").generation
    first = world.planned(run)
    assert world.planned(run) == first
    assert first.id == stage_id(run.id, 0)
    assert world.get(run).stages_begun == 1


def test_a_stage_whose_outcome_nobody_knows_is_not_tried_again_by_the_execution_that_tried_it(world: RunWorld) -> None:
    run = world.begin("image_to_video").generation
    stage = world.planned(run)
    assert world.plan(run, stage) is None
    # The run stays open until the stage ends.
    assert world.end(run).status is Status.RUNNING


def test_two_executions_at_once_make_each_stage_once(world: RunWorld) -> None:
    run = world.begin("enhanced_upscale").generation
    for number in range(3):
        found = at_once(8, lambda _: world.planned(run))
        assert {stage.id for stage in found if isinstance(stage, Generation)} == {stage_id(run.id, number)}
        assert len(found) == 8
        world.make(world.planned(run))
    ends = at_once(8, lambda _: world.end(run))
    assert {end.status for end in ends if isinstance(end, Generation)} == {Status.SUCCEEDED}
    world.assert_settled(run, Status.SUCCEEDED, 4)


def test_a_run_finished_again_changes_nothing(world: RunWorld) -> None:
    run = world.play(world.begin("talking_avatar").generation)
    before = world.movements()
    assert world.plan(run) is None
    assert world.end(run) == world.get(run)
    assert world.movements() == before


def test_one_key_many_times_at_once_is_one_run(world: RunWorld) -> None:
    results = at_once(12, lambda _: world.begin("image_to_video", key="order-1"))
    assert len({result.generation.id for result in results if isinstance(result, Accepted)}) == 1
    with pytest.raises(IdempotencyMismatch):
        world.begin("image_to_video", key="order-1", asked={})


# ---- failed, cancelled and expired runs ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_a_run_that_fails_is_charged_for_the_stages_that_were_delivered_and_no_more(
    world: RunWorld, name: str, number: int
) -> None:
    run = world.begin(name).generation
    for _ in range(number):
        world.make(world.planned(run))
    world.make(world.planned(run), BROKEN)
    failed = world.play(run)
    assert failed.failure is not None
    assert failed.failure.message == "It broke."
    assert len(world.local.submitted) == number + 1
    world.assert_settled(run, Status.FAILED, sum(CREDITS[name][:number]))


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_the_retry_of_a_failed_run_takes_its_finished_stages_over_and_pays_for_the_rest(
    world: RunWorld, name: str, number: int
) -> None:
    run = world.begin(name).generation
    for _ in range(number):
        world.make(world.planned(run))
    world.make(world.planned(run), BROKEN)
    world.play(run)
    before, delivered = len(world.local.submitted), [stage.assets for stage in world.stages(run)[:number]]
    again = world.retry(run).generation
    assert again.credits_held == sum(CREDITS[name][number:])
    ended = world.play(again)
    assert ended.status is Status.SUCCEEDED
    assert [job.kind for job in world.local.submitted[before:]] == [step.kind for step in PIPELINES[name][number:]]
    assert ended.credits_charged == sum(CREDITS[name][number:])
    assert [stage.assets for stage in world.stages(again)[:number]] == delivered
    world.assert_sound()


def test_a_stage_whose_file_was_deleted_is_made_again_by_a_retry(world: RunWorld) -> None:
    run = world.begin("image_to_video").generation
    image = world.make(world.planned(run))
    world.make(world.planned(run), BROKEN)
    world.play(run)
    world.delete(image.assets[0].id)
    again = world.play(world.retry(run).generation)
    assert again.credits_charged == sum(CREDITS["image_to_video"])


def test_the_retry_of_a_run_that_succeeded_makes_all_of_it_anew(world: RunWorld) -> None:
    run = world.play(world.begin("talking_avatar").generation)
    assert world.retry(run).generation.credits_held == sum(CREDITS["talking_avatar"])


@pytest.mark.parametrize("name", EVERY)
def test_the_retry_of_a_run_with_nothing_left_to_make_holds_nothing_and_has_what_is_there(
    world: RunWorld, name: str
) -> None:
    run = world.begin(name).generation
    while stage := world.plan(run):
        world.make(stage)
    # The run itself is not finished yet.
    jobs = len(world.local.submitted)
    again = world.play(world.retry(run).generation)
    assert (again.status, again.credits_held, again.credits_charged) == (Status.SUCCEEDED, 0, 0)
    ended = world.play(run)
    assert (ended.credits_charged, again.assets) == (sum(CREDITS[name]), ended.assets)
    assert len(world.local.submitted) == jobs
    world.assert_sound()


def test_a_run_that_is_cancelled_before_anything_began_is_free_and_final_at_once(world: RunWorld) -> None:
    run = world.begin("image_to_video").generation
    assert cancel(world.workspace_id, run.id, to=world.finishing, now=world.now).status is Status.CANCELLED
    world.play(run)
    assert world.local.submitted == []
    world.assert_settled(run, Status.CANCELLED, 0)


@pytest.mark.parametrize(("name", "number"), [each for each in STAGES if each[1] > 0])
def test_a_run_cancelled_between_two_stages_begins_no_more_and_is_charged_for_those_it_has(
    world: RunWorld, name: str, number: int
) -> None:
    run = world.begin(name).generation
    for _ in range(number):
        world.make(world.planned(run))
    asked = cancel(world.workspace_id, run.id, to=world.finishing, now=world.now)
    assert asked.cancel_requested_at == world.now
    stop(world.workspace_id, run.id, to=world.attempting)
    world.play(run)
    assert len(world.local.submitted) == number
    world.assert_settled(run, Status.CANCELLED, sum(CREDITS[name][:number]))


def test_a_stage_that_was_planned_but_not_sent_is_cancelled_with_its_run(world: RunWorld) -> None:
    run = world.begin("image_to_video").generation
    stage = world.planned(run)
    cancel(world.workspace_id, run.id, to=world.finishing, now=world.now)
    stop(world.workspace_id, run.id, to=world.attempting)
    assert world.get(stage).status is Status.CANCELLED
    world.make(stage)
    world.play(run)
    assert world.local.submitted == []
    world.assert_settled(run, Status.CANCELLED, 0)


def test_the_cancellation_of_a_run_reaches_the_provider_of_its_stage(remote: RunWorld) -> None:
    run = remote.begin("image_to_video", asked=SVD).generation
    remote.make(remote.planned(run))
    film = remote.planned(run)
    remote.attempt(film)
    # First the API's call, then what the outbox does for the run and for the stage.
    cancel(remote.workspace_id, film.id, to=remote.finishing, now=remote.now)
    assert remote.get(run).cancel_requested_at is not None
    stop(remote.workspace_id, run.id, to=remote.attempting)
    assert remote.get(film).cancel_requested_at is not None
    stop(remote.workspace_id, film.id, to=remote.attempting)
    assert remote.replicate.cancelled == ["r1"]
    remote.finish(film)
    ended = remote.play(run)
    used = remote.get(film).credits_charged
    assert 0 < used < film.credits_held
    remote.assert_settled(ended, Status.CANCELLED, 1 + used)


@pytest.mark.parametrize("number", [0, 1])
def test_a_run_that_expires_gives_back_what_was_not_delivered_and_ends_its_stage(remote: RunWorld, number: int) -> None:
    asked = SVD if number else {"image": Asked("replicate/sdxl", SMALL), "video": SVD["video"]}
    run = remote.begin("image_to_video", asked=asked).generation
    for _ in range(number):
        remote.make(remote.planned(run))
    out = remote.planned(run)
    remote.attempt(out)
    remote.now = run.deadline_at
    assert sweep(remote.workspace_id, to=remote.finishing, now=remote.now) == 1
    assert remote.get(out).status is Status.EXPIRED
    remote.assert_settled(run, Status.EXPIRED, number)
    assert remote.plan(run) is None
    assert sweep(remote.workspace_id, to=remote.finishing, now=remote.now) == 0


def test_a_stage_whose_turn_comes_after_the_deadline_is_sent_to_nobody(remote: RunWorld) -> None:
    run = remote.begin("image_to_video", asked=SVD).generation
    remote.make(remote.planned(run))
    remote.now = run.deadline_at
    remote.play(run)
    assert remote.replicate.submitted == []
    remote.assert_settled(run, Status.FAILED, 1)


def test_a_run_whose_execution_died_after_its_last_stage_succeeds_at_its_deadline(world: RunWorld) -> None:
    run = world.begin("image_to_video").generation
    for _ in range(2):
        world.make(world.planned(run))
    world.now = run.deadline_at
    sweep(world.workspace_id, to=world.finishing, now=world.now)
    assert world.assert_settled(run, Status.SUCCEEDED, 7).assets


def test_a_last_stage_that_comes_late_is_delivered_free_with_its_run(remote: RunWorld) -> None:
    run = remote.begin("image_to_video", asked=SVD).generation
    remote.make(remote.planned(run))
    film = remote.planned(run)
    remote.attempt(film)
    remote.now = run.deadline_at
    sweep(remote.workspace_id, to=remote.finishing, now=remote.now)
    remote.replicate.progress = DONE
    attempt = remote.get(film).attempts[0]
    poll(remote.workspace_id, film.id, attempt.id, 5, to=remote.attempting)
    assert remote.finish(film).status is Status.SUCCEEDED
    ended = remote.end(run)
    assert ended.assets == remote.get(film).assets
    # The charge of the deadline stays; the video is the operator's loss.
    assert (ended.status, ended.credits_charged) == (Status.SUCCEEDED, 1)
    lost = [e.amount for m in remote.movements() for e in m.entries if e.account == "operator_loss"]
    assert sum(lost) > 0
    assert remote.end(run) == remote.get(run)
    remote.assert_sound()


def test_a_late_first_stage_does_not_bring_its_run_back(remote: RunWorld) -> None:
    asked = {"image": Asked("replicate/sdxl", SMALL), "video": SVD["video"]}
    run = remote.begin("image_to_video", asked=asked).generation
    image = remote.planned(run)
    remote.attempt(image)
    remote.now = run.deadline_at
    sweep(remote.workspace_id, to=remote.finishing, now=remote.now)
    remote.replicate.progress = DONE
    poll(remote.workspace_id, image.id, remote.get(image).attempts[0].id, 5, to=remote.attempting)
    assert remote.finish(image).status is Status.SUCCEEDED
    assert remote.play(run).status is Status.EXPIRED
    assert remote.get(run).credits_charged == 0
    # The late stage's cost is part of its run's cost.
    assert remote.get(run).cost_microusd == remote.get(image).cost_microusd == 1950


def test_a_sweep_and_a_finish_at_once_end_a_run_once(world: RunWorld) -> None:
    for _ in range(5):
        run = world.begin("talking_avatar").generation
        speech = world.planned(run)
        world.attempt(speech)
        world.now = run.deadline_at
        outcome = Outcome.from_data(world.execution.results[-1])

        def one(number: int, run: Generation = run, speech: Generation = speech, outcome: Outcome = outcome) -> object:
            if number % 2:
                return sweep(world.workspace_id, to=world.finishing, now=world.now)
            finish(world.workspace_id, speech.id, outcome, to=world.finishing, now=world.now)
            return world.play(run)

        at_once(4, one)
        sweep(world.workspace_id, to=world.finishing, now=world.now + timedelta(minutes=10))
        ended = world.get(run)
        assert not ended.is_open
        assert ended.credits_charged == sum(stage.credits_charged for stage in world.stages(run))
        world.assert_sound()


# ---- fallbacks and polls ---------------------------------------------------------------------------------------------


def test_a_stage_falls_back_to_its_next_candidate_under_the_same_hold(tables: Tables) -> None:
    world = RunWorld(tables, providers=frozenset({"local", "replicate"}))
    world.replicate.answers = [Failed(ErrorClass.CAPACITY, "busy")]
    run = world.begin("image_to_video", asked=SVD).generation
    image = world.planned(run)
    item = GenerationItem(world.workspace_id, image.id)
    item.update([GenerationItem.candidates.set(["replicate/sdxl", "local/canvas"])])
    world.attempt(image)
    (lost,) = world.execution.lost
    world.attempt(image, lost=lost)
    ended = world.finish(image)
    assert [attempt.model for attempt in ended.attempts] == ["replicate/sdxl", "local/canvas"]
    assert world.get(run).credits_held == run.credits_held


def test_a_result_that_nobody_waits_for_starts_the_run_again(remote: RunWorld) -> None:
    run = remote.begin("image_to_video", asked=SVD).generation
    remote.make(remote.planned(run))
    film = remote.planned(run)
    remote.attempt(film)
    remote.replicate.progress, remote.execution.listening = DONE, False
    attempt = remote.get(film).attempts[0]
    for polls in (3, 1000):
        poll(remote.workspace_id, film.id, attempt.id, polls, to=remote.attempting)
    assert remote.execution.started == [f"run {run.id}-{attempt.id}"]
    # The new execution waits for the same attempt.
    assert remote.planned(run).id == film.id


# ---- credits and cost ------------------------------------------------------------------------------------------------


def test_funds_for_the_cap_are_enough_and_one_credit_less_is_not(world: RunWorld) -> None:
    asked = {"image": Asked(parameters=SMALL), "video": Asked(parameters={"duration_seconds": 24})}
    run = world.begin("image_to_video", asked=asked).generation
    assert run.credits_held == 49
    cancel(world.workspace_id, run.id, to=world.finishing, now=world.now)
    world.submit()
    exact = world.begin("image_to_video", asked=asked).generation
    assert world.wallet().available == 0
    with pytest.raises(InsufficientCredits):
        world.begin("talking_avatar")
    assert world.play(exact).credits_charged == 49


def test_fifty_runs_at_once_with_funds_for_seven_hold_exactly_seven(world: RunWorld) -> None:
    results = at_once(50, lambda number: world.begin("image_to_video", prompt=f"number {number}"))
    assert sum(isinstance(result, Accepted) for result in results) == 7
    assert sum(isinstance(result, InsufficientCredits) for result in results) == 43
    world.assert_sound()


def test_a_quote_for_a_run_is_the_sum_of_its_stages_and_redeemed_once(world: RunWorld) -> None:
    pipeline = assembled("image_to_video", ASKED["image_to_video"], None)
    recipe = Recipe(Kind.VIDEO, "a lighthouse")
    ask = Ask.of(recipe, pipeline)
    promise, offers = quote(world.workspace_id, ask, catalogue=world.catalogue, now=world.now)
    assert (promise.credits_max, [offer.model for offer in offers]) == (7, ["local/canvas", "local/film"])
    assert world.ask(recipe, pipeline, quote=promise).generation.credits_held == 7
    with pytest.raises(Conflict):
        world.ask(recipe, pipeline, quote=promise)
    with pytest.raises(ValidationFailed):
        world.ask(recipe, assembled("image_to_video", {}, None), quote=promise)


def test_a_run_takes_no_more_than_was_quoted_though_prices_have_risen(world: RunWorld) -> None:
    pipeline = assembled("image_to_video", ASKED["image_to_video"], None)
    recipe = Recipe(Kind.VIDEO, "a lighthouse")
    promise, _ = quote(world.workspace_id, Ask.of(recipe, pipeline), catalogue=world.catalogue, now=world.now)
    run = world.ask(recipe, pipeline, quote=replace(promise, credits_max=5)).generation
    assert world.play(run).credits_charged == run.credits_held == 5


def test_the_cost_and_usage_of_a_run_are_those_of_its_stages(remote: RunWorld) -> None:
    run = remote.begin("image_to_video", asked=SVD).generation
    remote.make(remote.planned(run))
    film = remote.planned(run)
    remote.attempt(film)
    remote.replicate.progress = Done((Output(data=b"film"),), {"predict_milliseconds": 60_000})
    poll(remote.workspace_id, film.id, remote.get(film).attempts[0].id, 0, to=remote.attempting)
    remote.finish(film)
    ended = remote.play(run)
    assert ended.cost_microusd == remote.get(film).cost_microusd == 84_000
    # The image stage reported 2000 ms too.
    assert ended.usage == {"predict_milliseconds": 62_000}
    remote.assert_settled(run, Status.SUCCEEDED, 1 + remote.get(film).credits_charged)


# ---- listing and reconciling -----------------------------------------------------------------------------------------


def test_a_listing_shows_runs_whole_and_pages_through_them(world: RunWorld) -> None:
    runs = [world.play(world.begin("talking_avatar", asked={}).generation) for _ in range(6)]
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


def test_the_reconciler_finds_nothing_amiss_with_a_run_under_way(world: RunWorld) -> None:
    run = world.begin("image_to_video").generation
    world.make(world.planned(run))
    world.planned(run)
    found = reconcile(
        world.workspace_id,
        created_after=world.now - timedelta(hours=3),
        thorough=True,
        to=world.finishing,
        now=world.now,
    )
    assert found == Repairs()
    assert world.play(run).status is Status.SUCCEEDED


def test_a_run_that_is_closed_as_its_hold_has_ended_leaves_no_stage_open(remote: RunWorld) -> None:
    run = remote.begin("image_to_video", asked=SVD).generation
    remote.make(remote.planned(run))
    film = remote.planned(run)
    remote.attempt(film)
    hold = remote.wallets.hold(remote.workspace_id, run.id)
    assert hold is not None
    # As after one table was restored to another point in time.
    remote.wallets.end(remote.workspace_id, end_hold(hold, EndState.SETTLED, 1, {}, remote.now))
    since, found = remote.now - timedelta(hours=30), []
    for _ in range(2):
        again = reconcile(remote.workspace_id, created_after=since, thorough=True, to=remote.finishing, now=remote.now)
        found.append(again)
    assert found == [Repairs(closed=1), Repairs()]
    assert (remote.get(run).status, remote.get(film).status) == (Status.FAILED, Status.EXPIRED)
    remote.assert_sound()


# ---- requests that become runs ---------------------------------------------------------------------------------------


def test_a_plain_request_becomes_a_run_where_its_model_needs_a_file_that_can_be_made() -> None:
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


def test_speech_is_made_for_a_face_that_needs_it_and_the_voice_goes_to_the_speech() -> None:
    prices = catalogue(frozenset({"local", "replicate"}))
    recipe = Recipe(Kind.AVATAR, "Hello", "replicate/sadtalker", parameters={"voice": "ben", "still": False})
    pipeline = pipeline_for(recipe, enhance=False, catalogue=prices, now=NOON)
    assert pipeline is not None
    speech, avatar = pipeline.stages
    assert (speech.parameters, avatar.parameters) == ({"voice": "ben"}, {"still": False})
    assert (speech.kind, avatar.model, avatar.starts_from) == (Kind.AUDIO, "replicate/sadtalker", {"audio": "speech"})


def test_a_pipeline_takes_no_stage_that_it_does_not_have_and_enhances_nothing_that_is_heard() -> None:
    with pytest.raises(ValidationFailed):
        assembled("image_to_video", {"speech": Asked()}, None)
    with pytest.raises(ValidationFailed):
        assembled("talking_avatar", {}, None, enhance=True)
    assert assembled("image_to_video", {}, None, enhance=True).stages[0].name == "enhance"


def test_a_pending_stage_keeps_its_progress_to_itself(remote: RunWorld) -> None:
    run = remote.begin("image_to_video", asked=SVD).generation
    remote.make(remote.planned(run))
    film = remote.planned(run)
    assert remote.get(run).progress == 50
    remote.attempt(film)
    remote.replicate.progress = Pending(40)
    poll(remote.workspace_id, film.id, remote.get(film).attempts[0].id, 0, to=remote.attempting)
    assert (remote.get(film).progress, remote.get(run).progress) == (40, 50)
