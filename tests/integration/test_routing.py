"""Routing on the embedded store: which candidate is tried, which is skipped, the costs, and what callers see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.catalogue.candidates import parse_candidate
from atelier.catalogue.catalogue import catalogue
from atelier.clock import rfc3339
from atelier.errors import Unavailable
from atelier.generations.attempt_messages import Poll
from atelier.generations.cancel import cancel
from atelier.generations.model import QUEUE_ALLOWANCE, Generation, Status
from atelier.generations.poll import poll
from atelier.generations.sweep import sweep
from atelier.ids import new_id
from atelier.projects.model import Budget, Project
from atelier.provider_keys.model import ProviderKey, WorkspaceProviders
from atelier.provider_port import Accepted, Cancelled, Done, ErrorClass, Failed, Output, SubmitOutcome, Unknown
from atelier.routing.circuit_breaker import COOLDOWN_SECONDS, FAILURES_TO_DOWN, Health, Scope
from atelier.routing.circuit_breaker import HealthStatus as HealthStatus
from atelier.routing.health_cache import SUCCESSES_PER_WRITE, HealthCache
from atelier.routing.rank_offers import Routes
from tests.conftest import Tables
from tests.integration.world import DONE, ScriptedProvider, World, client_event_hook, run_concurrently

BROKEN = Failed(ErrorClass.TRANSIENT, "It broke.")
REPLICATE = Scope("replicate")
SDXL = Scope("replicate", model="replicate/sdxl")
OWN = "key_" + "0" * 25 + "1"


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def store_candidates(world: World, generation: Generation, *candidates: str) -> Generation:
    """Stores these candidates in a generation, and a deadline with time for each of them."""
    run_seconds = sum(world.catalogue.model(parse_candidate(each)[0]).run_seconds_max for each in candidates)
    deadline_at = rfc3339(world.now + QUEUE_ALLOWANCE + timedelta(seconds=run_seconds))
    changes = [GenerationItem.candidates.set(list(candidates)), GenerationItem.deadline_at.set(deadline_at)]
    GenerationItem(world.workspace_id, generation.id).update(changes)
    return world.get(generation)


def submitted(world: World, *candidates: str) -> Generation:
    """Submits a generation and stores these candidates in it."""
    return store_candidates(world, world.submit().generation, *candidates)


def run(world: World, *candidates: str) -> Generation:
    """Runs a generation from its submission to its end, as the workflow does."""
    generation = submitted(world, *candidates)
    lost = len(world.execution.failures)
    world.attempt(generation)
    while len(world.execution.failures) > lost:
        lost = len(world.execution.failures)
        world.attempt(generation, cause=world.execution.failures[-1])
    return world.finish(generation)


def take_down(world: World) -> Health:
    for _ in range(FAILURES_TO_DOWN):
        world.book.record_failure(REPLICATE, ErrorClass.TRANSIENT, started_at=world.now, now=world.now)
    return world.health.get(REPLICATE)


@contextmanager
def counted(operation: str) -> Iterator[list[None]]:
    """Collects one entry for each DynamoDB `operation` sent within the block."""
    seen: list[None] = []

    def note(**_: object) -> None:
        seen.append(None)

    with client_event_hook(f"before-send.dynamodb.{operation}", note):
        yield seen


def test_stored_health_is_read_back_unchanged(world: World) -> None:
    scope = Scope("openai", world.workspace_id, OWN)
    world.book.record_success(scope, 1234, started_at=world.now, now=world.now)
    world.book.record_failure(scope, ErrorClass.AUTH, "No.", started_at=world.now, now=world.now)
    kept = world.health.get(scope)
    assert kept == world.health.read(world.workspace_id)[scope]
    assert (kept.successes, kept.failures, kept.error_message, kept.version) == (1, 1, "No.", 2)
    assert scope not in world.health.read(None)
    assert world.book.cached(scope, world.now) == kept


def test_a_failing_provider_is_skipped_once_its_circuit_is_open(world: World) -> None:
    world.replicate.answers = [BROKEN] * 50
    for _ in range(10):
        ended = run(world, "replicate/sdxl", "local/canvas")
        assert ended.status is Status.SUCCEEDED
    assert len(world.replicate.submitted) == FAILURES_TO_DOWN
    # A skipped candidate is not an attempt.
    assert [attempt.model for attempt in ended.attempts] == ["local/canvas"]
    world.assert_sound()


def test_a_fallback_shows_in_the_attempts(world: World) -> None:
    world.replicate.answers = [Failed(ErrorClass.CAPACITY, "Full.")]
    ended = run(world, "replicate/sdxl", "local/canvas")
    assert [(a.provider, a.status, a.error_class) for a in ended.attempts] == [
        ("replicate", "failed", "capacity"),
        ("local", "succeeded", None),
    ]


def test_a_skipped_candidate_is_tried_after_its_cooldown(world: World) -> None:
    take_down(world)
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.local.answers = [BROKEN]
    world.attempt(generation)
    assert world.replicate.submitted == []
    world.now += timedelta(seconds=COOLDOWN_SECONDS)
    world.attempt(generation, cause=world.execution.failures[-1])
    ended = world.finish(generation)
    assert [attempt.model for attempt in ended.attempts] == ["local/canvas", "replicate/sdxl"]
    assert ended.status is Status.SUCCEEDED


def test_a_generation_fails_free_when_every_circuit_is_open(world: World) -> None:
    take_down(world)
    ended = run(world, "replicate/sdxl")
    assert (ended.status, ended.attempts, ended.credits_charged) == (Status.FAILED, (), 0)
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.error_class) == ("PROVIDER_FAILED", ErrorClass.CAPACITY)
    assert world.replicate.submitted == []
    assert world.wallet().held == 0
    world.assert_sound()


def test_a_generation_without_another_candidate_fails_with_the_last_error(world: World) -> None:
    take_down(world)
    world.local.answers = [Failed(ErrorClass.TIMEOUT_UNSTARTED, "Slow.")]
    ended = run(world, "local/canvas", "replicate/sdxl")
    assert ended.failure is not None
    assert ended.failure.error_class == ErrorClass.TIMEOUT_UNSTARTED
    assert [attempt.status for attempt in ended.attempts] == ["failed"]


def test_exactly_one_of_twenty_parallel_callers_probes_a_half_open_provider(world: World) -> None:
    take_down(world)
    books = [HealthCache(world.health) for _ in range(20)]
    for _ in range(3):
        until = world.health.get(REPLICATE).cooldown_until
        assert until is not None
        assert not any(run_concurrently(20, lambda number: books[number].allow(REPLICATE, world.now)))
        world.now = max(world.now, until)
        answers = run_concurrently(20, lambda number: books[number].allow(REPLICATE, world.now))
        assert sorted(map(bool, answers)) == [False] * 19 + [True]
        assert not any(run_concurrently(20, lambda number: books[number].allow(REPLICATE, world.now)))
        world.book.record_failure(REPLICATE, ErrorClass.TRANSIENT, started_at=world.now, now=world.now)
        # By then the health cached in each process has expired.
        world.now += timedelta(seconds=6)


def test_only_one_of_several_parallel_generations_probes_a_half_open_provider(world: World) -> None:
    take_down(world)
    generations = [submitted(world, "replicate/sdxl", "local/canvas") for _ in range(3)]
    world.now += timedelta(seconds=COOLDOWN_SECONDS)
    world.replicate.answers = [BROKEN] * 20
    run_concurrently(3, lambda number: world.attempt(generations[number]))
    assert len(world.replicate.submitted) == 1


@pytest.mark.parametrize("end", [Failed(ErrorClass.INVALID_INPUT, "No."), Cancelled()])
def test_a_probe_ended_by_its_caller_does_not_block_the_next_probe(world: World, end: Failed | Cancelled) -> None:
    for _ in range(FAILURES_TO_DOWN):
        run(world, "replicate/sdxl")
    take_down(world)
    world.now += timedelta(seconds=COOLDOWN_SECONDS)
    generation = submitted(world, "replicate/sdxl")
    world.replicate.answers = [Accepted("r1")]
    world.attempt(generation)
    assert not HealthCache(world.health).allow(SDXL, world.now)
    world.replicate.progress = end
    poll(*world.execution.polls[-1], deps=world.attempt_deps)
    assert HealthCache(world.health).allow(SDXL, world.now)


def test_a_successful_probe_closes_the_circuit_for_all_callers(world: World) -> None:
    take_down(world)
    world.now += timedelta(seconds=COOLDOWN_SECONDS)
    assert run(world, "replicate/sdxl").status is Status.SUCCEEDED
    assert world.health.get(REPLICATE).status(world.now) is HealthStatus.HEALTHY
    assert all(HealthCache(world.health).allow(REPLICATE, world.now) for _ in range(5))


def test_parallel_failures_are_counted_once_each_until_the_circuit_opens(world: World) -> None:
    books = [HealthCache(world.health) for _ in range(20)]
    started_at = world.now
    now = world.now + timedelta(seconds=3)

    def fail(number: int) -> None:
        books[number].record_failure(REPLICATE, ErrorClass.TRANSIENT, started_at=started_at, now=now)

    assert run_concurrently(20, fail) == [None] * 20
    kept = world.health.get(REPLICATE)
    assert (kept.failures, kept.version, kept.status(now)) == (FAILURES_TO_DOWN, FAILURES_TO_DOWN, HealthStatus.DOWN)


def test_a_429_pauses_the_provider_for_its_retry_after_time(world: World) -> None:
    world.replicate.answers = [Failed(ErrorClass.RATE_LIMITED, "Slow down.", retry_after_seconds=42)]
    run(world, "replicate/sdxl", "local/canvas")
    world.now += timedelta(seconds=41)
    run(world, "replicate/sdxl", "local/canvas")
    assert len(world.replicate.submitted) == 1
    world.now += timedelta(seconds=1)
    run(world, "replicate/sdxl", "local/canvas")
    assert len(world.replicate.submitted) == 2


@pytest.mark.parametrize("answer", [Failed(ErrorClass.INVALID_INPUT, "No."), Failed(ErrorClass.MODERATED, "No.")])
def test_rejected_requests_do_not_change_the_providers_health(world: World, answer: SubmitOutcome) -> None:
    world.replicate.answers = [answer] * 5
    for _ in range(5):
        run(world, "replicate/sdxl")
    assert world.health.read(None) == {}


def test_an_unknown_outcome_counts_as_a_failure_and_is_never_resent(world: World) -> None:
    world.replicate.answers = [Unknown("the connection broke")] * 3
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    world.attempt(generation)
    assert len(world.replicate.submitted) == 1
    assert world.local.submitted == []
    assert world.health.get(REPLICATE).failures == 1


def test_an_asynchronous_result_counts_for_health_when_it_arrives(world: World) -> None:
    world.replicate.answers = [Accepted("r1")]
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    assert world.health.read(None) == {}
    world.replicate.progress = DONE
    world.now += timedelta(seconds=8)
    poll(*world.execution.polls[-1], deps=world.attempt_deps)
    kept = world.health.get(REPLICATE)
    assert (kept.successes, kept.latency_ms_mean()) == (1, 8000)


def test_a_healthy_providers_successes_are_batched_into_few_writes_and_reads(world: World) -> None:
    book = HealthCache(world.health)
    with counted("PutItem") as puts, counted("Query") as queries, counted("GetItem") as gets:
        for _ in range(1 + 3 * SUCCESSES_PER_WRITE):
            assert book.allow(REPLICATE, world.now)
            book.record_success(REPLICATE, 1000, started_at=world.now, now=world.now)
    assert (len(puts), len(queries), len(gets)) == (4, 1, 4)
    assert world.health.get(REPLICATE).successes == 1 + 3 * SUCCESSES_PER_WRITE


def test_the_local_provider_causes_no_health_reads_or_writes(world: World) -> None:
    with counted("PutItem") as puts, counted("Query") as queries, counted("GetItem") as gets:
        for _ in range(3):
            assert world.book.allow(Scope("local"), world.now)
            world.book.record_success(Scope("local"), 10, started_at=world.now, now=world.now)
            world.book.record_failure(Scope("local"), ErrorClass.TRANSIENT, started_at=world.now, now=world.now)
    assert (puts, queries, gets) == ([], [], [])


def test_a_workspace_key_is_used_recorded_by_its_id_and_free_of_credits(world: World) -> None:
    world.own[OWN] = ScriptedProvider(answers=[Done((Output(data=b"x"),), {"predict_milliseconds": 2000}, 4242)])
    ended = run(world, f"replicate/sdxl@{OWN}", "replicate/sdxl")
    assert ended.status is Status.SUCCEEDED
    assert [(a.model, a.key) for a in ended.attempts] == [("replicate/sdxl", OWN)]
    assert ended.credits_charged == 0
    assert ended.cost_microusd == 4242
    assert world.replicate.submitted == []
    # The workspace's account signs webhooks with a secret that we do not know, so none is requested.
    assert [job.webhook_url for job in world.own[OWN].submitted] == [None]
    assert world.get(ended).attempts == ended.attempts
    assert world.health.get(Scope("replicate", world.workspace_id, OWN)).successes == 1
    assert world.health.read(None) == {}
    world.assert_sound()


def test_a_rejected_workspace_key_does_not_affect_the_platforms_key(world: World) -> None:
    world.own[OWN] = ScriptedProvider(answers=[Failed(ErrorClass.AUTH, "No.")])
    run(world, f"replicate/sdxl@{OWN}", "local/canvas")
    run(world, f"replicate/sdxl@{OWN}", "local/canvas")
    assert len(world.own[OWN].submitted) == 1
    assert run(world, "replicate/sdxl").status is Status.SUCCEEDED


def test_a_generation_on_a_workspace_key_alone_holds_no_credits(tables: Tables) -> None:
    world = World(tables, providers=frozenset({"openai"}))
    mine = ProviderKey(OWN, world.workspace_id, "usr_A", "replicate", "Mine", "", b"", "m", world.now)
    world.post_deps.refreshed_wallet(world.workspace_id, world.now)
    routes = Routes(
        world.workspace_id, WorkspaceProviders((mine,)), lambda scope: world.book.cached(scope, world.now), world.now
    )
    named = world.submit(model="replicate/sdxl", routes=routes).generation
    assert named.candidates == (f"replicate/sdxl@{OWN}",)
    assert (named.credits_held, world.wallet().held) == (0, 0)
    anything = world.submit(routes=routes).generation
    assert anything.candidates[0] == f"replicate/sdxl@{OWN}"
    assert len(anything.candidates) > 1
    assert anything.credits_held == world.wallet().held > 0
    world.own[OWN] = ScriptedProvider()
    world.attempt(anything)
    ended = world.finish(anything)
    assert (ended.status, ended.credits_charged, world.wallet().held) == (Status.SUCCEEDED, 0, 0)
    world.assert_sound()


def test_a_named_model_with_an_open_circuit_is_refused_and_nothing_is_written(world: World) -> None:
    take_down(world)
    world.catalogue = catalogue(frozenset({"replicate"}))
    routes = Routes(
        world.workspace_id, WorkspaceProviders(), lambda scope: world.book.cached(scope, world.now), world.now
    )
    before = world.wallet()
    with pytest.raises(Unavailable) as refused:
        world.submit(model="replicate/sdxl", routes=routes)
    assert refused.value.facts["retry_after_seconds"] > 0
    assert world.wallet() == before


def test_a_repeated_request_is_replayed_while_its_providers_circuit_is_open(world: World) -> None:
    world.catalogue = catalogue(frozenset({"replicate"}))
    routes = Routes(
        world.workspace_id, WorkspaceProviders(), lambda scope: world.book.cached(scope, world.now), world.now
    )
    first = world.submit(model="replicate/sdxl", key="k", routes=routes).generation
    take_down(world)
    again = world.submit(model="replicate/sdxl", key="k", routes=routes)
    assert (again.replayed, again.generation.id) == (True, first.id)


# A failure for which the provider bills the two seconds that it ran.
BILLED = Failed(ErrorClass.TRANSIENT, "It broke.", usage={"predict_milliseconds": 2000})


def test_a_billed_failure_before_a_fallback_adds_to_the_cost_not_to_the_charge(world: World) -> None:
    world.replicate.answers = [BILLED]
    alone = run(world, "local/canvas")
    ended = run(world, "replicate/sdxl", "local/canvas")
    first, second = ended.attempts
    assert (first.status, first.cost_source) == ("failed", "usage")
    assert first.cost_microusd > 0
    assert (second.status, second.cost_microusd) == ("succeeded", 0)
    assert (ended.cost_microusd, ended.cost_source) == (first.cost_microusd, "usage")
    assert ended.credits_charged == alone.credits_charged
    assert world.get(ended) == ended
    world.assert_sound()


def test_costs_of_two_attempts_add_up_under_the_least_certain_cost_source(world: World) -> None:
    world.replicate.answers = [BILLED, Done((Output(data=b"x"),), {}, 4242)]
    ended = run(world, "replicate/sdxl", "replicate/sdxl")
    costs = [(each.cost_microusd, each.cost_source) for each in ended.attempts]
    assert costs[1] == (4242, "provider")
    assert (ended.cost_microusd, ended.cost_source) == (costs[0][0] + 4242, "usage")
    assert world.get(ended) == ended


def test_a_billed_failure_counts_when_no_other_candidate_is_available(world: World) -> None:
    take_down(world)
    world.own[OWN] = ScriptedProvider(answers=[Failed(ErrorClass.TRANSIENT, "It broke.", cost_microusd=99)])
    ended = run(world, f"replicate/sdxl@{OWN}", "replicate/sdxl")
    assert (ended.status, ended.credits_charged) == (Status.FAILED, 0)
    assert (ended.cost_microusd, ended.cost_source) == (99, "provider")
    assert [(each.status, each.cost_microusd) for each in world.get(ended).attempts] == [("failed", 99)]
    assert world.wallet().held == 0
    world.assert_sound()


def test_a_billed_failure_counts_in_a_generation_cancelled_after_it(world: World) -> None:
    world.replicate.answers = [BILLED]
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    world.attempt(generation, cause=world.execution.failures[-1])
    ended = world.finish(generation)
    assert (ended.status, ended.credits_charged, len(ended.attempts)) == (Status.CANCELLED, 0, 1)
    assert ended.cost_microusd == world.get(ended).attempts[0].cost_microusd > 0
    world.assert_sound()


def test_a_billed_failure_is_spent_from_the_projects_budget(world: World) -> None:
    made = Project(new_id("prj", world.now), world.workspace_id, "usr_A", "A project", world.now, world.now)
    world.projects.create(made, Budget(world.workspace_id, made.id, 10_000_000))
    world.replicate.answers = [BILLED]
    generation = world.submit(project_id=made.id).generation
    store_candidates(world, generation, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    world.attempt(generation, cause=world.execution.failures[-1])
    ended = world.finish(generation)
    budget = world.projects.budget(world.workspace_id, made.id)
    assert budget is not None
    assert ended.cost_microusd > 0
    assert (budget.spent_microusd, budget.reserved_microusd) == (ended.cost_microusd, 0)


def test_an_expired_generation_costs_its_failed_and_its_open_attempt(world: World) -> None:
    world.replicate.answers = [BILLED, Accepted("r1")]
    generation = submitted(world, "replicate/sdxl", "replicate/sdxl")
    world.attempt(generation)
    world.attempt(generation, cause=world.execution.failures[-1])
    world.now = generation.deadline_at
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    expired = world.get(generation)
    failed, awaited = expired.attempts
    assert (expired.status, expired.cost_source) == (Status.EXPIRED, "estimate")
    assert expired.cost_microusd == failed.cost_microusd + awaited.cost_microusd
    assert min(failed.cost_microusd, awaited.cost_microusd) > 0


def test_an_accepted_job_without_a_result_at_the_deadline_counts_one_failure(world: World) -> None:
    world.replicate.answers = [Accepted("r1")]
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    _, _, attempt_id, _ = world.execution.polls[-1]
    world.now = generation.deadline_at
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    assert world.health.read(None) == {}
    for due in (Poll(3), Poll(no_waiter=True), Poll(1, no_waiter=True)):
        poll(world.workspace_id, generation.id, attempt_id, due, deps=world.attempt_deps)
    kept = world.health.get(REPLICATE)
    assert (kept.failures, kept.error_class) == (1, ErrorClass.TIMEOUT_STARTED)


def test_an_unanswered_submission_counts_no_second_failure_at_the_deadline(world: World) -> None:
    world.replicate.answers = [Unknown("the connection broke")]
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    _, _, attempt_id, _ = world.execution.polls[-1]
    world.now = generation.deadline_at
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    poll(world.workspace_id, generation.id, attempt_id, Poll(no_waiter=True), deps=world.attempt_deps)
    assert world.health.get(REPLICATE).failures == 1


def test_a_job_found_done_after_the_deadline_counts_as_a_success(world: World) -> None:
    world.replicate.answers = [Accepted("r1")]
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    _, _, attempt_id, _ = world.execution.polls[-1]
    world.now = generation.deadline_at
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    world.replicate.progress = DONE
    poll(world.workspace_id, generation.id, attempt_id, Poll(no_waiter=True), deps=world.attempt_deps)
    kept = world.health.get(REPLICATE)
    assert (kept.successes, kept.failures) == (1, 0)
