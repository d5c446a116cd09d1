"""Waiting for what happens in another process: looked for again and again, never slept for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_SECONDS = 0.01


def until(look: Callable[[], T | None], seconds_max: float = 15) -> T:
    """What `look` finds, as soon as it finds something true."""
    deadline = time.monotonic() + seconds_max
    while not (found := look()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds_max} s"
        time.sleep(LOOK_SECONDS)
    return found
