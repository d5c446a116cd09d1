"""Seals: the events of a log, chained by their hashes so that a later change of any of them shows. Pure.

A seal covers up to 100 events that no earlier seal covers. `ledger/verify.py` defines what is hashed and how, and
checks it independently. No request waits for a seal: the reader of the table's stream writes it after the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.ledger.verify import digest, seal_hash

EVENTS_MAX = 100
PublicForm = dict[str, Any]
"""An event as it is digested and shown: all its fields, whether they are empty or not, but its log."""


@dataclass(frozen=True, slots=True)
class AuditSeal:
    """One link of a log's chain.

    `events` are (id, digest). `count` is the number of events in all seals up to this one. `at` (RFC 3339) is never
    before a covered event nor before the previous seal."""

    number: int
    previous: str | None
    at: str
    count: int
    events: tuple[tuple[str, str], ...]
    hash: str

    def covers(self) -> set[str]:
        """The id of each event that this seal covers."""
        return {id for id, _ in self.events}


def event_form(event: AuditEvent) -> PublicForm:
    """The event as it is digested and shown."""
    origin = event.origin
    return {
        "id": event.id,
        "at": rfc3339(event.at),
        "actor": origin.user_id,
        "token_id": origin.token_id,
        "action": event.action,
        "target": event.target,
        "outcome": event.outcome,
        "address": origin.address,
        "user_agent": origin.user_agent,
        "request_id": origin.request_id,
        "facts": event.facts,
    }


def to_public(seal: AuditSeal) -> PublicForm:
    """The seal as it is hashed and shown."""
    return {
        "number": seal.number,
        "previous": seal.previous,
        "at": seal.at,
        "count": seal.count,
        "events": [list(event) for event in seal.events],
        "hash": seal.hash,
    }


def from_public(data: PublicForm) -> AuditSeal:
    """The inverse of `to_public`."""
    fields: PublicForm = {**data, "events": tuple((id, sealed) for id, sealed in data["events"])}
    return AuditSeal(**fields)


def month_of(seal: AuditSeal) -> str:
    """The calendar month (UTC) by which a seal is archived: `2026-11`."""
    return seal.at[:7]


def next_seal(log: str, previous: AuditSeal | None, events: Sequence[PublicForm], now: datetime) -> AuditSeal:
    """The seal after `previous`, over 1 to 100 events. Raises ValueError for another number of events."""
    if not 0 < len(events) <= EVENTS_MAX:
        raise ValueError(f"a seal covers 1 to {EVENTS_MAX} events")
    seal: PublicForm = {
        "number": previous.number + 1 if previous else 1,
        "previous": previous.hash if previous else None,
        "at": max(rfc3339(now), previous.at if previous else "", *(form["at"] for form in events)),
        "count": (previous.count if previous else 0) + len(events),
        "events": [[form["id"], digest(form)] for form in events],
    }
    return from_public({**seal, "hash": seal_hash(log, seal, owner="log")})


def chain(log: str, previous: AuditSeal | None, events: Sequence[PublicForm], now: datetime) -> Iterator[AuditSeal]:
    """The seals after `previous` over all these events, up to 100 events each."""
    for start in range(0, len(events), EVENTS_MAX):
        previous = next_seal(log, previous, events[start : start + EVENTS_MAX], now)
        yield previous
