"""A provider's health, derived from the outcomes of its attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.provider_port import ErrorClass
from atelier.routing.circuit_breaker import (
    COOLDOWN_SECONDS,
    COOLDOWN_SECONDS_MAX,
    FAILURE_KINDS,
    FAILURES_TO_DOWN,
    REFUSED_SECONDS,
    WINDOW,
    FailureKind,
    Health,
    HealthStatus,
    Scope,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEW = Health(Scope("replicate"))


def failed(health: Health, error_class: str, now: datetime = NOON, retry_after_seconds: int | None = None) -> Health:
    return health.after_failure(
        error_class, "It broke.", retry_after_seconds=retry_after_seconds, started_at=now, now=now
    )


def down(now: datetime = NOON) -> Health:
    health = NEW
    for _ in range(FAILURES_TO_DOWN):
        health = failed(health, ErrorClass.TRANSIENT, now)
    return health


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_every_error_class_has_a_failure_kind() -> None:
    assert set(FAILURE_KINDS) == set(ErrorClass)


@pytest.mark.parametrize("error_class", [name for name, blame in FAILURE_KINDS.items() if blame is FailureKind.NONE])
def test_a_request_error_does_not_change_the_providers_health(error_class: str) -> None:
    assert failed(NEW, error_class) is NEW


@pytest.mark.parametrize("error_class", [name for name, blame in FAILURE_KINDS.items() if blame is FailureKind.FAILURE])
def test_consecutive_failures_open_the_circuit(error_class: str) -> None:
    health = NEW
    for _ in range(FAILURES_TO_DOWN - 1):
        health = failed(health, error_class)
        assert (health.status(NOON), health.in_cooldown(NOON)) == (HealthStatus.DEGRADED, False)
    health = failed(health, error_class)
    assert (health.status(NOON), health.in_cooldown(NOON)) == (HealthStatus.DOWN, True)


@pytest.mark.parametrize(
    "error_class", [name for name, blame in FAILURE_KINDS.items() if blame is FailureKind.ACCESS_REFUSED]
)
def test_a_refused_credential_opens_the_circuit_for_long(error_class: str) -> None:
    health = failed(NEW, error_class)
    assert health.status(NOON) is HealthStatus.DOWN
    assert health.in_cooldown(later(REFUSED_SECONDS - 1))


def test_a_rate_limit_cools_down_for_retry_after_without_a_half_open_probe() -> None:
    health = failed(NEW, ErrorClass.RATE_LIMITED, retry_after_seconds=7)
    assert health.status(NOON) is HealthStatus.DEGRADED
    assert health.in_cooldown(later(6.9))
    assert not health.in_cooldown(later(7))
    assert not health.is_half_open(later(7))


def test_a_half_open_circuit_allows_one_probe_at_a_time() -> None:
    health = down()
    after = later(COOLDOWN_SECONDS)
    assert health.is_half_open(after)
    claimed = health.probing(after)
    assert claimed.in_cooldown(after)
    assert not claimed.is_half_open(after)
    # The probe has had no outcome.
    assert claimed.is_half_open(after + timedelta(hours=1))


def test_an_undecided_probe_leaves_the_circuit_half_open() -> None:
    health = down()
    after = later(COOLDOWN_SECONDS)
    claimed = health.probing(after)
    assert claimed.after_inconclusive(started_at=after).is_half_open(after)
    # An attempt that was begun before the outage is not the probe.
    assert claimed.after_inconclusive(started_at=NOON - WINDOW) == claimed


def test_a_success_closes_the_circuit_and_a_failure_doubles_the_cooldown() -> None:
    health, now, seen = down(), NOON, []
    for _ in range(8):
        assert health.cooldown_until is not None
        seen.append(health.cooldown_seconds)
        now = health.cooldown_until
        health = failed(health.probing(now), ErrorClass.CAPACITY, now)
    assert seen[:3] == [COOLDOWN_SECONDS, 2 * COOLDOWN_SECONDS, 4 * COOLDOWN_SECONDS]
    assert seen[-1] == COOLDOWN_SECONDS_MAX
    assert health.cooldown_until is not None
    now = health.cooldown_until
    closed = health.probing(now).after_success(1200, started_at=now, now=now)
    assert not closed.in_cooldown(now)
    assert (closed.opened_at, closed.cooldown_seconds, closed.failures_in_a_row) == (None, 0, 0)


def test_an_attempt_begun_before_the_outage_does_not_change_the_circuit() -> None:
    health = down(later(10))
    assert health.after_failure("transient", "", retry_after_seconds=None, started_at=NOON, now=later(11)) is health
    assert health.after_success(5000, started_at=NOON, now=later(11)).status(later(11)) is HealthStatus.DOWN


def test_a_successful_check_ends_the_cooldown_until_the_next_failure() -> None:
    health = down().after_check(None, "", later(5))
    assert health.status(later(5)) is HealthStatus.DEGRADED
    assert not health.in_cooldown(later(5))
    again = failed(health, ErrorClass.TRANSIENT, later(6))
    assert again.status(later(6)) is HealthStatus.DOWN
    assert again.cooldown_seconds == 2 * COOLDOWN_SECONDS


def test_old_results_leave_the_window() -> None:
    health = failed(NEW, ErrorClass.TRANSIENT).after_success(100, started_at=NOON, now=NOON)
    assert health.success_percent() == 50
    assert health.moved_to(NOON + WINDOW).success_percent() == 50
    assert health.moved_to(NOON + 2 * WINDOW).success_percent() is None
    assert health.moved_to(NOON + 2 * WINDOW).status(NOON + 2 * WINDOW) is HealthStatus.HEALTHY


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=60))
def test_the_p95_estimate_exceeds_the_exact_one_by_at_most_half(latencies: list[int]) -> None:
    health = NEW
    for latency in latencies:
        health = health.after_success(latency, started_at=NOON, now=NOON)
    exact = sorted(latencies)[-(-95 * len(latencies) // 100) - 1]
    p95 = health.latency_ms_p95()
    assert p95 is not None
    assert exact <= p95 <= max(exact * 1.5 + 1, 100)
    assert health.latency_ms_mean() == sum(latencies) // len(latencies)


EVENTS = st.one_of(
    st.sampled_from([(name.value, None) for name in ErrorClass]),
    st.tuples(st.just("rate_limited"), st.integers(-10, 10**6)),
    st.just(("success", None)),
    st.just(("claim", None)),
    st.just(("check", None)),
)


@given(st.lists(st.tuples(EVENTS, st.integers(0, 4000)), max_size=40))
def test_every_cooldown_ends_and_an_open_circuit_always_has_one(
    events: list[tuple[tuple[str, int | None], int]],
) -> None:
    health, now = NEW, NOON
    for (event, hint), seconds in events:
        now += timedelta(seconds=seconds)
        if event == "success":
            health = health.after_success(10, started_at=now, now=now)
        elif event == "claim":
            health = health.probing(now) if health.is_half_open(now) else health
        elif event == "check":
            health = health.after_check(None, "", now)
        else:
            health = failed(health, event, now, hint)
        assert not health.in_cooldown(now + timedelta(hours=2))
        assert (health.opened_at is None) or health.cooldown_until is not None
        if event == "success":
            assert not health.in_cooldown(now)
