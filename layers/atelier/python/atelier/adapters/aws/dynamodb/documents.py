"""Small resources as documents: one item each, whose content is JSON, under the workspace's partition.

pk wsp_…  sk <prefix>_…     one resource, such as a character (`chr`) or a template (`tpl`)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Generic, cast

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    CompactJSON,
    Item,
    conditional,
    newest_page,
    pause_with_jitter,
)
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.library.template import Template, TemplateVariable
from atelier.resources import ResourceExists, ResourcePage, ResourceT, StaleResource

# Fields stored as separate attributes; all others were written by the user and are stored as JSON in `says`.
SEPARATE_FIELDS = ("id", "workspace_id", "user_id", "created_at", "updated_at", "uses")
# Argument of `pause_with_jitter` after a change has lost to a parallel one.
BUSY_PAUSE = 2


class DocumentItem(Item):
    """One resource. Empty fields are not stored."""

    user_id = UnicodeAttribute()
    says = CompactJSON()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    uses = NumberAttribute(null=True)
    # The listing of the showcase that it was bought as; a change of what it says keeps it.
    listing_id = UnicodeAttribute(null=True)


class DynamoDocuments(Generic[ResourceT]):
    """ResourceStore on DynamoDB.

    prefix: of the ids; model: the resource's class, whose sequences are tuples. nested: for fields that are tuples of
    another dataclass, that class. item: the stored form; another table needs a class of its own."""

    def __init__(
        self,
        table_name: str,
        prefix: str,
        model: Callable[..., ResourceT],
        nested: Mapping[str, Callable[..., Any]] | None = None,
        item: type[DocumentItem] = DocumentItem,
    ) -> None:
        item.bind(table_name)
        self._prefix = prefix
        self._model = model
        self._nested = nested or {}
        self._item = item

    def create(self, new: ResourceT) -> None:
        item = self._item(
            new.workspace_id,
            new.id,
            user_id=new.user_id,
            says=_content(new),
            created_at=rfc3339(new.created_at),
            updated_at=rfc3339(new.updated_at),
        )
        if not conditional(lambda: item.save(condition=self._item.pk.does_not_exist()), CONFLICT_CODES):
            raise ResourceExists

    def get(self, workspace_id: str, resource_id: str) -> ResourceT:
        try:
            return self._decode(self._item.get(workspace_id, resource_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> ResourcePage[ResourceT]:
        bounds = (f"{self._prefix}_", f"{self._prefix}_~")
        items, next_id = newest_page(self._item, workspace_id, bounds, matching=None, after=after_id, limit=limit)
        return ResourcePage(tuple(map(self._decode, items)), next_id)

    def change(self, before: ResourceT, after: ResourceT) -> None:
        actions: list[Action] = [
            self._item.says.set(_content(after)),
            self._item.updated_at.set(rfc3339(after.updated_at)),
        ]
        unchanged = self._item.updated_at == rfc3339(before.updated_at)
        item = self._item(before.workspace_id, before.id)
        if not conditional(lambda: item.update(actions, condition=unchanged), CONFLICT_CODES):
            pause_with_jitter(BUSY_PAUSE)
            raise StaleResource

    def delete(self, workspace_id: str, resource_id: str) -> None:
        item = self._item(workspace_id, resource_id)
        if not conditional(lambda: item.delete(condition=self._item.pk.exists())):
            raise NotFound

    def _decode(self, item: DocumentItem) -> ResourceT:
        content: dict[str, Any] = item.says
        uses = {"uses": int(item.uses)} if item.uses else {}
        return self._model(
            id=item.sk,
            workspace_id=item.pk,
            user_id=item.user_id,
            created_at=parse_rfc3339(item.created_at),
            updated_at=parse_rfc3339(item.updated_at),
            **{name: self._decode_field(name, value) for name, value in content.items()},
            **uses,
        )

    def _decode_field(self, name: str, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        values = cast("list[Any]", value)
        return tuple(self._nested[name](**each) for each in values) if name in self._nested else tuple(values)


class DynamoTemplates(DynamoDocuments[Template]):
    """Templates; the uses of each are counted in an attribute of its own."""

    def __init__(self, table_name: str) -> None:
        super().__init__(table_name, "tpl", Template, {"variables": TemplateVariable})

    @staticmethod
    def count_use(workspace_id: str, template_id: str) -> None:
        """Count one use of a template. Does nothing when the template no longer exists."""
        item = DocumentItem(workspace_id, template_id)
        conditional(lambda: item.update([DocumentItem.uses.add(1)], condition=DocumentItem.pk.exists()))


def _content(resource: Any) -> dict[str, Any]:
    facts = asdict(resource)
    return {name: value for name, value in facts.items() if name not in SEPARATE_FIELDS and value not in (None, (), {})}
