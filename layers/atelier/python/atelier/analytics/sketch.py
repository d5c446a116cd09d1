"""Percentiles of durations from counts by bucket, which are added like all counts.

Bucket n holds durations of (γ^(n−1), γ^n] ms with γ = (1+α)/(1−α), and stands for 2γ^n/(γ+1), which is at most α away
from each of them (Masson, Rim, Lee: DDSketch, 2019). Bucket 0 holds everything up to 1 ms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from atelier.analytics.model import Counts

# The largest relative error of a percentile.
ALPHA = 0.03
_GAMMA = (1 + ALPHA) / (1 - ALPHA)
PREFIX = "bucket_"


def bucket(duration_ms: int) -> str:
    """The counter of a duration."""
    return f"{PREFIX}{max(0, math.ceil(math.log(max(duration_ms, 1), _GAMMA)))}"


def percentiles(counts: Counts, shares: Sequence[float]) -> list[int | None]:
    """For each share (0.95, in ascending order) the duration in milliseconds that this share of durations does not
    exceed; None without durations."""
    buckets = sorted((int(name[len(PREFIX) :]), number) for name, number in counts.items() if name.startswith(PREFIX))
    count = sum(number for _, number in buckets)
    if count <= 0:
        return [None] * len(shares)
    found: list[int | None] = []
    in_order, passed, place = iter(buckets), 0, 0
    for share in shares:
        rank = share * (count - 1)
        while passed <= rank:
            place, number = next(in_order)
            passed += number
        found.append(round(2 * _GAMMA**place / (_GAMMA + 1)))
    return found


def percentile(counts: Counts, share: float) -> int | None:
    """The duration in milliseconds that this share of durations does not exceed; None without durations."""
    return percentiles(counts, [share])[0]
