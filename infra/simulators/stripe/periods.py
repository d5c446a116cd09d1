"""Billing periods: intervals counted from an anchor, so that the 31st comes back after a short month."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

DAY = 24 * 3600
FIXED = {"day": DAY, "week": 7 * DAY}
MONTHS = {"month": 1, "year": 12}


def add_intervals(anchor: int, interval: str, count: int) -> int:
    """The time so many intervals after the anchor (Unix seconds). A day that a month lacks becomes its last day."""
    if interval in FIXED:
        return anchor + count * FIXED[interval]
    start = datetime.fromtimestamp(anchor, UTC)
    years, month = divmod(start.year * 12 + start.month - 1 + count * MONTHS[interval], 12)
    day = min(start.day, calendar.monthrange(years, month + 1)[1])
    return int(start.replace(year=years, month=month + 1, day=day).timestamp())


def period_end_after(anchor: int, interval: str, interval_count: int, moment: int) -> int:
    """The first end of a period, counted from the anchor, that lies after the moment."""
    number = 0
    while (end := add_intervals(anchor, interval, number * interval_count)) <= moment:
        number += 1
    return end


def period_around(anchor: int, interval: str, interval_count: int, moment: int) -> tuple[int, int]:
    """Start and end of the period, counted from the anchor, that the moment lies in."""
    number = 0
    while add_intervals(anchor, interval, (number + 1) * interval_count) <= moment:
        number += 1
    start, end = (add_intervals(anchor, interval, each * interval_count) for each in (number, number + 1))
    return start, end


def format_day(moment: int) -> str:
    """A date as Stripe's descriptions have it: `15 Jan 2026`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y")


def format_time(moment: int) -> str:
    """A time in words: `15 Jan 2026, 12:00 UTC`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y, %H:%M UTC")
