"""The stored form of kept sums: compressed JSON, in as many parts as items need.

Each group is `[project, token, user, model, kind, {code: number}, [first bucket, count, count, …]]`; the counts of
consecutive buckets of durations take a tenth of the space of named ones.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from atelier.adapters.aws.dynamodb.analytics.counter_codes import code, counter
from atelier.analytics.model import Counts, Group, Sums
from atelier.analytics.sketch import PREFIX

# Groups are cut into parts of this many bytes before they are compressed, far below an item's 400 KB.
PART_BYTES = 600_000


def encode_parts(sums: Mapping[Group, Counts]) -> list[bytes]:
    """The parts, at least one. Equal sums have equal parts."""
    parts: list[list[str]] = [[]]
    size = 0
    for group, counts in sorted(sums.items(), key=lambda each: _names(each[0])):
        text = json.dumps([*_names(group), *_encode_counts(counts)], separators=(",", ":"))
        if size + len(text) > PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(text)
        size += len(text) + 1
    return [zlib.compress(f"[{','.join(texts)}]".encode(), 9) for texts in parts]


def decode_parts(parts: Iterable[bytes]) -> Sums:
    """The inverse of `encode_parts`."""
    sums: Sums = {}
    for part in parts:
        for *names, numbers, buckets in json.loads(zlib.decompress(part)):
            sums[Group(*names)] = _decode_counts(numbers, buckets)
    return sums


def _names(group: Group) -> list[str]:
    return [group.project, group.token, group.user, group.model, group.kind]


def _encode_counts(counts: Counts) -> tuple[dict[str, int], list[int]]:
    numbers = {code(name): value for name, value in sorted(counts.items()) if value and not name.startswith(PREFIX)}
    buckets = {int(name[len(PREFIX) :]): value for name, value in counts.items() if value and name.startswith(PREFIX)}
    if not buckets:
        return numbers, []
    first = min(buckets)
    return numbers, [first, *(buckets.get(place, 0) for place in range(first, max(buckets) + 1))]


def _decode_counts(numbers: dict[str, Any], buckets: list[int]) -> dict[str, int]:
    counts = {counter(name): int(value) for name, value in numbers.items()}
    if buckets:
        first, *in_order = buckets
        counts |= {f"{PREFIX}{first + place}": value for place, value in enumerate(in_order) if value}
    return counts
