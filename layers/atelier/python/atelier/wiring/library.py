"""The library, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.library import DynamoAssets
from atelier.library.model import Asset
from atelier.settings import LibraryTable
from atelier.wiring import media_urls

if TYPE_CHECKING:
    from atelier.library.schemas import AssetView


@cache
def assets() -> DynamoAssets:
    """The assets of this deployment."""
    store = DynamoAssets()
    store.bind(LibraryTable.read().name)
    return store


def view(asset: Asset, now: datetime) -> AssetView:
    """The response form of an asset, with signed URLs."""
    from atelier.library.schemas import asset_view

    url, thumbnail_url = media_urls.asset_urls(asset.workspace_id, asset.sha256, asset.format, now)
    return asset_view(asset, url, thumbnail_url if asset.has_thumbnail else None)
