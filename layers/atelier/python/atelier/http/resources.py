"""The five routes of a small resource: create, list, get, change and remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from atelier import cursors
from atelier.dataclass import dataclass
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.idempotency import fingerprint
from atelier.lazy_model import LazyModel
from atelier.resources import Resource, ResourceDeps, change_resource, create_resource

ResourceT = TypeVar("ResourceT", bound=Resource)


class PageQuery(LazyModel):
    """A page of a list: its size, and the cursor of the page before."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class CreateRequest(Protocol):
    """The body that creates a resource."""

    def new(self, workspace_id: str, user_id: str, now: datetime) -> Any:
        """The new resource. Raises ValidationFailed."""
        ...

    def model_dump_json(self) -> str: ...


class ChangeRequest(Protocol):
    """The body that changes a resource."""

    def change(self, before: Any) -> Any:
        """The resource with this request's changes. Raises ValidationFailed."""
        ...


@dataclass(frozen=True, slots=True)
class ResourceSchemas(Generic[ResourceT]):
    """The HTTP schemas of one kind of resource. envelope: a model with one field, the resource's name; listing: a model
    with `items` and `next_cursor`; view: builds the response form. long_parts: the parts of a resource that may be
    long, by which a page is cut to what fits into one response."""

    create: type[BaseModel]
    change: type[BaseModel]
    envelope: type[BaseModel]
    listing: type[BaseModel]
    view: Callable[[ResourceT], BaseModel]
    long_parts: Callable[[ResourceT], Any] = field(default=lambda _: None)


def declare_resource(
    api: Api, name: str, prefix: str, schemas: ResourceSchemas[ResourceT], deps: Callable[[], ResourceDeps[ResourceT]]
) -> None:
    """Declare the five routes of a resource.

    name: such as `character`; its plural stands in the paths, the permissions (`characters.read`, `characters.manage`)
    and the idempotency keys. prefix: of the ids."""
    plural = f"{name}s"
    path, one = f"/api/{plural}", f"/api/{plural}/<{name}_id>"
    read = partial(api.route, "GET", permission=f"{plural}.read", tag=plural)
    manage = partial(api.route, permission=f"{plural}.manage", errors=(404, 503), tag=plural)

    def id_of(request: Request[Any]) -> str:
        return request.path_id(f"{name}_id", prefix)

    def envelope(resource: ResourceT) -> BaseModel:
        return schemas.envelope.model_validate({name: schemas.view(resource)})

    @read(path, query=PageQuery, answer=schemas.listing, summary=f"List the workspace's {plural}, newest first.")
    def list_resources(request: Request[Empty]) -> Response:
        query: PageQuery = request.query
        after = cursors.decode(query.cursor, f"{prefix}_")
        page = deps().store.list(request.caller.workspace_id, after, query.limit)
        items, next_id = cursors.fit_to_response(
            page.items, page.next_id, key=lambda each: each.id, long_parts=schemas.long_parts
        )
        page_data = {"items": list(map(schemas.view, items)), "next_cursor": cursors.encode(next_id)}
        return Response(schemas.listing.model_validate(page_data))

    @manage("POST", path, body=schemas.create, answer=schemas.envelope, statuses=(201,), summary=f"Create a {name}.")
    def create(request: Request[Any]) -> Response:
        caller, body = request.caller, cast(CreateRequest, request.body)
        key = f"{plural} {request.idempotency_key}" if request.idempotency_key else None
        new: ResourceT = body.new(caller.workspace_id, caller.user_id, request.now)
        made, replayed = create_resource(deps(), new, key=key, fingerprint=fingerprint(body.model_dump_json()))
        return created(f"{path}/{made.id}", envelope(made), replayed=replayed)

    @read(one, answer=schemas.envelope, errors=(404,), summary=f"Get one {name}.")
    def get(request: Request[Empty]) -> Response:
        return Response(envelope(deps().store.get(request.caller.workspace_id, id_of(request))))

    @manage("PUT", one, body=schemas.change, answer=schemas.envelope, summary="Change the fields that the body names.")
    def change(request: Request[Any]) -> Response:
        body = cast(ChangeRequest, request.body)
        after = change_resource(deps(), request.caller.workspace_id, id_of(request), body.change, request.now)
        return Response(envelope(after))

    @manage("DELETE", one, statuses=(204,), summary=f"Remove a {name}; results made with it stay.")
    def remove(request: Request[Empty]) -> Response:
        deps().store.delete(request.caller.workspace_id, id_of(request))
        return Response(status=204)
