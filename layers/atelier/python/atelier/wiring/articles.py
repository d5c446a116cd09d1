"""Articles, composed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache

from atelier.adapters.aws.dynamodb.articles.store import DynamoArticles
from atelier.articles.deps import ArticleDeps
from atelier.settings import AttemptSigning, CommunityTable, Deployment
from atelier.wiring.audit_log import bind_events


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


@cache
def preview_key() -> bytes:
    """The key that signs previews."""
    from atelier.adapters.aws.secrets import Secret
    from atelier.articles import preview

    return preview.preview_key(bytes.fromhex(Secret(AttemptSigning.read().secret).value()["key"]))
