"""Slots in time: never more than the limit in any window, and none later than necessary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.routing.model import Scope
from atelier.routing.pace import LATE, STEPS, Limit, Limits, Pace

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OPENAI, OWN = Scope("openai"), Scope("openai", "wsp_1", "key_1")


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def places(limit: Limit, asked: list[datetime]) -> list[datetime]:
    """The slot of each request, in the order of the requests."""
    pace, given_out = Pace(OPENAI), list[datetime]()
    for now in asked:
        given_out.append(pace.next_at(limit, now))
        pace = pace.taken(limit, now)
    return given_out


def test_who_comes_first_is_served_at_once_and_the_others_when_the_first_do_not_count_any_more() -> None:
    limit = Limit(10)
    given_out = places(limit, [NOON] * 25)
    span = limit.span_ms / 1000
    assert given_out == [NOON] * 10 + [later(span)] * 10 + [later(2 * span)] * 5
    # The cost of the exact limit while there is always a queue.
    assert 60 + LATE.total_seconds() <= span <= 60 + LATE.total_seconds() + 3 * 60 / STEPS


def test_a_place_that_is_free_again_is_given_to_whoever_comes_then() -> None:
    limit = Limit(2)
    assert places(limit, [NOON, later(30), later(31), later(70), later(71)]) == [
        NOON,
        later(30),
        later(68),
        later(98),
        later(136),
    ]


def test_after_a_pause_everything_is_free_and_nothing_is_remembered() -> None:
    limit, pace = Limit(3), Pace(OPENAI)
    for _ in range(8):
        pace = pace.taken(limit, NOON)
    assert pace.next_at(limit, later(3600)) == later(3600)
    assert len(pace.taken(limit, later(3600)).places) == 1


def test_a_clock_that_is_behind_gives_no_place_before_one_that_was_given() -> None:
    limit = Limit(10)
    assert places(limit, [later(30), NOON]) == [later(30), later(30)]


@settings(deadline=None)
@given(
    limit=st.builds(Limit, st.integers(1, 20), st.sampled_from([1, 10, 60])),
    gaps_ms=st.lists(st.sampled_from([0, 0, 0, 1, 40, 333, 2000, 9999, 61_000]), max_size=120),
    late_ms=st.lists(st.integers(0, int(LATE.total_seconds() * 1000)), min_size=120, max_size=120),
)
def test_in_no_stretch_of_time_is_more_sent_than_the_limit_and_nobody_is_overtaken(
    limit: Limit, gaps_ms: list[int], late_ms: list[int]
) -> None:
    asked, at = list[datetime](), NOON
    for gap in gaps_ms:
        at += timedelta(milliseconds=gap)
        asked.append(at)
    given_out = places(limit, asked)
    assert given_out == sorted(given_out)
    assert all(place >= now for place, now in zip(given_out, asked, strict=True))
    sent = sorted(place + timedelta(milliseconds=late) for place, late in zip(given_out, late_ms, strict=False))
    for first, over in zip(sent, sent[limit.requests :], strict=False):
        assert over - first >= timedelta(seconds=limit.seconds)


@settings(deadline=None)
@given(gaps_ms=st.lists(st.integers(0, 3000), min_size=40, max_size=200))
def test_what_is_remembered_stays_small(gaps_ms: list[int]) -> None:
    limit, pace, at = Limit(600), Pace(OPENAI), NOON
    for gap in gaps_ms:
        at += timedelta(milliseconds=gap)
        pace = pace.taken(limit, at)
    assert len(pace.places) <= limit.span_ms // limit.step_ms + 2


def test_a_limit_is_written_as_a_number_in_a_minute_or_in_so_many_seconds() -> None:
    assert (Limit.read("500"), Limit.read("150/10")) == (Limit(500, 60), Limit(150, 10))


@pytest.mark.parametrize("text", ["", "many", "-1", "5/0", "1/2/3"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit"):
        Limit.read(text)


def test_a_deployments_limit_goes_before_the_catalogues_and_an_own_key_has_its_own() -> None:
    documented = {"openai": Limit(60)}
    assert Limits({}, {}).of(OPENAI) is None
    assert Limits(documented, {}).of(OPENAI) == Limits(documented, {}).of(OWN) == Limit(60)
    configured = Limits(documented, {"openai": Limit(500), "openai@own": Limit(20)})
    assert (configured.of(OPENAI), configured.of(OWN)) == (Limit(500), Limit(20))
    # The platform's limit does not apply to a workspace's own account.
    assert Limits(documented, {"openai": Limit(500)}).of(OWN) == Limit(60)
    assert Limits(documented, {"openai": Limit(0)}).of(OPENAI) is None
