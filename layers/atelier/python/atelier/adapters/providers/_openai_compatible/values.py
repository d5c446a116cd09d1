"""Reads JSON that may hold anything: each function returns a value of the type that it names."""

from __future__ import annotations

from typing import Any, cast

JsonObject = dict[str, Any]
COUNT_MAX = 10**12


def known_counts(**found: int | None) -> dict[str, int]:
    """The counts that the provider reported: a missing count is not a zero."""
    return {name: number for name, number in found.items() if number is not None}


def as_count(value: object) -> int | None:
    """The value if it is an integer from 0 to COUNT_MAX, else None."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < COUNT_MAX else None


def as_object(value: object) -> JsonObject:
    """The value if it is a JSON object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def as_objects(value: object) -> list[JsonObject]:
    """The JSON objects in the value if it is a list, else an empty list."""
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("JsonObject", entry) for entry in entries if isinstance(entry, dict)]
