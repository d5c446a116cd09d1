"""The rate at which mails are sent, exact over all workers: a mail service refuses what is faster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.errors import Unavailable

SECONDS_MAX = 20


class TimeWindows(Protocol):
    """Shared counters of fixed time windows."""

    def try_add_one(self, subject: str, limit: int, window_seconds: int, now: datetime) -> bool:
        """Add one to the current window of a subject. False, and no change, when the window already has `limit`."""
        ...


@dataclass(frozen=True, slots=True)
class SharedPace:
    """The port `Pace`: at most `per_second` mails in each second. pause: sleeps for the given seconds."""

    windows: TimeWindows
    per_second: int
    clock: Clock
    pause: Callable[[float], None]

    def wait(self) -> None:
        """Raises Unavailable after SECONDS_MAX seconds that were full."""
        for _ in range(SECONDS_MAX):
            now = self.clock()
            if self.windows.try_add_one("mails", self.per_second, 1, now):
                return
            self.pause(1 - now.microsecond / 1_000_000)
        raise Unavailable("Too many mails are waiting.")
