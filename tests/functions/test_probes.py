"""functions/schedules/probe_providers: free requests find out which providers are healthy."""

from __future__ import annotations

from datetime import timedelta

from atelier.clock import system_clock
from atelier.routing.circuit_breaker import FAILURES_TO_DOWN, HealthStatus, Scope
from atelier.wiring import routing
from infra.simulators.replicate import ReplicateSimulator
from tests.invoke import example_event, load_function

REPLICATE = Scope("replicate")


def run(after: timedelta = timedelta(0)) -> dict[str, int]:
    done: dict[str, int] = load_function("schedules/probe_providers").handler(
        example_event("schedules/probe_providers/due"), None, lambda: system_clock() + after
    )
    return done


def test_a_successful_probe_makes_an_unavailable_provider_available(replicate: ReplicateSimulator) -> None:
    now = system_clock()
    for _ in range(FAILURES_TO_DOWN):
        routing.health_cache().record_failure(REPLICATE, "transient", started_at=now, now=now)
    assert not routing.health_cache().allow(REPLICATE, now)
    assert run() == {"checked": 1, "unhealthy": 0}
    later = system_clock()
    assert routing.health_cache().allow(REPLICATE, later)
    assert routing.health_cache().store.get(REPLICATE).status(later) is HealthStatus.DEGRADED


def test_a_healthy_provider_is_probed_every_half_hour(replicate: ReplicateSimulator) -> None:
    assert run() == {"checked": 1, "unhealthy": 0}
    assert run(timedelta(minutes=25)) == {"checked": 0, "unhealthy": 0}
    assert run(timedelta(minutes=31)) == {"checked": 1, "unhealthy": 0}


def test_unanswered_probes_mark_a_provider_as_down(replicate: ReplicateSimulator) -> None:
    replicate.stop()
    for _ in range(FAILURES_TO_DOWN):
        assert run() == {"checked": 1, "unhealthy": 1}
    assert routing.health_cache().store.get(REPLICATE).status(system_clock()) is HealthStatus.DOWN
