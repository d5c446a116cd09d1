"""Request units of a DynamoDB call, as AWS bills them, from the sizes of the items that it read or wrote.

Rules (DynamoDB developer guide, "Item sizes and formats" and "Capacity unit consumption"): a write costs one unit per
started KiB of the larger of the item before and after; a strongly consistent read one per started 4 KiB, an eventually
consistent one half of that; a query is rounded up once for all items it read; everything inside a transaction counts
twice; an index costs a write of its own for each entry added, removed or changed. Where AWS does not say whether an
index write caused by a transaction counts twice, it does here.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Mapping[str, Any]]

WRITE_BYTES = 1024
READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Units:
    """Write and read request units. Halves are exact: an eventually consistent read is 0.5."""

    write: float = 0
    read: float = 0

    def __add__(self, other: Units) -> Units:
        return Units(self.write + other.write, self.read + other.read)

    def __mul__(self, factor: float) -> Units:
        return Units(self.write * factor, self.read * factor)


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: its key attributes, and what it carries beside them and the table's own keys."""

    keys: tuple[str, ...]
    table_keys: tuple[str, ...]
    projected: tuple[str, ...] | None = ()
    """Attribute names; None = all of them."""

    def entry(self, item: Item | None) -> Item | None:
        """What the index stores for `item`; None when the item lacks one of the index's keys."""
        if item is None or not all(key in item for key in self.keys):
            return None
        if self.projected is None:
            return item
        return {name: item[name] for name in {*self.keys, *self.table_keys, *self.projected} if name in item}


def item_bytes(item: Item | None) -> int:
    """Size of an item in DynamoDB's JSON form (`{"pk": {"S": "…"}}`); 0 for a missing one."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in (item or {}).items())


def write_units(before: Item | None, after: Item | None, indexes: Sequence[Index] = ()) -> Units:
    """The units of a write that made `after` of `before` (None = no item). A refused write has `after` = `before`."""
    units = max(1, math.ceil(max(item_bytes(before), item_bytes(after)) / WRITE_BYTES))
    return Units(write=units + sum(count for index in indexes for _, count in index_writes(index, before, after)))


def index_writes(index: Index, before: Item | None, after: Item | None) -> list[tuple[Item, int]]:
    """The entries of an index that a write adds, removes or changes, and the write units of each."""
    old, new = index.entry(before), index.entry(after)
    if old == new:
        return []
    moved = old and new and any(old[key] != new[key] for key in index.keys)
    sides = [[old], [new]] if moved else [[old, new]]
    return [
        (entry, max(1, math.ceil(max(map(item_bytes, pair)) / WRITE_BYTES)))
        for pair in sides
        if (entry := pair[-1] or pair[0]) is not None
    ]


def read_units(item: Item | None, *, consistent: bool) -> Units:
    """The units of reading one item by its key; a missing item costs as much as the smallest one."""
    return query_units([item] if item else [], consistent=consistent)


def query_units(items: Sequence[Item], *, consistent: bool) -> Units:
    """The units of one page of a query or scan that read `items`, before any filter or projection."""
    pages = max(1, math.ceil(sum(map(item_bytes, items)) / READ_BYTES))
    return Units(read=pages if consistent else pages / 2)


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_bytes(content)
        case "B":
            return _binary_bytes(content)
        case "BOOL" | "NULL":
            return 1
        case "SS":
            return sum(len(text.encode()) for text in content)
        case "NS":
            return sum(map(_number_bytes, content))
        case "BS":
            return sum(map(_binary_bytes, content))
        case "L":
            return 3 + sum(1 + _value_bytes(element) for element in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_bytes(element) for name, element in content.items())
        case _:
            raise ValueError(f"no DynamoDB type {kind!r}")


def _number_bytes(number: str) -> int:
    digits = number.lower().partition("e")[0].lstrip("+-").replace(".", "").strip("0")
    return math.ceil(len(digits) / 2) + 1 + number.startswith("-")


def _binary_bytes(content: str | bytes) -> int:
    return len(content) if isinstance(content, bytes) else len(base64.b64decode(content))
