"""Counts as number attributes of an item, and as the actions that add to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import Item
from atelier.adapters.aws.dynamodb.analytics.counter_codes import code, counter
from atelier.analytics.model import Counts

_KEYS = frozenset(["pk", "sk"])


def additions(counts: Counts) -> list[Action]:
    """Add counts to an item, which is created when it does not exist. Nothing is read for it."""
    return [Path([code(name)]).add(number) for name, number in sorted(counts.items()) if number]


def counts_of(item: Mapping[str, Any]) -> dict[str, int]:
    """The counts of an item in DynamoDB JSON, without zeros."""
    numbers = {name: int(value["N"]) for name, value in item.items() if name not in _KEYS}
    return {counter(name): number for name, number in numbers.items() if number}


def raw_items(model: type[Item], pk: str, keys: Condition, *, consistent: bool) -> Iterator[dict[str, Any]]:
    """The items of a partition, in order, in DynamoDB JSON: their counts have names that no model declares."""
    found = model.query(pk, keys, consistent_read=consistent)
    for page in cast("Iterator[dict[str, Any]]", found.page_iter):  # pyright: ignore[reportUnknownMemberType]
        yield from page["Items"]
