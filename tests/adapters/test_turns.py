"""Generations at a provider's rate limit: another candidate, a reserved slot, or a refusal with a retry-after time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.aws.dynamodb.generations import GenerationItem
from atelier.aws.dynamodb.paces import DynamoPaces
from atelier.clock import rfc3339
from atelier.credentials.model import Own
from atelier.errors import Unavailable
from atelier.generations.attempt import attempt
from atelier.generations.cancel import cancel
from atelier.generations.model import LIMITED_TRIES_MAX, Generation, Status
from atelier.generations.ports import Lost
from atelier.generations.sweep import sweep
from atelier.generations.turn import Turn, resume
from atelier.pricing.catalogue import catalogue
from atelier.providers._contract import ErrorClass, Failed
from atelier.routing.book import HealthBook
from atelier.routing.choose import Routes
from atelier.routing.model import COOLDOWN_SECONDS, Scope
from atelier.routing.pace import LATE, Limit, Pace
from atelier.routing.places import CROWD_SECONDS
from tests.adapters.test_routing import BROKEN, OWN, counted, take_down
from tests.adapters.test_routing import submitted as submitted_for_now
from tests.adapters.world import ScriptedProvider, World, at_once
from tests.conftest import Tables

TWO = Limit(2)
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
        assert world.places.take(Scope("replicate"), world.now, latest=world.now).is_taken


def turn_of(world: World) -> Turn:
    _, turn, _ = world.execution.turns[-1]
    assert turn is not None
    return Turn.read(turn)


def woken(world: World, generation: Generation) -> None:
    """Wakes the generation when its slot is due, as the queue and the workflow do."""
    _, turn, _ = world.execution.turns[-1]
    resume("token", turn, workflow=world.execution)
    world.attempt(generation, lost=world.execution.lost[-1])


def test_the_next_candidate_serves_while_the_first_has_as_many_requests_as_it_takes(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    ended = world.finish(generation)
    assert [attempt.model for attempt in ended.attempts] == ["local/canvas"]
    assert (world.replicate.submitted, world.execution.turns) == ([], [])
    # No slot was reserved for a generation that another candidate served.
    assert world.places.next_at(Scope("replicate"), world.now + SPAN) == world.now + SPAN


def test_where_there_is_nobody_else_it_waits_for_its_turn_and_is_made_then(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    assert (world.get(generation).status, world.replicate.submitted) == (Status.QUEUED, [])
    assert turn_of(world) == Turn("replicate/sdxl", world.now + SPAN)
    assert world.execution.turns[-1][2] == SPAN.total_seconds()
    assert world.execution.results == []
    world.now += SPAN + timedelta(seconds=1)
    woken(world, generation)
    ended = world.finish(generation)
    assert (ended.status, len(world.replicate.submitted)) == (Status.SUCCEEDED, 1)
    world.assert_sound()


def test_of_many_at_once_no_more_are_sent_than_the_limit_and_each_has_its_turn(world: World) -> None:
    world.limits["replicate"] = Limit(4)
    generations = [submitted(world, "replicate/sdxl") for _ in range(12)]
    answers = at_once(12, lambda number: world.attempt(generations[number]))
    assert answers == [None] * 12
    assert len(world.replicate.submitted) == 4
    assert len(world.execution.turns) == 8
    waiting = [(name, Turn.read(turn)) for name, turn, _ in world.execution.turns if turn]
    for at in sorted({turn.at for _, turn in waiting}):
        sent, world.now = len(world.replicate.submitted), at
        for name, turn in waiting:
            if turn.at == at:
                world.attempt(world.generations.get(world.workspace_id, name), lost=Lost("", "", str(turn)))
        assert len(world.replicate.submitted) == sent + 4
    assert len(world.replicate.submitted) == 12
    assert len(world.execution.turns) == 8


def test_a_turn_that_is_missed_is_asked_for_again(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    missed = turn_of(world)
    world.now = missed.at + LATE + timedelta(seconds=1)
    assert world.places.take(Scope("replicate"), world.now, latest=world.now).is_taken
    woken(world, generation)
    assert world.replicate.submitted == []
    assert turn_of(world).at > world.now
    world.now = turn_of(world).at
    woken(world, generation)
    assert len(world.replicate.submitted) == 1


def test_whoever_is_woken_too_early_keeps_the_turn(world: World) -> None:
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


def test_a_provider_that_went_down_meanwhile_is_not_asked_though_the_turn_has_come(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.local.answers = [BROKEN]
    world.attempt(generation)
    world.attempt(generation, lost=world.execution.lost[-1])
    world.now = turn_of(world).at
    take_down(world)
    woken(world, generation)
    ended = world.finish(generation)
    assert (ended.status, world.replicate.submitted) == (Status.FAILED, [])
    world.assert_sound()


def test_what_failed_before_the_wait_is_told_while_it_waits(world: World) -> None:
    full(world)
    world.local.answers = [Failed(ErrorClass.CAPACITY, "Full.")]
    generation = submitted(world, "local/canvas", "replicate/sdxl")
    world.attempt(generation)
    world.attempt(generation, lost=world.execution.lost[-1])
    waiting = world.get(generation)
    assert [(each.status, each.error_class) for each in waiting.attempts] == [("failed", "capacity")]
    world.now = turn_of(world).at
    woken(world, generation)
    ended = world.finish(generation)
    assert [each.status for each in ended.attempts] == ["failed", "succeeded"]
    assert ended.status is Status.SUCCEEDED


def test_one_that_waits_for_its_turn_is_cancelled_at_once_and_free(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    cancelled = cancel(world.workspace_id, generation.id, to=world.finishing, now=world.now)
    assert (cancelled.status, cancelled.credits_charged) == (Status.CANCELLED, 0)
    world.now = turn_of(world).at
    woken(world, generation)
    assert world.execution.results[-1]["status"] == "cancelled"
    assert world.replicate.submitted == []
    world.assert_sound()


def test_a_message_that_never_comes_costs_nobody_credits(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    world.now = generation.deadline_at
    sweep(world.workspace_id, to=world.finishing, now=world.now)
    ended = world.get(generation)
    assert (ended.status, ended.credits_charged, ended.cost_microusd) == (Status.EXPIRED, 0, 0)
    assert world.wallet().held == 0


def test_a_turn_that_would_come_too_late_is_not_waited_for_and_the_credits_are_back(world: World) -> None:
    for _ in range(12):
        world.places.take(Scope("replicate"), world.now, latest=world.now + timedelta(hours=1))
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    assert world.execution.turns == []
    ended = world.finish(generation)
    assert ended.failure is not None
    assert (ended.status, ended.failure.error_class) == (Status.FAILED, ErrorClass.CAPACITY)
    assert world.wallet().held == 0
    world.assert_sound()


def test_where_the_line_is_too_long_a_submission_is_refused_with_the_time_to_come_again(world: World) -> None:
    world.catalogue = catalogue(frozenset({"replicate"}))
    routes = Routes(
        world.workspace_id,
        Own(),
        lambda scope: world.book.seen(scope, world.now),
        world.now,
        lambda scope: world.places.next_at(scope, world.now),
    )
    alone = world.submit(model="replicate/sdxl", routes=routes).generation
    full(world)
    # The deadline is extended by the expected time in the queue.
    assert world.submit(model="replicate/sdxl", routes=routes).generation.deadline_at == alone.deadline_at + SPAN
    for _ in range(16):
        world.places.take(Scope("replicate"), world.now, latest=world.now + timedelta(hours=1))
    held = world.wallet().held
    with pytest.raises(Unavailable) as refused:
        world.submit(model="replicate/sdxl", routes=routes)
    assert 0 < refused.value.facts["retry_after_seconds"] < 60
    assert world.wallet().held == held


def test_an_own_key_has_a_line_of_its_own(world: World) -> None:
    world.limits["replicate@own"] = Limit(1)
    world.own[OWN] = ScriptedProvider()
    full(world)
    first, second = (submitted(world, f"replicate/sdxl@{OWN}") for _ in range(2))
    world.attempt(first)
    assert len(world.own[OWN].submitted) == 1
    world.attempt(second)
    assert len(world.own[OWN].submitted) == 1
    assert turn_of(world).candidate == f"replicate/sdxl@{OWN}"


def test_whoever_may_try_what_was_down_needs_a_place_too_and_claims_nothing_without(world: World) -> None:
    down = take_down(world)
    world.now += timedelta(seconds=COOLDOWN_SECONDS)
    full(world)
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    assert world.replicate.submitted == []
    assert world.health.get(Scope("replicate")) == down


def test_a_place_that_cannot_be_read_keeps_nobody_from_being_tried(world: World) -> None:
    generation = submitted(world, "replicate/sdxl")
    world.places.store.bind("there-is-no-such-table")  # type: ignore[attr-defined]
    world.attempt(generation)
    assert len(world.replicate.submitted) == 1


def test_without_a_limit_an_attempt_costs_what_it_did(world: World) -> None:
    world.limits.clear()
    generation = submitted(world, "replicate/sdxl")
    with counted("PutItem") as puts, counted("Query") as queries:
        attempt(world.workspace_id, generation.id, "token", to=world.attempting)
    # One query reads the health, one write records the success.
    assert (len(puts), len(queries)) == (1, 1)


def test_whoever_dies_between_its_place_and_the_queue_comes_again_and_takes_another(world: World) -> None:
    full(world)
    generation = submitted(world, "replicate/sdxl")
    world.execution.try_later = broken  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        world.attempt(generation)
    del world.execution.try_later
    assert world.get(generation) == generation
    # The state machine retries the task with a new token; the first reservation stays unused.
    world.attempt(generation)
    assert len(world.execution.turns) == 1
    world.now = turn_of(world).at
    woken(world, generation)
    assert world.finish(generation).status is Status.SUCCEEDED
    assert len(world.replicate.submitted) == 1


def test_where_so_many_come_at_once_that_no_place_can_be_written_nothing_is_sent_and_it_comes_again(
    world: World,
) -> None:
    class Busy(DynamoPaces):
        """A store in which another process always writes first."""

        def replace(self, before: Pace, after: Pace) -> bool:
            return False

    free = world.places
    world.places = replace(free, store=Busy(), pause=lambda tries: None)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    assert world.replicate.submitted == []
    assert world.execution.turns == [(generation.id, None, CROWD_SECONDS)]
    world.places = free
    woken(world, generation)
    assert world.finish(generation).status is Status.SUCCEEDED


def broken(*_: object) -> None:
    raise ConnectionError("the queue does not answer")


# ---- providers that answer 429 ---------------------------------------------------------------------------------------

LIMITED = Failed(ErrorClass.RATE_LIMITED, "Slow down.", retry_after_seconds=30)


def wait_of(world: World) -> int:
    """The delay in seconds of the last message that was queued."""
    _, turn, seconds = world.execution.turns[-1]
    assert turn is None
    return seconds


def goes_on(world: World, generation: Generation) -> None:
    """Starts the workflow's next attempt after a failed one."""
    world.attempt(generation, lost=world.execution.lost[-1])


def test_the_only_one_who_can_is_asked_again_when_it_takes_requests_again(world: World) -> None:
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


def test_whoever_comes_meanwhile_waits_too_and_is_not_sent_for_nothing(world: World) -> None:
    world.replicate.answers = [LIMITED]
    first, *others = (submitted(world, "replicate/sdxl") for _ in range(5))
    world.attempt(first)
    for other in others:
        world.attempt(other)
    assert (len(world.replicate.submitted), world.execution.results) == (1, [])
    waits = {seconds for _, _, seconds in world.execution.turns}
    assert len(world.execution.turns) == 4
    # The delays differ, so that the generations do not all retry at the same instant.
    assert len(waits) > 1
    assert all(30 <= seconds <= 60 for seconds in waits)


def test_a_submission_is_taken_while_a_provider_rests_that_is_well(world: World) -> None:
    world.catalogue = catalogue(frozenset({"replicate"}))
    routes = Routes(world.workspace_id, Own(), lambda scope: world.book.seen(scope, world.now), world.now)
    alone = world.submit(model="replicate/sdxl", routes=routes).generation
    started = {"started_at": world.now, "now": world.now}
    world.book.failed(Scope("replicate"), ErrorClass.RATE_LIMITED, retry_after_seconds=30, **started)
    waits = world.submit(model="replicate/sdxl", routes=routes).generation
    assert waits.deadline_at == alone.deadline_at + timedelta(seconds=30)
    world.book.failed(Scope("replicate"), ErrorClass.RATE_LIMITED, retry_after_seconds=3600, **started)
    with pytest.raises(Unavailable) as refused:
        world.submit(model="replicate/sdxl", routes=routes)
    assert 0 < refused.value.facts["retry_after_seconds"] <= 3600


def test_it_is_refused_so_often_and_then_fails_with_the_credits_back(world: World) -> None:
    world.replicate.answers = [LIMITED] * 10
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    for _ in range(LIMITED_TRIES_MAX - 1):
        goes_on(world, generation)
        world.now += timedelta(seconds=wait_of(world))
        woken(world, generation)
    ended = world.finish(generation)
    assert ended.failure is not None
    assert (ended.status, ended.failure.error_class) == (Status.FAILED, ErrorClass.RATE_LIMITED)
    assert len(ended.attempts) == len(world.replicate.submitted) == LIMITED_TRIES_MAX
    assert (ended.credits_charged, world.wallet().held) == (0, 0)
    world.assert_sound()


def test_a_rest_that_is_longer_than_its_time_is_not_waited_for(world: World) -> None:
    world.replicate.answers = [replace(LIMITED, retry_after_seconds=3000)]
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    goes_on(world, generation)
    ended = world.finish(generation)
    assert ended.failure is not None
    assert (ended.failure.error_class, world.execution.turns) == (ErrorClass.RATE_LIMITED, [])
    assert world.wallet().held == 0


def test_another_is_tried_before_anybody_waits(world: World) -> None:
    world.replicate.answers = [LIMITED]
    world.local.answers = [BROKEN]
    generation = submitted(world, "replicate/sdxl", "local/canvas")
    world.attempt(generation)
    goes_on(world, generation)
    assert world.execution.turns == []
    goes_on(world, generation)
    world.now += timedelta(seconds=wait_of(world))
    woken(world, generation)
    ended = world.finish(generation)
    assert [each.model for each in ended.attempts] == ["replicate/sdxl", "local/canvas", "replicate/sdxl"]
    assert ended.status is Status.SUCCEEDED


def test_a_process_that_has_not_heard_of_it_yet_asks_before_it_sends_again(world: World) -> None:
    world.replicate.answers = [LIMITED]
    generation = submitted(world, "replicate/sdxl")
    elsewhere = HealthBook(world.health)
    assert not elsewhere.seen(Scope("replicate"), world.now).is_cooling(world.now)
    world.attempt(generation)
    world.book = elsewhere
    goes_on(world, generation)
    assert len(world.replicate.submitted) == 1
    assert 30 <= wait_of(world) <= 60


def test_one_that_is_down_is_not_waited_for(world: World) -> None:
    take_down(world)
    generation = submitted(world, "replicate/sdxl")
    world.attempt(generation)
    ended = world.finish(generation)
    assert (ended.status, world.execution.turns) == (Status.FAILED, [])
