"""Files for analysts: what ended on a day, in the whole deployment, as Parquet files that SQL engines read.

A file has what one shard of the workspaces did: each generation that ended on the day, and each entry of each movement
of credits. It is read from the stored records some hours after the day is over, when no late result can change it any
more, and stored under a name that follows from its content, so that writing it again changes nothing: each event is in
the files once, whatever crashed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from atelier.clock import parse_rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Unavailable
from atelier.exports.columns import ENTRIES, GENERATIONS, Column, ColumnType, Value
from atelier.exports.ports import ParquetFiles
from atelier.ledger.hash_chain import PublicForm
from atelier.ledger.ports import SealStore
from atelier.ledger.seal_movements import PAGES_PER_REQUEST_MAX, unsealed_movements
from atelier.telemetry import logger

# A late result comes at most an hour after the deadline, which is at most two hours after the generation's creation.
SETTLED_AFTER = timedelta(hours=3, minutes=30)
SEALS_PER_READ = 50
_WORKSPACE = Column("workspace_id", ColumnType.TEXT, "the workspace")
# Prompts are people's words, and no figures.
DAY_TABLES: Mapping[str, tuple[Column, ...]] = {
    "generations": (_WORKSPACE, *(column for column in GENERATIONS if column.name != "prompt")),
    "entries": (_WORKSPACE, *ENTRIES),
}
Rows = list[tuple[Value, ...]]


class DayRecords(Protocol):
    """Reads what the workspaces of a shard did on a day."""

    def workspaces(self, shard: int) -> Iterator[str]:
        """The workspaces of a shard, each once."""
        ...

    def written(self, workspace_id: str) -> int:
        """How many movements its wallet has."""
        ...

    def generations(self, workspace_id: str, day: date) -> Iterator[Rows]:
        """The generations that ended on the day, as rows without the workspace, in batches."""
        ...

    def entries(self, form: PublicForm) -> Rows:
        """The entries of a movement, as rows without the workspace."""
        ...


@dataclass(frozen=True, slots=True)
class DayFileDeps:
    """Dependencies."""

    records: DayRecords
    seals: SealStore
    files: ParquetFiles


class NotAllSealed(Unavailable):
    """Too many movements of a workspace wait for their seal to be found without one: the file is written later."""


def day_key(table: str, day: date, shard: int) -> str:
    """The key of a file."""
    return f"events/{table}/dt={day}/shard-{shard:02}.parquet"


def settled_day(now: datetime) -> date:
    """The last day whose files are complete when they are written now."""
    return (now - SETTLED_AFTER).date() - timedelta(days=1)


def write_shard(event: Mapping[str, Any], *, deps: DayFileDeps) -> dict[str, int]:
    """One visit of the state machine. event: {shard, started_at, day?}; without a day it is the last one that is
    settled at `started_at` (RFC 3339). Returns the rows of each table. Safe to repeat."""
    day = date.fromisoformat(event["day"]) if event.get("day") else settled_day(parse_rfc3339(event["started_at"]))
    shard = int(event["shard"])
    sources = {"generations": _generations, "entries": _entries}
    rows = {
        table: deps.files.write(day_key(table, day, shard), DAY_TABLES[table], source(shard, day, deps))
        for table, source in sources.items()
    }
    logger.info("day files written", day=str(day), shard=shard, rows=sum(rows.values()))
    return rows


def _generations(shard: int, day: date, deps: DayFileDeps) -> Iterator[Rows]:
    for workspace_id in deps.records.workspaces(shard):
        for rows in deps.records.generations(workspace_id, day):
            yield [(workspace_id, *row) for row in rows]


def _entries(shard: int, day: date, deps: DayFileDeps) -> Iterator[Rows]:
    for workspace_id in deps.records.workspaces(shard):
        for forms in _movements_of(workspace_id, day, deps):
            of_day = (form for form in forms if form["at"][:10] == str(day))
            yield [(workspace_id, *row) for form in of_day for row in deps.records.entries(form)]


def _movements_of(workspace_id: str, day: date, deps: DayFileDeps) -> Iterator[list[PublicForm]]:
    """The movements of the seals that can cover some of the day: a seal is never before a movement that it covers, so
    those before the day cannot. Found from the newest backwards, read forwards. Those that no seal covers yet are found
    beside them. Raises NotAllSealed when there are too many of these."""
    head = deps.seals.newest(workspace_id, consistent=True)
    missing = deps.records.written(workspace_id) - (head.count if head else 0)
    if missing > 0:
        forms = unsealed_movements(workspace_id, head, missing, seals=deps.seals, pages_max=PAGES_PER_REQUEST_MAX)
        if len(forms) < missing:
            raise NotAllSealed(f"Movements of {workspace_id} are not sealed yet.")
        yield forms
    if head is None or head.at[:10] < str(day):
        return
    first = head.number
    while first > 1:
        earlier = deps.seals.between(workspace_id, max(1, first - SEALS_PER_READ), first - 1)
        first = min([first, *(seal.number for seal in earlier if seal.at[:10] >= str(day))])
        if not earlier or earlier[0].at[:10] < str(day):
            break
    for number in range(first, head.number + 1, SEALS_PER_READ):
        for seal in deps.seals.between(workspace_id, number, min(number + SEALS_PER_READ - 1, head.number)):
            ids = [(order, key) for order, key, _ in seal.movements]
            yield deps.seals.public_movements_of(workspace_id, ids)
