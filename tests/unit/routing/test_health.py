"""A provider's health, derived from the outcomes of its attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.providers._contract import ErrorClass
from atelier.routing.model import (
    BLAME,
    COOLDOWN_SECONDS,
    COOLDOWN_SECONDS_MAX,
    FAILURES_TO_DOWN,
    REFUSED_SECONDS,
    WINDOW,
    Blame,
    Health,
    Scope,
    Status,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEW = Health(Scope("replicate"))


def failed(health: Health, error_class: str, now: datetime = NOON, retry_after_seconds: int | None = None) -> Health:
    return health.failed(error_class, "It broke.", retry_after_seconds=retry_after_seconds, started_at=now, now=now)


def down(now: datetime = NOON) -> Health:
    health = NEW
    for _ in range(FAILURES_TO_DOWN):
        health = failed(health, ErrorClass.TRANSIENT, now)
    return health


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_every_error_class_says_something_or_nothing_of_the_provider() -> None:
    assert set(BLAME) == set(ErrorClass)


@pytest.mark.parametrize("error_class", [name for name, blame in BLAME.items() if blame is Blame.NONE])
def test_what_the_request_is_to_blame_for_leaves_the_provider_as_it_was(error_class: str) -> None:
    assert failed(NEW, error_class) is NEW


@pytest.mark.parametrize("error_class", [name for name, blame in BLAME.items() if blame is Blame.FAILURE])
def test_some_failures_in_a_row_and_it_is_down(error_class: str) -> None:
    health = NEW
    for _ in range(FAILURES_TO_DOWN - 1):
        health = failed(health, error_class)
        assert (health.status(NOON), health.is_cooling(NOON)) == (Status.DEGRADED, False)
    health = failed(health, error_class)
    assert (health.status(NOON), health.is_cooling(NOON)) == (Status.DOWN, True)


@pytest.mark.parametrize("error_class", [name for name, blame in BLAME.items() if blame is Blame.REFUSED])
def test_a_refused_credential_is_down_at_once_and_for_long(error_class: str) -> None:
    health = failed(NEW, error_class)
    assert health.status(NOON) is Status.DOWN
    assert health.is_cooling(later(REFUSED_SECONDS - 1))


def test_a_provider_that_asks_for_rest_gets_as_much_as_it_asks_for_and_is_not_down() -> None:
    health = failed(NEW, ErrorClass.RATE_LIMITED, retry_after_seconds=7)
    assert health.status(NOON) is Status.DEGRADED
    assert health.is_cooling(later(6.9))
    assert not health.is_cooling(later(7))
    assert not health.needs_claim(later(7))


def test_after_the_cooldown_one_may_try_and_the_others_wait_for_it() -> None:
    health = down()
    after = later(COOLDOWN_SECONDS)
    assert health.needs_claim(after)
    claimed = health.claimed(after)
    assert claimed.is_cooling(after)
    assert not claimed.needs_claim(after)
    # The probe has had no outcome.
    assert claimed.needs_claim(after + timedelta(hours=1))


def test_who_tried_and_learnt_nothing_leaves_the_try_to_the_next() -> None:
    health = down()
    after = later(COOLDOWN_SECONDS)
    claimed = health.claimed(after)
    assert claimed.undecided(started_at=after).needs_claim(after)
    # An attempt that was begun before the outage is not the probe.
    assert claimed.undecided(started_at=NOON - WINDOW) == claimed


def test_a_success_closes_the_case_and_a_failure_doubles_the_cooldown_within_bounds() -> None:
    health, now, seen = down(), NOON, []
    for _ in range(8):
        assert health.cooldown_until is not None
        seen.append(health.cooldown_seconds)
        now = health.cooldown_until
        health = failed(health.claimed(now), ErrorClass.CAPACITY, now)
    assert seen[:3] == [COOLDOWN_SECONDS, 2 * COOLDOWN_SECONDS, 4 * COOLDOWN_SECONDS]
    assert seen[-1] == COOLDOWN_SECONDS_MAX
    assert health.cooldown_until is not None
    now = health.cooldown_until
    closed = health.claimed(now).succeeded(1200, started_at=now, now=now)
    assert not closed.is_cooling(now)
    assert (closed.opened_at, closed.cooldown_seconds, closed.failures_in_a_row) == (None, 0, 0)


def test_what_was_begun_before_it_went_down_says_nothing_of_now() -> None:
    health = down(later(10))
    assert health.failed("transient", "", retry_after_seconds=None, started_at=NOON, now=later(11)) is health
    assert health.succeeded(5000, started_at=NOON, now=later(11)).status(later(11)) is Status.DOWN


def test_an_answer_to_a_free_question_ends_the_cooldown_but_the_next_failure_is_one_too_many() -> None:
    health = down().checked(None, "", later(5))
    assert health.status(later(5)) is Status.DEGRADED
    assert not health.is_cooling(later(5))
    again = failed(health, ErrorClass.TRANSIENT, later(6))
    assert again.status(later(6)) is Status.DOWN
    assert again.cooldown_seconds == 2 * COOLDOWN_SECONDS


def test_old_times_leave_the_window() -> None:
    health = failed(NEW, ErrorClass.TRANSIENT).succeeded(100, started_at=NOON, now=NOON)
    assert health.success_percent() == 50
    assert health.at(NOON + WINDOW).success_percent() == 50
    assert health.at(NOON + 2 * WINDOW).success_percent() is None
    assert health.at(NOON + 2 * WINDOW).status(NOON + 2 * WINDOW) is Status.HEALTHY


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=60))
def test_the_sketch_is_above_the_95th_percentile_by_half_at_most(latencies: list[int]) -> None:
    health = NEW
    for latency in latencies:
        health = health.succeeded(latency, started_at=NOON, now=NOON)
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
def test_whatever_happens_a_cooldown_ends_and_down_always_has_one(
    events: list[tuple[tuple[str, int | None], int]],
) -> None:
    health, now = NEW, NOON
    for (event, hint), seconds in events:
        now += timedelta(seconds=seconds)
        if event == "success":
            health = health.succeeded(10, started_at=now, now=now)
        elif event == "claim":
            health = health.claimed(now) if health.needs_claim(now) else health
        elif event == "check":
            health = health.checked(None, "", now)
        else:
            health = failed(health, event, now, hint)
        assert not health.is_cooling(now + timedelta(hours=2))
        assert (health.opened_at is None) or health.cooldown_until is not None
        if event == "success":
            assert not health.is_cooling(now)
