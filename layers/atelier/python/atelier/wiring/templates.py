"""Templates, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from atelier import cursors
from atelier.adapters.aws.dynamodb.documents import DynamoTemplates
from atelier.caller import Caller
from atelier.library import documents
from atelier.library.template_schemas import (
    ChangeTemplateRequest,
    CreateTemplateRequest,
    TemplateList,
    TemplateQuery,
    TemplateView,
    template_view,
)
from atelier.settings import LibraryTable, RequestsTable


@cache
def templates() -> DynamoTemplates:
    """The templates of this deployment."""
    store = DynamoTemplates()
    store.bind(LibraryTable.read().name)
    return store


def create(
    caller: Caller, body: CreateTemplateRequest, idempotency_key: str | None, now: datetime
) -> tuple[TemplateView, bool]:
    """A new template of a verified caller's workspace, and whether it had been created before under the same key."""
    from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys

    keys = DynamoIdempotencyKeys()
    keys.bind(RequestsTable.read().name)
    new = body.new(caller.workspace_id, caller.user_id, now)
    key = f"templates {idempotency_key}" if idempotency_key else None
    made, replayed = documents.create_document(
        new, key=key, fingerprint=body.fingerprint(), store=templates(), keys=keys
    )
    return template_view(made), replayed


def read(workspace_id: str, template_id: str) -> TemplateView:
    """One template."""
    return template_view(templates().get(workspace_id, template_id))


def change(workspace_id: str, template_id: str, body: ChangeTemplateRequest, now: datetime) -> TemplateView:
    """Change a template, and return it."""
    return template_view(documents.change_document(workspace_id, template_id, body.change, store=templates(), now=now))


def remove(workspace_id: str, template_id: str) -> None:
    """Remove a template; results made with it stay as they are."""
    templates().delete(workspace_id, template_id)


def list_templates(workspace_id: str, query: TemplateQuery) -> TemplateList:
    """One page of templates, newest first."""
    page = templates().list(workspace_id, cursors.decode(query.cursor, "tpl_"), query.limit)
    fitting_items, next_id = cursors.fit_to_response(
        page.documents, page.next_id, key=lambda each: each.id, long_parts=lambda each: [each.prompt, each.parameters]
    )
    return TemplateList(items=list(map(template_view, fitting_items)), next_cursor=cursors.encode(next_id))
