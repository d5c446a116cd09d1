"""When a mail is due: digests and quiet hours, also on the days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.notifications.mail_time import mail_time
from atelier.notifications.model import Digest, Preferences, QuietHours

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
NIGHT = QuietHours(time(22), time(7))


def due(now: str, zone: str | None, digest: Digest = Digest.AT_ONCE, quiet: QuietHours | None = None) -> str:
    at = mail_time(Preferences({}, quiet, digest), zone, datetime.fromisoformat(now))
    assert at.tzinfo == UTC
    return at.strftime("%Y-%m-%dT%H:%MZ")


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        # By day, and at the end of the quiet hours, at once.
        ("2026-06-01T12:00Z", BERLIN, "2026-06-01T12:00Z"),
        ("2026-06-01T05:00Z", BERLIN, "2026-06-01T05:00Z"),
        # In the evening and in the night until 07:00 there.
        ("2026-06-01T20:00Z", BERLIN, "2026-06-02T05:00Z"),
        ("2026-06-02T04:59Z", BERLIN, "2026-06-02T05:00Z"),
        ("2026-01-10T03:30Z", NEW_YORK, "2026-01-10T12:00Z"),
        # The nights in which the clocks change: 07:00 is an hour earlier, or later, in UTC than the day before.
        ("2026-03-28T22:30Z", BERLIN, "2026-03-29T05:00Z"),
        ("2026-10-24T22:30Z", BERLIN, "2026-10-25T06:00Z"),
        ("2026-03-08T04:00Z", NEW_YORK, "2026-03-08T11:00Z"),
        ("2026-11-01T04:00Z", NEW_YORK, "2026-11-01T12:00Z"),
    ],
)
def test_quiet_hours_hold_a_mail_until_they_end_there(now: str, zone: str, expected: str) -> None:
    assert due(now, zone, quiet=NIGHT) == expected


def test_quiet_hours_that_end_in_the_hour_that_is_left_out_end_at_the_change() -> None:
    # On 29 March 2026, 02:00 to 03:00 does not exist in Berlin; 02:30 is read as 03:30.
    quiet = QuietHours(time(0), time(2, 30))
    assert due("2026-03-28T23:30Z", BERLIN, quiet=quiet) == "2026-03-29T01:30Z"


def test_quiet_hours_that_end_in_the_hour_that_comes_twice_end_once() -> None:
    # On 25 October 2026, 02:30 comes at 00:30 and at 01:30 UTC in Berlin.
    quiet = QuietHours(time(0), time(2, 30))
    assert due("2026-10-24T23:30Z", BERLIN, quiet=quiet) == "2026-10-25T00:30Z"
    # 02:15 for the second time is quiet again, until the next day's end: by day there is no quiet hour to end.
    assert due("2026-10-25T01:15Z", BERLIN, quiet=quiet) == "2026-10-26T01:30Z"


def test_the_digest_of_an_hour_is_due_at_its_end_there() -> None:
    assert due("2026-06-01T12:10Z", "Asia/Kolkata", Digest.HOURLY) == "2026-06-01T12:30Z"
    # Also in an hour that comes twice.
    assert due("2026-10-25T00:10Z", BERLIN, Digest.HOURLY) == "2026-10-25T01:00Z"
    assert due("2026-10-25T01:10Z", BERLIN, Digest.HOURLY) == "2026-10-25T02:00Z"


def test_the_digest_of_a_day_is_due_in_the_morning_there() -> None:
    assert due("2026-03-28T12:00Z", BERLIN, Digest.DAILY) == "2026-03-29T06:00Z"
    assert due("2026-03-27T12:00Z", BERLIN, Digest.DAILY) == "2026-03-28T07:00Z"
    assert due("2026-11-01T00:00Z", NEW_YORK, Digest.DAILY) == "2026-11-01T13:00Z"
    # Not in quiet hours.
    assert due("2026-06-01T12:00Z", BERLIN, Digest.DAILY, QuietHours(time(7), time(9))) == "2026-06-02T07:00Z"


def test_an_unknown_time_zone_is_utc() -> None:
    for zone in (None, "Mars/Olympus", "../../etc/passwd"):
        assert due("2026-06-01T23:00Z", zone, quiet=NIGHT) == "2026-06-02T07:00Z"


@given(
    st.integers(1_767_225_600, 1_830_297_599).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from([BERLIN, NEW_YORK, "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]),
    st.sampled_from(list(Digest)),
    st.times(),
    st.times(),
)
def test_a_mail_is_never_due_in_quiet_hours_nor_more_than_two_days_later(
    now: datetime, zone: str, digest: Digest, begin: time, end: time
) -> None:
    begin, end = begin.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    if begin == end:
        return
    at = mail_time(Preferences({}, QuietHours(begin, end), digest), zone, now)
    assert 0 <= (at - now).total_seconds() <= 2 * 86400 + 7200
    local = at.astimezone(ZoneInfo(zone))
    shown = local.time()
    is_quiet = begin <= shown < end if begin < end else shown >= begin or shown < end
    # Where the clocks go back, the end of the quiet hours may be followed by the same times once more.
    is_changed = local.utcoffset() != datetime.fromtimestamp(at.timestamp() - 7200, ZoneInfo(zone)).utcoffset()
    is_about_to = local.utcoffset() != datetime.fromtimestamp(at.timestamp() + 7200, ZoneInfo(zone)).utcoffset()
    assert not is_quiet or is_changed or is_about_to
