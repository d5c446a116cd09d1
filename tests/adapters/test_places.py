"""Rate limits with reserved slots on the embedded store: never more than the limit in parallel, and their cost."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from atelier.aws.dynamodb import pause
from atelier.aws.dynamodb.paces import DynamoPaces
from atelier.routing.model import Scope
from atelier.routing.pace import Limit, Limits
from atelier.routing.places import Place, Places
from tests.adapters.test_routing import counted
from tests.adapters.world import NOON, at_once
from tests.conftest import Tables

REPLICATE = Scope("replicate")
TEN = Limit(10)


@pytest.fixture
def paces(tables: Tables) -> DynamoPaces:
    kept = DynamoPaces()
    kept.bind(tables.providers)
    return kept


def process(paces: DynamoPaces, **limits: Limit) -> Places:
    """The rate limiter of one process; it caches nothing."""
    return Places(paces, Limits({}, limits), pause)


def taken(place: Place | Exception) -> datetime:
    assert isinstance(place, Place), place
    assert place.is_taken
    return place.at


def test_of_fifty_at_once_ten_are_let_through_and_the_others_are_told_when(paces: DynamoPaces) -> None:
    processes = [process(paces, replicate=TEN) for _ in range(50)]
    told = at_once(50, lambda number: processes[number].take(REPLICATE, NOON, latest=NOON))
    assert [place for place in told if isinstance(place, Exception)] == []
    assert sum(place.is_taken for place in told if isinstance(place, Place)) == 10
    free_at = NOON + timedelta(milliseconds=TEN.span_ms)
    assert {place.at for place in told if isinstance(place, Place) and not place.is_taken} == {free_at}
    # A request a millisecond before the window ends is refused too; the next window admits ten again.
    almost = free_at - timedelta(milliseconds=1)
    assert not process(paces, replicate=TEN).take(REPLICATE, almost, latest=almost).is_taken
    again = at_once(20, lambda number: processes[number].take(REPLICATE, free_at, latest=free_at))
    assert sum(place.is_taken for place in again if isinstance(place, Place)) == 10


def test_who_waits_has_a_place_that_nobody_else_has(paces: DynamoPaces) -> None:
    latest = NOON + timedelta(minutes=10)
    processes = [process(paces, replicate=TEN) for _ in range(25)]
    given_out = sorted(
        taken(place) for place in at_once(25, lambda number: processes[number].take(REPLICATE, NOON, latest=latest))
    )
    span = timedelta(milliseconds=TEN.span_ms)
    assert given_out == [NOON] * 10 + [NOON + span] * 10 + [NOON + 2 * span] * 5


def test_nobody_waits_longer_than_may_be_waited_and_takes_nothing_then(paces: DynamoPaces) -> None:
    one = process(paces, replicate=Limit(1))
    taken(one.take(REPLICATE, NOON, latest=NOON))
    refused = one.take(REPLICATE, NOON, latest=NOON + timedelta(seconds=30))
    assert not refused.is_taken
    assert one.next_at(REPLICATE, NOON) == refused.at
    assert paces.get(REPLICATE).version == 1


def test_each_key_has_its_own_places_and_the_platform_too(paces: DynamoPaces) -> None:
    places = Places(paces, Limits({"replicate": Limit(1)}, {}), pause)
    for scope in (REPLICATE, Scope("replicate", "wsp_A", "key_1"), Scope("replicate", "wsp_A", "key_2")):
        assert places.take(scope, NOON, latest=NOON).is_taken
        assert not places.take(scope, NOON, latest=NOON).is_taken


def test_without_a_limit_nothing_is_read_and_nothing_written(paces: DynamoPaces) -> None:
    with counted("PutItem") as puts, counted("Query") as queries, counted("GetItem") as gets:
        for _ in range(3):
            assert process(paces, openai=TEN).take(REPLICATE, NOON, latest=NOON).is_taken
            assert process(paces).next_at(REPLICATE, NOON) == NOON
    assert (puts, queries, gets) == ([], [], [])


def test_with_one_a_place_costs_a_read_and_a_write_and_being_passed_over_a_read(paces: DynamoPaces) -> None:
    places = process(paces, replicate=Limit(2))
    with counted("PutItem") as puts, counted("GetItem") as gets:
        for _ in range(5):
            places.take(REPLICATE, NOON, latest=NOON)
    assert (len(puts), len(gets)) == (2, 5)


def test_what_is_kept_comes_back_as_it_was(paces: DynamoPaces) -> None:
    places = process(paces, replicate=TEN)
    for seconds in (0, 0, 1, 17, 17, 200):
        places.take(REPLICATE, NOON + timedelta(seconds=seconds), latest=NOON + timedelta(hours=1))
    kept = paces.get(REPLICATE)
    assert (kept, kept.version) == (paces.seen(REPLICATE), 6)
    assert [count for _, count in kept.places] == [1]
