"""Responses that show assets, with signed URLs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier import cursors
from atelier.library.model import Asset
from atelier.library.ports import AssetFilter, Assets
from atelier.library.schemas import AssetList, AssetQuery, AssetView, asset_view

# (workspace id, SHA-256, format, time) → the signed URLs of the file and of its thumbnail.
AssetUrls = Callable[[str, str, str, datetime], tuple[str, str]]


def present_asset(asset: Asset, now: datetime, *, urls: AssetUrls) -> AssetView:
    """The response form of an asset."""
    url, thumbnail_url = urls(asset.workspace_id, asset.sha256, asset.format, now)
    return asset_view(asset, url, thumbnail_url if asset.has_thumbnail else None)


def list_assets(workspace_id: str, query: AssetQuery, now: datetime, *, assets: Assets, urls: AssetUrls) -> AssetList:
    """One page of a workspace's assets, newest first."""
    after = cursors.decode(query.cursor, "ast_")
    wanted = AssetFilter(query.tag, query.favorite, query.archived, query.q)
    page = assets.list(workspace_id, query.type, after, query.limit, project_id=query.project_id, wanted=wanted)
    items = [present_asset(asset, now, urls=urls) for asset in page.assets]
    return AssetList(items=items, next_cursor=cursors.encode(page.next_id))
