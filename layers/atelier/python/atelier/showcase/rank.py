"""What is popular: a score that decays with time, and is only computed anew when something happens. Pure.

Each like counts 2^(its time / HALF_LIFE), so its weight against a like of today halves in each half-life, while the
score of a listing to which nothing happens stays the number that it is: the order of all listings is right without
touching those that did not change. The trend is the logarithm of the score, in millionths."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from atelier.showcase.rules import HALF_LIFE, LIKES_PER_SALE

ONE = 1_000_000
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


def first_trend(published_at: datetime) -> int:
    """The trend of a listing that nobody has liked yet: as if one person had, when it was published."""
    return round(_log_weight(published_at) * ONE)


def count_of(likes: int, sales: int) -> int:
    """Likes and sales as one count; the publication itself counts as one."""
    return 1 + max(likes, 0) + LIKES_PER_SALE * max(sales, 0)


def next_trend(trend: int, change: int, at: datetime, *, least: int) -> int:
    """The trend after a change of the count, which counts as at `at`. What goes takes as much as it would bring now, so
    that nobody rises by liking and taking it back. least: the trend without any like."""
    score = trend / ONE
    if change:
        changed = math.log2(abs(change)) + _log_weight(at)
        high, part = max(score, changed), 2 ** -abs(score - changed)
        if change > 0:
            score = high + math.log2(1 + part)
        elif changed < score and part < 1:
            score += math.log2(1 - part)
        else:
            score = 0
    return max(round(score * ONE), least)


def _log_weight(at: datetime) -> float:
    return (at - _BEGIN) / HALF_LIFE
