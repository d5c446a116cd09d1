"""What sites need to know of other contexts: assets of the library, and members of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, cast

from atelier.adapters.aws.dynamodb import ItemAddress, batch_read
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem
from atelier.adapters.aws.dynamodb.workspaces.items import MEMBER_PREFIX, MemberItem

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.library import DynamoAssets

READ_TOGETHER = 100


class LibraryAssets:
    """AssetFinder on the library's table. assets: opens the library, which few requests need."""

    def __init__(self, assets: Callable[[], DynamoAssets]) -> None:
        self._assets = assets

    def kept(self, workspace_id: str, asset_ids: Iterable[str]) -> Mapping[str, str]:
        # No request for no ids.
        return {asset.id: asset.type for asset in self._assets().find(workspace_id, asset_ids)}


class WorkspaceMembers:
    """MemberFinder on the identity table."""

    def __init__(self, table_name: str) -> None:
        IdentityItem.bind(table_name)

    def names(self, user_ids: Iterable[str]) -> Mapping[str, str]:
        addresses: list[ItemAddress] = [(UserItem, user_id, PROFILE) for user_id in dict.fromkeys(user_ids)]
        found = batch_read(addresses[:READ_TOGETHER]) if addresses else {}
        return {item.pk: cast("UserItem", item).name for item in found.values()}

    def members_among(self, workspace_id: str, user_ids: Iterable[str]) -> frozenset[str]:
        wanted = list(dict.fromkeys(user_ids))[:READ_TOGETHER]
        found = batch_read((MemberItem, workspace_id, MEMBER_PREFIX + id) for id in wanted) if wanted else {}
        return frozenset(cast("MemberItem", item).sk.removeprefix(MEMBER_PREFIX) for item in found.values())
