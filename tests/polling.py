"""Waits for something that happens in another process by polling, not by sleeping for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# The pause grows: a look may be a call of a whole stack, which has less time for its work the more often it is asked.
POLL_SECONDS_MIN, POLL_SECONDS_MAX, POLL_GROWTH = 0.01, 0.2, 1.3


def wait_until(look: Callable[[], T | None], seconds_max: float = 15) -> T:
    """Calls `look` until it returns something true, and returns that. AssertionError after `seconds_max`."""
    deadline, pause = time.monotonic() + seconds_max, POLL_SECONDS_MIN
    while not (found := look()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds_max} s"
        time.sleep(pause)
        pause = min(pause * POLL_GROWTH, POLL_SECONDS_MAX)
    return found
