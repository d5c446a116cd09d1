"""AssetSource: files of the library for sites. What was made once for a site is remembered, and not made again."""

from __future__ import annotations

from typing import Protocol

from atelier.adapters.media.keys import CONTENT_TYPES, media_key
from atelier.deployments.build import FILE_BYTES_MAX
from atelier.deployments.ports import PutVariant
from atelier.deployments.render.files import ImageVariant, SiteAsset, digest
from atelier.errors import NotFound
from atelier.library.model import Asset
from atelier.library.ports import Assets


class MediaReader(Protocol):
    """The media bucket."""

    def get(self, key: str, bytes_max: int) -> bytes: ...


class VariantMemory(Protocol):
    """Which sizes of a file are files of a site."""

    def variants(self, workspace_id: str, site_id: str, sha256: str) -> SiteAsset | None: ...

    def keep_variants(self, workspace_id: str, site_id: str, sha256: str, asset: SiteAsset) -> None: ...


class LibrarySource:
    """AssetSource on the library."""

    def __init__(self, assets: Assets, media: MediaReader, memory: VariantMemory) -> None:
        self._assets, self._media, self._memory = assets, media, memory

    def prepare(self, workspace_id: str, site_id: str, asset_id: str, put: PutVariant) -> SiteAsset | None:
        found = self._assets.find(workspace_id, [asset_id])
        if not found:
            return None
        asset = found[0]
        known = self._memory.variants(workspace_id, site_id, asset.sha256)
        if known is not None:
            return SiteAsset(asset_id, known.variants)
        try:
            data = self._media.get(media_key(workspace_id, asset.sha256, asset.format), FILE_BYTES_MAX)
        except NotFound:
            return None
        made = SiteAsset(asset_id, _variants(asset, data, put))
        self._memory.keep_variants(workspace_id, site_id, asset.sha256, made)
        return made


def _variants(asset: Asset, data: bytes, put: PutVariant) -> tuple[ImageVariant, ...]:
    made: list[ImageVariant] = []
    if asset.type == "image":
        # Imported here, because most deployments have their images already.
        from atelier.adapters.media.web_variants import CONTENT_TYPE, smaller_variants

        for width, height, body in smaller_variants(data):
            found = digest(body)
            put(found, body, CONTENT_TYPE)
            made.append(ImageVariant(width, height, found, CONTENT_TYPE))
    content_type, found = CONTENT_TYPES[asset.format], digest(data)
    put(found, data, content_type)
    return (*made, ImageVariant(asset.width or 0, asset.height or 0, found, content_type))
