"""Percentiles from counts by bucket, beside the true ones and those of `ddsketch`, which implements the same idea."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

import pytest
from ddsketch import DDSketch
from hypothesis import given
from hypothesis import strategies as st

from atelier.analytics.model import total
from atelier.analytics.sketch import ALPHA, bucket, percentile

NUMBER = 20_000
SHARES = (0.5, 0.95, 0.99)
# Times are whole milliseconds, so a short one is rounded beside the error of its bucket.
ROUNDING = 1


def log_normal(random: Random) -> float:
    return random.lognormvariate(math.log(4_000), 0.9)


def bimodal(random: Random) -> float:
    return random.gauss(900, 80) if random.random() < 0.7 else random.gauss(60_000, 9_000)


def constant(random: Random) -> float:
    return 2_300


def short(random: Random) -> float:
    return random.expovariate(1 / 12)


def counted(durations: Sequence[int]) -> dict[str, int]:
    """The counts of durations, as they come in two halves."""
    half = len(durations) // 2
    return total(total({bucket(each): 1} for each in part) for part in (durations[:half], durations[half:]))


@pytest.mark.parametrize("draw", [log_normal, bimodal, constant, short])
def test_percentiles_are_within_three_percent(draw: Callable[[Random], float]) -> None:
    random = Random(1)
    durations = [max(0, round(draw(random))) for _ in range(NUMBER)]
    judge = DDSketch(ALPHA)
    for each in durations:
        judge.add(max(each, 1))
    counts = counted(durations)
    for share in SHARES:
        found = percentile(counts, share)
        true = sorted(durations)[math.floor(share * (NUMBER - 1))]
        assert found == pytest.approx(true, rel=ALPHA, abs=ROUNDING)
        # Each of the two may be off by its own error.
        assert found == pytest.approx(judge.get_quantile_value(share), rel=2 * ALPHA, abs=ROUNDING)


@given(st.lists(st.integers(0, 7_200_000), min_size=1, max_size=50), st.floats(0, 1))
def test_any_percentile_of_any_durations_is_within_three_percent(durations: list[int], share: float) -> None:
    true = sorted(durations)[math.floor(share * (len(durations) - 1))]
    found = percentile(counted(durations), share)
    # A duration is rounded to a whole millisecond, in addition to the error of its bucket.
    assert found is not None
    assert abs(found - true) <= ALPHA * true + ROUNDING


def test_there_is_no_percentile_without_durations() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({"requests": 3, bucket(5): 0}, 0.5) is None


def test_two_hours_take_fewer_buckets_than_an_update_can_have_counters() -> None:
    assert len({bucket(milliseconds) for milliseconds in range(0, 7_200_000, 7)}) < 270
