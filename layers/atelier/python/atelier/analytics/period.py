"""Periods of reports: hours, days and months of UTC, and ranges of whole ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Period(StrEnum):
    """The length of the periods of a series."""

    HOURLY = "hourly"
    DAILY = "daily"
    MONTHLY = "monthly"


# The longest range of a report, in periods: 7 days, 400 days, 5 years.
PERIODS_MAX = {Period.HOURLY: 7 * 24, Period.DAILY: 400, Period.MONTHLY: 60}
# The range of a report that names none: it ends with the present period.
PERIODS_DEFAULT = {Period.HOURLY: 24, Period.DAILY: 30, Period.MONTHLY: 12}


def floor(period: Period, at: datetime) -> datetime:
    """The beginning of the period that contains `at` (UTC)."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if period is Period.HOURLY:
        return hour
    day = hour.replace(hour=0)
    return day if period is Period.DAILY else day.replace(day=1)


def shift(period: Period, at: datetime, number: int) -> datetime:
    """The beginning of a period, a number of periods later; earlier when it is negative."""
    if period is not Period.MONTHLY:
        return at + number * (HOUR if period is Period.HOURLY else DAY)
    months = at.year * 12 + at.month - 1 + number
    return at.replace(year=months // 12, month=months % 12 + 1)


def ceiling(period: Period, at: datetime) -> datetime:
    """`at` itself at the beginning of a period, otherwise the beginning of the next one."""
    start = floor(period, at)
    return start if start == at else shift(period, start, 1)


@dataclass(frozen=True, slots=True)
class Span:
    """The whole periods in [first, end)."""

    period: Period
    first: datetime
    end: datetime

    def starts(self) -> list[datetime]:
        """The beginning of each period, in order."""
        found = list[datetime]()
        at = self.first
        while at < self.end:
            found.append(at)
            at = shift(self.period, at, 1)
        return found

    def previous(self) -> Span:
        """The range before it that is as long. Before whole months, whatever the period, it is as many months: October
        is compared with September, and not with 31 days."""
        if all(floor(Period.MONTHLY, each) == each for each in (self.first, self.end)):
            months = (self.end.year - self.first.year) * 12 + self.end.month - self.first.month
            return Span(self.period, shift(Period.MONTHLY, self.first, -months), self.first)
        return Span(self.period, self.first - (self.end - self.first), self.first)


def whole_span(period: Period, begin: datetime | None, end: datetime | None, now: datetime) -> Span:
    """The range of a report, widened to whole periods. Without an end it ends with the present period."""
    last = ceiling(period, end) if end else shift(period, floor(period, now), 1)
    first = floor(period, begin) if begin else shift(period, last, -PERIODS_DEFAULT[period])
    return Span(period, first, last)
