"""A result that arrives after its deadline: the credits are back, the image is free, the operator bears the cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.generations.store import DynamoGenerations
from atelier.errors import Conflict, Unavailable
from atelier.generations.attempt import LATE_POLLING_SECONDS_MAX, TokenReply, attempt
from atelier.generations.attempt_messages import Poll
from atelier.generations.cancel import cancel
from atelier.generations.finish import finish
from atelier.generations.model import Generation, Status
from atelier.generations.outcome import Outcome
from atelier.generations.poll import act_on_webhooks, poll
from atelier.generations.sweep import sweep
from atelier.ids import new_id
from atelier.ledger.schemas import explanation_view
from atelier.projects.model import Budget, Project
from atelier.provider_port import Accepted, ErrorClass, Failed, Pending, Unknown
from tests.conftest import Tables
from tests.integration.world import DONE, TRANSACTION_CONFLICT, World, failing_operation, run_concurrently

DELIVERED = {"grant": 1, "hold": 1, "expired": 1, "late": 1}
EXPIRED = {"grant": 1, "hold": 1, "expired": 1}
SUCCEEDED = Outcome.from_data(
    {
        "status": "succeeded",
        "outputs": [{"key": None, "url": "https://replicate.delivery/out-0.png"}],
        "usage": {"predict_milliseconds": 2000},
        "cost_microusd": None,
        "error_class": None,
        "message": None,
    }
)


@pytest.fixture
def world(tables: Tables) -> World:
    made = World(tables, providers=frozenset({"local", "replicate"}))
    made.replicate.answers = [Accepted("r1")]
    return made


def expired(world: World, project_id: str | None = None) -> Generation:
    """A generation that expired while its provider was still working on it."""
    generation = world.submit(width=1024, height=1024, project_id=project_id).generation
    world.attempt(generation)
    world.now = generation.deadline_at
    assert sweep(world.workspace_id, deps=world.finish_deps, now=world.now) == 1
    return world.get(generation)


def kinds(world: World) -> Counter[str]:
    return Counter(movement.kind for movement in world.movements())


def spent(world: World, project: Project) -> int:
    budget = world.projects.budget(world.workspace_id, project.id)
    assert budget is not None
    assert budget.reserved_microusd == 0
    return budget.spent_microusd


def keep_webhook(world: World, generation: Generation) -> None:
    assert generation.attempt is not None
    world.inbox.keep("replicate", generation.attempt.id, "e1", {}, {}, b"{}", world.now)


def woken(world: World, generation: Generation) -> None:
    assert generation.attempt is not None
    act_on_webhooks(world.workspace_id, generation.id, generation.attempt.id, deps=world.attempt_deps)


def polled(world: World) -> None:
    poll(*world.execution.polls[-1], deps=world.attempt_deps)


def assert_delivered_free(world: World, generation: Generation) -> None:
    ended = world.get(generation)
    assert (ended.status, ended.credits_charged, ended.failure) == (Status.SUCCEEDED, 0, None)
    assert (len(ended.assets), ended.progress, ended.usage) == (1, 100, {"predict_milliseconds": 2000})
    assert ended.attempt is not None
    assert (ended.attempt.status, ended.attempt.ended_at) == ("succeeded", ended.completed_at)
    assert [asset.id for asset in world.assets.list(world.workspace_id, None, None, 10).assets] == [ended.assets[0].id]
    assert kinds(world) == DELIVERED
    wallet = world.wallet()
    assert (wallet.available, wallet.held, wallet.holds_open) == (50, 0, 0)
    (late,) = [movement for movement in world.assert_sound() if movement.kind == "late"]
    assert (late.key, late.order) == (f"late#{generation.id}", generation.id[4:])
    assert {entry.account: entry.amount for entry in late.entries} == {
        "issued": -generation.credits_held,
        "operator_loss": generation.credits_held,
    }


def test_a_result_found_by_a_poll_after_the_deadline_is_delivered_free(world: World) -> None:
    generation = expired(world)
    assert generation.attempt is not None
    assert (generation.attempt.status, generation.attempt.ended_at) == ("unknown", None)
    world.replicate.progress = DONE
    polled(world)
    assert world.finish(generation).status is Status.SUCCEEDED
    assert_delivered_free(world, generation)


def test_a_late_webhook_a_poll_and_repeats_deliver_once(world: World) -> None:
    generation = expired(world)
    world.replicate.progress = DONE
    keep_webhook(world, generation)
    for _ in range(2):
        woken(world, generation)
        polled(world)
    for _ in range(3):
        world.finish(generation)
    woken(world, generation)
    polled(world)
    assert_delivered_free(world, generation)
    assert [result["status"] for result in world.execution.results] == ["succeeded"] * 4


def test_parallel_late_deliveries_deliver_once(world: World) -> None:
    generation = expired(world)
    results = run_concurrently(10, lambda _: world.finish(generation, SUCCEEDED))
    assert [result.status for result in results if isinstance(result, Generation)] == [Status.SUCCEEDED] * 10
    assert_delivered_free(world, generation)


def test_a_late_delivery_that_crashed_around_its_write_is_completed_by_a_repeat(world: World) -> None:
    generation = expired(world)
    before, broken = DynamoGenerations(), DynamoGenerations()

    def dies(*_: object) -> None:
        raise ConnectionError

    def dies_afterwards(*end: Any) -> None:
        before.deliver_late(*end)
        raise ConnectionError

    for death in (dies, dies_afterwards):
        broken.deliver_late = death
        to = replace(world.finish_deps, generations=broken)
        with pytest.raises(ConnectionError):
            finish(world.workspace_id, generation.id, SUCCEEDED, deps=to, now=world.now)
    world.finish(generation, SUCCEEDED)
    assert_delivered_free(world, generation)


def test_a_late_delivery_whose_write_is_repeated_by_the_sdk_delivers_once(world: World) -> None:
    generation = expired(world)

    class LosesAnswers(DynamoGenerations):
        def deliver_late(self, *end: Any) -> None:
            super().deliver_late(*end)
            super().deliver_late(*end)

    world.generations = LosesAnswers()
    assert world.finish(generation, SUCCEEDED).status is Status.SUCCEEDED
    assert_delivered_free(world, generation)


def test_a_late_delivery_that_meets_only_conflicts_delivers_on_repeat(world: World) -> None:
    generation = expired(world)
    with failing_operation("TransactWriteItems", TRANSACTION_CONFLICT), pytest.raises(Unavailable):
        world.finish(generation, SUCCEEDED)
    assert kinds(world) == EXPIRED
    world.finish(generation, SUCCEEDED)
    assert_delivered_free(world, generation)


def test_a_late_result_without_a_waiting_execution_starts_a_new_one(world: World) -> None:
    generation = expired(world)
    world.execution.listening, world.replicate.progress = False, DONE
    polled(world)
    assert world.execution.polls[-1][-1] == Poll(no_waiter=True)
    polled(world)
    assert generation.attempt is not None
    assert world.execution.started == [f"{generation.id}-{generation.attempt.id}-late"]
    world.execution.listening = True
    world.attempt(generation)
    polled(world)
    world.finish(generation)
    assert_delivered_free(world, generation)
    assert len(world.replicate.submitted) == 1


def test_a_new_attempt_after_expiry_finds_the_stored_webhook(world: World) -> None:
    generation = expired(world)
    world.now += timedelta(hours=3)
    world.replicate.progress = DONE
    keep_webhook(world, generation)
    world.attempt(generation)
    world.finish(generation)
    assert_delivered_free(world, generation)


def test_a_late_poll_still_finds_a_submission_with_a_lost_response(world: World) -> None:
    world.replicate.answers = [Unknown("no answer")]
    generation = expired(world)
    world.replicate.found, world.replicate.progress = "r1", DONE
    polled(world)
    world.finish(generation)
    assert_delivered_free(world, generation)


def test_an_expired_attempt_is_polled_with_growing_delay_for_an_hour(world: World) -> None:
    generation = expired(world)
    poll_count = 0
    while True:
        before = len(world.execution.polls)
        polled(world)
        poll_count += 1
        if len(world.execution.polls) == before:
            break
        world.now += timedelta(seconds=world.execution.delays[-1])
    assert world.now - generation.deadline_at >= timedelta(seconds=LATE_POLLING_SECONDS_MAX)
    assert world.now - generation.deadline_at <= timedelta(seconds=LATE_POLLING_SECONDS_MAX + 900)
    assert poll_count < 15
    # An execution that still waits gets the outcome `unknown` and ends.
    assert [result["status"] for result in world.execution.results] == ["unknown"]
    assert world.finish(generation).status is Status.EXPIRED
    assert kinds(world) == EXPIRED


@pytest.mark.parametrize("provider_is_back", [True, False])
def test_an_attempt_long_after_expiry_ends_its_execution_as_unknown(world: World, provider_is_back: bool) -> None:
    generation = expired(world)
    world.now += timedelta(seconds=LATE_POLLING_SECONDS_MAX)
    to = world.attempt_deps if provider_is_back else replace(world.attempt_deps, providers={})
    world.replicate.progress = Pending(50) if provider_is_back else DONE
    attempt(world.workspace_id, generation.id, TokenReply("left over", to), deps=to)
    poll(*world.execution.polls[-1], deps=to)
    assert [result["status"] for result in world.execution.results] == ["unknown"]
    assert world.finish(generation).status is Status.EXPIRED


def test_an_expired_attempt_of_the_local_provider_ends_its_execution_at_once(world: World) -> None:
    generation = world.submit(model="local/canvas").generation

    def dies(job: object) -> None:
        raise ConnectionError

    world.local.before_answer = dies
    with pytest.raises(ConnectionError):
        world.attempt(generation)
    sweep(world.workspace_id, deps=world.finish_deps, now=generation.deadline_at)
    world.attempt(generation)
    assert [result["status"] for result in world.execution.results] == ["cancelled"]
    assert world.finish(generation).status is Status.EXPIRED
    assert len(world.local.submitted) == 1


def test_a_late_failure_starts_no_further_poll_or_execution(world: World) -> None:
    generation = expired(world)
    world.replicate.progress = Failed(ErrorClass.CAPACITY, "busy")
    world.execution.listening = False
    polls = len(world.execution.polls)
    polled(world)
    assert (len(world.execution.polls), world.execution.failures, world.execution.started) == (polls, [], [])
    assert world.finish(generation).status is Status.EXPIRED
    assert kinds(world) == EXPIRED


FAILED = replace(SUCCEEDED, status="failed", error_class=ErrorClass.TRANSIENT)


@pytest.mark.parametrize(
    ("outcome", "attempt_status"),
    [(SUCCEEDED, "unknown"), (FAILED, "failed"), (replace(SUCCEEDED, status="cancelled"), "cancelled")],
)
def test_a_late_outcome_without_a_delivered_result_is_booked_at_its_usage_once(
    world: World, outcome: Outcome, attempt_status: str
) -> None:
    project = Project(new_id("prj", world.now), world.workspace_id, "usr_A", "A project", world.now, world.now)
    world.projects.create(project, Budget(world.workspace_id, project.id, 10_000_000))
    generation = expired(world, project.id)
    assert (generation.cost_microusd, generation.cost_source) == (6825, "estimate")
    assert spent(world, project) == 6825
    world.media.broken = True
    # Parallel and repeated finish calls count the spending once.
    run_concurrently(4, lambda _: world.finish(generation, outcome))
    world.finish(generation, outcome)
    ended = world.get(generation)
    assert (ended.status, ended.credits_charged, ended.assets) == (Status.EXPIRED, 0, ())
    assert (ended.cost_microusd, ended.cost_source, ended.usage) == (1950, "usage", {"predict_milliseconds": 2000})
    assert ended.attempt is not None
    assert ended.attempt.status == attempt_status
    assert spent(world, project) == 1950
    assert kinds(world) == EXPIRED
    world.assert_sound()


def test_a_late_result_that_could_not_be_fetched_is_delivered_on_repeat(world: World) -> None:
    generation = expired(world)
    world.media.broken = True
    world.finish(generation, SUCCEEDED)
    world.media.broken = False
    world.finish(generation, SUCCEEDED)
    assert_delivered_free(world, generation)


def test_a_cancelled_and_expired_generation_takes_no_late_result(world: World) -> None:
    generation = world.submit(width=1024, height=1024).generation
    world.attempt(generation)
    cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    world.now = generation.deadline_at
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    world.replicate.progress = DONE
    keep_webhook(world, world.get(generation))
    world.execution.listening = False
    polls = len(world.execution.polls)
    woken(world, world.get(generation))
    assert (len(world.execution.polls), world.execution.started) == (polls, [])
    assert world.finish(generation, SUCCEEDED).status is Status.EXPIRED
    assert kinds(world) == EXPIRED


def test_a_cancelled_or_failed_generation_takes_no_result(world: World) -> None:
    for end in ("cancelled", "failed"):
        world.replicate.answers = [Accepted("r1")]
        generation = world.submit(width=1024, height=1024).generation
        world.attempt(generation)
        world.finish(generation, Outcome(end, error_class=None if end == "cancelled" else ErrorClass.TRANSIENT))
        assert world.finish(generation, SUCCEEDED).status == end
    assert kinds(world)["late"] == 0


def test_a_generation_delivered_late_can_be_neither_cancelled_nor_swept(world: World) -> None:
    generation = expired(world)
    world.finish(generation, SUCCEEDED)
    with pytest.raises(Conflict):
        cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    before = world.movements()
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now + timedelta(hours=1))
    assert world.movements() == before


def test_the_explanation_of_a_late_delivery_lists_its_movements_in_order(world: World) -> None:
    generation = expired(world)
    world.now += timedelta(minutes=3)
    world.finish(generation, SUCCEEDED)
    explanation = explanation_view(generation.id, world.wallets.movements_of(world.workspace_id, generation.id))
    assert [movement.kind for movement in explanation.movements] == ["hold", "expired", "late"]
    assert (explanation.credits_held, explanation.credits_charged) == (generation.credits_held, 0)
    assert explanation.movements[-1].facts["model"] == "replicate/sdxl"
