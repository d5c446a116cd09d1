"""Calendar files of workshops, read by two libraries: the one that writes them, and another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ics
from icalendar import Calendar

from atelier.adapters.calendars.workshop_file import workshop_file
from atelier.workshops.model import Visibility, Workshop, WorkshopStatus

AT = datetime(2026, 11, 30, 9, tzinfo=UTC)
START = datetime(2026, 12, 4, 17, tzinfo=UTC)
WORKSHOP = Workshop(
    "wks_01M7XCN60QZZZZZZZZZZZZZZZZ",
    "wsp_A",
    "usr_E",
    "Licht, Schatten; und \\ Farbe",
    "Zeile eins\r\nBEGIN:VALARM\r\nZeile zwei " + "äöü" * 60,
    START,
    START + timedelta(hours=2),
    "Europe/Berlin",
    10,
    0,
    Visibility.PUBLIC,
    WorkshopStatus.SCHEDULED,
    AT,
    AT,
)
URL = "https://studio.example.com"


def entry(file: bytes) -> tuple[str, str, int, str, datetime]:
    """Method, UID, sequence, status and start, as icalendar reads them."""
    calendar = Calendar.from_ical(file)
    [event] = calendar.walk("VEVENT")
    assert not calendar.errors
    assert not event.errors
    return str(calendar["method"]), str(event["uid"]), int(event["sequence"]), str(event["status"]), event["dtstart"].dt


def test_two_libraries_read_what_was_written() -> None:
    file = workshop_file(WORKSHOP, False, URL)
    uid = "wks_01M7XCN60QZZZZZZZZZZZZZZZZ@studio.example.com"
    assert entry(file) == ("PUBLISH", uid, 0, "CONFIRMED", START)
    [event] = ics.Calendar(file.decode()).events
    assert (event.uid, event.name, event.url) == (uid, WORKSHOP.title, f"{URL}/workshops/{WORKSHOP.id}")
    assert (event.begin.datetime, event.end.datetime) == (START, START + timedelta(hours=2))
    assert event.description is not None
    assert "Zeile zwei" in event.description
    assert not event.alarms


def test_a_file_has_the_lines_of_the_standard() -> None:
    lines = workshop_file(WORKSHOP, False, URL).split(b"\r\n")
    assert lines[-1] == b""
    assert all(b"\n" not in line and b"\r" not in line and len(line) <= 75 for line in lines)


def test_a_change_replaces_the_entry_and_a_cancellation_removes_it() -> None:
    moved = replace(
        WORKSHOP, sequence=3, starts_at=START + timedelta(days=1), ends_at=START + timedelta(days=1, hours=2)
    )
    first, second = entry(workshop_file(WORKSHOP, False, URL)), entry(workshop_file(moved, False, URL))
    third = entry(workshop_file(replace(moved, sequence=4), True, URL))
    assert first[1] == second[1] == third[1]
    assert first[2] < second[2] < third[2]
    assert second[4] == START + timedelta(days=1)
    assert (third[0], third[3]) == ("CANCEL", "CANCELLED")


def test_control_characters_are_left_out() -> None:
    file = workshop_file(replace(WORKSHOP, title="a\x00b\x0b\x7fc", description="\x1b[1m"), False, URL)
    assert b"SUMMARY:abc\r\n" in file
    assert not set(file) & {0, 11, 27, 127}
