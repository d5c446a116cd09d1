"""The gate (authorisation) and the limiter (rate limit) that every API function puts before its routes.

Both are made on the first request that needs them. The limiter reads no table until a subject has used up its share of
a minute in this worker, so a function that answers few requests never loads DynamoDB for it.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.caller import CallerGate
from atelier.identity.api_calls import MonthlyCalls
from atelier.identity.rate_limit import SparseLimiter
from atelier.identity.revocations import RevocationList
from atelier.settings import CallerRateLimits, IdentityTable, LibraryTable, RequestsTable

if TYPE_CHECKING:
    from datetime import datetime

    from atelier.adapters.aws.dynamodb.api_calls import DynamoApiCalls
    from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
    from atelier.catalogue.quotas import Quota


@cache
def gate() -> CallerGate[DynamoAccessReads]:
    """The gate that authorises a caller for a workspace; needs ATELIER_TABLE_IDENTITY."""
    from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads

    DynamoAccessReads.bind(IdentityTable.read().name)
    return CallerGate(DynamoAccessReads, DynamoAccessReads, lambda reads: (None, None), api_calls(), revoked)


@cache
def spending_gate() -> CallerGate[DynamoAccessReads]:
    """The gate of functions whose callers spend credits. It reads the wallet and the counter of stored bytes in the
    same request as session and membership, and attaches them to the caller; needs ATELIER_TABLE_LEDGER and
    ATELIER_TABLE_LIBRARY as well."""
    from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads
    from atelier.adapters.aws.dynamodb.ledger.items import wallet_address, wallet_from_item
    from atelier.adapters.aws.dynamodb.usage import UsageItem, storage_address, used_from_item
    from atelier.wiring.ledger import wallets

    DynamoAccessReads.bind(IdentityTable.read().name)
    wallets()  # Binds the wallet's items to their table.
    UsageItem.bind(LibraryTable.read().name)
    return CallerGate(
        DynamoAccessReads,
        partial(DynamoAccessReads, wallet_address, storage_address),
        lambda reads: (wallet_from_item(reads.wallet), used_from_item(reads.counter)),
        api_calls(),
        revoked,
    )


@cache
def revoked() -> RevocationList:
    """The users whose sessions were ended in the last minutes, as this worker knows them."""
    from atelier.adapters.aws.dynamodb.identity.revocations import DynamoRevocations

    DynamoRevocations.bind(IdentityTable.read().name)
    return RevocationList(DynamoRevocations())


@cache
def api_calls() -> MonthlyCalls:
    """The counter of the calls of workspaces' API tokens."""
    return MonthlyCalls(call_counters, _calls_quota, limiter().share)


@cache
def call_counters() -> DynamoApiCalls:
    """The shared counters of calls; needs ATELIER_TABLE_REQUESTS."""
    from atelier.adapters.aws.dynamodb.api_calls import DynamoApiCalls

    DynamoApiCalls.bind(RequestsTable.read().name)
    return DynamoApiCalls()


def _calls_quota(workspace_id: str, now: datetime) -> Quota:
    # Imported here, because few requests read it, and most functions need no price list.
    from atelier.wiring.ledger import quota_of

    return quota_of("api_calls", workspace_id, now)


@cache
def limiter() -> SparseLimiter:
    """The limiter that counts requests per account and per address; needs ATELIER_TABLE_REQUESTS."""
    return SparseLimiter(_windows, CallerRateLimits.read().requests_per_minute)


@cache
def _windows() -> DynamoRequestRates:
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates

    DynamoRequestRates.bind(RequestsTable.read().name)
    return DynamoRequestRates()
