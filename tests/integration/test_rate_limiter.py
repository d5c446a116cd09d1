"""Rate limits with reserved slots on the embedded store: never more than the limit in parallel, and their cost."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.rate_limits import DynamoRateWindows
from atelier.routing.circuit_breaker import Scope
from atelier.routing.rate_limit import ProviderRateLimits, RateLimit
from atelier.routing.rate_limiter import RateLimiter, Reservation
from tests.conftest import Tables
from tests.integration.test_routing import counted
from tests.integration.world import NOON, run_concurrently

REPLICATE = Scope("replicate")
TEN = RateLimit(10)


@pytest.fixture
def paces(tables: Tables) -> DynamoRateWindows:
    kept = DynamoRateWindows()
    kept.bind(tables.providers)
    return kept


def process(paces: DynamoRateWindows, **limits: RateLimit) -> RateLimiter:
    """The rate limiter of one process; it caches nothing."""
    return RateLimiter(paces, ProviderRateLimits({}, limits), pause_with_jitter)


def taken(place: Reservation | Exception) -> datetime:
    assert isinstance(place, Reservation), place
    assert place.is_reserved
    return place.at


def test_a_limit_of_ten_admits_ten_of_fifty_parallel_requests(paces: DynamoRateWindows) -> None:
    processes = [process(paces, replicate=TEN) for _ in range(50)]
    reservations = run_concurrently(50, lambda number: processes[number].reserve(REPLICATE, NOON, latest=NOON))
    assert [place for place in reservations if isinstance(place, Exception)] == []
    assert sum(place.is_reserved for place in reservations if isinstance(place, Reservation)) == 10
    free_at = NOON + timedelta(milliseconds=TEN.span_ms)
    assert {place.at for place in reservations if isinstance(place, Reservation) and not place.is_reserved} == {free_at}
    # A request a millisecond before the window ends is refused too; the next window admits ten again.
    almost = free_at - timedelta(milliseconds=1)
    assert not process(paces, replicate=TEN).reserve(REPLICATE, almost, latest=almost).is_reserved
    again = run_concurrently(20, lambda number: processes[number].reserve(REPLICATE, free_at, latest=free_at))
    assert sum(place.is_reserved for place in again if isinstance(place, Reservation)) == 10


def test_each_waiting_request_reserves_its_own_slot(paces: DynamoRateWindows) -> None:
    latest = NOON + timedelta(minutes=10)
    processes = [process(paces, replicate=TEN) for _ in range(25)]
    given_out = sorted(
        taken(place)
        for place in run_concurrently(25, lambda number: processes[number].reserve(REPLICATE, NOON, latest=latest))
    )
    span = timedelta(milliseconds=TEN.span_ms)
    assert given_out == [NOON] * 10 + [NOON + span] * 10 + [NOON + 2 * span] * 5


def test_a_reservation_beyond_the_latest_time_is_refused_and_writes_nothing(paces: DynamoRateWindows) -> None:
    one = process(paces, replicate=RateLimit(1))
    taken(one.reserve(REPLICATE, NOON, latest=NOON))
    refused = one.reserve(REPLICATE, NOON, latest=NOON + timedelta(seconds=30))
    assert not refused.is_reserved
    assert one.next_slot_at(REPLICATE, NOON) == refused.at
    assert paces.get(REPLICATE).version == 1


def test_each_provider_key_has_its_own_limit_besides_the_platforms(paces: DynamoRateWindows) -> None:
    places = RateLimiter(paces, ProviderRateLimits({"replicate": RateLimit(1)}, {}), pause_with_jitter)
    for scope in (REPLICATE, Scope("replicate", "wsp_A", "key_1"), Scope("replicate", "wsp_A", "key_2")):
        assert places.reserve(scope, NOON, latest=NOON).is_reserved
        assert not places.reserve(scope, NOON, latest=NOON).is_reserved


def test_a_provider_without_a_limit_costs_no_read_and_no_write(paces: DynamoRateWindows) -> None:
    with counted("PutItem") as puts, counted("Query") as queries, counted("GetItem") as gets:
        for _ in range(3):
            assert process(paces, openai=TEN).reserve(REPLICATE, NOON, latest=NOON).is_reserved
            assert process(paces).next_slot_at(REPLICATE, NOON) == NOON
    assert (puts, queries, gets) == ([], [], [])


def test_a_reservation_costs_a_read_and_a_write_and_a_refusal_one_read(paces: DynamoRateWindows) -> None:
    places = process(paces, replicate=RateLimit(2))
    with counted("PutItem") as puts, counted("GetItem") as gets:
        for _ in range(5):
            places.reserve(REPLICATE, NOON, latest=NOON)
    assert (len(puts), len(gets)) == (2, 5)


def test_a_stored_rate_limit_window_is_read_back_unchanged(paces: DynamoRateWindows) -> None:
    places = process(paces, replicate=TEN)
    for seconds in (0, 0, 1, 17, 17, 200):
        places.reserve(REPLICATE, NOON + timedelta(seconds=seconds), latest=NOON + timedelta(hours=1))
    kept = paces.get(REPLICATE)
    assert (kept, kept.version) == (paces.read(REPLICATE), 6)
    assert [count for _, count in kept.places] == [1]
