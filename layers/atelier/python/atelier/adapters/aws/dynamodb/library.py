"""The library's table.

pk wsp_…  sk ast_…     one asset; its id is derived from its generation or is its upload's, so recording is repeatable.
                       With `deleted_at` it is what remains of a deleted one: the id is taken, and is not recorded anew
pk wsp_…  sk usage#storage   with the wallet's `delivered_bytes`, the bytes of all that are not deleted; see `usage.py`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import Attribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    ConditionsFailed,
    Item,
    Transaction,
    conditional,
    newest_page,
    retry_conflicts,
    transaction,
)
from atelier.adapters.aws.dynamodb.projects import ProjectItem
from atelier.adapters.aws.dynamodb.usage import STORAGE, UsageItem, complete_usage, put_usage, read_usage
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.generations.model import DeliveredFile, Generation, InputAsset
from atelier.library.model import Asset, DeletedAsset
from atelier.library.ports import ALL_ASSETS, AssetChanges, AssetFilter, AssetPage, TargetProjectGone

if TYPE_CHECKING:
    from atelier.library.clean_up import FileRecord

NAME_CHARACTERS_MAX = 80
# The first characters of an id, after its prefix, are its time.
ID_TIME_CHARACTERS = 10
# Attempts to write an asset with the counter of stored bytes, which all parallel deliveries of a workspace change.
TRIES_MAX = 60
BUSY = "The workspace's library is busy. Try again."


class AssetItem(Item):
    """One asset."""

    user_id = UnicodeAttribute()
    type = UnicodeAttribute()
    name = UnicodeAttribute()
    format = UnicodeAttribute()
    sha256 = UnicodeAttribute()
    size_bytes = NumberAttribute()
    width = NumberAttribute(null=True)
    height = NumberAttribute(null=True)
    duration_ms = NumberAttribute(null=True)
    no_thumbnail = NumberAttribute(null=True)
    made_from = CompactJSON(null=True)
    notes = CompactJSON(null=True)
    generation_id = UnicodeAttribute(null=True)
    livestream_id = UnicodeAttribute(null=True)
    project_id = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    archived_at = UnicodeAttribute(null=True)
    description = UnicodeAttribute(null=True)
    tags = CompactJSON(null=True)
    favorite = NumberAttribute(null=True)
    deleted_at = UnicodeAttribute(null=True)
    file_pending = NumberAttribute(null=True)
    # The asset did not come from a generation.
    uploaded = NumberAttribute(null=True)
    # The listing of the showcase that it was bought as.
    listing_id = UnicodeAttribute(null=True)
    # Those in what it was made of, where it was before it was moved.
    origin_listing_ids = CompactJSON(null=True)
    # The size was counted when the asset was recorded; absent in assets from before the counter.
    counted = NumberAttribute(null=True)


class DynamoAssets:
    """The library's Assets and the generations' InputAssetStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the library's table."""
        for item in (AssetItem, ProjectItem, UsageItem):
            item.bind(table_name)

    def input_asset(self, workspace_id: str, asset_id: str, asset_type: str) -> InputAsset:
        asset = self.get(workspace_id, asset_id)
        if asset.type != asset_type:
            raise NotFound
        return InputAsset(asset.id, asset.sha256, asset.format, asset.width, asset.height, asset.duration_ms)

    def counted_bytes(self, workspace_id: str) -> int:
        return read_usage(workspace_id, STORAGE, consistent=False).used

    def count_bytes(self, workspace_id: str) -> int:
        return complete_usage(workspace_id, STORAGE, lambda: _count_earlier_bytes(workspace_id)).used

    def is_kept(self, workspace_id: str, asset_id: str) -> bool:
        try:
            return self.get(workspace_id, asset_id).archived_at is None
        except NotFound:
            return False

    def is_image(self, workspace_id: str, asset_id: str) -> bool:
        """Whether the workspace has this asset, and it is an image that is neither deleted nor archived."""
        return self.is_kept(workspace_id, asset_id) and self.get(workspace_id, asset_id).type == "image"

    def get(self, workspace_id: str, asset_id: str) -> Asset:
        item = self._item(workspace_id, asset_id)
        if item.deleted_at:
            raise NotFound
        return _asset(item)

    def find(self, workspace_id: str, asset_ids: Iterable[str]) -> tuple[Asset, ...]:
        found = self.find_with_deleted(workspace_id, asset_ids)
        return tuple(each for each in found if isinstance(each, Asset))

    def find_with_deleted(self, workspace_id: str, asset_ids: Iterable[str]) -> tuple[Asset | DeletedAsset, ...]:
        keys = [(workspace_id, asset_id) for asset_id in dict.fromkeys(asset_ids)]
        items = AssetItem.batch_get(keys, consistent_read=True) if keys else ()
        return tuple(map(decode_any_asset, items))

    def deleted(self, workspace_id: str, asset_ids: Iterable[str]) -> frozenset[str]:
        """Those of these assets that were deleted."""
        keys = [(workspace_id, asset_id) for asset_id in dict.fromkeys(asset_ids)]
        found = AssetItem.batch_get(keys, attributes_to_get=["pk", "sk", "deleted_at"])
        return frozenset(item.sk for item in found if item.deleted_at)

    def record_upload(self, asset: Asset) -> Asset:
        item = AssetItem(
            asset.workspace_id,
            asset.id,
            user_id=asset.user_id,
            type=asset.type,
            name=asset.name,
            format=asset.format,
            sha256=asset.sha256,
            size_bytes=asset.size_bytes,
            width=asset.width,
            height=asset.height,
            duration_ms=asset.duration_ms,
            no_thumbnail=None if asset.has_thumbnail else 1,
            notes=list(asset.notes) or None,
            livestream_id=asset.livestream_id,
            project_id=asset.project_id,
            created_at=rfc3339(asset.created_at),
            listing_id=asset.listing_id,
            uploaded=1,
        )
        return asset if _record(item) else self.get(asset.workspace_id, asset.id)

    def list(
        self,
        workspace_id: str,
        asset_type: str | None,
        after_id: str | None,
        limit: int,
        *,
        project_id: str | None = None,
        wanted: AssetFilter = ALL_ASSETS,
    ) -> AssetPage:
        conditions = [
            *([AssetItem.type == asset_type] if asset_type else []),
            *([AssetItem.project_id == project_id] if project_id else []),
            *_presence(AssetItem.favorite, wanted.favorite),
            *_presence(AssetItem.archived_at, wanted.archived),
        ]
        matching: Condition = AssetItem.deleted_at.does_not_exist()
        for condition in conditions:
            matching &= condition
        items, next_id = newest_page(
            AssetItem,
            workspace_id,
            ("ast_", "ast_~"),
            matching=matching,
            after=after_id,
            limit=limit,
            mostly_matching=not conditions,
            accepts=partial(_is_wanted, wanted) if wanted.tag or wanted.text else None,
        )
        return AssetPage(tuple(map(_asset, items)), next_id)

    def list_made_from(self, workspace_id: str, asset_id: str, after_id: str | None, limit: int) -> AssetPage:
        # What is made from an asset has an id with the same time or a later one.
        bounds = (asset_id[: len("ast_") + ID_TIME_CHARACTERS], "ast_~")
        # A list of ids is stored as JSON, of which an id with its quotation marks is a part.
        matching = AssetItem.deleted_at.does_not_exist() & AssetItem.made_from.contains(asset_id)
        items, next_id = newest_page(AssetItem, workspace_id, bounds, matching=matching, after=after_id, limit=limit)
        return AssetPage(tuple(map(_asset, items)), next_id)

    def change(self, workspace_id: str, asset_id: str, changes: AssetChanges) -> None:
        actions: list[Action] = []
        for name, value in changes.items():
            attribute = getattr(AssetItem, name)
            if value in (None, [], False):
                actions.append(attribute.remove())
            elif name == "archived_at":
                actions.append(attribute.set(attribute | rfc3339(value)))
            else:
                actions.append(attribute.set(1 if value is True else value))
        item = AssetItem(workspace_id, asset_id)
        is_there = AssetItem.pk.exists() & AssetItem.deleted_at.does_not_exist()
        if project_id := changes.get("project_id"):
            self._change_project(item, actions, is_there, str(project_id))
        elif not conditional(lambda: item.update(actions, condition=is_there)):
            raise NotFound

    @staticmethod
    def _change_project(item: AssetItem, actions: list[Action], is_there: Condition, project_id: str) -> None:
        def write_change() -> None:
            with transaction() as write:
                write.update(item, actions, is_there, part="asset")
                # A project that is moved to another workspace at this moment takes nothing more.
                takes_assets = ProjectItem.pk.exists() & ProjectItem.archived_at.does_not_exist()
                write.check(ProjectItem, item.pk, project_id, takes_assets, part="project")

        try:
            retry_conflicts(write_change, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise (NotFound if "asset" in error.parts else TargetProjectGone) from error

    def delete(self, workspace_id: str, asset_id: str, now: datetime) -> DeletedAsset:
        stored = self._item(workspace_id, asset_id)
        if stored.deleted_at:
            return _deleted_asset(stored)
        # The counter must include this asset before it is subtracted.
        self.count_bytes(workspace_id)

        def write_deletion() -> None:
            with transaction() as write:
                is_there = AssetItem.pk.exists() & AssetItem.deleted_at.does_not_exist()
                write.update(AssetItem(workspace_id, asset_id), deletion_actions(now), is_there, part="asset")
                put_usage(write, workspace_id, STORAGE, -int(stored.size_bytes))

        # Without the condition, another request has deleted it at the same moment.
        with suppress(ConditionsFailed):
            retry_conflicts(write_deletion, busy=BUSY, tries_max=TRIES_MAX)
        return _deleted_asset(self._item(workspace_id, asset_id))

    def is_file_used(self, workspace_id: str, sha256: str) -> bool:
        # No key answers this, and an index would cost a write for each asset; files are rarely deleted.
        found = AssetItem.query(
            workspace_id,
            AssetItem.sk.between("ast_", "ast_~"),
            filter_condition=(AssetItem.sha256 == sha256) & AssetItem.deleted_at.does_not_exist(),
            attributes_to_get=["pk", "sk"],
            consistent_read=True,
        )
        return next(iter(found), None) is not None

    def file_records(self, workspace_id: str) -> Iterator[FileRecord]:
        # Imported here, because a cleaning run alone reads them.
        from atelier.library.clean_up import FileRecord

        items = AssetItem.query(
            workspace_id,
            AssetItem.sk.between("ast_", "ast_~"),
            filter_condition=AssetItem.deleted_at.does_not_exist(),
            consistent_read=True,
        )
        for item in items:
            yield FileRecord(item.sk, item.sha256, item.format, parse_rfc3339(item.created_at))

    def settle_file(self, workspace_id: str, asset_id: str) -> None:
        item = AssetItem(workspace_id, asset_id)
        conditional(lambda: item.update([AssetItem.file_pending.remove()], condition=AssetItem.deleted_at.exists()))

    @staticmethod
    def _item(workspace_id: str, asset_id: str) -> AssetItem:
        try:
            return AssetItem.get(workspace_id, asset_id, consistent_read=True)
        except DoesNotExist as error:
            raise NotFound from error


def put_delivered(write: Transaction, generation: Generation, number: int, delivered: DeliveredFile) -> None:
    """Add to a transaction the asset of a delivered file (one put, part `asset_part`). Whoever calls this counts its
    bytes in the same transaction. number: its place among the files of its generation, from 0."""
    made_from = [source.asset_id for sources in generation.recipe.inputs.values() for source in sources]
    item = AssetItem(
        generation.workspace_id,
        delivered.id,
        user_id=generation.user_id,
        type=delivered.type,
        name=_asset_name(generation.recipe.prompt, number),
        format=delivered.format,
        sha256=delivered.sha256,
        size_bytes=delivered.size_bytes,
        width=delivered.width,
        height=delivered.height,
        duration_ms=delivered.duration_ms,
        no_thumbnail=None if delivered.has_thumbnail else 1,
        made_from=made_from or None,
        notes=list(delivered.notes) or None,
        generation_id=generation.id,
        project_id=generation.project_id,
        created_at=rfc3339(generation.created_at),
        counted=1,
    )
    write.save(item, AssetItem.pk.does_not_exist(), part=asset_part(delivered.id))


def asset_part(asset_id: str) -> str:
    """The name of the part of a transaction that writes this asset."""
    return f"asset {asset_id}"


def deletion_actions(now: datetime) -> list[Action]:
    """The change of an item that becomes what remains of a deleted asset. What a person wrote goes; the facts about the
    file stay."""
    written = (AssetItem.description, AssetItem.tags, AssetItem.favorite, AssetItem.archived_at, AssetItem.notes)
    return [
        AssetItem.deleted_at.set(rfc3339(now)),
        AssetItem.file_pending.set(1),
        AssetItem.name.remove(),
        *(attribute.remove() for attribute in written),
    ]


def decode_any_asset(item: AssetItem) -> Asset | DeletedAsset:
    """The asset, or what remains of a deleted one."""
    return _deleted_asset(item) if item.deleted_at else _asset(item)


def _record(item: AssetItem) -> bool:
    """Write a new asset and count its bytes, in one transaction; returns whether it was new."""
    item.counted = 1

    def write_both() -> None:
        with transaction() as write:
            write.save(item, AssetItem.pk.does_not_exist(), part="asset")
            put_usage(write, item.pk, STORAGE, int(item.size_bytes))

    try:
        retry_conflicts(write_both, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed:
        return False
    return True


def _count_earlier_bytes(workspace_id: str) -> int:
    """The bytes of the assets that were recorded before there was a counter."""
    found = AssetItem.query(
        workspace_id,
        AssetItem.sk.between("ast_", "ast_~"),
        filter_condition=AssetItem.counted.does_not_exist() & AssetItem.deleted_at.does_not_exist(),
        attributes_to_get=["pk", "sk", "size_bytes"],
        consistent_read=True,
    )
    return sum(int(item.size_bytes) for item in found)


def _asset_name(prompt: str, number: int) -> str:
    line = " ".join(prompt.split())
    title = line if len(line) <= NAME_CHARACTERS_MAX else line[: NAME_CHARACTERS_MAX - 1] + "…"
    return title if number == 0 else f"{title} ({number + 1})"


def _to_int(number: float | None) -> int | None:
    return None if number is None else int(number)


def _asset(item: AssetItem) -> Asset:
    return Asset(
        item.sk,
        item.pk,
        item.user_id,
        item.type,
        item.name,
        item.format,
        item.sha256,
        int(item.size_bytes),
        _to_int(item.width),
        _to_int(item.height),
        item.generation_id,
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.archived_at) if item.archived_at else None,
        item.project_id,
        _to_int(item.duration_ms),
        not item.no_thumbnail,
        tuple(item.made_from or ()),
        tuple(item.notes or ()),
        item.description,
        tuple(item.tags or ()),
        bool(item.favorite),
        item.listing_id,
        item.livestream_id,
        tuple(item.origin_listing_ids or ()),
    )


def _deleted_asset(item: AssetItem) -> DeletedAsset:
    assert item.deleted_at is not None, "what remains of a deleted asset says when it was deleted"
    return DeletedAsset(
        item.sk,
        item.pk,
        item.type,
        item.format,
        item.sha256,
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.deleted_at),
        tuple(item.made_from or ()),
        bool(item.file_pending),
        item.listing_id,
        item.livestream_id,
        tuple(item.origin_listing_ids or ()),
    )


def _presence(attribute: Attribute[Any], wanted: bool | None) -> list[Condition]:
    """The condition that the attribute is there, or that it is not; none for None."""
    if wanted is None:
        return []
    return [attribute.exists() if wanted else attribute.does_not_exist()]


def _is_wanted(wanted: AssetFilter, item: AssetItem) -> bool:
    tags: list[str] = item.tags or []
    if wanted.tag and wanted.tag not in tags:
        return False
    text = (wanted.text or "").casefold()
    return any(text in each.casefold() for each in (item.name, item.description or "", *tags))
