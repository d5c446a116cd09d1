"""Alerts about quotas, composed for the streams of the tables that have the counters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from atelier.adapters.aws.dynamodb import quota_counters
from atelier.adapters.aws.dynamodb.api_calls import DynamoApiCalls
from atelier.adapters.aws.dynamodb.usage import PROJECTS, STORAGE, UsageItem, read_usage
from atelier.adapters.aws.dynamodb.workspaces.store import DynamoWorkspaces
from atelier.catalogue.quotas import QuotaName
from atelier.identity.api_calls import month_of_calls
from atelier.settings import IdentityTable, LibraryTable, RequestsTable
from atelier.wiring import feeds, outbox
from atelier.wiring.ledger import quota_of, wallets
from atelier.workspaces.quota_alerts import QuotaAlertDeps


@cache
def alert_deps() -> QuotaAlertDeps:
    """The dependencies of the alerts. A function reads the tables of those quotas alone that it is called for."""
    UsageItem.bind(LibraryTable.read().name)
    DynamoWorkspaces.bind(IdentityTable.read().name)
    DynamoApiCalls.bind(RequestsTable.read().name)
    calls, workspaces = DynamoApiCalls(), DynamoWorkspaces()
    return QuotaAlertDeps(
        {
            "storage_bytes": lambda workspace_id, now: (
                wallets().wallet(workspace_id).stored_bytes(read_usage(workspace_id, STORAGE).used)
            ),
            "projects": lambda workspace_id, now: read_usage(workspace_id, PROJECTS).used,
            "members": lambda workspace_id, now: workspaces.profile(workspace_id).members,
            "api_calls": lambda workspace_id, now: calls.used(workspace_id, month_of_calls(now)),
        },
        quota_of,
        feeds.feeds(),
        outbox.publisher(),
    )


def counted(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, QuotaName]]:
    """The workspaces and quotas whose counters have changed in a batch of the stream of any table that has some."""
    return quota_counters.counted(records)
