"""Works on the library's table, and the files of the media bucket."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import CONFLICT_CODES, conditional
from atelier.adapters.aws.dynamodb.documents import DocumentItem
from atelier.adapters.aws.dynamodb.library import DynamoAssets
from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.ids import created_at
from atelier.library.lineage import bought_origins
from atelier.library.model import Asset


class CopiedFiles(Protocol):
    """The files of the media bucket."""

    def copy(self, source_id: str, target_id: str, sha256: str, format: str) -> None: ...


class LibraryWorks:
    """Works on the library. room: raises QuotaExceeded, see `Works.require_room`."""

    def __init__(
        self, table_name: str, assets: DynamoAssets, files: CopiedFiles, room: Callable[[str, int], None]
    ) -> None:
        DocumentItem.bind(table_name)
        self._assets = assets
        self._files = files
        self._room = room

    def assets(self, workspace_id: str, asset_ids: Collection[str]) -> Sequence[Asset]:
        found = {asset.id: asset for asset in self._assets.find(workspace_id, asset_ids)}
        return [found[id] for id in asset_ids if id in found]

    def bought_origins(self, asset: Asset) -> Sequence[str]:
        return bought_origins(asset, assets=self._assets)

    def document(self, workspace_id: str, subject_id: str) -> tuple[dict[str, Any], str | None]:
        try:
            item = DocumentItem.get(workspace_id, subject_id, consistent_read=True)
        except DoesNotExist as error:
            raise NotFound from error
        return item.says, item.listing_id

    def copy_file(self, source_id: str, target_id: str, sha256: str, format: str) -> None:
        self._files.copy(source_id, target_id, sha256, format)

    def record_asset(self, asset: Asset) -> None:
        try:
            self._assets.record_upload(asset)
        except NotFound:
            # Its owner has deleted it since.
            return

    def record_document(
        self, id: str, workspace_id: str, user_id: str, fields: dict[str, Any], listing_id: str
    ) -> None:
        at = rfc3339(created_at(id))
        item = DocumentItem(
            workspace_id, id, user_id=user_id, says=fields, created_at=at, updated_at=at, listing_id=listing_id
        )
        conditional(lambda: item.save(condition=DocumentItem.pk.does_not_exist()), CONFLICT_CODES)

    def require_room(self, workspace_id: str, size_bytes: int) -> None:
        self._room(workspace_id, size_bytes)
