"""One generation through the real use cases on the embedded store: races, repeats, and crashes in the middle."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.generations.store import DynamoGenerations
from atelier.errors import Conflict, IdempotencyMismatch, InsufficientCredits, NotFound, Unavailable
from atelier.generations.attempt import TokenReply, attempt
from atelier.generations.cancel import cancel
from atelier.generations.model import Generation, InputAsset, Kind, Recipe, Status
from atelier.generations.outcome import Outcome
from atelier.generations.poll import act_on_webhooks, cancel_at_provider, poll
from atelier.generations.ports import Filters
from atelier.generations.submit import AcceptedGeneration, Submission, submit_generation
from atelier.generations.sweep import sweep
from atelier.ids import new_id
from atelier.library.model import Asset
from atelier.provider_port import Accepted as ProviderAccepted
from atelier.provider_port import ErrorClass, Failed, Job, Pending, Unknown
from tests.conftest import Tables
from tests.integration.world import (
    DONE,
    SINGLE_CONFLICT,
    TRANSACTION_CONFLICT,
    World,
    before_first_request,
    failing_operation,
    run_concurrently,
)

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


def test_a_stored_generation_is_read_back_unchanged(world: World) -> None:
    long = world.submit(prompt="a very long prompt " * 400, seed=7).generation
    assert world.get(long) == long
    world.attempt(long)
    ended = world.finish(long)
    assert world.get(long) == ended


def test_credits_for_ten_accept_exactly_ten_of_fifty_parallel_submissions(world: World) -> None:
    world.submit(width=2048, height=1280, n=4)  # 40 of the day's 50 credits
    results = run_concurrently(50, lambda number: world.submit(prompt=f"number {number}"))
    accepted = [result for result in results if isinstance(result, AcceptedGeneration)]
    refused = [result for result in results if isinstance(result, InsufficientCredits)]
    assert (len(accepted), len(refused)) == (10, 40)
    world.assert_sound()


def test_twenty_parallel_submissions_with_one_key_create_one_generation(world: World) -> None:
    results = run_concurrently(20, lambda _: world.submit(key="order-1"))
    generations = {result.generation.id for result in results if isinstance(result, AcceptedGeneration)}
    assert len(generations) == 1
    assert all(isinstance(result, AcceptedGeneration) for result in results)
    assert kinds(world)["hold"] == 1
    world.assert_sound()


def test_parallel_repeats_are_replayed_even_when_the_first_took_the_credits(world: World) -> None:
    results = run_concurrently(
        20, lambda _: world.submit(key="order-1", width=2048, height=1280, n=4)
    )  # 40 of 50 credits
    assert {type(result) for result in results} == {AcceptedGeneration}
    assert kinds(world)["hold"] == 1


def test_a_replanned_submission_replays_the_generation_that_took_its_key(world: World) -> None:
    world.refreshed()
    others: list[AcceptedGeneration] = []

    def pause(_: int) -> None:
        others.append(world.submit(key="k", width=2048, height=1280, n=4))

    stale = Submission(
        world.workspace_id,
        "usr_A",
        Recipe(Kind.IMAGE, "a lighthouse", "auto", None, {"width": 2048, "height": 1280, "n": 4}),
        "k",
    )
    with before_first_request(lambda: world.wallets.mark_own_routes(world.workspace_id)):
        mine = submit_generation(stale, deps=replace(world.submit_deps, pause=pause), now=world.now)
    assert [other.generation.id for other in others] == [mine.generation.id]
    assert mine.replayed
    assert kinds(world)["hold"] == 1


def test_a_refusal_is_decided_on_a_fresh_wallet_not_on_the_prefetched_one(world: World) -> None:
    submission = Submission(
        world.workspace_id, "usr_A", Recipe(Kind.IMAGE, "a lighthouse", "auto", None, {"width": 64, "height": 64})
    )
    tier = world.catalogue.tier(world.refreshed().tier)
    for then in (
        replace(world.refreshed(), available=0, grants=()),
        replace(world.refreshed(), holds_open=tier.generations_open_max),
    ):
        assert not submit_generation(submission, deps=world.submit_deps, now=world.now, wallet=then).replayed
    assert kinds(world)["hold"] == 2
    world.assert_sound()


def test_a_key_replays_its_ended_generation_and_refuses_another_body(world: World) -> None:
    first = world.submit(key="k").generation
    world.attempt(first)
    world.finish(first)
    again = world.submit(key="k")
    assert (again.replayed, again.generation.id) == (True, first.id)
    with pytest.raises(IdempotencyMismatch):
        world.submit(key="k", prompt="something else")
    assert kinds(world)["hold"] == 1


def test_a_key_is_refused_again_while_the_credits_do_not_suffice(world: World) -> None:
    with pytest.raises(InsufficientCredits):
        world.submit(key="k", width=2048, height=2048, n=4)
    world.now += timedelta(days=1)
    with pytest.raises(InsufficientCredits):
        world.submit(key="k", width=2048, height=2048, n=4)
    assert kinds(world)["hold"] == 0


def test_parallel_finish_calls_charge_once(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    results = run_concurrently(8, lambda _: world.finish(generation))
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


def test_a_result_that_cannot_be_fetched_fails_the_generation(world: World) -> None:
    generation = world.submit().generation
    world.media.broken = True
    world.attempt(generation)
    ended = world.finish(generation)
    assert (ended.status, ended.credits_charged, ended.assets) == (Status.FAILED, 0, ())
    world.assert_sound()


def test_racing_settle_release_and_expiry_end_the_hold_once(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    late = generation.deadline_at + timedelta(seconds=1)
    calls = [
        lambda: world.finish(generation),
        lambda: world.fail(generation),
        lambda: sweep(world.workspace_id, deps=world.finish_deps, now=late),
    ]
    run_concurrently(9, lambda number: calls[number % 3]())
    assert sum(kinds(world)[kind] for kind in ("settled", "released", "expired")) == 1
    world.assert_sound()


def test_a_cancellation_before_submission_to_the_provider_is_free_and_final(world: World) -> None:
    generation = world.submit().generation
    ended = cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    assert ended.status is Status.CANCELLED
    world.attempt(generation)
    assert world.local.submitted == []
    assert world.finish(generation).status is Status.CANCELLED
    assert world.wallets.wallet(world.workspace_id).available == 50
    world.assert_sound()


def test_a_cancellation_of_a_running_job_reaches_the_provider_and_charges_its_usage(remote: World) -> None:
    generation = remote.submit(width=1024, height=1024).generation
    remote.attempt(generation)
    running = cancel(remote.workspace_id, generation.id, deps=remote.finish_deps, now=remote.now)
    assert (running.status, running.cancel_requested_at) == (Status.RUNNING, remote.now)
    assert cancel(remote.workspace_id, generation.id, deps=remote.finish_deps, now=remote.now) == running
    cancel_at_provider(remote.workspace_id, generation.id, deps=remote.attempt_deps)
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


def test_a_cancellation_before_the_providers_answer_is_sent_by_the_first_poll(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    cancel(remote.workspace_id, generation.id, deps=remote.finish_deps, now=remote.now)
    poll(*remote.execution.polls[0], deps=remote.attempt_deps)
    assert remote.replicate.cancelled == ["r1"]


def test_cancelling_a_succeeded_generation_is_a_conflict(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    world.finish(generation)
    with pytest.raises(Conflict):
        cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)


def test_an_attempt_that_crashed_after_sending_is_never_resent(remote: World) -> None:
    """The attempt is stored, and it is unknown whether the provider has the job."""
    generation = remote.submit().generation
    remote.replicate.answers = [Unknown("no answer")]
    remote.attempt(generation)
    remote.attempt(generation)
    assert len(remote.replicate.submitted) == 1
    remote.replicate.found = "r9"
    remote.replicate.progress = DONE
    poll(*remote.execution.polls[-1], deps=remote.attempt_deps)
    assert remote.finish(generation).status is Status.SUCCEEDED
    assert len(remote.replicate.submitted) == 1
    remote.assert_sound()


def test_a_job_of_the_local_provider_is_resent_after_a_crash(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    world.attempt(generation)
    assert len(world.get(generation).attempts) == 1
    assert world.finish(generation).status is Status.SUCCEEDED


def test_a_webhook_before_the_submissions_answer_is_not_lost(remote: World) -> None:
    """The webhook arrives before the provider's answer to the submission is stored."""
    generation = remote.submit().generation
    remote.replicate.progress = DONE

    def webhook_overtakes(job: Job) -> None:
        remote.inbox.keep("replicate", job.attempt_id, "e1", {}, {}, b"{}", remote.now)
        act_on_webhooks(remote.workspace_id, generation.id, job.attempt_id, deps=remote.attempt_deps)
        assert remote.execution.results == []

    remote.replicate.before_answer = webhook_overtakes
    remote.attempt(generation)
    assert [result["status"] for result in remote.execution.results] == ["succeeded"]


def test_a_duplicate_webhook_and_a_poll_settle_once(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    current = remote.get(generation).attempt
    assert current is not None
    remote.replicate.progress = DONE
    address = {"workspace_id": remote.workspace_id, "generation_id": generation.id}
    kept = [remote.inbox.keep("replicate", current.id, "e1", address, {}, b"{}", remote.now) for _ in range(2)]
    assert kept == [True, False]
    for _ in range(2):
        act_on_webhooks(remote.workspace_id, generation.id, current.id, deps=remote.attempt_deps)
    poll(*remote.execution.polls[0], deps=remote.attempt_deps)
    remote.finish(generation)
    act_on_webhooks(remote.workspace_id, generation.id, current.id, deps=remote.attempt_deps)
    assert kinds(remote) == {"grant": 1, "hold": 1, "settled": 1}
    remote.assert_sound()


def test_a_webhook_with_another_jobs_reference_is_ignored(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    current = remote.get(generation).attempt
    assert current is not None
    remote.replicate.progress, remote.replicate.webhook_reference = DONE, "another"
    remote.inbox.keep("replicate", current.id, "e1", {}, {}, b"{}", remote.now)
    act_on_webhooks(remote.workspace_id, generation.id, current.id, deps=remote.attempt_deps)
    assert remote.execution.results == []


def test_a_fallback_to_the_next_candidate_uses_the_same_hold(remote: World) -> None:
    generation = remote.submit().generation
    remote.replicate.answers = [Failed(ErrorClass.CAPACITY, "busy")]
    # The catalogue offers the procedural model only as a sole candidate, so the two candidates are stored by hand.
    item = GenerationItem(remote.workspace_id, generation.id)
    item.update([GenerationItem.candidates.set(["replicate/sdxl", "local/canvas"])])
    remote.attempt(generation)
    assert [lost.error_class for lost in remote.execution.failures] == ["capacity"]
    remote.attempt(generation, cause=remote.execution.failures[0])
    ended = remote.finish(generation)
    assert [(a.provider, a.status.value, a.error_class) for a in ended.attempts] == [
        ("replicate", "failed", "capacity"),
        ("local", "succeeded", None),
    ]
    assert kinds(remote) == {"grant": 1, "hold": 1, "settled": 1}
    remote.assert_sound()


def test_the_sweep_expires_overdue_generations_once(remote: World) -> None:
    dead, alive = remote.submit().generation, None
    remote.attempt(dead)
    remote.now += timedelta(minutes=4)
    alive = remote.submit().generation
    remote.now = dead.deadline_at
    assert sweep(remote.workspace_id, deps=remote.finish_deps, now=remote.now) == 1
    assert remote.get(dead).status is Status.EXPIRED
    assert remote.get(alive).status is Status.QUEUED
    before = (remote.wallets.wallet(remote.workspace_id), remote.movements())
    assert sweep(remote.workspace_id, deps=remote.finish_deps, now=remote.now) == 0
    assert (remote.wallets.wallet(remote.workspace_id), remote.movements()) == before
    assert before[0].sweep_at == alive.deadline_at
    remote.now = alive.deadline_at
    assert sweep(remote.workspace_id, deps=remote.finish_deps, now=remote.now) == 1
    assert remote.wallets.wallet(remote.workspace_id).sweep_at is None
    remote.assert_sound()


def test_credits_held_over_midnight_return_to_their_own_days_grant(world: World) -> None:
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


def test_parallel_first_submissions_of_a_day_book_one_daily_grant(world: World) -> None:
    run_concurrently(10, lambda number: world.submit(prompt=str(number)))
    assert kinds(world)["grant"] == 1
    world.now += timedelta(days=1)
    run_concurrently(10, lambda number: world.submit(prompt=str(number)))
    assert kinds(world)["grant"] == 2
    world.assert_sound()


def uploaded(world: World) -> InputAsset:
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
    return InputAsset(world.assets.record_upload(asset).id)


def edit(world: World, picture: InputAsset, mask: InputAsset) -> Generation:
    recipe = Recipe(Kind.IMAGE, "a hat", "local/canvas", None, {}, {"image": (picture,), "mask": (mask,)})
    return submit_generation(
        Submission(world.workspace_id, "usr_A", recipe), deps=world.submit_deps, now=world.now
    ).generation


def test_a_mask_is_sent_to_the_provider_fitted_to_its_image(world: World) -> None:
    picture, mask = uploaded(world), uploaded(world)
    world.attempt(edit(world, picture, mask))
    (job,) = world.local.submitted
    assert [each.data.decode() for each in job.inputs["mask"]] == [f"{mask.asset_id} of {picture.asset_id}"]


def test_a_mask_that_changes_nothing_fails_free_without_a_provider_call(world: World) -> None:
    picture = uploaded(world)
    generation = edit(world, picture, picture)
    world.attempt(generation)
    ended = world.finish(generation)
    assert world.local.submitted == []
    assert (ended.status, ended.credits_charged) == (Status.FAILED, 0)
    assert ended.failure is not None
    assert ended.failure.message == "The mask changes nothing."
    world.assert_sound()


def test_a_foreign_generation_is_not_found_like_a_missing_one(world: World, tables: Tables) -> None:
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
    sweep(remote.workspace_id, deps=remote.finish_deps, now=generation.deadline_at)
    assert remote.get(generation).status is Status.EXPIRED
    remote.assert_sound()


def test_an_unknown_outcome_before_any_attempt_returns_the_credits(remote: World) -> None:
    generation = remote.submit().generation
    assert remote.finish(generation, Outcome("unknown")).status is Status.FAILED
    assert remote.wallets.wallet(remote.workspace_id).held == 0


def test_a_settlement_planned_before_midnight_and_written_after_it_balances(world: World) -> None:
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


def test_a_generation_with_an_old_idempotency_key_is_still_swept(world: World) -> None:
    held = world.submit(width=2048, height=1280, n=4).generation
    with pytest.raises(InsufficientCredits):
        world.submit(key="patient", width=2048, height=1280, n=2)
    world.fail(held)
    world.now += timedelta(hours=6)
    late = world.submit(key="patient", width=2048, height=1280, n=2).generation
    assert sweep(world.workspace_id, deps=world.finish_deps, now=late.deadline_at) == 1
    assert world.get(late).status is Status.EXPIRED
    world.assert_sound()


def test_an_attempt_continues_when_its_write_is_repeated_by_the_sdk(remote: World) -> None:
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


def test_a_repeated_attempt_keeps_the_providers_reference(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    remote.attempt(generation)
    current = remote.get(generation).attempt
    assert current is not None
    callback = remote.generations.callback(remote.workspace_id, generation.id, current.id)
    assert callback is not None
    assert callback.reference == "r1"
    assert len(remote.replicate.submitted) == 1


def test_a_result_without_a_waiting_execution_starts_a_new_one(remote: World) -> None:
    """The execution that waited for the result has ended before the result arrives."""
    generation = remote.submit().generation
    remote.attempt(generation)
    current = remote.get(generation).attempt
    assert current is not None
    remote.execution.listening, remote.replicate.progress = False, DONE
    poll(*remote.execution.polls[0], deps=remote.attempt_deps)
    assert remote.execution.started == [], "whoever was faster has a minute to make the end"
    poll(*remote.execution.polls[-1], deps=remote.attempt_deps)
    assert remote.execution.started == [f"{generation.id}-{current.id}"]
    remote.execution.listening = True
    remote.attempt(generation)
    poll(*remote.execution.polls[-1], deps=remote.attempt_deps)
    assert remote.finish(generation).status is Status.SUCCEEDED
    assert len(remote.replicate.submitted) == 1


def test_small_progress_steps_are_not_written(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    for percent, shown in ((5, 0), (40, 40), (45, 40), (90, 90)):
        remote.replicate.progress = Pending(percent)
        poll(*remote.execution.polls[0], deps=remote.attempt_deps)
        assert remote.get(generation).progress == shown


def test_a_missing_provider_secret_fails_the_generation_and_returns_the_credits(remote: World) -> None:
    generation = remote.submit().generation
    attempting = replace(remote.attempt_deps, providers={})
    attempt(remote.workspace_id, generation.id, TokenReply("token", attempting), deps=attempting)
    assert remote.finish(generation).status is Status.FAILED
    assert remote.wallets.wallet(remote.workspace_id).available == 50


def test_a_stale_wallet_cannot_remove_the_sweep_time_of_an_open_hold(world: World) -> None:
    world.submit()
    wallet = world.wallets.wallet(world.workspace_id)
    world.wallets.postpone_sweep(replace(wallet, holds_open=0), None)
    assert world.wallets.wallet(world.workspace_id).sweep_at == wallet.sweep_at


def test_a_cursor_outside_the_filtered_times_gives_an_empty_or_a_whole_page(world: World) -> None:
    first = world.submit().generation
    world.now += timedelta(hours=1)
    second = world.submit().generation
    late = Filters(created_from=world.now)
    assert world.generations.list(world.workspace_id, late, first.id, 10).generations == ()
    early = Filters(created_to=world.now)
    assert [g.id for g in world.generations.list(world.workspace_id, early, second.id, 10).generations] == [first.id]


def test_a_settlement_that_meets_only_conflicts_raises_and_settles_on_repeat(world: World) -> None:
    """The embedded store never answers TransactionConflict; AWS does when transactions on one wallet overlap."""
    generation = world.submit().generation
    world.attempt(generation)
    with failing_operation("TransactWriteItems", TRANSACTION_CONFLICT), pytest.raises(Unavailable):
        world.finish(generation)
    assert world.get(generation).status is Status.RUNNING
    assert world.finish(generation).status is Status.SUCCEEDED
    assert kinds(world) == {"grant": 1, "hold": 1, "settled": 1}
    world.assert_sound()


def test_a_submission_that_meets_only_conflicts_is_unavailable_and_writes_nothing(world: World) -> None:
    world.submit()
    before = (world.wallets.wallet(world.workspace_id), world.movements())
    with failing_operation("TransactWriteItems", TRANSACTION_CONFLICT), pytest.raises(Unavailable):
        world.submit(prompt="another")
    assert (world.wallets.wallet(world.workspace_id), world.movements()) == before


def test_a_daily_grant_that_meets_only_conflicts_is_unavailable_and_books_nothing(world: World) -> None:
    with failing_operation("TransactWriteItems", TRANSACTION_CONFLICT), pytest.raises(Unavailable):
        world.submit()
    assert world.movements() == []


def test_a_cancelled_attempt_of_unknown_outcome_is_cancelled_at_its_provider(remote: World) -> None:
    """The function crashed after the provider accepted the job, the caller cancelled, and the task is retried."""
    generation = remote.submit().generation
    remote.replicate.answers = [Unknown("died here")]
    remote.attempt(generation)
    cancel(remote.workspace_id, generation.id, deps=remote.finish_deps, now=remote.now)
    remote.attempt(generation)
    assert remote.execution.results == []
    remote.replicate.found, remote.replicate.progress = "r1", DONE
    poll(*remote.execution.polls[-1], deps=remote.attempt_deps)
    assert remote.replicate.cancelled == ["r1"]
    assert remote.finish(generation).status is Status.CANCELLED
    remote.assert_sound()


def test_a_cancellation_that_meets_a_conflict_is_unavailable_and_may_be_repeated(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    with failing_operation("UpdateItem", SINGLE_CONFLICT), pytest.raises(Unavailable):
        cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    assert cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now).cancel_requested_at


def test_a_running_attempt_survives_a_missing_provider_secret(remote: World) -> None:
    generation = remote.submit().generation
    remote.attempt(generation)
    without = replace(remote.attempt_deps, providers={})
    poll(*remote.execution.polls[0], deps=without)
    cancel_at_provider(remote.workspace_id, generation.id, deps=without)
    attempt(remote.workspace_id, generation.id, TokenReply("another token", without), deps=without)
    assert remote.execution.results == []
    remote.replicate.progress = DONE
    poll(*remote.execution.polls[1], deps=remote.attempt_deps)
    assert remote.finish(generation).status is Status.SUCCEEDED
    assert len(remote.replicate.submitted) == 1
    remote.assert_sound()
