"""When a schedule runs next, by its expression: `rate(5 minutes)`, or `cron(30 2 * * ? *)` in UTC. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_RATE = re.compile(r"rate\((\d{1,6}) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_ANY = ("*", "?")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# A time that exists at all comes within a leap year's cycle of weekdays; nobody plans further.
_DAYS_MAX = 366 * 5


def next_run(expression: str, begun_at: datetime, now: datetime) -> datetime | None:
    """The first time after `now`. begun_at: since when a rate counts, which is when its schedule was created. None for
    an expression that is not understood, such as one with L, W or #, and for one that is over."""
    if rate := _RATE.fullmatch(expression):
        step = timedelta(**{f"{rate[2]}s": int(rate[1])})
        if not step:
            return None
        return begun_at if begun_at > now else begun_at + step * ((now - begun_at) // step + 1)
    fields = _CRON.fullmatch(expression)
    try:
        return _next_by_cron(*fields.groups(), now=now) if fields else None
    except ValueError:
        return None


def _next_by_cron(
    minute: str, hour: str, day: str, month: str, weekday: str, year: str, *, now: datetime
) -> datetime | None:
    minutes, hours = _values(minute, 0, 59), _values(hour, 0, 23)
    days, months, years = _values(day, 1, 31), _values(month, 1, 12, _MONTHS), _values(year, 1970, 2199)
    weekdays = _values(weekday, 1, 7, _DAYS)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(_DAYS_MAX):
        date = midnight + timedelta(days=number)
        # Sunday is 1.
        if not (date.day in days and date.month in months and date.year in years):
            continue
        if date.isoweekday() % 7 + 1 not in weekdays:
            continue
        times = (date + timedelta(hours=each, minutes=other) for each in sorted(hours) for other in sorted(minutes))
        found = next((time for time in times if time > now), None)
        if found is not None:
            return found
    return None


def _values(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    """The values of a field: `*`, `5`, `1,3`, `MON-FRI`, `0/15`. Raises ValueError."""
    found = set[int]()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first in _ANY else _value(first, names, low)
        end = high if first in _ANY or (step and not last) else _value(last or first, names, low)
        if not low <= start <= end <= high:
            raise ValueError(text)
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def _value(text: str, names: tuple[str, ...], low: int) -> int:
    return names.index(text.upper()) + low if text.upper() in names else int(text)
