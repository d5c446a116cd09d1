"""DynamoDB through PynamoDB: the base of every stored item, one shared client, and the reading of transaction errors.

PynamoDB creates a client for each model, and a cold start would pay for each. Here all models share one connection.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from secrets import SystemRandom
from typing import Any, Self, TypeVar, cast

from botocore.session import Session
from pynamodb.attributes import JSONAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import DeleteError, PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from atelier.adapters.aws.clients import session
from atelier.errors import Unavailable
from atelier.retrying import retrying


class _Connection(Connection):
    @property
    def session(self) -> Session:
        return session()


ItemT = TypeVar("ItemT", bound="Item")
ResultT = TypeVar("ResultT")
FILTERED_PAGE_SIZE = 100
PAGES_MAX = 10
READ_ATTEMPTS_MAX = 5
# Error codes of a single write whose condition did not hold; and of one that failed because the item has changed, or is
# just being changed by a transaction.
CONDITION_FAILED = frozenset(["ConditionalCheckFailedException"])
CONFLICT_CODES = CONDITION_FAILED | {"TransactionConflictException"}
RETRYABLE_CODES = {
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ThrottlingError",
    "ThrottlingException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "InternalServerError",
}
# The address of an item in any table: its model class, `pk` and `sk`.
ItemAddress = tuple[type["Item"], str, str]


@cache
def connection() -> Connection:
    """The process's only DynamoDB client. Its time-outs are short, because a Lambda that waits on a dead socket is
    billed."""
    return _Connection(connect_timeout_seconds=2, read_timeout_seconds=5, max_retry_attempts=4, max_pool_connections=50)


class Item(Model):
    """Base of the stored items: string keys `pk` and `sk`; the table's name is bound by `wiring/`, never at import."""

    class Meta:
        table_name = None

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)

    @classmethod
    def bind(cls, table_name: str) -> None:
        """Set the table of this item."""
        meta = type("Meta", (Item.Meta,), {"table_name": table_name})
        cls.Meta = meta  # pyright: ignore[reportAttributeAccessIssue, reportIncompatibleVariableOverride]

    @classmethod
    def _get_connection(cls) -> TableConnection:
        table = super()._get_connection()
        shared = connection()
        if table.connection is not shared:
            # The connection keeps one description for each table: that of the first model, with the indexes of others.
            known = shared._tables.get(table.table_name)  # pyright: ignore[reportPrivateUsage]
            if known is None or cls._indexes:  # pyright: ignore[reportUnknownMemberType]
                described = table.get_meta_table()
                if known is not None:
                    _keep_indexes(cast("dict[str, Any]", described.data), cast("dict[str, Any]", known.data))
                shared._tables[table.table_name] = described  # pyright: ignore[reportPrivateUsage]
            table.connection = shared
        return table


def _keep_indexes(description: dict[str, Any], earlier: dict[str, Any]) -> None:
    """Add the indexes and attributes of an earlier description of the same table."""
    for part, name in (("GlobalSecondaryIndexes", "IndexName"), ("AttributeDefinitions", "AttributeName")):
        given: list[dict[str, Any]] = description.get(part) or []
        known: list[dict[str, Any]] = earlier.get(part) or []
        description[part] = [*given, *(each for each in known if each[name] not in {one[name] for one in given})]


class CompactJSON(JSONAttribute):
    """JSON without spaces, because stored bytes are billed."""

    def serialize(self, value: Any) -> str | None:
        if value is None:
            return None
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        # Half of a surrogate pair, which a provider may send, has no UTF-8 form, so such a text keeps its JSON escapes.
        return text if text.isascii() or _is_utf8(text) else json.dumps(value, separators=(",", ":"))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def conditional(write: Callable[[], object], failures: frozenset[str] = CONDITION_FAILED) -> bool:
    """Do a single write, and return whether its condition held. failures: the error codes that count as a condition
    that did not hold; other errors are raised."""
    try:
        write()
    except (PutError, UpdateError, DeleteError) as error:
        if error.cause_response_code not in failures:
            raise
        return False
    return True


def batch_read(addresses: Iterable[ItemAddress], *, eventual: Sequence[ItemAddress] = ()) -> dict[ItemAddress, Item]:
    """Read up to 100 items of several tables in one batch; PynamoDB's own batch reads a single table. eventual: more of
    them, whose tables are read with eventual consistency. Returns the existing items by their address. Raises
    Unavailable when DynamoDB leaves some unprocessed at every attempt."""
    address_of_key = {(model.Meta.table_name, pk, sk): (model, pk, sk) for model, pk, sk in chain(addresses, eventual)}
    eventual_tables = {model.Meta.table_name for model, _, _ in eventual}
    unprocessed: dict[str, Any] = {}
    for table, pk, sk in address_of_key:
        is_consistent = table not in eventual_tables
        table_request = unprocessed.setdefault(str(table), {"Keys": [], "ConsistentRead": is_consistent})
        table_request["Keys"].append({"pk": {"S": pk}, "sk": {"S": sk}})
    found: dict[ItemAddress, Item] = {}
    for tries in range(READ_ATTEMPTS_MAX):
        dispatch = cast("Callable[[str, dict[str, Any]], dict[str, Any]]", connection().dispatch)
        response = dispatch("BatchGetItem", {"RequestItems": unprocessed})
        for table, items in response["Responses"].items():
            for item in items:
                place = address_of_key[table, item["pk"]["S"], item["sk"]["S"]]
                found[place] = place[0].from_raw_data(item)
        unprocessed = response.get("UnprocessedKeys") or {}
        if not unprocessed:
            return found
        pause_with_jitter(tries)
    raise Unavailable("The database is busy. Try again.")


class TransactionFailed(Exception):
    """Nothing of a transaction was written."""


class TransactionConflict(TransactionFailed):
    """A parallel write or throttling stopped the transaction; the same transaction can be tried again."""


class ConditionsFailed(TransactionFailed):
    """Conditions of a transaction did not hold. `parts`: the names of the parts that they belong to."""

    def __init__(self, parts: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(parts)))
        self.parts = parts


class Transaction:
    """A write transaction, used as a context manager: written at the end of the block, all or nothing.

    Each part with a condition has a name, by which ConditionsFailed tells what failed; parts may share a name. Raises
    TransactionConflict or ConditionsFailed; the error of PynamoDB when the cause is neither."""

    def __init__(self) -> None:
        self._write = TransactWrite(connection=connection())
        # PynamoDB sends the parts in this order of their kinds, and DynamoDB answers in the order of what was sent.
        self._parts: dict[str, list[str]] = {"check": [], "delete": [], "put": [], "update": []}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: object, error: object, traceback: object) -> None:
        if error_type is not None:
            return
        try:
            with self._write:
                pass
        except TransactWriteError as failure:
            parts = self._failed_parts(failure)
            raise (ConditionsFailed(parts) if parts else TransactionConflict()) from failure

    def check(self, model: type[Item], pk: str, sk: str, condition: Condition, *, part: str) -> None:
        """Write nothing, but require a condition of an item."""
        self._write.condition_check(model, pk, sk, condition=condition)
        self._parts["check"].append(part)

    def delete(self, item: Item, condition: Condition | None = None, *, part: str = "") -> None:
        """Delete an item."""
        self._write.delete(item, condition=condition)
        self._add("delete", condition, part)

    def save(self, item: Item, condition: Condition | None = None, *, part: str = "") -> None:
        """Write a whole item."""
        self._write.save(item, condition=condition)
        self._add("put", condition, part)

    def update(
        self, item: Item, actions: Sequence[Action], condition: Condition | None = None, *, part: str = ""
    ) -> None:
        """Change attributes of an item, which is created when it does not exist."""
        self._write.update(item, actions=list(actions), condition=condition)
        self._add("update", condition, part)

    def _add(self, kind: str, condition: Condition | None, part: str) -> None:
        assert part or condition is None, "A part with a condition needs a name."
        self._parts[kind].append(part)

    def _failed_parts(self, error: TransactWriteError) -> frozenset[str]:
        reasons = error.cancellation_reasons
        if not reasons:
            if error.cause_response_code in RETRYABLE_CODES:
                return frozenset()
            raise error
        codes = {reason.code for reason in reasons if reason}
        if not codes <= RETRYABLE_CODES | {"ConditionalCheckFailed"}:
            raise error
        names = chain.from_iterable(self._parts.values())
        return frozenset(
            name
            for name, reason in zip(names, reasons, strict=False)
            if reason and reason.code == "ConditionalCheckFailed"
        )


def transaction() -> Transaction:
    """A new write transaction."""
    return Transaction()


def retry_conflicts(write: Callable[[], ResultT], *, busy: str, tries_max: int) -> ResultT:
    """The result of `write`, which is called again, after a pause, when it raises TransactionConflict. Raises
    Unavailable with the text `busy` after `tries_max` attempts."""
    return retrying(write, on=TransactionConflict, busy=busy, tries_max=tries_max, pause=pause_with_jitter)


def write_transaction(add_writes: Callable[[Transaction], None], *, busy: str, tries_max: int) -> None:
    """Write a transaction that `add_writes` fills; again, with the same values, after TransactionConflict. Raises
    ConditionsFailed, and Unavailable with the text `busy` after `tries_max` attempts."""

    def write_once() -> None:
        with transaction() as write:
            add_writes(write)

    retry_conflicts(write_once, busy=busy, tries_max=tries_max)


def pause_with_jitter(tries: int) -> None:
    """Sleep a random time up to 10 ms · 2^tries, at most 0.3 s (full jitter), so that parallel writers spread out."""
    time.sleep(SystemRandom().uniform(0, min(0.01 * 2**tries, 0.3)))


def newest_page(
    model: type[ItemT],
    pk: str,
    bounds: tuple[str, str],
    *,
    matching: Condition | None,
    after: str | None,
    limit: int,
    mostly_matching: bool = False,
    accepts: Callable[[ItemT], bool] | None = None,
) -> tuple[list[ItemT], str | None]:
    """Up to `limit` items of a partition, newest first, and the sort key after which the next page begins (None at the
    end).

    bounds: lowest and highest sort key, both inclusive. Reads at most PAGES_MAX pages of DynamoDB: a filter that
    matches few items gives a short page with a key to continue from, not a long wait. mostly: nearly all items match,
    so no more items are read than without a filter. accepts: a filter that DynamoDB cannot apply, on each item."""
    lowest, highest = bounds
    highest = min(highest, after) if after else highest
    if lowest > highest:
        return [], None

    key = Item.sk.between(lowest, highest)
    # One item more shows whether there is a next page; another one is needed for the item that the cursor names.
    filtered = accepts is not None or (matching is not None and not mostly_matching)
    size = FILTERED_PAGE_SIZE if filtered else limit + 2

    found: list[ItemT] = []
    results = model.query(pk, key, filter_condition=matching, scan_index_forward=False, page_size=size)
    pages = cast("Iterator[dict[str, Any]]", results.page_iter)  # pyright: ignore[reportUnknownMemberType]
    for page in islice(pages, PAGES_MAX):
        for item in map(model.from_raw_data, page["Items"]):
            if len(found) == limit:
                return found, found[-1].sk
            if item.sk != after and (accepts is None or accepts(item)):
                found.append(item)
    last = results.last_evaluated_key
    return found, last["sk"]["S"] if last else None
