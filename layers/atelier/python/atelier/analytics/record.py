"""Count facts, each once, whatever is delivered twice, late, in another order, or again after a crash.

A transaction adds the facts of a chunk to the sums, and writes receipts with their digests: one for each *window*, some
minutes in which the facts happened, under the next number of that window. A fact always has the same window, so it was
counted exactly if it is in a receipt of that window. Two writers cannot write the same receipt; who is second reads
again what was counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from datetime import datetime

from atelier.analytics.model import Fact, Row, add_rows, digest, window_of
from atelier.analytics.ports import FactLog, ReceiptTaken
from atelier.dataclass import dataclass
from atelier.retrying import retrying
from atelier.telemetry import logger

TRIES_MAX = 20
# A transaction has at most 100 items: rows, receipts, and a mark for each hour.
CHUNK_ITEMS_MAX = 90
# Each fact may add further counters to the update of a row, which has at most 300.
CHUNK_FACTS_MAX = 150
BUSY = "The sums of this workspace are changed by others. Try again."


@dataclass(frozen=True, slots=True)
class RecordDeps:
    """The dependencies. `pause(tries)` waits a little after a parallel writer was first."""

    log: FactLog
    pause: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one transaction counts."""

    facts: list[Fact] = field(default_factory=list[Fact])
    rows: set[Row] = field(default_factory=set[Row])
    windows: set[datetime] = field(default_factory=set[datetime])

    def takes(self, fact: Fact) -> bool:
        rows, windows = self.rows | fact.counts.keys(), self.windows | {window_of(fact.at)}
        hours = {(row.dataset, row.hour) for row in rows}
        fits = len(rows) + len(windows) + len(hours) <= CHUNK_ITEMS_MAX and len(self.facts) < CHUNK_FACTS_MAX
        return fits or not self.facts

    def append(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.rows.update(fact.counts)
        self.windows.add(window_of(fact.at))


def record_batch(facts: Mapping[str, Iterable[Fact]], *, deps: RecordDeps) -> None:
    """Count the facts of each workspace. A workspace that fails does not delay the others, but the batch fails at the
    end (an ExceptionGroup) and is repeated."""
    failures: list[Exception] = []
    for workspace_id, of_workspace in facts.items():
        try:
            counted = record(workspace_id, of_workspace, deps=deps)
        except Exception as error:
            logger.exception("not counted", workspace_id=workspace_id)
            failures.append(error)
            continue
        logger.info("counted", workspace_id=workspace_id, facts=counted)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(facts)} workspaces could not be counted", failures)


def record(workspace_id: str, facts: Iterable[Fact], *, deps: RecordDeps) -> int:
    """Count those of a workspace's facts that were not counted yet; returns how many. Raises Unavailable when parallel
    writers were first at every attempt."""
    by_digest = {digest(fact.id): fact for fact in facts}
    counted = 0

    def attempt() -> None:
        nonlocal counted
        numbers = dict[datetime, int]()
        uncounted = dict(by_digest)
        for window in sorted({window_of(fact.at) for fact in by_digest.values()}):
            receipts = deps.log.counted(workspace_id, window)
            numbers[window] = len(receipts)
            for each in frozenset[bytes]().union(*receipts):
                uncounted.pop(each, None)
        for chunk in _chunks(uncounted.values()):
            _count(workspace_id, chunk, numbers, deps.log)
            counted += len(chunk.facts)

    retrying(attempt, on=ReceiptTaken, busy=BUSY, tries_max=TRIES_MAX, pause=deps.pause)
    return counted


def _chunks(facts: Iterable[Fact]) -> Iterator[_Chunk]:
    chunk = _Chunk()
    # In the order of time, so that a chunk has few hours and windows.
    for fact in sorted(facts, key=lambda fact: (fact.at, fact.id)):
        if not chunk.takes(fact):
            yield chunk
            chunk = _Chunk()
        chunk.append(fact)
    if chunk.facts:
        yield chunk


def _count(workspace_id: str, chunk: _Chunk, numbers: dict[datetime, int], log: FactLog) -> None:
    """Count a chunk; `numbers` are the next receipts' numbers by window, and are those after this chunk then."""
    receipts: defaultdict[tuple[datetime, int], list[bytes]] = defaultdict(list)
    sums: dict[Row, dict[str, int]] = {}
    for fact in chunk.facts:
        window = window_of(fact.at)
        receipts[window, numbers[window]].append(digest(fact.id))
        add_rows(sums, fact.counts)
    log.count(workspace_id, receipts, sums)
    for window in chunk.windows:
        numbers[window] += 1
