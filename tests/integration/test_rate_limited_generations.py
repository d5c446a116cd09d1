"""Generations at a provider's rate limit: another candidate, a reserved slot, or a refusal with a retry-after time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb.generation_changes import generation_changes
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.rate_limits import DynamoRateWindows
from atelier.catalogue.catalogue import catalogue
from atelier.clock import rfc3339
from atelier.errors import Unavailable
from atelier.generations.attempt import TokenReply, attempt
from atelier.generations.attempt_messages import Slot, SlotDue
from atelier.generations.cancel import cancel
from atelier.generations.change import GenerationChange
from atelier.generations.model import RATE_LIMITED_ATTEMPTS_MAX, Generation, Status
from atelier.generations.select_candidate import place_of_change, queue_position, resume_at_slot
from atelier.generations.sweep import sweep
from atelier.provider_keys.model import WorkspaceProviders
from atelier.provider_port import ErrorClass, Failed
from atelier.routing.circuit_breaker import COOLDOWN_SECONDS, Scope
from atelier.routing.health_cache import HealthCache
from atelier.routing.rank_offers import Routes
from atelier.routing.rate_limit import SLOT_GRACE, RateLimit, RateWindow
from atelier.routing.rate_limiter import CONTENTION_SECONDS
from tests.conftest import Tables
from tests.integration.test_routing import BROKEN, OWN, counted, take_down
from tests.integration.test_routing import submitted as submitted_for_now
from tests.integration.world import ScriptedProvider, World, run_concurrently

TWO = RateLimit(2)
SPAN = timedelta(milliseconds=TWO.span_ms)


@pytest.fixture
def world(tables: Tables) -> World:
    made = World(tables)
    made.limits["replicate"] = TWO
    return made


def submitted(world: World, *candidates: str) -> Generation:
    """Submits a generation whose deadline allows for its candidates' run time and five minutes of waiting."""
    generation = submitted_for_now(world, *candidates)
    runs = sum(world.catalogue.model(candidate.partition("@")[0]).run_seconds_max for candidate in candidates)
    deadline_at = world.now + timedelta(minutes=5, seconds=runs)
    GenerationItem(world.workspace_id, generation.id).update([GenerationItem.deadline_at.set(rfc3339(deadline_at))])
    return world.get(generation)


def full(world: World) -> None:
    """Uses up Replicate's rate limit."""
    for _ in range(2):
        assert world.places.reserve(Scope("replicate"), world.now, latest=world.now).is_reserved


def committed_change(generation: Generation) -> GenerationChange:
    """A stored generation as the table's stream tells it."""
    image = GenerationItem.get(generation.workspace_id, generation.id).serialize()
    keys = {name: image[name] for name in ("pk", "sk")}
    [change] = generation_changes([{"dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": "1"}}])
    return change


def turn_of(world: World) -> Slot:
    _, slot, _ = world.execution.later_attempts[-1]
    assert slot is not None
    return slot


def woken(world: World, generation: Generation) -> None:
    """Wakes the generation when its slot is due, as the queue and the workflow do."""
    _, slot, _ = world.execution.later_attempts[-1]
    resume_at_slot("token", SlotDue(slot), workflow=world.execution)
    world.attempt(generation, cause=world.execution.causes[-1])


def test_the_next_candidate_serves_while_the_first_is_at_its_rate_limit(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    ended = world.finish(generation)
    assert [attempt.model for attempt in ended.attempts] == ["local/canvas"]
    assert (world.replicate.submitted, world.execution.later_attempts) == ([], [])
    # No slot was reserved for a generation that another candidate served.
    assert world.places.next_slot_at(Scope("replicate"), world.now + SPAN) == world.now + SPAN


def test_a_generation_without_another_candidate_waits_for_its_slot(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    assert (world.get(generation).status, world.replicate.submitted) == (Status.QUEUED, [])
    assert turn_of(world) == Slot("replicate/sdxl", world.now + SPAN)
    assert world.execution.later_attempts[-1][2] == SPAN.total_seconds()
    assert world.execution.results == []
    world.now += SPAN + timedelta(seconds=1)
    woken(world, generation)
    ended = world.finish(generation)
    assert (ended.status, len(world.replicate.submitted)) == (Status.SUCCEEDED, 1)
    world.assert_sound()


def test_a_waiting_generation_knows_its_time_and_its_place(world: World) -> None:
    full(world)
    waiting = [submitted(world, "replicate/sdxl") for _ in range(5)]
    for generation in waiting:
        assert world.get(generation).delay_at(world.now) is None
        world.attempt(generation)
    stored = [world.get(generation) for generation in waiting]
    # Two requests are sent in each window, at the same time, so they share a place.
    times = [world.now + SPAN * windows for windows in (1, 1, 2, 2, 3)]
    assert [each.delay_at(world.now) for each in stored] == times
    assert [queue_position(each, world.places, world.now) for each in stored] == [1, 1, 3, 3, 5]
    # The outbox finds the same places in what was committed.
    committed = [place_of_change(committed_change(each), lambda: world.places, world.now) for each in stored]
    assert committed == [1, 1, 3, 3, 5]
    world.now += SPAN
    assert [queue_position(each, world.places, world.now) for each in stored[2:]] == [1, 1, 3]
    world.attempt(stored[0], cause=SlotDue(Slot("replicate/sdxl", times[0])))
    assert [world.get(each).delay_at(world.now) for each in waiting] == [None, None, *times[2:]]
    ended = world.finish(stored[0])
    assert (ended.status, ended.delay_at(world.now)) == (Status.SUCCEEDED, None)


def test_parallel_generations_are_sent_at_the_rate_limit_in_reserved_slots(world: World) -> None:
    world.limits["replicate"] = RateLimit(4)
    generations = [submitted(world, "replicate/sdxl") for _ in range(12)]
    answers = run_concurrently(12, lambda number: world.attempt(generations[number]))
    assert answers == [None] * 12
    assert len(world.replicate.submitted) == 4
    assert len(world.execution.later_attempts) == 8
    waiting = [(name, slot) for name, slot, _ in world.execution.later_attempts if slot]
    for at in sorted({slot.at for _, slot in waiting}):
        sent, world.now = len(world.replicate.submitted), at
        for name, slot in waiting:
            if slot.at == at:
                world.attempt(world.generations.get(world.workspace_id, name), cause=SlotDue(slot))
        assert len(world.replicate.submitted) == sent + 4
    assert len(world.replicate.submitted) == 12
    assert len(world.execution.later_attempts) == 8


def test_a_missed_slot_is_reserved_again(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    missed = turn_of(world)
    world.now = missed.at + SLOT_GRACE + timedelta(seconds=1)
    assert world.places.reserve(Scope("replicate"), world.now, latest=world.now).is_reserved
    woken(world, generation)
    assert world.replicate.submitted == []
    assert turn_of(world).at > world.now
    world.now = turn_of(world).at
    woken(world, generation)
    assert len(world.replicate.submitted) == 1


def test_an_early_wake_up_keeps_the_reserved_slot(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    kept = turn_of(world)
    world.now += timedelta(seconds=10)
    woken(world, generation)
    assert turn_of(world) == kept
    assert world.replicate.submitted == []
    world.now = kept.at
    woken(world, generation)
    assert len(world.replicate.submitted) == 1


def test_a_due_slot_of_a_provider_with_an_open_circuit_is_not_used(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.local.answers = [BROKEN]
    world.attempt(generation)
    world.attempt(generation, cause=world.execution.failures[-1])
    world.now = turn_of(world).at
    take_down(world)
    woken(world, generation)
    ended = world.finish(generation)
    assert (ended.status, world.replicate.submitted) == (Status.FAILED, [])
    world.assert_sound()


def test_a_failed_attempt_is_shown_while_the_generation_waits_for_a_slot(world: World) -> None:
    full(world)
    world.local.answers = [Failed(ErrorClass.CAPACITY, "Full.")]
    generation = submitted(world, "local/canvas", "replicate/sdxl")
    world.attempt(generation)
    world.attempt(generation, cause=world.execution.failures[-1])
    waiting = world.get(generation)
    assert [(each.status, each.error_class) for each in waiting.attempts] == [("failed", "capacity")]
    world.now = turn_of(world).at
    woken(world, generation)
    ended = world.finish(generation)
    assert [each.status for each in ended.attempts] == ["failed", "succeeded"]
    assert ended.status is Status.SUCCEEDED


def test_a_generation_that_waits_for_a_slot_is_cancelled_at_once_and_free(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    cancelled = cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    assert (cancelled.status, cancelled.credits_charged) == (Status.CANCELLED, 0)
    world.now = turn_of(world).at
    woken(world, generation)
    assert world.execution.results[-1]["status"] == "cancelled"
    assert world.replicate.submitted == []
    world.assert_sound()


def test_a_generation_whose_wake_up_message_is_lost_expires_free(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    world.now = generation.deadline_at
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    ended = world.get(generation)
    assert (ended.status, ended.credits_charged, ended.cost_microusd) == (Status.EXPIRED, 0, 0)
    assert world.wallet().held == 0


def test_a_generation_whose_slot_would_come_too_late_fails_free(world: World) -> None:
    for _ in range(12):
        world.places.reserve(Scope("replicate"), world.now, latest=world.now + timedelta(hours=1))
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    assert world.execution.later_attempts == []
    ended = world.finish(generation)
    assert ended.failure is not None
    assert (ended.status, ended.failure.error_class) == (Status.FAILED, ErrorClass.CAPACITY)
    assert world.wallet().held == 0
    world.assert_sound()


def test_a_submission_to_too_long_a_queue_is_refused_with_a_retry_after_time(world: World) -> None:
    world.catalogue = catalogue(frozenset({"replicate"}))
    routes = Routes(
        world.workspace_id,
        WorkspaceProviders(),
        lambda scope: world.book.cached(scope, world.now),
        world.now,
        lambda scope: world.places.next_slot_at(scope, world.now),
    )
    alone = world.submit(model="replicate/sdxl", routes=routes).generation
    full(world)
    # The deadline is extended by the expected time in the queue.
    assert world.submit(model="replicate/sdxl", routes=routes).generation.deadline_at == alone.deadline_at + SPAN
    for _ in range(16):
        world.places.reserve(Scope("replicate"), world.now, latest=world.now + timedelta(hours=1))
    held = world.wallet().held
    with pytest.raises(Unavailable) as refused:
        world.submit(model="replicate/sdxl", routes=routes)
    assert 0 < refused.value.facts["retry_after_seconds"] < 60
    assert world.wallet().held == held


def test_a_repeat_is_answered_when_the_first_request_took_the_last_place(world: World) -> None:
    world.catalogue = catalogue(frozenset({"replicate"}))
    first: list[Generation] = []

    def next_place(scope: Scope) -> datetime:
        # The same request is accepted in parallel, between this one's look for it and its look for a place.
        if first:
            return world.now + timedelta(hours=1)
        first.append(world.submit(model="replicate/sdxl", key="once").generation)
        return world.now + timedelta(hours=1)

    routes = Routes(
        world.workspace_id,
        WorkspaceProviders(),
        lambda scope: world.book.cached(scope, world.now),
        world.now,
        next_place,
    )
    repeat = world.submit(model="replicate/sdxl", key="once", routes=routes)
    assert ([repeat.generation.id], repeat.replayed) == ([each.id for each in first], True)
    with pytest.raises(Unavailable):
        world.submit(model="replicate/sdxl", key="another", routes=routes)
    world.assert_sound()


def test_a_workspace_key_has_its_own_queue(world: World) -> None:
    world.limits["replicate@own"] = RateLimit(1)
    world.own[OWN] = ScriptedProvider()
    full(world)
    first, second = (submitted(world, f"replicate/sdxl@{OWN}") for _ in range(2))
    world.attempt(first)
    assert len(world.own[OWN].submitted) == 1
    world.attempt(second)
    assert len(world.own[OWN].submitted) == 1
    assert turn_of(world).candidate == f"replicate/sdxl@{OWN}"


def test_a_half_open_provider_at_its_rate_limit_is_not_probed(world: World) -> None:
    down = take_down(world)
    world.now += timedelta(seconds=COOLDOWN_SECONDS)
    full(world)
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    assert world.replicate.submitted == []
    assert world.health.get(Scope("replicate")) == down


def test_an_unreadable_rate_limit_store_does_not_block_an_attempt(world: World) -> None:
    generation = submitted(world, "replicate/sdxl")
    world.places.store.bind("there-is-no-such-table")  # type: ignore[attr-defined]
    world.attempt(generation)
    assert len(world.replicate.submitted) == 1


def test_an_attempt_without_a_rate_limit_costs_no_further_reads_or_writes(world: World) -> None:
    world.limits.clear()
    generation = submitted(world, "replicate/sdxl")
    with counted("PutItem") as puts, counted("Query") as queries:
        attempt(world.workspace_id, generation.id, TokenReply("token", world.attempt_deps), deps=world.attempt_deps)
    # One query reads the health, one write records the success.
    assert (len(puts), len(queries)) == (1, 1)


def test_an_attempt_that_crashed_after_its_reservation_reserves_another_slot(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.execution.resume_later = broken  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        world.attempt(generation)
    del world.execution.resume_later
    assert world.get(generation) == generation
    # The state machine retries the task with a new token; the first reservation stays unused.
    world.attempt(generation)
    assert len(world.execution.later_attempts) == 1
    world.now = turn_of(world).at
    woken(world, generation)
    assert world.finish(generation).status is Status.SUCCEEDED
    assert len(world.replicate.submitted) == 1


def test_an_attempt_that_cannot_write_a_reservation_is_delayed_and_repeated(
    world: World,
) -> None:
    class Busy(DynamoRateWindows):
        """A store in which another process always writes first."""

        def replace(self, before: RateWindow, after: RateWindow) -> bool:
            return False

    free = world.places
    world.places = replace(free, store=Busy(), pause=lambda tries: None)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    assert world.replicate.submitted == []
    assert world.execution.later_attempts == [(generation.id, None, CONTENTION_SECONDS)]
    world.places = free
    woken(world, generation)
    assert world.finish(generation).status is Status.SUCCEEDED


def broken(*_: object) -> None:
    raise ConnectionError("the queue does not answer")


# ---- providers that answer 429 ---------------------------------------------------------------------------------------

LIMITED = Failed(ErrorClass.RATE_LIMITED, "Slow down.", retry_after_seconds=30)


def wait_of(world: World) -> int:
    """The delay in seconds of the last message that was queued."""
    _, slot, seconds = world.execution.later_attempts[-1]
    assert slot is None
    return seconds


def goes_on(world: World, generation: Generation) -> None:
    """Starts the workflow's next attempt after a failed one."""
    world.attempt(generation, cause=world.execution.failures[-1])


def test_the_only_candidate_is_retried_after_its_429_pause(world: World) -> None:
    world.replicate.answers = [LIMITED]
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    goes_on(world, generation)
    waiting = world.get(generation)
    assert [(each.status, each.error_class) for each in waiting.attempts] == [("failed", "rate_limited")]
    assert (waiting.status, world.execution.results, len(world.replicate.submitted)) == (Status.RUNNING, [], 1)
    assert 30 <= wait_of(world) <= 60
    world.now += timedelta(seconds=wait_of(world))
    woken(world, generation)
    ended = world.finish(generation)
    assert [each.status for each in ended.attempts] == ["failed", "succeeded"]
    assert (ended.status, ended.credits_charged, ended.cost_microusd > 0) == (Status.SUCCEEDED, 1, True)
    assert len({job.attempt_id for job in world.replicate.submitted}) == 2
    world.assert_sound()


def test_generations_during_a_429_pause_wait_with_jitter_and_are_not_sent(world: World) -> None:
    world.replicate.answers = [LIMITED]
    first, *others = (submitted(world, "replicate/sdxl") for _ in range(5))
    world.attempt(first)
    for other in others:
        world.attempt(other)
    assert (len(world.replicate.submitted), world.execution.results) == (1, [])
    waits = {seconds for _, _, seconds in world.execution.later_attempts}
    assert len(world.execution.later_attempts) == 4
    # The delays differ, so that the generations do not all retry at the same instant.
    assert len(waits) > 1
    assert all(30 <= seconds <= 60 for seconds in waits)


def test_a_submission_during_a_short_429_pause_is_accepted_with_a_later_deadline(world: World) -> None:
    world.catalogue = catalogue(frozenset({"replicate"}))
    routes = Routes(
        world.workspace_id, WorkspaceProviders(), lambda scope: world.book.cached(scope, world.now), world.now
    )
    alone = world.submit(model="replicate/sdxl", routes=routes).generation
    started = {"started_at": world.now, "now": world.now}
    world.book.record_failure(Scope("replicate"), ErrorClass.RATE_LIMITED, retry_after_seconds=30, **started)
    waits = world.submit(model="replicate/sdxl", routes=routes).generation
    assert waits.deadline_at == alone.deadline_at + timedelta(seconds=30)
    world.book.record_failure(Scope("replicate"), ErrorClass.RATE_LIMITED, retry_after_seconds=3600, **started)
    with pytest.raises(Unavailable) as refused:
        world.submit(model="replicate/sdxl", routes=routes)
    assert 0 < refused.value.facts["retry_after_seconds"] <= 3600


def test_a_generation_fails_free_after_the_maximum_number_of_429_responses(world: World) -> None:
    # Our own limit is out of the way: at two a minute, a generation with a short share of the waiting time meets it.
    world.limits["replicate"] = RateLimit(100)
    world.replicate.answers = [LIMITED] * 10
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    for _ in range(RATE_LIMITED_ATTEMPTS_MAX - 1):
        goes_on(world, generation)
        world.now += timedelta(seconds=wait_of(world))
        woken(world, generation)
    ended = world.finish(generation)
    assert ended.failure is not None
    assert (ended.status, ended.failure.error_class) == (Status.FAILED, ErrorClass.RATE_LIMITED)
    assert len(ended.attempts) == len(world.replicate.submitted) == RATE_LIMITED_ATTEMPTS_MAX
    assert (ended.credits_charged, world.wallet().held) == (0, 0)
    world.assert_sound()


def test_a_429_pause_beyond_the_deadline_fails_the_generation_free(world: World) -> None:
    world.replicate.answers = [replace(LIMITED, retry_after_seconds=3000)]
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    goes_on(world, generation)
    ended = world.finish(generation)
    assert ended.failure is not None
    assert (ended.failure.error_class, world.execution.later_attempts) == (ErrorClass.RATE_LIMITED, [])
    assert world.wallet().held == 0


def test_another_candidate_is_tried_before_waiting_for_a_429_pause(world: World) -> None:
    world.replicate.answers = [LIMITED]
    world.local.answers = [BROKEN]
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    goes_on(world, generation)
    assert world.execution.later_attempts == []
    goes_on(world, generation)
    world.now += timedelta(seconds=wait_of(world))
    woken(world, generation)
    ended = world.finish(generation)
    assert [each.model for each in ended.attempts] == ["replicate/sdxl", "local/canvas", "replicate/sdxl"]
    assert ended.status is Status.SUCCEEDED


def test_a_process_with_stale_health_reads_it_again_before_resending(world: World) -> None:
    world.replicate.answers = [LIMITED]
    generation = submitted(world, "replicate/sdxl")
    elsewhere = HealthCache(world.health)
    assert not elsewhere.cached(Scope("replicate"), world.now).in_cooldown(world.now)
    world.attempt(generation)
    world.book = elsewhere
    goes_on(world, generation)
    assert len(world.replicate.submitted) == 1
    assert 30 <= wait_of(world) <= 60


def test_a_generation_does_not_wait_for_a_provider_with_an_open_circuit(world: World) -> None:
    take_down(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    ended = world.finish(generation)
    assert (ended.status, world.execution.later_attempts) == (Status.FAILED, [])
