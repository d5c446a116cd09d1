"""Counting with a log in memory: how facts are cut into transactions, and what happens when another writer is first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from atelier.analytics.model import Counts, Dataset, Fact, Group, Row, hour_of
from atelier.analytics.ports import ReceiptTaken
from atelier.analytics.record import CHUNK_FACTS_MAX, CHUNK_ITEMS_MAX, TRIES_MAX, RecordDeps, record, record_batch
from atelier.errors import Unavailable

WORKSPACE, OTHER = "wsp_A", "wsp_B"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class LogInMemory:
    """Receipts and rows of workspaces. `taken`: so many writes find that another writer was first."""

    def __init__(self, taken: int = 0, broken: str = "") -> None:
        self.receipts: dict[tuple[str, datetime, int], frozenset[bytes]] = {}
        self.rows: dict[Row, dict[str, int]] = {}
        self.items: list[int] = []
        self.taken, self.broken = taken, broken

    def counted(self, workspace_id: str, window: datetime) -> list[frozenset[bytes]]:
        if workspace_id == self.broken:
            raise ConnectionError
        of_window = {key: digests for key, digests in self.receipts.items() if key[:2] == (workspace_id, window)}
        return [of_window[key] for key in sorted(of_window)]

    def count(
        self,
        workspace_id: str,
        receipts: Mapping[tuple[datetime, int], Collection[bytes]],
        counts: Mapping[Row, Counts],
    ) -> None:
        keys = [(workspace_id, window, number) for window, number in receipts]
        if self.taken or any(key in self.receipts for key in keys):
            self.taken -= 1
            raise ReceiptTaken
        self.receipts |= {(workspace_id, *place): frozenset(digests) for place, digests in receipts.items()}
        for row, of_row in counts.items():
            kept = self.rows.setdefault(row, {})
            for name, number in of_row.items():
                kept[name] = kept.get(name, 0) + number
        hours = {(row.dataset, row.hour) for row in counts}
        self.items.append(len(receipts) + len(counts) + len(hours))

    def total(self, counter: str) -> int:
        return sum(counts.get(counter, 0) for counts in self.rows.values())


def fact(number: int, at: datetime = NOON, groups: int = 1) -> Fact:
    """A fact of one request; there are facts of as many groups."""
    row = Row(Dataset.USAGE, hour_of(at), Group(model=f"local/{number % groups}"))
    return Fact(WORKSPACE, f"fact {number}", at, {row: {"requests": 1}})


def deps(log: LogInMemory) -> RecordDeps:
    return RecordDeps(log, lambda tries: None)


def test_facts_of_many_groups_are_counted_in_transactions_that_fit() -> None:
    log = LogInMemory()
    facts = [fact(number, NOON + timedelta(minutes=number % 90), groups=200) for number in range(1000)]
    assert record(WORKSPACE, facts, deps=deps(log)) == 1000
    assert max(log.items) <= CHUNK_ITEMS_MAX
    assert log.total("requests") == 1000
    assert record(WORKSPACE, facts, deps=deps(log)) == 0


def test_facts_of_one_row_are_counted_in_as_few_transactions_as_an_update_allows() -> None:
    log = LogInMemory()
    assert record(WORKSPACE, map(fact, range(2 * CHUNK_FACTS_MAX)), deps=deps(log)) == 2 * CHUNK_FACTS_MAX
    assert len(log.items) == 2
    assert sorted(number for _, _, number in log.receipts) == [0, 1]


def test_a_fact_that_comes_twice_in_a_batch_is_counted_once() -> None:
    log = LogInMemory()
    assert record(WORKSPACE, [fact(1), fact(2), fact(1)], deps=deps(log)) == 2
    assert log.total("requests") == 2


def test_a_fact_with_more_rows_than_a_transaction_is_counted_alone() -> None:
    log = LogInMemory()
    rows = {Row(Dataset.USAGE, NOON, Group(model=f"local/{number}")): {"requests": 1} for number in range(95)}
    assert record(WORKSPACE, [fact(1), Fact(WORKSPACE, "wide", NOON, rows)], deps=deps(log)) == 2
    assert log.items == [3, 97] or log.items == [97, 3]


def test_another_writer_is_tried_against_some_times() -> None:
    log = LogInMemory(taken=TRIES_MAX - 1)
    assert record(WORKSPACE, [fact(1)], deps=deps(log)) == 1
    with pytest.raises(Unavailable):
        record(WORKSPACE, [fact(2)], deps=deps(LogInMemory(taken=TRIES_MAX)))


def test_a_workspace_that_fails_does_not_delay_the_others() -> None:
    log = LogInMemory(broken=OTHER)
    with pytest.raises(ExceptionGroup, match="1 of 2 workspaces could not be counted"):
        record_batch({OTHER: [fact(1)], WORKSPACE: [fact(2)]}, deps=deps(log))
    assert log.total("requests") == 1
