"""One generation through the real use cases on the embedded store: races, repeats, and crashes in the middle."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.aws.dynamodb.generations import DynamoGenerations, GenerationItem
from atelier.errors import Conflict, IdempotencyMismatch, InsufficientCredits, NotFound, Unavailable
from atelier.generations.attempt import attempt
from atelier.generations.cancel import cancel
from atelier.generations.model import Generation, Kind, Recipe, Source, Status
from atelier.generations.outcome import Outcome
from atelier.generations.poll import poll, stop, wake
from atelier.generations.ports import Filters
from atelier.generations.submit import Accepted, Submission, submit
from atelier.generations.sweep import sweep
from atelier.ids import new_id
from atelier.library.model import Asset
from atelier.providers._contract import Accepted as ProviderAccepted
from atelier.providers._contract import ErrorClass, Failed, Job, Pending, Unknown
from tests.adapters.world import DONE, SINGLE_CONFLICT, TRANSACTION_CONFLICT, World, answering, at_once, meanwhile
from tests.conftest import Tables

BOTH = frozenset({"local", "replicate"})


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


@pytest.fixture
def remote(tables: Tables) -> World:
    """A world where images come from an asynchronous provider."""
    world = World(tables, providers=BOTH)
    world.replicate.answers = [ProviderAccepted("r1")]
    return world


def kinds(world: World) -> Counter[str]:
    return Counter(movement.kind for movement in world.movements())


def test_a_generation_is_held_attempted_finished_and_charged_once(world: World) -> None:
    generation = world.submit().generation
    assert (generation.status, generation.credits_held) == (Status.QUEUED, 1)
    world.attempt(generation)
    assert world.get(generation).status is Status.RUNNING
    ended = world.finish(generation)
    assert world.finish(generation) == world.get(generation)
    assert (ended.status, ended.credits_charged, len(ended.assets)) == (Status.SUCCEEDED, 1, 1)
    assert kinds(world) == {"grant": 1, "hold": 1, "settled": 1}
    assert world.assets.get(world.workspace_id, ended.assets[0].id).generation_id == generation.id
    world.assert_sound()


def test_what_is_written_reads_back_the_same(world: World) -> None:
    long = world.submit(prompt="a very long prompt " * 400, seed=7).generation
    assert world.get(long) == long
    world.attempt(long)
    ended = world.finish(long)
    assert world.get(long) == ended


def test_fifty_callers_with_funds_for_ten_make_exactly_ten(world: World) -> None:
    world.submit(width=2048, height=1280, n=4)  # 40 of the day's 50 credits
    results = at_once(50, lambda number: world.submit(prompt=f"number {number}"))
    accepted = [result for result in results if isinstance(result, Accepted)]
    refused = [result for result in results if isinstance(result, InsufficientCredits)]
    assert (len(accepted), len(refused)) == (10, 40)
    world.assert_sound()


def test_one_key_twenty_times_at_once_is_one_generation(world: World) -> None:
    results = at_once(20, lambda _: world.submit(key="order-1"))
    generations = {result.generation.id for result in results if isinstance(result, Accepted)}
    assert len(generations) == 1
    assert all(isinstance(result, Accepted) for result in results)
    assert kinds(world)["hold"] == 1
    world.assert_sound()


def test_one_key_at_once_is_answered_with_its_generation_also_by_who_finds_the_credits_taken(world: World) -> None:
    results = at_once(20, lambda _: world.submit(key="order-1", width=2048, height=1280, n=4))  # 40 of 50 credits
    assert {type(result) for result in results} == {Accepted}
    assert kinds(world)["hold"] == 1


def test_who_has_to_plan_anew_after_the_other_of_its_key_took_the_credits_is_answered_with_it(world: World) -> None:
    world.refreshed()
    others: list[Accepted] = []

    def pause(_: int) -> None:
        others.append(world.submit(key="k", width=2048, height=1280, n=4))

    stale = Submission(
        world.workspace_id,
        "usr_A",
        Recipe(Kind.IMAGE, "a lighthouse", "auto", None, {"width": 2048, "height": 1280, "n": 4}),
        "k",
    )
    with meanwhile(lambda: world.wallets.mark_own_routes(world.workspace_id)):
        mine = submit(stale, to=replace(world.submitting, pause=pause), now=world.now)
    assert [other.generation.id for other in others] == [mine.generation.id]
    assert mine.replayed
    assert kinds(world)["hold"] == 1


def test_nobody_is_refused_for_what_was_so_when_the_request_came(world: World) -> None:
    asked = Submission(
        world.workspace_id, "usr_A", Recipe(Kind.IMAGE, "a lighthouse", "auto", None, {"width": 64, "height": 64})
    )
    tier = world.catalogue.tier(world.refreshed().tier)
    for then in (
        replace(world.refreshed(), available=0, grants=()),
        replace(world.refreshed(), holds_open=tier.generations_open_max),
    ):
        assert not submit(asked, to=world.submitting, now=world.now, wallet=then).replayed
    assert kinds(world)["hold"] == 2
    world.assert_sound()


def test_a_key_answers_the_same_after_its_generation_ended_and_refuses_another_body(world: World) -> None:
    first = world.submit(key="k").generation
    world.attempt(first)
    world.finish(first)
    again = world.submit(key="k")
    assert (again.replayed, again.generation.id) == (True, first.id)
    with pytest.raises(IdempotencyMismatch):
        world.submit(key="k", prompt="something else")
    assert kinds(world)["hold"] == 1


def test_a_key_whose_first_try_was_refused_works_once_there_are_credits(world: World) -> None:
    with pytest.raises(InsufficientCredits):
        world.submit(key="k", width=2048, height=2048, n=4)
    world.now += timedelta(days=1)
    with pytest.raises(InsufficientCredits):
        world.submit(key="k", width=2048, height=2048, n=4)
    assert kinds(world)["hold"] == 0


def test_finishing_in_parallel_charges_once(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    results = at_once(8, lambda _: world.finish(generation))
    assert all(isinstance(result, Generation) and result.status is Status.SUCCEEDED for result in results)
    assert kinds(world) == {"grant": 1, "hold": 1, "settled": 1}
    world.assert_sound()


def test_a_failure_returns_the_credits(world: World) -> None:
    generation = world.submit().generation
    world.local.answers = [Failed(ErrorClass.TRANSIENT, "It broke.")]
    world.attempt(generation)
    ended = world.finish(generation)
    assert (ended.status, ended.credits_charged) == (Status.FAILED, 0)
    assert ended.failure is not None
    assert ended.failure.message == "It broke."
    assert world.wallets.wallet(world.workspace_id).available == 50
    world.assert_sound()


def test_a_result_that_cannot_be_fetched_is_a_failure_and_not_a_success(world: World) -> None:
    generation = world.submit().generation
    world.media.broken = True
    world.attempt(generation)
    ended = world.finish(generation)
    assert (ended.status, ended.credits_charged, ended.assets) == (Status.FAILED, 0, ())
    world.assert_sound()


def test_settle_against_release_against_expiry_is_one_end(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    late = generation.deadline_at + timedelta(seconds=1)
    calls = [
        lambda: world.finish(generation),
        lambda: world.fail(generation),
        lambda: sweep(world.workspace_id, to=world.finishing, now=late),
    ]
    at_once(9, lambda number: calls[number % 3]())
    assert sum(kinds(world)[kind] for kind in ("settled", "released", "expired")) == 1
    world.assert_sound()


def test_cancelling_before_anything_was_sent_is_free_and_final(world: World) -> None:
    generation = world.submit().generation
    ended = cancel(world.workspace_id, generation.id, to=world.finishing, now=world.now)
    assert ended.status is Status.CANCELLED
    world.attempt(generation)
    assert world.local.submitted == []
    assert world.finish(generation).status is Status.CANCELLED
    assert world.wallets.wallet(world.workspace_id).available == 50
    world.assert_sound()


def test_cancelling_while_it_runs_reaches_the_provider_and_costs_what_the_run_cost(remote: World) -> None:
    generation = remote.submit(width=1024, height=1024).generation
    remote.attempt(generation)
    asked = cancel(remote.workspace_id, generation.id, to=remote.finishing, now=remote.now)
    assert (asked.status, asked.cancel_requested_at) == (Status.RUNNING, remote.now)
    assert cancel(remote.workspace_id, generation.id, to=remote.finishing, now=remote.now) == asked
    stop(remote.workspace_id, generation.id, to=remote.attempting)
    assert remote.replicate.cancelled == ["r1"]
    ended = remote.finish(generation)
    # The run took one of the seven seconds that the price assumes.
    assert (ended.status, ended.credits_held, ended.credits_charged, ended.cost_microusd) == (
        Status.CANCELLED,
        generation.credits_held,
        2,
        975,
    )
    remote.assert_sound()


def test_a_cancellation_that_overtook_the_submission_is_carried_by_the_first_poll(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    cancel(remote.workspace_id, generation.id, to=remote.finishing, now=remote.now)
    poll(*remote.execution.polls[0], to=remote.attempting)
    assert remote.replicate.cancelled == ["r1"]


def test_cancelling_what_has_ended_in_another_way_is_a_conflict(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    world.finish(generation)
    with pytest.raises(Conflict):
        cancel(world.workspace_id, generation.id, to=world.finishing, now=world.now)


def test_an_attempt_that_died_after_sending_is_never_sent_again(remote: World) -> None:
    """The attempt is stored, and it is unknown whether the provider has the job."""
    generation = remote.submit().generation
    remote.replicate.answers = [Unknown("no answer")]
    remote.attempt(generation)
    remote.attempt(generation)
    assert len(remote.replicate.submitted) == 1
    remote.replicate.found = "r9"
    remote.replicate.progress = DONE
    poll(*remote.execution.polls[-1], to=remote.attempting)
    assert remote.finish(generation).status is Status.SUCCEEDED
    assert len(remote.replicate.submitted) == 1
    remote.assert_sound()


def test_a_free_deterministic_provider_is_asked_again_after_a_death(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    world.attempt(generation)
    assert len(world.get(generation).attempts) == 1
    assert world.finish(generation).status is Status.SUCCEEDED


def test_a_webhook_that_came_before_its_callback_is_not_lost(remote: World) -> None:
    """The webhook arrives before the provider's answer to the submission is stored."""
    generation = remote.submit().generation
    remote.replicate.progress = DONE

    def webhook_overtakes(job: Job) -> None:
        remote.inbox.keep("replicate", job.attempt_id, "e1", {}, {}, b"{}", remote.now)
        wake(remote.workspace_id, generation.id, job.attempt_id, to=remote.attempting)
        assert remote.execution.results == []

    remote.replicate.before_answer = webhook_overtakes
    remote.attempt(generation)
    assert [result["status"] for result in remote.execution.results] == ["succeeded"]


def test_a_doubled_webhook_and_a_poll_change_nothing_more(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    current = remote.get(generation).attempt
    assert current is not None
    remote.replicate.progress = DONE
    address = {"workspace_id": remote.workspace_id, "generation_id": generation.id}
    kept = [remote.inbox.keep("replicate", current.id, "e1", address, {}, b"{}", remote.now) for _ in range(2)]
    assert kept == [True, False]
    for _ in range(2):
        wake(remote.workspace_id, generation.id, current.id, to=remote.attempting)
    poll(*remote.execution.polls[0], to=remote.attempting)
    remote.finish(generation)
    wake(remote.workspace_id, generation.id, current.id, to=remote.attempting)
    assert kinds(remote) == {"grant": 1, "hold": 1, "settled": 1}
    remote.assert_sound()


def test_a_webhook_about_another_job_of_the_same_provider_is_not_acted_on(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    current = remote.get(generation).attempt
    assert current is not None
    remote.replicate.progress, remote.replicate.webhook_reference = DONE, "another"
    remote.inbox.keep("replicate", current.id, "e1", {}, {}, b"{}", remote.now)
    wake(remote.workspace_id, generation.id, current.id, to=remote.attempting)
    assert remote.execution.results == []


def test_a_failed_candidate_is_followed_by_the_next_under_the_same_hold(remote: World) -> None:
    generation = remote.submit().generation
    remote.replicate.answers = [Failed(ErrorClass.CAPACITY, "busy")]
    # The catalogue offers the procedural model only as a sole candidate, so the two candidates are stored by hand.
    item = GenerationItem(remote.workspace_id, generation.id)
    item.update([GenerationItem.candidates.set(["replicate/sdxl", "local/canvas"])])
    remote.attempt(generation)
    assert [lost.error_class for lost in remote.execution.lost] == ["capacity"]
    remote.attempt(generation, lost=remote.execution.lost[0])
    ended = remote.finish(generation)
    assert [(a.provider, a.status.value, a.error_class) for a in ended.attempts] == [
        ("replicate", "failed", "capacity"),
        ("local", "succeeded", None),
    ]
    assert kinds(remote) == {"grant": 1, "hold": 1, "settled": 1}
    remote.assert_sound()


def test_what_is_overdue_expires_with_its_credits_and_a_second_run_writes_nothing(remote: World) -> None:
    dead, alive = remote.submit().generation, None
    remote.attempt(dead)
    remote.now += timedelta(minutes=4)
    alive = remote.submit().generation
    remote.now = dead.deadline_at
    assert sweep(remote.workspace_id, to=remote.finishing, now=remote.now) == 1
    assert remote.get(dead).status is Status.EXPIRED
    assert remote.get(alive).status is Status.QUEUED
    before = (remote.wallets.wallet(remote.workspace_id), remote.movements())
    assert sweep(remote.workspace_id, to=remote.finishing, now=remote.now) == 0
    assert (remote.wallets.wallet(remote.workspace_id), remote.movements()) == before
    assert before[0].sweep_at == alive.deadline_at
    remote.now = alive.deadline_at
    assert sweep(remote.workspace_id, to=remote.finishing, now=remote.now) == 1
    assert remote.wallets.wallet(remote.workspace_id).sweep_at is None
    remote.assert_sound()


def test_credits_held_over_midnight_return_to_their_own_day(world: World) -> None:
    generation = world.submit(width=2048, height=1280, n=4).generation
    world.now += timedelta(days=1)
    world.submit()
    world.fail(generation)
    sums = Counter[str]()
    for movement in world.movements():
        for entry in movement.entries:
            sums[entry.account] += entry.amount
    assert sums["expired"] == 50
    assert sums["available"] == 49
    world.assert_sound()


def test_the_daily_grant_comes_once_however_many_ask_for_it_first(world: World) -> None:
    at_once(10, lambda number: world.submit(prompt=str(number)))
    assert kinds(world)["grant"] == 1
    world.now += timedelta(days=1)
    at_once(10, lambda number: world.submit(prompt=str(number)))
    assert kinds(world)["grant"] == 2
    world.assert_sound()


def uploaded(world: World) -> Source:
    """An image in the library."""
    asset = Asset(
        new_id("ast", world.now),
        world.workspace_id,
        "usr_A",
        "image",
        "a.png",
        "png",
        "0" * 64,
        5,
        8,
        8,
        None,
        world.now,
    )
    return Source(world.assets.record_upload(asset).id)


def edit(world: World, picture: Source, mask: Source) -> Generation:
    recipe = Recipe(Kind.IMAGE, "a hat", "local/canvas", None, {}, {"image": (picture,), "mask": (mask,)})
    return submit(Submission(world.workspace_id, "usr_A", recipe), to=world.submitting, now=world.now).generation


def test_a_mask_reaches_the_provider_in_the_shape_of_its_picture(world: World) -> None:
    picture, mask = uploaded(world), uploaded(world)
    world.attempt(edit(world, picture, mask))
    (job,) = world.local.submitted
    assert [each.data.decode() for each in job.inputs["mask"]] == [f"{mask.asset_id} of {picture.asset_id}"]


def test_a_mask_that_changes_nothing_is_asked_of_nobody_and_free(world: World) -> None:
    picture = uploaded(world)
    generation = edit(world, picture, picture)
    world.attempt(generation)
    ended = world.finish(generation)
    assert world.local.submitted == []
    assert (ended.status, ended.credits_charged) == (Status.FAILED, 0)
    assert ended.failure is not None
    assert ended.failure.message == "The mask changes nothing."
    world.assert_sound()


def test_a_foreign_generation_looks_exactly_like_a_missing_one(world: World, tables: Tables) -> None:
    generation = world.submit().generation
    with pytest.raises(NotFound) as foreign:
        World(tables).get(generation)
    with pytest.raises(NotFound) as missing:
        world.generations.get(world.workspace_id, "gen_01M7XC43T8VQH8B4746A8669M7")
    assert foreign.value.message == missing.value.message


def test_a_listing_pages_newest_first_and_filters(world: World) -> None:
    made: list[str] = []
    for number in range(5):
        world.now += timedelta(seconds=1)
        made.append(world.submit(prompt=f"{number} " * (1 + number * 100)).generation.id)
    first = world.generations.list(world.workspace_id, Filters(), None, 2)
    rest = world.generations.list(world.workspace_id, Filters(), first.next_id, 10)
    assert [g.id for g in (*first.generations, *rest.generations)] == made[::-1]
    assert world.generations.list(world.workspace_id, Filters(status="failed"), None, 10).generations == ()
    since = Filters(created_from=world.now)
    assert [g.id for g in world.generations.list(world.workspace_id, since, None, 10).generations] == made[-1:]


def test_an_unknown_outcome_keeps_the_hold_until_the_deadline(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    assert remote.finish(generation, Outcome("unknown")).status is Status.RUNNING
    assert remote.wallets.wallet(remote.workspace_id).held == generation.credits_held
    sweep(remote.workspace_id, to=remote.finishing, now=generation.deadline_at)
    assert remote.get(generation).status is Status.EXPIRED
    remote.assert_sound()


def test_an_unknown_outcome_of_which_nothing_was_sent_returns_the_credits_at_once(remote: World) -> None:
    generation = remote.submit().generation
    assert remote.finish(generation, Outcome("unknown")).status is Status.FAILED
    assert remote.wallets.wallet(remote.workspace_id).held == 0


def test_an_end_decided_before_midnight_and_written_after_it_leaves_a_sound_wallet(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    before_midnight = world.now
    world.now += timedelta(days=1)
    world.submit()
    world.now = before_midnight
    world.fail(generation)
    world.now += timedelta(days=1)
    assert world.submit().generation.status is Status.QUEUED
    wallet = world.wallets.wallet(world.workspace_id)
    assert (wallet.available, wallet.held) == (48, 2)
    world.assert_sound()


def test_a_key_bound_long_before_its_generation_could_be_afforded_is_swept_all_the_same(world: World) -> None:
    held = world.submit(width=2048, height=1280, n=4).generation
    with pytest.raises(InsufficientCredits):
        world.submit(key="patient", width=2048, height=1280, n=2)
    world.fail(held)
    world.now += timedelta(hours=6)
    late = world.submit(key="patient", width=2048, height=1280, n=2).generation
    assert sweep(world.workspace_id, to=world.finishing, now=late.deadline_at) == 1
    assert world.get(late).status is Status.EXPIRED
    world.assert_sound()


def test_a_begun_attempt_whose_answer_was_lost_goes_on(remote: World) -> None:
    """The write took effect, its answer was lost, and the SDK repeats it: its condition fails on our own write."""
    generation = remote.submit().generation

    class LosesAnswers(DynamoGenerations):
        def save_progress(self, before: Generation, after: Generation) -> None:
            super().save_progress(before, after)
            super().save_progress(before, after)

    remote.generations = LosesAnswers()
    remote.attempt(generation)
    assert len(remote.replicate.submitted) == 1
    assert remote.execution.results == []
    assert len(remote.get(generation).attempts) == 1


def test_a_second_visit_keeps_the_reference_that_the_first_one_learnt(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    remote.attempt(generation)
    current = remote.get(generation).attempt
    assert current is not None
    callback = remote.generations.callback(remote.workspace_id, generation.id, current.id)
    assert callback is not None
    assert callback.reference == "r1"
    assert len(remote.replicate.submitted) == 1


def test_a_result_that_nobody_waits_for_any_more_starts_an_execution_that_does(remote: World) -> None:
    """The execution that waited for the result has ended before the result arrives."""
    generation = remote.submit().generation
    remote.attempt(generation)
    current = remote.get(generation).attempt
    assert current is not None
    remote.execution.listening, remote.replicate.progress = False, DONE
    poll(*remote.execution.polls[0], to=remote.attempting)
    assert remote.execution.started == [], "whoever was faster has a minute to make the end"
    poll(*remote.execution.polls[-1], to=remote.attempting)
    assert remote.execution.started == [f"{generation.id}-{current.id}"]
    remote.execution.listening = True
    remote.attempt(generation)
    poll(*remote.execution.polls[-1], to=remote.attempting)
    assert remote.finish(generation).status is Status.SUCCEEDED
    assert len(remote.replicate.submitted) == 1


def test_progress_is_written_in_steps_worth_a_write(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    for percent, shown in ((5, 0), (40, 40), (45, 40), (90, 90)):
        remote.replicate.progress = Pending(percent)
        poll(*remote.execution.polls[0], to=remote.attempting)
        assert remote.get(generation).progress == shown


def test_a_provider_without_its_secret_is_a_failure_and_not_a_crash(remote: World) -> None:
    generation = remote.submit().generation
    attempting = replace(remote.attempting, providers={})
    attempt(remote.workspace_id, generation.id, "token", to=attempting)
    assert remote.finish(generation).status is Status.FAILED
    assert remote.wallets.wallet(remote.workspace_id).available == 50


def test_two_submissions_at_once_leave_the_earlier_deadline_to_be_swept(world: World) -> None:
    world.submit()
    wallet = world.wallets.wallet(world.workspace_id)
    world.wallets.postpone_sweep(replace(wallet, holds_open=0), None)
    assert world.wallets.wallet(world.workspace_id).sweep_at == wallet.sweep_at


def test_a_cursor_from_outside_the_asked_times_is_an_empty_or_a_whole_listing(world: World) -> None:
    first = world.submit().generation
    world.now += timedelta(hours=1)
    second = world.submit().generation
    late = Filters(created_from=world.now)
    assert world.generations.list(world.workspace_id, late, first.id, 10).generations == ()
    early = Filters(created_to=world.now)
    assert [g.id for g in world.generations.list(world.workspace_id, early, second.id, 10).generations] == [first.id]


def test_an_end_that_meets_only_conflicts_says_so_and_settles_when_it_is_repeated(world: World) -> None:
    """The embedded store never answers TransactionConflict; AWS does when transactions on one wallet overlap."""
    generation = world.submit().generation
    world.attempt(generation)
    with answering("TransactWriteItems", TRANSACTION_CONFLICT), pytest.raises(Unavailable):
        world.finish(generation)
    assert world.get(generation).status is Status.RUNNING
    assert world.finish(generation).status is Status.SUCCEEDED
    assert kinds(world) == {"grant": 1, "hold": 1, "settled": 1}
    world.assert_sound()


def test_a_submission_that_meets_only_conflicts_is_unavailable_and_writes_nothing(world: World) -> None:
    world.submit()
    before = (world.wallets.wallet(world.workspace_id), world.movements())
    with answering("TransactWriteItems", TRANSACTION_CONFLICT), pytest.raises(Unavailable):
        world.submit(prompt="another")
    assert (world.wallets.wallet(world.workspace_id), world.movements()) == before


def test_a_first_look_that_meets_only_conflicts_is_unavailable_and_grants_nothing(world: World) -> None:
    with answering("TransactWriteItems", TRANSACTION_CONFLICT), pytest.raises(Unavailable):
        world.submit()
    assert world.movements() == []


def test_a_cancellation_never_closes_an_attempt_that_may_be_out_without_asking_its_provider(remote: World) -> None:
    """The function crashed after the provider accepted the job, the caller cancelled, and the task is retried."""
    generation = remote.submit().generation
    remote.replicate.answers = [Unknown("died here")]
    remote.attempt(generation)
    cancel(remote.workspace_id, generation.id, to=remote.finishing, now=remote.now)
    remote.attempt(generation)
    assert remote.execution.results == []
    remote.replicate.found, remote.replicate.progress = "r1", DONE
    poll(*remote.execution.polls[-1], to=remote.attempting)
    assert remote.replicate.cancelled == ["r1"]
    assert remote.finish(generation).status is Status.CANCELLED
    remote.assert_sound()


def test_a_single_write_that_meets_a_transaction_is_tried_again_by_its_caller(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    with answering("UpdateItem", SINGLE_CONFLICT), pytest.raises(Unavailable):
        cancel(world.workspace_id, generation.id, to=world.finishing, now=world.now)
    assert cancel(world.workspace_id, generation.id, to=world.finishing, now=world.now).cancel_requested_at


def test_an_attempt_whose_provider_lost_its_secret_is_asked_about_again_later(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    without = replace(remote.attempting, providers={})
    poll(*remote.execution.polls[0], to=without)
    stop(remote.workspace_id, generation.id, to=without)
    attempt(remote.workspace_id, generation.id, "another token", to=without)
    assert remote.execution.results == []
    remote.replicate.progress = DONE
    poll(*remote.execution.polls[1], to=remote.attempting)
    assert remote.finish(generation).status is Status.SUCCEEDED
    assert len(remote.replicate.submitted) == 1
    remote.assert_sound()
