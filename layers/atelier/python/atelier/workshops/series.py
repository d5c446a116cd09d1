"""The times of a series: the same local time each week, or every few weeks, whatever daylight saving time does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.workshops.model import SERIES_MAX


@dataclass(frozen=True, slots=True)
class Repetition:
    """How often a workshop is repeated: every so many weeks, `count` times in all, or until a day (inclusive)."""

    every_weeks: int
    count: int | None = None
    until: date | None = None


def occurrences(
    starts_at: datetime, ends_at: datetime, time_zone: str, repetition: Repetition | None
) -> list[tuple[datetime, datetime]]:
    """The starts and ends, in UTC, the first one as given. A local time that a change of the clocks leaves out is the
    one an hour later; of one that comes twice it is the first. Raises ValidationFailed for more than SERIES_MAX."""
    if repetition is None:
        return [(starts_at, ends_at)]
    zone = ZoneInfo(time_zone)
    first = starts_at.astimezone(zone).replace(tzinfo=None)
    duration, found = ends_at - starts_at, list[tuple[datetime, datetime]]()
    while len(found) <= SERIES_MAX:
        local = first + timedelta(weeks=repetition.every_weeks * len(found))
        is_past = repetition.until is not None and local.date() > repetition.until
        if is_past or (repetition.count is not None and len(found) == repetition.count):
            return found
        start = local.replace(tzinfo=zone, fold=0).astimezone(UTC) if found else starts_at
        found.append((start, start + duration))
    raise ValidationFailed([{"path": "repeat", "message": f"makes more than {SERIES_MAX} workshops"}])
