"""The library's table.

pk wsp_…  sk ast_…     one asset; its id is derived from its generation, so recording a delivery twice is one asset
"""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from atelier.aws.dynamodb import Item, newest_page
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.generations.model import Generation, Picture
from atelier.library.model import Asset
from atelier.library.ports import AssetPage

NAME_CHARACTERS = 80


class AssetItem(Item):
    """One asset."""

    user_id = UnicodeAttribute()
    type = UnicodeAttribute()
    name = UnicodeAttribute()
    format = UnicodeAttribute()
    sha256 = UnicodeAttribute()
    size_bytes = NumberAttribute()
    width = NumberAttribute()
    height = NumberAttribute()
    generation_id = UnicodeAttribute()
    project_id = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    archived_at = UnicodeAttribute(null=True)


class DynamoAssets:
    """The library's Assets and the generations' AssetStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the library's table."""
        AssetItem.bind(table_name)

    def record(self, generation: Generation, picture: Picture, number: int) -> None:
        item = AssetItem(
            generation.workspace_id,
            picture.id,
            user_id=generation.user_id,
            type="image",
            name=_name(generation.recipe.prompt, number),
            format=picture.format,
            sha256=picture.sha256,
            size_bytes=picture.size_bytes,
            width=picture.width,
            height=picture.height,
            generation_id=generation.id,
            project_id=generation.project_id,
            created_at=rfc3339(generation.created_at),
        )
        try:
            item.save(condition=AssetItem.pk.does_not_exist())
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise

    def get(self, workspace_id: str, asset_id: str) -> Asset:
        try:
            return _asset(AssetItem.get(workspace_id, asset_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(
        self,
        workspace_id: str,
        asset_type: str | None,
        after_id: str | None,
        limit: int,
        *,
        project_id: str | None = None,
    ) -> AssetPage:
        matching = AssetItem.type == asset_type if asset_type else None
        if project_id:
            of_project = AssetItem.project_id == project_id
            matching = of_project if matching is None else matching & of_project
        items, next_id = newest_page(
            AssetItem,
            workspace_id,
            ("ast_", "ast_~"),
            matching=matching,
            after=after_id,
            limit=limit,
        )
        return AssetPage(tuple(map(_asset, items)), next_id)


def _name(prompt: str, number: int) -> str:
    line = " ".join(prompt.split())
    title = line if len(line) <= NAME_CHARACTERS else line[: NAME_CHARACTERS - 1] + "…"
    return title if number == 0 else f"{title} ({number + 1})"


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
        int(item.width),
        int(item.height),
        item.generation_id,
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.archived_at) if item.archived_at else None,
        item.project_id,
    )
