"""When a mail about a notification is due: by the person's digest, outside their quiet hours, in their time zone. Pure.

A day of a change of the clocks has 23 or 25 hours. A time that the clocks leave out is read as the same moment before
the change (02:30 of that morning is 03:30), and of a time that comes twice the first one is taken."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from atelier.notifications.model import Digest, Preferences, QuietHours

# When the mail of a day is sent.
DAILY_AT = time(8)


def mail_time(preferences: Preferences, time_zone: str | None, now: datetime) -> datetime:
    """When the mail is due, in UTC. time_zone: a name of the IANA database; None or an unknown one = UTC."""
    zone = zone_of(time_zone)
    due = _DIGESTS[preferences.digest](now, zone)
    return due if preferences.quiet_hours is None else _after(preferences.quiet_hours, due, zone)


def _at_once(now: datetime, _zone: ZoneInfo) -> datetime:
    return now


def _hourly(now: datetime, zone: ZoneInfo) -> datetime:
    local = now.astimezone(zone)
    # In UTC, so that the hour that a change of the clocks repeats has its own end.
    passed = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return now - passed + timedelta(hours=1)


def _daily(now: datetime, zone: ZoneInfo) -> datetime:
    return _next(DAILY_AT, now, zone)


_DIGESTS = {Digest.AT_ONCE: _at_once, Digest.HOURLY: _hourly, Digest.DAILY: _daily}


def _after(quiet: QuietHours, due: datetime, zone: ZoneInfo) -> datetime:
    """`due`, or the end of the quiet hours in which it lies."""
    local = due.astimezone(zone).time()
    if quiet.begin < quiet.end:
        is_quiet = quiet.begin <= local < quiet.end
    else:
        is_quiet = local >= quiet.begin or local < quiet.end
    return _next(quiet.end, due, zone) if is_quiet else due


def _next(clock: time, after: datetime, zone: ZoneInfo) -> datetime:
    """The next moment after `after` at which the clocks of a zone show `clock`."""
    day = after.astimezone(zone).date()
    for days in range(3):
        at = datetime.combine(day + timedelta(days=days), clock, zone).astimezone(UTC)
        if at > after:
            return at
    raise AssertionError("each day has each time, or the same moment under another name")


def zone_of(name: str | None) -> ZoneInfo:
    """The time zone with this name of the IANA database; UTC for None or an unknown one."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
