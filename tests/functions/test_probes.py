"""functions/schedules/probe_providers: free requests find out which providers are healthy."""

from __future__ import annotations

from datetime import timedelta

from atelier.clock import system_clock
from atelier.routing.model import FAILURES_TO_DOWN, Scope, Status
from atelier.wiring import routing
from infra.local.standins.replicate import ReplicateStandIn
from tests.invoke import example, function

REPLICATE = Scope("replicate")


def run(after: timedelta = timedelta(0)) -> dict[str, int]:
    done: dict[str, int] = function("schedules/probe_providers").handler(
        example("schedules/probe_providers/due"), None, lambda: system_clock() + after
    )
    return done


def test_one_that_was_down_and_answers_may_be_asked_at_once(replicate: ReplicateStandIn) -> None:
    now = system_clock()
    for _ in range(FAILURES_TO_DOWN):
        routing.book().failed(REPLICATE, "transient", started_at=now, now=now)
    assert not routing.book().may_try(REPLICATE, now)
    assert run() == {"asked": 1, "ill": 0}
    later = system_clock()
    assert routing.book().may_try(REPLICATE, later)
    assert routing.book().store.get(REPLICATE).status(later) is Status.DEGRADED


def test_one_that_is_well_is_asked_now_and_then(replicate: ReplicateStandIn) -> None:
    assert run() == {"asked": 1, "ill": 0}
    assert run(timedelta(minutes=25)) == {"asked": 0, "ill": 0}
    assert run(timedelta(minutes=31)) == {"asked": 1, "ill": 0}


def test_one_that_gives_no_answer_is_passed_over_before_a_caller_finds_out(replicate: ReplicateStandIn) -> None:
    replicate.stop()
    for _ in range(FAILURES_TO_DOWN):
        assert run() == {"asked": 1, "ill": 1}
    assert routing.book().store.get(REPLICATE).status(system_clock()) is Status.DOWN
