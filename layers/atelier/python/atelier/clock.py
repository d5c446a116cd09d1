"""Read the clock and write times, each in one way. Use cases receive `now` as an argument; nothing else reads a
clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

Clock = Callable[[], datetime]


class TimeLeft(Protocol):
    """What a Lambda function knows of its time-out: its context."""

    def get_remaining_time_in_millis(self) -> int: ...


def system_clock() -> datetime:
    """The current time in UTC, cut to whole milliseconds, because ids and stored times hold no more."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def rfc3339(at: datetime) -> str:
    """`2026-11-20T21:04:05.123Z`: always UTC, always milliseconds, so that times sort as text."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """The inverse of `rfc3339`; raises ValueError for a time without an offset."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time needs an offset, for example 2026-11-20T21:04:05Z")
    return at.astimezone(UTC)


def next_midnight(at: datetime) -> datetime:
    """The next UTC midnight strictly after `at`."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)
