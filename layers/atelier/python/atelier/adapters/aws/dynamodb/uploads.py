"""Uploads in the library's table.

pk wsp_…  sk upload#ast_…     an announced file; deleted by TTL if the file never comes
"""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import CONFLICT_CODES, Item, conditional
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.library.ports import UploadExists
from atelier.library.upload import Upload


class UploadItem(Item):
    """One announced file."""

    user_id = UnicodeAttribute()
    name = UnicodeAttribute()
    content_type = UnicodeAttribute()
    size_bytes = NumberAttribute()
    created_at = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoUploads:
    """The library's Uploads on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the library's table."""
        UploadItem.bind(table_name)

    def create(self, upload: Upload) -> None:
        item = UploadItem(
            upload.workspace_id,
            f"upload#{upload.id}",
            user_id=upload.user_id,
            name=upload.name,
            content_type=upload.content_type,
            size_bytes=upload.size_bytes,
            created_at=rfc3339(upload.created_at),
            expires_at_seconds=int(upload.expires_at.timestamp()),
        )
        if not conditional(lambda: item.save(condition=UploadItem.pk.does_not_exist()), CONFLICT_CODES):
            raise UploadExists

    def get(self, workspace_id: str, asset_id: str) -> Upload:
        try:
            item = UploadItem.get(workspace_id, f"upload#{asset_id}", consistent_read=True)
        except DoesNotExist as error:
            raise NotFound from error
        return Upload(
            asset_id,
            item.pk,
            item.user_id,
            item.name,
            item.content_type,
            int(item.size_bytes),
            parse_rfc3339(item.created_at),
        )
