"""Slots in time: never more than the limit in any window, and none later than necessary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.routing.circuit_breaker import Scope
from atelier.routing.rate_limit import SLOT_GRACE, STEPS_PER_WINDOW, ProviderRateLimits, RateLimit, RateWindow

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OPENAI, OWN = Scope("openai"), Scope("openai", "wsp_1", "key_1")


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def places(limit: RateLimit, times: list[datetime]) -> list[datetime]:
    """The slot of each request, in the order of the requests."""
    pace, given_out = RateWindow(OPENAI), list[datetime]()
    for now in times:
        given_out.append(pace.next_slot_at(limit, now))
        pace = pace.with_reservation(limit, now)
    return given_out


def test_requests_beyond_the_limit_are_delayed_by_whole_windows() -> None:
    limit = RateLimit(10)
    given_out = places(limit, [NOON] * 25)
    span = limit.span_ms / 1000
    assert given_out == [NOON] * 10 + [later(span)] * 10 + [later(2 * span)] * 5
    # The cost of the exact limit while there is always a queue.
    assert 60 + SLOT_GRACE.total_seconds() <= span <= 60 + SLOT_GRACE.total_seconds() + 3 * 60 / STEPS_PER_WINDOW


def test_an_expired_slot_is_reassigned_to_the_next_request() -> None:
    limit = RateLimit(2)
    assert places(limit, [NOON, later(30), later(31), later(70), later(71)]) == [
        NOON,
        later(30),
        later(68),
        later(98),
        later(136),
    ]


def test_old_reservations_are_dropped_after_a_pause() -> None:
    limit, pace = RateLimit(3), RateWindow(OPENAI)
    for _ in range(8):
        pace = pace.with_reservation(limit, NOON)
    assert pace.next_slot_at(limit, later(3600)) == later(3600)
    assert len(pace.with_reservation(limit, later(3600)).places) == 1


def test_a_late_clock_gets_no_slot_before_an_earlier_reservation() -> None:
    limit = RateLimit(10)
    assert places(limit, [later(30), NOON]) == [later(30), later(30)]


@settings(deadline=None)
@given(
    limit=st.builds(RateLimit, st.integers(1, 20), st.sampled_from([1, 10, 60])),
    gaps_ms=st.lists(st.sampled_from([0, 0, 0, 1, 40, 333, 2000, 9999, 61_000]), max_size=120),
    late_ms=st.lists(st.integers(0, int(SLOT_GRACE.total_seconds() * 1000)), min_size=120, max_size=120),
)
def test_no_window_exceeds_the_limit_and_slots_are_assigned_in_order(
    limit: RateLimit, gaps_ms: list[int], late_ms: list[int]
) -> None:
    times, at = list[datetime](), NOON
    for gap in gaps_ms:
        at += timedelta(milliseconds=gap)
        times.append(at)
    given_out = places(limit, times)
    assert given_out == sorted(given_out)
    assert all(place >= now for place, now in zip(given_out, times, strict=True))
    sent = sorted(place + timedelta(milliseconds=late) for place, late in zip(given_out, late_ms, strict=False))
    for first, over in zip(sent, sent[limit.requests :], strict=False):
        assert over - first >= timedelta(seconds=limit.seconds)


@settings(deadline=None)
@given(gaps_ms=st.lists(st.integers(0, 3000), min_size=40, max_size=200))
def test_the_number_of_stored_reservations_is_bounded(gaps_ms: list[int]) -> None:
    limit, pace, at = RateLimit(600), RateWindow(OPENAI), NOON
    for gap in gaps_ms:
        at += timedelta(milliseconds=gap)
        pace = pace.with_reservation(limit, at)
    assert len(pace.places) <= limit.span_ms // limit.step_ms + 2


def test_a_rate_limit_is_parsed_for_a_minute_or_a_number_of_seconds() -> None:
    assert (RateLimit.parse("500"), RateLimit.parse("150/10")) == (RateLimit(500, 60), RateLimit(150, 10))


@pytest.mark.parametrize("text", ["", "many", "-1", "5/0", "1/2/3"])
def test_an_invalid_rate_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit"):
        RateLimit.parse(text)


def test_a_deployments_rate_limit_overrides_the_catalogues_by_scope() -> None:
    documented = {"openai": RateLimit(60)}
    assert ProviderRateLimits({}, {}).for_scope(OPENAI) is None
    assert (
        ProviderRateLimits(documented, {}).for_scope(OPENAI)
        == ProviderRateLimits(documented, {}).for_scope(OWN)
        == RateLimit(60)
    )
    configured = ProviderRateLimits(documented, {"openai": RateLimit(500), "openai@own": RateLimit(20)})
    assert (configured.for_scope(OPENAI), configured.for_scope(OWN)) == (RateLimit(500), RateLimit(20))
    # The platform's limit does not apply to a workspace's own account.
    assert ProviderRateLimits(documented, {"openai": RateLimit(500)}).for_scope(OWN) == RateLimit(60)
    assert ProviderRateLimits(documented, {"openai": RateLimit(0)}).for_scope(OPENAI) is None
