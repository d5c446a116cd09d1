"""Sites, composed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.sites.comments import DynamoComments
from atelier.adapters.aws.dynamodb.sites.finders import LibraryAssets, WorkspaceMembers
from atelier.adapters.aws.dynamodb.sites.pages import DynamoPages
from atelier.adapters.aws.dynamodb.sites.parts import DynamoParts
from atelier.adapters.aws.dynamodb.sites.sites import DynamoSites
from atelier.settings import AttemptSigning, Deployment, IdentityTable, LibraryTable, SitesTable
from atelier.sites.deps import SiteDeps
from atelier.wiring import audit_log
from atelier.wiring.idempotency import idempotency_keys

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.library import DynamoAssets
    from atelier.catalogue.quotas import Quota
    from atelier.sites.preview import PreviewDeps


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
        LibraryAssets(_assets),
        WorkspaceMembers(IdentityTable.read().name),
        idempotency_keys(),
        _quota,
    )


def _assets() -> DynamoAssets:
    # Imported here, as the quota is, because most requests name no assets and make no sites.
    from atelier.wiring.library import assets

    return assets()


def _quota(workspace_id: str, now: datetime) -> Quota:
    from atelier.wiring.ledger import quota_of

    return quota_of("sites", workspace_id, now)


@cache
def preview_deps() -> PreviewDeps:
    """The dependencies of previews."""
    from atelier.deployments.addresses import SiteHosts
    from atelier.deployments.render.preview import render_preview
    from atelier.site_settings import SitesDomain
    from atelier.sites.preview import PreviewDeps

    render = partial(render_preview, hosts=SiteHosts(SitesDomain.read().suffix, SitesDomain.read().scheme))
    return PreviewDeps(site_deps(), _preview_key, render, _asset_urls, Deployment.read().public_url)


@cache
def _preview_key() -> bytes:
    from atelier.adapters.aws.secrets import Secret
    from atelier.sites.preview import preview_key

    return preview_key(bytes.fromhex(Secret(AttemptSigning.read().secret).value()["key"]))


def _asset_urls(workspace_id: str, asset_ids: Iterable[str], now: datetime) -> Mapping[str, str]:
    from atelier.wiring.media_urls import asset_urls

    found = _assets().find(workspace_id, asset_ids)
    return {asset.id: asset_urls(workspace_id, asset.sha256, asset.format, now)[0] for asset in found}
