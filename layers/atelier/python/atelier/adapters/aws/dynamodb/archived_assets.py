"""The archive's clean-up on DynamoDB: archived assets, what holds them, and notices.

pk wsp_…  sk notice#archived    what the workspace was told
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    Transaction,
    conditional,
    retry_conflicts,
    transaction,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.documents import DocumentItem
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, UserItem, WorkspaceItem
from atelier.adapters.aws.dynamodb.library import BUSY, TRIES_MAX, AssetItem, DynamoAssets, deletion_actions
from atelier.adapters.aws.dynamodb.usage import STORAGE, put_usage
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.library.clean_archived import ArchivedAsset, CleanUpNotice
from atelier.library.model import DeletedAsset

NOTICE = "notice#archived"


class CleanUpNoticeItem(Item):
    """The notice of a workspace."""

    archived_until = UnicodeAttribute()
    due_at = UnicodeAttribute()
    count_of_assets = NumberAttribute()
    size_bytes = NumberAttribute()
    sent = NumberAttribute(null=True)


class DynamoArchivedAssets(DynamoAssets):
    """ArchivedAssets on DynamoDB."""

    def archived(self, workspace_id: str, until: datetime) -> Iterator[ArchivedAsset]:
        items = AssetItem.query(
            workspace_id,
            AssetItem.sk.between("ast_", "ast_~"),
            filter_condition=AssetItem.deleted_at.does_not_exist() & (AssetItem.archived_at <= rfc3339(until)),
            consistent_read=True,
        )
        for item in items:
            if item.archived_at:
                yield ArchivedAsset(item.sk, parse_rfc3339(item.archived_at), int(item.size_bytes))

    def delete_archived(self, workspace_id: str, asset_id: str, until: datetime, now: datetime) -> DeletedAsset | None:
        stored = self.get(workspace_id, asset_id)
        self.count_bytes(workspace_id)

        def write_deletion() -> None:
            with transaction() as write:
                is_there = AssetItem.deleted_at.does_not_exist() & (AssetItem.archived_at <= rfc3339(until))
                write.update(AssetItem(workspace_id, asset_id), deletion_actions(now), is_there, part="asset")
                put_usage(write, workspace_id, STORAGE, -stored.size_bytes)

        try:
            retry_conflicts(write_deletion, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return None
        [deleted] = self.find_with_deleted(workspace_id, [asset_id])
        return deleted if isinstance(deleted, DeletedAsset) else None


class DynamoCleanUpNotices:
    """CleanUpNotices on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the library's table. The audit table is bound by its own adapter."""
        CleanUpNoticeItem.bind(table_name)

    def find(self, workspace_id: str) -> CleanUpNotice | None:
        try:
            item = CleanUpNoticeItem.get(workspace_id, NOTICE, consistent_read=True)
        except DoesNotExist:
            return None
        return CleanUpNotice(
            parse_rfc3339(item.archived_until),
            parse_rfc3339(item.due_at),
            int(item.count_of_assets),
            int(item.size_bytes),
            bool(item.sent),
        )

    def add(self, workspace_id: str, notice: CleanUpNotice) -> CleanUpNotice:
        item = CleanUpNoticeItem(
            workspace_id,
            NOTICE,
            archived_until=rfc3339(notice.archived_until),
            due_at=rfc3339(notice.due_at),
            count_of_assets=notice.count,
            size_bytes=notice.size_bytes,
        )
        conditional(lambda: item.save(CleanUpNoticeItem.pk.does_not_exist()))
        return self.find(workspace_id) or notice

    def note_sent(self, workspace_id: str) -> None:
        item = CleanUpNoticeItem(workspace_id, NOTICE)
        conditional(lambda: item.update([CleanUpNoticeItem.sent.set(1)], condition=CleanUpNoticeItem.pk.exists()))

    def end(self, workspace_id: str, notice: CleanUpNotice, *, events: Sequence[AuditEvent] = ()) -> None:
        def fill(write: Transaction) -> None:
            same = CleanUpNoticeItem.due_at == rfc3339(notice.due_at)
            write.delete(CleanUpNoticeItem(workspace_id, NOTICE), same, part="notice")
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            # Another run has ended it.
            return


def held_by_lineage(workspace_id: str) -> frozenset[str]:
    """The assets that others which are still there were made from."""
    items = AssetItem.query(
        workspace_id,
        AssetItem.sk.between("ast_", "ast_~"),
        filter_condition=AssetItem.deleted_at.does_not_exist() & AssetItem.made_from.exists(),
        consistent_read=True,
    )
    return frozenset(origin for item in items for origin in item.made_from or ())


def held_by_characters(workspace_id: str) -> frozenset[str]:
    """The reference images of characters."""
    items = DocumentItem.query(workspace_id, DocumentItem.sk.startswith("chr_"), consistent_read=True)
    return frozenset(id for item in items for id in item.says.get("reference_asset_ids", ()))


def held_by_avatars(workspace_id: str) -> frozenset[str]:
    """The avatars of a workspace and of its owner."""
    try:
        workspace = WorkspaceItem.get(workspace_id, PROFILE, consistent_read=True)
        owner = UserItem.get(workspace.owner_id, PROFILE, consistent_read=True)
    except DoesNotExist:
        return frozenset()
    return frozenset(id for id in (workspace.avatar_asset_id, owner.avatar_asset_id) if id)
