"""Articles, composed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.articles.store import DynamoArticles
from atelier.articles.deps import ArticleDeps
from atelier.settings import AttemptSigning, CommunityTable, Deployment
from atelier.wiring.audit_log import bind_events

if TYPE_CHECKING:
    from atelier.articles.model import EditorialSettings
    from atelier.articles.schemas import EditorialWebhook
    from atelier.articles.source_ports import ArticleSource, SourceAccount
    from atelier.articles.sync_source import SyncDeps


@cache
def articles() -> DynamoArticles:
    """The articles of this deployment."""
    bind_events()
    return DynamoArticles(CommunityTable.read().name)


@cache
def deps() -> ArticleDeps:
    """The dependencies of requests about articles."""
    from atelier.wiring.idempotency import idempotency_keys

    return ArticleDeps(articles(), idempotency_keys, has_assets, Deployment.read().public_url)


def has_assets(workspace_id: str, asset_ids: tuple[str, ...]) -> bool:
    """Whether all of these are assets of the workspace."""
    from atelier.wiring.library import assets

    return {asset.id for asset in assets().find(workspace_id, asset_ids)} == set(asset_ids)


def asset_urls(workspace_id: str, asset_ids: Iterable[str], now: datetime) -> Mapping[str, str]:
    """Signed addresses of those of these assets that the workspace has."""
    from atelier.wiring.library import assets
    from atelier.wiring.media_urls import asset_urls

    found = assets().find(workspace_id, asset_ids)
    return {asset.id: asset_urls(workspace_id, asset.sha256, asset.format, now)[0] for asset in found}


def workspace_kind(workspace_id: str) -> str:
    """The kind of a workspace. Raises NotFound."""
    from atelier.wiring.workspaces import workspaces

    return workspaces().profile(workspace_id).kind


def integration_kind(workspace_id: str, integration_id: str) -> str:
    """The kind of a workspace's integration. Raises NotFound."""
    from atelier.wiring.deployments import integrations

    return integrations().get(workspace_id, integration_id).kind.value


@cache
def sources() -> Mapping[str, ArticleSource]:
    """The editorial systems whose articles can be mirrored, by the kind of their integrations."""
    from atelier.adapters.content.sanity import Sanity
    from atelier.deployments.model import IntegrationKind
    from atelier.site_settings import SiteHostUrls

    return {IntegrationKind.SANITY.value: Sanity(SiteHostUrls.read().sanity)}


def sync_deps() -> SyncDeps:
    """The dependencies of mirroring an editorial system."""
    from atelier.articles.sync_source import SyncDeps

    return SyncDeps(articles(), sources(), source_account)


def source_account(settings: EditorialSettings) -> SourceAccount:
    """The access to the editorial system, with its credentials in clear. Raises NotFound."""
    from atelier.articles.source_ports import SourceAccount
    from atelier.wiring.deployments import integrations, sealer

    integration = integrations().get(str(settings.workspace_id), str(settings.integration_id))
    return SourceAccount(sealer().open(integration), integration.settings)


def webhook_secret(integration_id: str) -> str:
    """What the webhooks of an integration are signed with."""
    from atelier.articles import receive_webhook

    return receive_webhook.webhook_secret(_attempts_key(), integration_id)


def webhook_place(settings: EditorialSettings) -> EditorialWebhook:
    """What is entered at the editorial system."""
    from atelier.articles.schemas import EditorialWebhook

    id = str(settings.integration_id)
    return EditorialWebhook(url=f"{deps().base_url}/api/webhooks/editorial/{id}", secret=webhook_secret(id))


@cache
def preview_key() -> bytes:
    """The key that signs previews."""
    from atelier.articles import preview

    return preview.preview_key(_attempts_key())


def _attempts_key() -> bytes:
    from atelier.adapters.aws.secrets import Secret

    return bytes.fromhex(Secret(AttemptSigning.read().secret).value()["key"])
