"""Assets of generations that tests write themselves."""

from __future__ import annotations

from atelier.adapters.aws.dynamodb import ConditionsFailed, transaction
from atelier.adapters.aws.dynamodb.library import put_delivered
from atelier.adapters.aws.dynamodb.usage import STORAGE, put_usage
from atelier.generations.model import DeliveredFile, Generation


def record_asset(generation: Generation, delivered: DeliveredFile, number: int = 0) -> None:
    """Record a delivered file as an asset without ending its generation, as the product did until 2026-11-29. The items
    of the library must be bound to their table. Safe to repeat."""
    try:
        with transaction() as write:
            put_delivered(write, generation, number, delivered)
            put_usage(write, generation.workspace_id, STORAGE, delivered.size_bytes)
    except ConditionsFailed:
        pass
