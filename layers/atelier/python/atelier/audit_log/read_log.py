"""Read a log: a page of events, an export of as many as fit into a response, or the proof."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from atelier import cursors
from atelier.audit_log.ports import AuditReads, AuditSeals, EventFilter
from atelier.audit_log.proof import build_proof, proof_lines
from atelier.audit_log.schemas import AuditEventList, AuditEventView, AuditQuery, LogFormat
from atelier.audit_log.seals import PublicForm
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed

# Of an export: the gateway takes 6 MB, in base64.
BYTES_MAX = 3_000_000
EVENTS_PER_READ = 500
READS_MAX = 20
EVENT_CURSOR, SEAL_CURSOR = "event#", "seal#"
NDJSON_TYPE, CSV_TYPE = "application/x-ndjson", "text/csv; charset=utf-8"
COLUMNS = (
    *("id", "at", "actor", "token_id", "action", "target", "outcome"),
    *("address", "user_agent", "request_id", "facts"),
)


@dataclass(frozen=True, slots=True)
class LogReadDeps:
    """Dependencies."""

    reads: AuditReads
    seals: AuditSeals


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """A page of events, or a file with its headers."""

    data: AuditEventList | bytes
    headers: dict[str, str]


def read_log(log: str, query: AuditQuery, *, deps: LogReadDeps) -> LogAnswer:
    """What the query wants of a log. Raises ValidationFailed for the cursor of another list, and for a filter of a
    proof."""
    if query.format is LogFormat.PROOF:
        query.require_no_filter()
        return _proof(log, query.cursor, deps.seals)
    after = cursors.decode(query.cursor, EVENT_CURSOR)
    if query.format is LogFormat.JSON:
        page = deps.reads.page(log, query.wanted(), after, query.limit)
        views = [AuditEventView.model_validate(form) for form in page.events]
        return LogAnswer(AuditEventList(items=views, next_cursor=cursors.encode(page.next_key)), {})
    if query.format is LogFormat.CSV:
        header = b"" if after else csv_rows([], header=True)
        data, next_key = _collect(log, query.wanted(), after, csv_rows, deps.reads)
        return _file(header + data, CSV_TYPE, f"{log}.csv", cursors.encode(next_key))
    data, next_key = _collect(log, query.wanted(), after, _ndjson_rows, deps.reads)
    return _file(data, NDJSON_TYPE, f"{log}.ndjson", cursors.encode(next_key))


def csv_rows(events: Sequence[PublicForm], *, header: bool = False) -> bytes:
    """Rows of CSV (RFC 4180). A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(COLUMNS)
    for event in events:
        facts = json.dumps(event["facts"], ensure_ascii=False) if event["facts"] else ""
        writer.writerow([_cell(value) for value in ({**event, "facts": facts}[column] for column in COLUMNS)])
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def _ndjson_rows(events: Sequence[PublicForm]) -> bytes:
    lines = (json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n" for event in events)
    return "".join(lines).encode("utf-8", "backslashreplace")


def _collect(
    log: str,
    wanted: EventFilter,
    after: str | None,
    rows: Callable[[Sequence[PublicForm]], bytes],
    reads: AuditReads,
) -> tuple[bytes, str | None]:
    """The rows of as many events as fit, and the key after which the next part begins."""
    parts, size = list[bytes](), 0
    for _ in range(READS_MAX):
        page = reads.page(log, wanted, after, EVENTS_PER_READ)
        for event in page.events:
            row = rows([event])
            size += len(row)
            if parts and size > BYTES_MAX:
                return b"".join(parts), after
            parts.append(row)
            after = EVENT_CURSOR + event["id"]
        after = page.next_key
        if after is None:
            break
    return b"".join(parts), after


def _proof(log: str, cursor: str | None, seals: AuditSeals) -> LogAnswer:
    position = (cursors.decode(cursor, SEAL_CURSOR) or SEAL_CURSOR + "0").removeprefix(SEAL_CURSOR)
    if not position.isascii() or not position.isdecimal() or len(position) > 12:
        raise ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])
    sealed, last = build_proof(log, int(position), reads=seals, bytes_max=BYTES_MAX)
    next_cursor = cursors.encode(f"{SEAL_CURSOR}{last}" if last else None)
    return _file(proof_lines(log, sealed, next_cursor), NDJSON_TYPE, f"{log}.proof.ndjson", next_cursor)


def _file(data: bytes, content_type: str, name: str, next_cursor: str | None) -> LogAnswer:
    headers = {"Content-Type": content_type, "Content-Disposition": f'attachment; filename="{name}"'}
    return LogAnswer(data, headers | ({"Atelier-Next-Cursor": next_cursor} if next_cursor else {}))
