"""Sites, composed."""

from __future__ import annotations

from functools import cache, partial

from atelier.adapters.aws.dynamodb.sites.comments import DynamoComments
from atelier.adapters.aws.dynamodb.sites.finders import LibraryAssets, WorkspaceMembers
from atelier.adapters.aws.dynamodb.sites.pages import DynamoPages
from atelier.adapters.aws.dynamodb.sites.parts import DynamoParts
from atelier.adapters.aws.dynamodb.sites.sites import DynamoSites
from atelier.settings import IdentityTable, LibraryTable, SitesTable
from atelier.sites.deps import SiteDeps
from atelier.wiring import audit_log, library
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.ledger import quota_of


@cache
def sites() -> DynamoSites:
    """The sites of this deployment."""
    audit_log.bind_events()
    return DynamoSites(SitesTable.read().name, LibraryTable.read().name, pages())


@cache
def pages() -> DynamoPages:
    """The pages of sites."""
    audit_log.bind_events()
    return DynamoPages(SitesTable.read().name)


@cache
def parts() -> DynamoParts:
    """The parts of workspaces."""
    audit_log.bind_events()
    return DynamoParts(SitesTable.read().name)


@cache
def site_deps() -> SiteDeps:
    """The dependencies of requests about sites."""
    return SiteDeps(
        sites(),
        pages(),
        parts(),
        DynamoComments(SitesTable.read().name),
        LibraryAssets(library.assets()),
        WorkspaceMembers(IdentityTable.read().name),
        idempotency_keys(),
        partial(quota_of, "sites"),
    )
