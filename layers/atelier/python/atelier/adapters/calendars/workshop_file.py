"""The calendar file of a workshop (RFC 5545, RFC 5546), by icalendar."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from urllib.parse import urlsplit

from icalendar import Calendar, Event, vUri

from atelier.workshops.model import Workshop

# The control characters that a text of RFC 5545 must not contain.
CONTROLS = dict.fromkeys((*range(9), *range(11, 32), 127))
PRODUCT = "-//Atelier//Workshops//EN"


def workshop_file(workshop: Workshop, is_cancelled: bool, public_url: str) -> bytes:
    """One entry in UTC. A workshop has one UID for ever, and a later file of it no smaller SEQUENCE, so that a calendar
    replaces or removes what it has."""
    calendar: Any = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if is_cancelled else "PUBLISH")
    event: Any = Event()
    event.add("uid", f"{workshop.id}@{urlsplit(public_url).hostname or 'atelier'}")
    event.add("dtstamp", workshop.updated_at.astimezone(UTC))
    event.add("last-modified", workshop.updated_at.astimezone(UTC))
    event.add("sequence", workshop.sequence)
    event.add("dtstart", workshop.starts_at.astimezone(UTC))
    event.add("dtend", workshop.ends_at.astimezone(UTC))
    event.add("summary", workshop.title.translate(CONTROLS))
    if workshop.description:
        event.add("description", workshop.description.translate(CONTROLS))
    event.add("url", vUri(f"{public_url}/workshops/{workshop.id}"))
    event.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    calendar.add_component(event)
    file: bytes = calendar.to_ical()
    return file
