"""The proof of a log, which `ledger/verify.py` checks offline: NDJSON with the log's id, then each seal followed by its
events, and at the end the newest seal up to there. A file of the archive has the same form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from atelier.audit_log.ports import AuditSeals
from atelier.audit_log.seals import EVENTS_MAX, AuditSeal, PublicForm, to_public
from atelier.dataclass import dataclass

SEALS_PER_READ = 100


@dataclass(frozen=True, slots=True)
class SealedEvents:
    """A seal with those of its events that are in the table."""

    seal: AuditSeal
    events: tuple[PublicForm, ...]


def with_events(log: str, seals: Sequence[AuditSeal], reads: AuditSeals) -> Iterator[SealedEvents]:
    """Each seal with its events. An event that is not in the table is left out, and the verifier reports it."""
    for group in _in_batches(seals):
        ids = [id for seal in group for id, _ in seal.events]
        forms = {form["id"]: form for form in reads.events_of(log, ids)}
        for seal in group:
            yield SealedEvents(seal, tuple(forms[id] for id, _ in seal.events if id in forms))


def proof_lines(log: str, sealed: Sequence[SealedEvents], next_cursor: str | None = None) -> bytes:
    """The NDJSON of a proof or of a file of the archive."""
    lines: list[Any] = [{"log": log}]
    for each in sealed:
        lines += [{"seal": to_public(each.seal)}, *({"event": form} for form in each.events)]
    last = sealed[-1].seal if sealed else None
    head = {"number": last.number, "hash": last.hash, "count": last.count} if last else None
    lines.append({"head": head, "next_cursor": next_cursor})
    return b"".join(json_line(line) for line in lines)


def build_proof(log: str, after: int, *, reads: AuditSeals, bytes_max: int) -> tuple[list[SealedEvents], int | None]:
    """The seals after number `after` with their events, as many as fit into a response, at least one; and the number of
    the last one, after which the next page begins, or None on the last page."""
    found, size = list[SealedEvents](), 0
    seals = reads.between(log, after + 1, after + SEALS_PER_READ) if after else reads.oldest(log, SEALS_PER_READ)
    while seals:
        for each in with_events(log, seals, reads):
            size += len(json.dumps([to_public(each.seal), each.events]))
            if found and size > bytes_max:
                return found, found[-1].seal.number
            found.append(each)
        last = seals[-1].number
        seals = reads.between(log, last + 1, last + SEALS_PER_READ)
    return found, None


def _in_batches(seals: Sequence[AuditSeal]) -> Iterator[list[AuditSeal]]:
    """The seals in groups; the events of a group (at most EVENTS_MAX) are read in one batch."""
    group, size = list[AuditSeal](), 0
    for seal in seals:
        if group and size + len(seal.events) > EVENTS_MAX:
            yield group
            group, size = [], 0
        group.append(seal)
        size += len(seal.events)
    if group:
        yield group


def json_line(value: Any) -> bytes:
    """A value as a line of NDJSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
