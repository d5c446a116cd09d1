"""DynamoDB through PynamoDB: the base of every stored item, one shared client, and how a transaction's failure reads.

PynamoDB makes a client per model; a cold start would pay for each. Here all models share one connection.
"""

from __future__ import annotations

from functools import cache

from botocore.session import Session
from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from atelier.aws.clients import session


class _Connection(Connection):
    @property
    def session(self) -> Session:
        return session()


@cache
def connection() -> Connection:
    """The process's one DynamoDB client. Short time-outs: a Lambda that hangs on a dead socket is billed for it."""
    return _Connection(connect_timeout_seconds=2, read_timeout_seconds=5, max_retry_attempts=4, max_pool_connections=16)


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
            if table.table_name not in shared._tables:  # pyright: ignore[reportPrivateUsage]
                shared.add_meta_table(table.get_meta_table())
            table.connection = shared
        return table


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
