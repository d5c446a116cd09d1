"""The records of exports, read page by page from the tables of their contexts and turned into rows without building
values: a million rows are read, and most of the time is spent here.

Reads are consistent, so that what was written before the cut is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from atelier.adapters.aws.dynamodb import READ_ATTEMPTS_MAX, connection, pause_with_jitter
from atelier.adapters.aws.dynamodb.analytics.items import hour_text, row_of
from atelier.analytics.model import COUNTERS, Counts, Dataset, Group, Sums, add, hour_of
from atelier.analytics.sketch import percentile
from atelier.clock import next_midnight, rfc3339
from atelier.errors import Unavailable
from atelier.exports.columns import Value
from atelier.exports.model import Export
from atelier.exports.ports import RecordPage
from atelier.ids import created_at, floor_id

# A stored item in DynamoDB's JSON.
RawItem = Mapping[str, Mapping[str, Any]]
Row = tuple[Value, ...]
# Of recipes that are stored apart: how many are read at a time (DynamoDB takes 100), and how much of them a page holds.
RECIPES_PER_READ = 25
RECIPE_BYTES_MAX = 4 * 1024 * 1024
_RANDOM_CHARACTERS = 16
DAY, HOUR, MILLISECOND = timedelta(days=1), timedelta(hours=1), timedelta(milliseconds=1)


def _dispatch(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    return cast("Callable[[str, dict[str, Any]], dict[str, Any]]", connection().dispatch)(operation, request)


def query_page(table: str, pk: str, bounds: tuple[str, str], after: str | None) -> tuple[Sequence[RawItem], str | None]:
    """The items of a page (1 MB) in the order of their keys, and the key after which the next one begins. bounds: the
    lowest and the highest sort key, both inclusive."""
    lowest, highest = bounds
    request: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :lowest AND :highest",
        "ExpressionAttributeValues": {":pk": {"S": pk}, ":lowest": {"S": lowest}, ":highest": {"S": highest}},
        "ConsistentRead": True,
    }
    if after is not None:
        request["ExclusiveStartKey"] = {"pk": {"S": pk}, "sk": {"S": after}}
    response = _dispatch("Query", request)
    last = response.get("LastEvaluatedKey")
    return response["Items"], last["sk"]["S"] if last else None


def time_prefix(prefix: str, at: datetime) -> str:
    """What all ids of the millisecond `at` begin with; a longer key that begins so is higher."""
    return floor_id(prefix, at)[:-_RANDOM_CHARACTERS]


class GenerationRecords:
    """Records of generations: by the time of their id."""

    def __init__(self, table: str) -> None:
        self._table = table

    def page(self, export: Export, after: str | None) -> RecordPage:
        """One page."""
        bounds = (time_prefix("gen", export.begin), time_prefix("gen", export.end))
        items, last = query_page(self._table, export.workspace_id, bounds, after)
        # A stage has the time of its run in its id, but is created later.
        cut_at = rfc3339(export.cut_at)
        written = [item for item in items if item["created_at"]["S"] < cut_at]
        recipes, left = self._recipes(export.workspace_id, written)
        if left:
            # The page would take too much memory: the next one begins with the rest of it.
            written = written[: -len(left)]
            last = written[-1]["sk"]["S"]
        return RecordPage([generation_row(item, recipes[item["sk"]["S"]]) for item in written], last)

    def _recipes(self, workspace_id: str, items: list[RawItem]) -> tuple[dict[str, str | None], list[RawItem]]:
        """The recipes of items, by id, and the items whose recipes would be more than RECIPE_BYTES_MAX. Long recipes
        are stored apart."""
        recipes: dict[str, str | None] = {}
        size = 0
        for first in range(0, len(items), RECIPES_PER_READ):
            part = items[first : first + RECIPES_PER_READ]
            recipes |= {item["sk"]["S"]: item["recipe"]["S"] if "recipe" in item else None for item in part}
            apart = [f"request#{item['sk']['S']}" for item in part if "recipe" not in item]
            for item in _batch_get(self._table, workspace_id, apart):
                recipe = item["recipe"]["S"]
                recipes[item["sk"]["S"].removeprefix("request#")] = recipe
                size += len(recipe)
            if size > RECIPE_BYTES_MAX:
                return recipes, items[first + RECIPES_PER_READ :]
        return recipes, []


def _batch_get(table: str, pk: str, sort_keys: Sequence[str]) -> Iterator[RawItem]:
    if not sort_keys:
        return
    keys = [{"pk": {"S": pk}, "sk": {"S": sk}} for sk in sort_keys]
    unprocessed: dict[str, Any] = {table: {"Keys": keys, "ConsistentRead": True}}
    for tries in range(READ_ATTEMPTS_MAX):
        response = _dispatch("BatchGetItem", {"RequestItems": unprocessed})
        yield from response["Responses"].get(table, ())
        unprocessed = response.get("UnprocessedKeys") or {}
        if not unprocessed:
            return
        pause_with_jitter(tries)
    raise Unavailable("The database is busy. Try again.")


def generation_row(item: RawItem, recipe: str | None) -> Row:
    """The row of a stored generation."""
    text, number = _reader(item, "S"), _reader(item, "N")
    attempts: list[dict[str, Any]] = json.loads(text("attempts") or "[]")
    usage: dict[str, int] = json.loads(text("usage") or "{}")
    failure: dict[str, str] = json.loads(text("failure") or "{}")
    return (
        text("sk"),
        text("created_at"),
        text("started_at"),
        text("completed_at"),
        text("status"),
        text("kind"),
        text("user_id"),
        text("token_id"),
        text("project_id"),
        text("provider"),
        text("model"),
        "key" in attempts[-1] if attempts else None,
        int(number("attempt_count") or 0),
        int(number("credits_held") or 0),
        int(number("credits_charged") or 0),
        int(number("cost_microusd") or 0),
        text("cost_source") or "estimate",
        usage.get("tokens_input"),
        usage.get("tokens_cached"),
        usage.get("tokens_output"),
        len(json.loads(text("assets") or "[]")),
        failure.get("error_class"),
        text("reused_from"),
        text("pipeline"),
        text("parent_id"),
        text("stage"),
        json.loads(recipe)["prompt"] if recipe else None,
    )


class EntryRecords:
    """Entries of the ledger's movements: by their place in the statement."""

    def __init__(self, table: str) -> None:
        self._table = table

    def page(self, export: Export, after: str | None) -> RecordPage:
        """One page."""
        lowest, highest = (f"movement#{time_prefix('mov', at)[4:]}" for at in (export.begin, export.end))
        items, last = query_page(self._table, export.workspace_id, (lowest, highest), after)
        cut_at = rfc3339(export.cut_at)
        written = (item for item in items if item["at"]["S"] < cut_at)
        return RecordPage([row for item in written for row in movement_rows(item)], last)


def movement_rows(item: RawItem) -> Iterator[Row]:
    """A row for each entry of a stored movement."""
    text = _reader(item, "S")
    entries: list[dict[str, Any]] = json.loads(text("entries") or "[]")
    order = (text("sk") or "").split("#")[1]
    return entry_rows(text("key"), order, text("at"), text("kind"), text("subject"), entries, text("facts"))


def entry_rows(
    key: str | None,
    order: str,
    at: str | None,
    kind: str | None,
    subject: str | None,
    entries: list[dict[str, Any]],
    facts: str | None,
) -> Iterator[Row]:
    """A row for each entry of a movement. entries: {account, amount, grant}; facts: JSON."""
    ordered_at = rfc3339(created_at(f"mov_{order}"))
    for number, entry in enumerate(entries):
        amounts = (entry["account"], entry["amount"], entry["grant"])
        yield (key, number, ordered_at, at, kind, subject, *amounts, facts)


class AuditRecords:
    """Events of a workspace's audit log."""

    def __init__(self, table: str) -> None:
        self._table = table

    def page(self, export: Export, after: str | None) -> RecordPage:
        """One page. An event's id has the time at which it is written, so the range ends before the cut."""
        lowest, highest = (f"event#{time_prefix('adt', at)}" for at in (export.begin, export.end))
        items, last = query_page(self._table, export.workspace_id, (lowest, highest), after)
        return RecordPage(list(map(audit_row, items)), last)


class UsageRecords:
    """Sums of usage by day and finest group, from the rows of hours. A page is a day."""

    def __init__(self, table: str) -> None:
        self._table = table

    def page(self, export: Export, after: str | None) -> RecordPage:
        """The next day; `after` is the day before."""
        # Hours that are not over at the end of the time are left out.
        begin, end = hour_of(export.begin + HOUR - MILLISECOND), hour_of(export.end)
        first = begin if after is None else datetime.fromisoformat(f"{after}T00:00:00+00:00") + DAY
        if first >= end:
            return RecordPage([], None)
        midnight = next_midnight(first)
        sums: Sums = {}
        for item in self._items(export.workspace_id, first, min(midnight, end)):
            counts = {name: int(value["N"]) for name, value in item.items() if "N" in value}
            add(sums, row_of(item["sk"]["S"]).group, counts)
        day = f"{first:%Y-%m-%d}"
        rows = [usage_row(day, group, sums[group]) for group in sorted(sums, key=repr)]
        return RecordPage(rows, day if midnight < end else None)

    def _items(self, workspace_id: str, first: datetime, end: datetime) -> Iterator[RawItem]:
        bounds = (f"row#{Dataset.USAGE.value}#{hour_text(first)}", f"row#{Dataset.USAGE.value}#{hour_text(end)}")
        after: str | None = None
        while True:
            items, after = query_page(self._table, workspace_id, bounds, after)
            yield from items
            if after is None:
                return


def usage_row(day: str, group: Group, counts: Counts) -> Row:
    """The row of a group's sums of a day."""
    names = (group.project, group.token, group.user, group.provider, group.model, group.kind)
    percentiles = (percentile(counts, 0.5), percentile(counts, 0.95))
    return (day, *(name or None for name in names), *(counts.get(name, 0) for name in COUNTERS), *percentiles)


def audit_row(item: RawItem) -> Row:
    """The row of a stored audit event."""
    text = _reader(item, "S")
    names = ("at", "actor", "token_id", "action", "target", "outcome", "address", "user_agent", "request_id", "facts")
    return ((text("sk") or "").removeprefix("event#"), *map(text, names))


def _reader(item: RawItem, type: str) -> Callable[[str], str | None]:
    """Reads attributes of an item that are all of one type."""

    def read(name: str) -> str | None:
        attribute = item.get(name)
        return attribute.get(type) if attribute else None

    return read
