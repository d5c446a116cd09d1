"""DynamoDB through PynamoDB: the base of every stored item, one shared client, and how a transaction's failure reads.

PynamoDB makes a client per model; a cold start would pay for each. Here all models share one connection.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, TypeVar, cast

from botocore.session import Session
from pynamodb.attributes import JSONAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from atelier.aws.clients import session
from atelier.errors import Unavailable


class _Connection(Connection):
    @property
    def session(self) -> Session:
        return session()


ItemT = TypeVar("ItemT", bound="Item")
FILTERED_PAGE = 100
PAGES_MAX = 10
READS_MAX = 5
# A place in some table: whose items it holds, `pk` and `sk`.
Wanted = tuple[type["Item"], str, str]


@cache
def connection() -> Connection:
    """The process's one DynamoDB client. Short time-outs: a Lambda that hangs on a dead socket is billed for it."""
    return _Connection(connect_timeout_seconds=2, read_timeout_seconds=5, max_retry_attempts=4, max_pool_connections=50)


class Item(Model):
    """Base of the stored items: string keys `pk` and `sk`; the table's name is bound by `wiring/`, never at import."""

    class Meta:
        table_name = None

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)

    @classmethod
    def bind(cls, table_name: str) -> None:
        """Say which table this item lives in."""
        meta = type("Meta", (Item.Meta,), {"table_name": table_name})
        cls.Meta = meta  # pyright: ignore[reportAttributeAccessIssue, reportIncompatibleVariableOverride]

    @classmethod
    def _get_connection(cls) -> TableConnection:
        table = super()._get_connection()
        shared = connection()
        if table.connection is not shared:
            # What a table is like is known by the class that came first, and of its indexes by those that have them.
            if table.table_name not in shared._tables or cls._indexes:  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
                shared._tables[table.table_name] = table.get_meta_table()  # pyright: ignore[reportPrivateUsage]
            table.connection = shared
        return table


class CompactJSON(JSONAttribute):
    """JSON without the spaces: they are billed like everything else."""

    def serialize(self, value: Any) -> str | None:
        if value is None:
            return None
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        # Half of a surrogate pair, as a provider may send it, has no UTF-8: it stays the escape that it came as.
        return text if text.isascii() or _is_utf8(text) else json.dumps(value, separators=(",", ":"))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_together(wanted: Iterable[Wanted]) -> dict[Wanted, Item]:
    """Items of several tables in one consistent read (at most 100), by where they were wanted; what does not exist is
    not there. PynamoDB's own batch reads one table. Raises Unavailable when DynamoDB does not come to it."""
    places = {(model.Meta.table_name, pk, sk): (model, pk, sk) for model, pk, sk in wanted}
    left: dict[str, Any] = {}
    for table, pk, sk in places:
        part = left.setdefault(str(table), {"Keys": [], "ConsistentRead": True})
        part["Keys"].append({"pk": {"S": pk}, "sk": {"S": sk}})
    found: dict[Wanted, Item] = {}
    for tries in range(READS_MAX):
        dispatch = cast("Callable[[str, dict[str, Any]], dict[str, Any]]", connection().dispatch)
        answer = dispatch("BatchGetItem", {"RequestItems": left})
        for table, items in answer["Responses"].items():
            for item in items:
                place = places[table, item["pk"]["S"], item["sk"]["S"]]
                found[place] = place[0].from_raw_data(item)
        left = answer.get("UnprocessedKeys") or {}
        if not left:
            return found
        pause(tries)
    raise Unavailable("The database is busy. Try again.")


def transaction(token: str | None = None) -> TransactWrite:
    """A write transaction, used as a context manager. `token` makes a lost answer's retry within 10 minutes one write;
    beyond that, and always, the conditions decide."""
    return TransactWrite(connection=connection(), client_request_token=token)


def failed_conditions(error: TransactWriteError) -> set[int]:
    """The positions of the transaction's parts whose condition did not hold. Parts count in DynamoDB's order of this
    adapter: condition checks, deletes, puts, updates. Empty when the transaction lost to a conflict or a throttle and
    may simply be tried again; raises the error itself when it is neither."""
    reasons = error.cancellation_reasons
    if not reasons:
        if error.cause_response_code in RETRYABLE:
            return set()
        raise error
    codes = {reason.code for reason in reasons if reason}
    if not codes <= RETRYABLE | {"ConditionalCheckFailed"}:
        raise error
    return {place for place, reason in enumerate(reasons) if reason and reason.code == "ConditionalCheckFailed"}


# A single write that did not happen because the item is no longer, or at this instant not, as it was seen.
MOVED = {"ConditionalCheckFailedException", "TransactionConflictException"}
RETRYABLE = {
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


def pause(tries: int) -> None:
    """Full jitter up to 10 ms · 2^tries, at most 0.3 s: parallel writers of one item spread out."""
    time.sleep(random.uniform(0, min(0.01 * 2**tries, 0.3)))  # nosec B311 - luck, not a secret


def newest_page(
    model: type[ItemT],
    pk: str,
    bounds: tuple[str, str],
    *,
    matching: Condition | None,
    after: str | None,
    limit: int,
    mostly: bool = False,
) -> tuple[list[ItemT], str | None]:
    """Up to `limit` items of a partition with sort keys within the inclusive bounds, newest first, and the key that the
    next page comes after. Reads a bounded number of pages: what matches rarely answers with a short page and a key to
    go on from, not with a long wait. mostly: nearly all items match, so no more are read than without a filter."""
    lowest, highest = bounds
    highest = min(highest, after) if after else highest
    if lowest > highest:
        return [], None
    key = Item.sk.between(lowest, highest)
    # One more to know whether there is a next page, one for the item that the cursor names.
    size = limit + 2 if matching is None or mostly else FILTERED_PAGE
    found: list[ItemT] = []
    results = model.query(pk, key, filter_condition=matching, scan_index_forward=False, page_size=size)
    pages = cast("Iterator[dict[str, Any]]", results.page_iter)  # pyright: ignore[reportUnknownMemberType]
    for page in islice(pages, PAGES_MAX):
        for item in map(model.from_raw_data, page["Items"]):
            if len(found) == limit:
                return found, found[-1].sk
            if item.sk != after:
                found.append(item)
    last = results.last_evaluated_key
    return found, last["sk"]["S"] if last else None
