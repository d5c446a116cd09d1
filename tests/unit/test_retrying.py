"""Attempts that lose against parallel writes: how often they are made, and how it ends."""

from __future__ import annotations

import pytest

from atelier.errors import Conflict, Unavailable
from atelier.retrying import LostRace, retrying


class Attempts:
    """Fails as often as told, then succeeds with the number of calls."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return self.calls


def test_an_attempt_that_lost_is_made_again_after_a_pause() -> None:
    pauses: list[int] = []
    attempt = Attempts(LostRace(), LostRace())
    assert retrying(attempt, on=LostRace, busy="busy", tries_max=3, pause=pauses.append) == 3
    assert pauses == [0, 1]


def test_after_the_last_attempt_the_answer_is_unavailable() -> None:
    attempt = Attempts(*(LostRace() for _ in range(5)))
    with pytest.raises(Unavailable, match="busy"):
        retrying(attempt, on=LostRace, busy="busy", tries_max=4)
    assert attempt.calls == 4


def test_another_error_ends_the_attempts_at_once() -> None:
    attempt = Attempts(Conflict("no"))
    with pytest.raises(Conflict):
        retrying(attempt, on=LostRace, busy="busy", tries_max=4)
    assert attempt.calls == 1
