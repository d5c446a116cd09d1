"""The gate (authorisation) and the limiter (rate limit) that every API function puts before its routes.

Both are made on the first request that needs them. The limiter reads no table until a subject has used up its share of
a minute in this worker, so a function that answers few requests never loads DynamoDB for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from atelier.http.api import Gate, Limiter
from atelier.http.request import Caller
from atelier.identity.authorize import authorize
from atelier.identity.permissions import Role, permits
from atelier.identity.rate_limit import SparseLimiter, subscriber_network
from atelier.identity.scopes import covers
from atelier.settings import CallerRateLimits, IdentityTable, RequestsTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb import Item, ItemAddress
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
    from atelier.ledger.model import Wallet


@cache
def gate() -> Gate:
    """The gate that authorises a caller for a workspace; needs ATELIER_TABLE_IDENTITY."""
    return _gate()


@cache
def spending_gate() -> Gate:
    """The gate of functions whose callers spend credits. It reads the wallet in the same request as session and
    membership, and attaches it to the caller; needs ATELIER_TABLE_LEDGER as well."""
    from atelier.adapters.aws.dynamodb.ledger.items import wallet_address, wallet_from_item
    from atelier.wiring.ledger import wallets

    wallets()  # Binds the wallet's items to their table.
    return _gate(wallet_address, wallet_from_item)


def _gate(
    place: Callable[[str], ItemAddress] | None = None, read: Callable[[Item | None], Wallet | None] = lambda item: None
) -> Gate:
    from atelier.adapters.aws.dynamodb.identity.store import DynamoIdentity

    DynamoIdentity.bind(IdentityTable.read().name)

    def authorize_caller(
        claims: Mapping[str, Any], workspace_id: str | None, permission: str, *, fresh: bool, now: datetime
    ) -> Caller:
        standings = DynamoIdentity(place if fresh else None)
        found = authorize(claims, workspace_id, permission, fresh=fresh, access_reads=standings, now=now)
        return Caller(
            found.user_id,
            found.workspace_id,
            found.role.value,
            found.session_id,
            found.token_id,
            found.scopes,
            read(standings.prefetched),
        )

    return authorize_caller


def has_permission(caller: Caller, permission: str) -> bool:
    """Whether an authorised caller has a permission in addition to the one that the route requires."""
    return permits(Role(caller.role), permission) and (caller.scopes is None or covers(caller.scopes, permission))


@cache
def limiter() -> Limiter:
    """The limiter that counts requests per account and per address; needs ATELIER_TABLE_REQUESTS."""
    sparse = _sparse()

    def count_request(subject: str, now: datetime) -> None:
        kind, _, name = subject.partition("#")
        sparse(f"{kind}#{subscriber_network(name)}", now)

    return count_request


def rate_limit_state(caller: Caller, now: datetime) -> tuple[int, int, int]:
    """The caller's rate limit: requests per window, requests left as far as this worker knows, and seconds until the
    next window."""
    sparse = _sparse()
    return sparse.limit, sparse.remaining(f"account#{caller.user_id}", now), sparse.reset_seconds(now)


@cache
def _sparse() -> SparseLimiter:
    return SparseLimiter(_windows, CallerRateLimits.read().requests_per_minute)


@cache
def _windows() -> DynamoRequestRates:
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates

    DynamoRequestRates.bind(RequestsTable.read().name)
    return DynamoRequestRates()
