"""The store of workspaces' own provider keys and preferences, composed; without what encrypts the keys."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.provider_keys import DynamoProviderKeys
from atelier.settings import ProvidersTable
from atelier.wiring.audit_log import bind_events


@cache
def keys() -> DynamoProviderKeys:
    """The store of provider keys and preferences."""
    store = DynamoProviderKeys()
    store.bind(ProvidersTable.read().name)
    bind_events()
    return store
