"""The first page, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.home import DynamoHomeReads, HomeTables
from atelier.settings import (
    CommunityTable,
    Deployment,
    GenerationsTable,
    IdentityTable,
    LedgerTable,
    NotificationsTable,
    SitesTable,
)


@cache
def reads() -> DynamoHomeReads:
    """What the page is made of."""
    return DynamoHomeReads(
        HomeTables(
            generations=GenerationsTable.read().name,
            identity=IdentityTable.read().name,
            ledger=LedgerTable.read().name,
            notifications=NotificationsTable.read().name,
            community=CommunityTable.read().name,
            sites=SitesTable.read().name,
        )
    )


def base_url() -> str:
    """The address of the deployment."""
    return Deployment.read().public_url
