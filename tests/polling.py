"""Waits for something that happens in another process by polling, not by sleeping for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.01


def wait_until(look: Callable[[], T | None], seconds_max: float = 15) -> T:
    """Calls `look` until it returns something true, and returns that. AssertionError after `seconds_max`."""
    deadline = time.monotonic() + seconds_max
    while not (found := look()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds_max} s"
        time.sleep(POLL_SECONDS)
    return found
