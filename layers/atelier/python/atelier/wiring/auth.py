"""The gate (authorisation) and the limiter (rate limit) that every API function puts before its routes.

Both are made on the first request that needs them. The limiter reads no table until a subject has used up its share of
a minute in this worker, so a function that answers few requests never loads DynamoDB for it.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.caller import CallerGate
from atelier.identity.rate_limit import SparseLimiter
from atelier.settings import CallerRateLimits, IdentityTable, RequestsTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates


@cache
def gate() -> CallerGate[DynamoAccessReads]:
    """The gate that authorises a caller for a workspace; needs ATELIER_TABLE_IDENTITY."""
    from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads

    DynamoAccessReads.bind(IdentityTable.read().name)
    return CallerGate(DynamoAccessReads, DynamoAccessReads, lambda reads: None)


@cache
def spending_gate() -> CallerGate[DynamoAccessReads]:
    """The gate of functions whose callers spend credits. It reads the wallet in the same request as session and
    membership, and attaches it to the caller; needs ATELIER_TABLE_LEDGER as well."""
    from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads
    from atelier.adapters.aws.dynamodb.ledger.items import wallet_address, wallet_from_item
    from atelier.wiring.ledger import wallets

    DynamoAccessReads.bind(IdentityTable.read().name)
    wallets()  # Binds the wallet's items to their table.
    return CallerGate(
        DynamoAccessReads, partial(DynamoAccessReads, wallet_address), lambda reads: wallet_from_item(reads.prefetched)
    )


@cache
def limiter() -> SparseLimiter:
    """The limiter that counts requests per account and per address; needs ATELIER_TABLE_REQUESTS."""
    return SparseLimiter(_windows, CallerRateLimits.read().requests_per_minute)


@cache
def _windows() -> DynamoRequestRates:
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates

    DynamoRequestRates.bind(RequestsTable.read().name)
    return DynamoRequestRates()
