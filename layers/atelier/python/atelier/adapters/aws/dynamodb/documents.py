"""Characters and templates in the library's table.

pk wsp_…  sk chr_…     one character
pk wsp_…  sk tpl_…     one template; its uses are counted in an attribute of their own
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Generic, TypeVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, UpdateError
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import CONFLICT_CODES, CompactJSON, Item, newest_page, pause_with_jitter
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.library.character import Character
from atelier.library.ports import DocumentExists, DocumentPage, StaleDocument
from atelier.library.template import Template, TemplateVariable

ThingT = TypeVar("ThingT", Character, Template)
# Fields stored as separate attributes; all others were written by the user and are stored as JSON in `says`.
SEPARATE_FIELDS = ("id", "workspace_id", "user_id", "created_at", "updated_at", "uses")
# Argument of `pause` after a change has lost to a parallel one.
BUSY_PAUSE = 2


class DocumentItem(Item):
    """One character or template. Empty fields are not stored."""

    user_id = UnicodeAttribute()
    says = CompactJSON()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    uses = NumberAttribute(null=True)


class DynamoDocuments(Generic[ThingT]):
    """Store of one kind of document. prefix: of their ids; read: builds the document from an item."""

    def __init__(self, prefix: str, from_item: Callable[[DocumentItem], ThingT]) -> None:
        self._prefix = prefix
        self._read = from_item

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the library's table."""
        DocumentItem.bind(table_name)

    def create(self, document: ThingT) -> None:
        item = DocumentItem(
            document.workspace_id,
            document.id,
            user_id=document.user_id,
            says=_content(document),
            created_at=rfc3339(document.created_at),
            updated_at=rfc3339(document.updated_at),
        )
        try:
            item.save(condition=DocumentItem.pk.does_not_exist())
        except PutError as error:
            if error.cause_response_code not in CONFLICT_CODES:
                raise
            raise DocumentExists from error

    def get(self, workspace_id: str, document_id: str) -> ThingT:
        try:
            return self._read(DocumentItem.get(workspace_id, document_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> DocumentPage[ThingT]:
        bounds = (f"{self._prefix}_", f"{self._prefix}_~")
        items, next_id = newest_page(DocumentItem, workspace_id, bounds, matching=None, after=after_id, limit=limit)
        return DocumentPage(tuple(map(self._read, items)), next_id)

    def change(self, before: ThingT, after: ThingT) -> None:
        actions: list[Action] = [
            DocumentItem.says.set(_content(after)),
            DocumentItem.updated_at.set(rfc3339(after.updated_at)),
        ]
        unchanged = DocumentItem.updated_at == rfc3339(before.updated_at)
        try:
            DocumentItem(before.workspace_id, before.id).update(actions, condition=unchanged)
        except UpdateError as error:
            if error.cause_response_code not in CONFLICT_CODES:
                raise
            pause_with_jitter(BUSY_PAUSE)
            raise StaleDocument from error

    def delete(self, workspace_id: str, document_id: str) -> None:
        try:
            DocumentItem(workspace_id, document_id).delete(condition=DocumentItem.pk.exists())
        except DeleteError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            raise NotFound from error


class DynamoCharacters(DynamoDocuments[Character]):
    """The characters of a workspace on DynamoDB."""

    def __init__(self) -> None:
        super().__init__("chr", _character)


class DynamoTemplates(DynamoDocuments[Template]):
    """The templates of a workspace on DynamoDB."""

    def __init__(self) -> None:
        super().__init__("tpl", _template)

    @staticmethod
    def count_use(workspace_id: str, template_id: str) -> None:
        """Count one use of a template. Does nothing when the template no longer exists."""
        try:
            DocumentItem(workspace_id, template_id).update(
                [DocumentItem.uses.add(1)], condition=DocumentItem.pk.exists()
            )
        except UpdateError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise


def _content(thing: Character | Template) -> dict[str, Any]:
    facts = asdict(thing)
    return {name: value for name, value in facts.items() if name not in SEPARATE_FIELDS and value not in (None, (), {})}


def _common_fields(item: DocumentItem) -> dict[str, Any]:
    return {
        "id": item.sk,
        "workspace_id": item.pk,
        "user_id": item.user_id,
        "created_at": parse_rfc3339(item.created_at),
        "updated_at": parse_rfc3339(item.updated_at),
    }


def _character(item: DocumentItem) -> Character:
    content: dict[str, Any] = item.says
    lists: dict[str, Any] = {
        name: tuple(content[name]) for name in ("reference_asset_ids", "face_embedding") if name in content
    }
    return Character(**_common_fields(item), **{**content, **lists})


def _template(item: DocumentItem) -> Template:
    content: dict[str, Any] = item.says
    variables: dict[str, Any] = {
        "variables": tuple(TemplateVariable(**variable) for variable in content.get("variables", ()))
    }
    return Template(**_common_fields(item), **{**content, **variables}, uses=int(item.uses or 0))
