"""What analytics has counted of a workspace, and what it must have counted: the sum over the stored records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from atelier.adapters.aws.dynamodb.analytics.records import (
    generation_contribution,
    movement_contribution,
    refusal_contribution,
)
from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSums
from atelier.analytics.model import Counts, Dataset, Row
from atelier.generations.model import Generation
from atelier.generations.prompt_refusal import PromptRefusal
from atelier.ledger.model import Movement

EVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
Rows = dict[Row, dict[str, int]]


def counted_rows(workspace_id: str) -> Rows:
    """The rows of a workspace. The table's name must be bound."""
    reads = DynamoSums(consistent=True)
    return {
        row: dict(counts) for dataset in Dataset for row, counts in reads.rows(workspace_id, dataset, *EVER) if counts
    }


def rows_of_records(
    generations: Iterable[Generation], movements: Iterable[Movement], refusals: Iterable[PromptRefusal] = ()
) -> Rows:
    """The sum of the contributions of generations, with their stages, of movements, and of refused requests."""
    rows: Rows = {}
    contributions = [
        *map(generation_contribution, generations),
        *map(movement_contribution, movements),
        *map(refusal_contribution, refusals),
    ]
    for contribution in contributions:
        for row, counts in contribution.items():
            add_counts(rows, row, counts)
    return without_zeros(rows)


def add_counts(rows: Rows, row: Row, counts: Counts) -> None:
    """Add counts to a row."""
    kept = rows.setdefault(row, {})
    for name, number in counts.items():
        kept[name] = kept.get(name, 0) + number


def without_zeros(rows: Rows) -> Rows:
    """The rows without counters that are zero, and without empty rows."""
    found = {row: {name: number for name, number in counts.items() if number} for row, counts in rows.items()}
    return {row: counts for row, counts in found.items() if counts}


def total_of(rows: Rows, counter: str, dataset: Dataset) -> int:
    """The sum of a counter over all rows of a dataset."""
    return sum(counts.get(counter, 0) for row, counts in rows.items() if row.dataset is dataset)
