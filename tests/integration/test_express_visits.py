"""Visits by Express executions: what ends at once is finished within the visit, what has to wait goes on elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.generations.attempt_messages import Poll, Slot, SlotDue
from atelier.generations.cancel import cancel
from atelier.generations.model import AttemptStatus, Generation, Status
from atelier.generations.outcome import Outcome
from atelier.generations.poll import act_on_webhooks, poll
from atelier.generations.start import EXPRESS_TIME_MAX
from atelier.generations.sweep import sweep
from atelier.provider_port import Accepted, ErrorClass, Failed, Job, Unknown
from atelier.routing.rate_limit import RateLimit
from tests.conftest import Tables
from tests.integration.test_routing import store_candidates
from tests.integration.world import DONE, World

CORE, CANVAS = "stability/core", "local/canvas"
BROKE = Failed(ErrorClass.TRANSIENT, "It broke.")


@pytest.fixture
def world(tables: Tables) -> World:
    """A world with a free provider, `local`, and a paid one, `stability`, which both answer at once."""
    return World(tables, providers=frozenset({"local", "stability"}))


def submitted(world: World, *candidates: str) -> Generation:
    """A new generation with these candidates."""
    return store_candidates(world, world.submit(model=candidates[0]).generation, *candidates)


def assert_ended_once(world: World, generation: Generation, status: Status) -> Generation:
    ended = world.get(generation)
    assert ended.status is status
    kinds = Counter(movement.kind for movement in world.movements())
    assert kinds["hold"] == kinds["settled"] + kinds["released"] == 1
    world.assert_sound()
    return ended


def last_attempt(generation: Generation) -> str:
    assert generation.attempt is not None
    return generation.attempt.id


def test_what_is_answered_at_once_is_finished_within_the_visit(world: World) -> None:
    generation = submitted(world, CANVAS)
    world.visit_express(generation)
    ended = assert_ended_once(world, generation, Status.SUCCEEDED)
    assert (ended.credits_charged, len(ended.assets)) == (1, 1)
    # No execution was told, none was started, and nothing was staged.
    assert (world.execution.results, world.execution.started, world.execution.polls) == ([], [], [])
    assert world.media.staged == []
    assert world.generations.callback(world.workspace_id, generation.id, last_attempt(ended)) is None


def test_a_second_visit_after_the_end_changes_nothing(world: World) -> None:
    generation = submitted(world, CANVAS)
    world.visit_express(generation)
    ended = world.get(generation)
    world.visit_express(generation)
    assert world.get(generation) == ended
    assert len(world.local.submitted) == 1
    assert_ended_once(world, generation, Status.SUCCEEDED)


def test_a_free_job_is_sent_again_after_a_crash(world: World) -> None:
    generation = submitted(world, CANVAS)
    world.finish_within = broken
    with pytest.raises(ConnectionError):
        world.visit_express(generation)
    world.finish_within = None
    world.visit_express(generation)
    assert len(world.local.submitted) == 2
    assert_ended_once(world, generation, Status.SUCCEEDED)


def broken(_workspace_id: str, _generation_id: str, _outcome: Outcome) -> None:
    raise ConnectionError("the process died")


def test_a_paid_answer_is_kept_before_anything_else_and_found_after_a_crash(world: World) -> None:
    generation = submitted(world, CORE)
    world.finish_within = broken
    with pytest.raises(ConnectionError):
        world.visit_express(generation)
    attempt_id = last_attempt(world.get(generation))
    key = f"staging/{generation.id}/{attempt_id}/0"
    assert world.media.staged == [key]
    assert world.get(generation).status is Status.RUNNING

    world.finish_within = None
    world.visit_express(generation)
    assert len(world.stability.submitted) == 1
    assert world.media.delivered[-1].key == key
    ended = assert_ended_once(world, generation, Status.SUCCEEDED)
    assert ended.usage == DONE.usage


def test_a_paid_failure_is_kept_too(world: World) -> None:
    world.stability.answers = [Failed(ErrorClass.INVALID_INPUT, "No such size.")]
    generation = submitted(world, CORE)
    world.finish_within = broken
    with pytest.raises(ConnectionError):
        world.visit_express(generation)
    world.finish_within = None
    world.visit_express(generation)
    assert len(world.stability.submitted) == 1
    ended = assert_ended_once(world, generation, Status.FAILED)
    assert ended.failure is not None
    assert ended.failure.error_class == ErrorClass.INVALID_INPUT


def test_a_job_that_may_have_been_sent_is_awaited_by_a_standard_execution(world: World) -> None:
    world.stability.answers = [Unknown("no answer")]
    generation = submitted(world, CORE)
    world.visit_express(generation)
    world.visit_express(generation)
    assert len(world.stability.submitted) == 1
    assert world.execution.started == [generation.id, generation.id]
    assert world.get(generation).status is Status.RUNNING

    world.attempt(generation)
    attempt_id = last_attempt(world.get(generation))
    assert world.execution.polls == [(world.workspace_id, generation.id, attempt_id, Poll())]
    assert len(world.stability.submitted) == 1


def test_an_accepted_job_keeps_its_reference_for_the_standard_execution(world: World) -> None:
    world.stability.answers = [Accepted("r7")]
    generation = submitted(world, CORE)
    world.visit_express(generation)
    assert world.execution.started == [generation.id]
    attempt_id = last_attempt(world.get(generation))
    # A poll and a webhook find nobody who waits, and leave everything as it is.
    world.stability.progress = DONE
    poll(world.workspace_id, generation.id, attempt_id, Poll(), deps=world.attempt_deps)
    world.stability.webhook_reference = "r7"
    world.inbox.keep("stability", attempt_id, "e1", {}, {}, b"{}", world.now)
    act_on_webhooks(world.workspace_id, generation.id, attempt_id, deps=world.attempt_deps)
    assert world.execution.results == []

    # The execution saves its token, and reads the webhook that came before.
    world.attempt(generation)
    callback = world.generations.callback(world.workspace_id, generation.id, attempt_id)
    assert callback is not None
    assert (callback.task_token, callback.reference) == ("token", "r7")
    assert len(world.execution.results) == 1
    world.finish(generation)
    assert_ended_once(world, generation, Status.SUCCEEDED)


def test_two_visits_at_once_send_one_job_and_answer_the_execution_that_waits(world: World) -> None:
    generation = submitted(world, CORE)

    def visit_meanwhile(_job: Job) -> None:
        world.visit_express(generation)
        world.attempt(generation)

    world.stability.before_answer = visit_meanwhile
    world.visit_express(generation)
    assert len(world.stability.submitted) == 1
    assert world.execution.started == [generation.id]
    # The standard execution had saved its token, so the first visit answers it, too.
    (result,) = world.execution.results
    assert result["status"] == "succeeded"
    ended = assert_ended_once(world, generation, Status.SUCCEEDED)
    assert world.finish(generation) == ended


def test_an_execution_that_waits_too_late_finds_the_outcome(world: World) -> None:
    generation = submitted(world, CORE)

    def wait_before_the_end(workspace_id: str, generation_id: str, outcome: Outcome) -> None:
        world.attempt(generation)
        poll(workspace_id, generation_id, last_attempt(world.get(generation)), Poll(), deps=world.attempt_deps)
        world.finish_now(workspace_id, generation_id, outcome)

    world.finish_within = wait_before_the_end
    world.visit_express(generation)
    staged = {**world.execution.results[0]}
    # Its first visit and its first poll answer the token; the outcome that the visit has read has no token.
    assert world.execution.results == [staged, staged]
    assert staged["outputs"][0]["key"].startswith("staging/")
    ended = assert_ended_once(world, generation, Status.SUCCEEDED)
    assert world.finish(generation) == ended


def test_the_next_candidate_is_tried_within_the_visit_after_the_failure_is_written(world: World) -> None:
    world.stability.answers = [BROKE]
    generation = submitted(world, CORE, CANVAS)
    seen: list[tuple[str, ...]] = []

    def note(_job: Job) -> None:
        seen.append(tuple(each.status.value for each in world.get(generation).attempts))

    world.local.before_answer = note
    world.visit_express(generation)
    assert seen == [("failed", "submitting")]
    ended = assert_ended_once(world, generation, Status.SUCCEEDED)
    assert [each.model for each in ended.attempts] == [CORE, CANVAS]
    assert ended.attempts[0].status is AttemptStatus.FAILED
    assert (world.execution.started, world.execution.causes) == ([], [])


def test_a_failure_that_another_execution_waits_for_goes_on_there(world: World) -> None:
    world.stability.answers = [BROKE]
    generation = submitted(world, CORE, CANVAS)
    world.stability.before_answer = lambda _job: world.attempt(generation)
    world.visit_express(generation)
    (failed,) = world.execution.failures
    assert world.local.submitted == []
    world.attempt(generation, cause=failed)
    world.finish(generation)
    assert_ended_once(world, generation, Status.SUCCEEDED)


def test_a_visit_without_a_free_place_goes_on_with_its_reserved_slot(world: World) -> None:
    world.limits["stability"] = RateLimit(1, 60)
    world.visit_express(submitted(world, CORE))
    waiting = submitted(world, CORE)
    world.visit_express(waiting)
    assert len(world.stability.submitted) == 1
    assert world.execution.started == [waiting.id]
    (cause,) = world.execution.causes
    assert isinstance(cause, SlotDue)
    assert cause.slot is not None
    delayed = world.get(waiting)
    assert (delayed.delayed_until, delayed.delayed_candidate) == (cause.slot.at, CORE)

    # The standard execution waits for the same slot, and takes it when it is due.
    world.attempt(waiting, cause=cause)
    ((_, slot, _),) = world.execution.later_attempts
    assert slot == cause.slot
    world.now = cause.slot.at
    world.attempt(waiting, cause=cause)
    assert len(world.stability.submitted) == 2


def test_a_visit_that_has_too_little_time_left_sends_nothing(world: World) -> None:
    generation = submitted(world, CANVAS)
    world.visit_express(generation, started_at=world.now - EXPRESS_TIME_MAX)
    assert world.local.submitted == []
    assert world.get(generation).status is Status.QUEUED
    assert world.execution.started == [generation.id]
    assert world.execution.causes == [SlotDue(Slot(CANVAS, world.now))]
    world.attempt(generation, cause=world.execution.causes[0])
    world.finish(generation)
    assert_ended_once(world, generation, Status.SUCCEEDED)


def test_a_generation_that_was_cancelled_before_its_visit_is_not_sent(world: World) -> None:
    generation = submitted(world, CANVAS)
    cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    world.visit_express(generation)
    assert world.local.submitted == []
    assert_ended_once(world, generation, Status.CANCELLED)


def test_a_visit_without_a_candidate_left_ends_the_generation(world: World) -> None:
    world.local.answers = [BROKE]
    generation = submitted(world, CANVAS)
    world.visit_express(generation)
    assert_ended_once(world, generation, Status.FAILED)
    world.visit_express(generation)
    assert len(world.local.submitted) == 1


def test_an_answer_after_the_deadline_is_delivered_free(world: World) -> None:
    generation = submitted(world, CORE)

    def expire(_job: Job) -> None:
        world.now = generation.deadline_at + timedelta(seconds=1)
        sweep(world.workspace_id, deps=world.finish_deps, now=world.now)

    world.stability.before_answer = expire
    world.visit_express(generation)
    ended = world.get(generation)
    assert (ended.status, ended.credits_charged, len(ended.assets)) == (Status.SUCCEEDED, 0, 1)
    world.assert_sound()


def test_an_undeliverable_result_starts_an_execution_for_the_next_candidate(world: World) -> None:
    world.media.broken = True
    generation = submitted(world, CORE, CANVAS)
    world.visit_express(generation)
    failed = world.get(generation)
    assert world.execution.started == [f"{generation.id}-{last_attempt(failed)}-lost"]
    world.media.broken = False
    world.attempt(generation)
    world.finish(generation)
    assert_ended_once(world, generation, Status.SUCCEEDED)


def test_a_provider_that_is_not_set_up_fails_the_generation(world: World) -> None:
    generation = submitted(world, CORE)
    to = replace(world.attempt_deps, providers={})
    world.visit_express(generation, deps=to)
    ended = assert_ended_once(world, generation, Status.FAILED)
    assert ended.failure is not None
    assert ended.failure.error_class == ErrorClass.AUTH
