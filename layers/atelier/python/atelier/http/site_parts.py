"""The routes of components and of sections, which differ in name alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.sites.deps import SiteDeps
from atelier.sites.manage_parts import create_part, list_uses, remove_part, save_part
from atelier.sites.model import PartKind
from atelier.sites.part_schemas import (
    ChangePartRequest,
    PartEnvelope,
    PartList,
    PartRequest,
    PartUseList,
    PartVersionList,
    part_envelope,
    part_list,
    part_version_list,
    part_view,
    use_list,
)
from atelier.sites.ports import Parts
from atelier.sites.schemas import SiteQuery


def declare_parts(
    api: Api, kind: PartKind, prefix: str, parts: Callable[[], Parts], site_deps: Callable[[], SiteDeps]
) -> None:
    """Declare the routes of components, or of sections. prefix: of their ids."""
    read = partial(api.route, "GET", permission="sites.read", tag=f"{kind}s")
    edit = partial(api.route, permission="sites.edit", errors=(404, 409, 503), tag=f"{kind}s")
    path, one = f"/api/{kind}s", f"/api/{kind}s/<{kind}_id>"

    def part_of(request: Request[Any]) -> tuple[str, str]:
        return request.caller.workspace_id, request.path_id(f"{kind}_id", prefix)

    @read(path, query=SiteQuery, answer=PartList, summary=f"List the workspace's {kind}s, newest first.")
    def list_parts(request: Request[Empty]) -> Response:
        query: SiteQuery = request.query
        page = parts().list(request.caller.workspace_id, kind, query.after(f"{prefix}_"), query.limit)
        return Response(part_list(page))

    @edit("POST", path, body=PartRequest, answer=PartEnvelope, statuses=(201,), summary=f"Create a {kind}.")
    def post_part(request: Request[PartRequest]) -> Response:
        new = request.body.edit(request.caller.workspace_id, request.caller.user_id, kind, request.idempotency_key)
        saved = create_part(new, deps=site_deps(), now=request.now)
        return created(f"{path}/{saved.part.id}", part_envelope(saved), replayed=saved.replayed)

    @read(one, answer=PartEnvelope, errors=(404,), summary=f"Get a {kind}.")
    def get_part(request: Request[Empty]) -> Response:
        return Response(PartEnvelope(part=part_view(parts().get(*part_of(request)))))

    @edit("PUT", one, body=ChangePartRequest, answer=PartEnvelope, summary=f"Save a new version of a {kind}.")
    def put_part(request: Request[ChangePartRequest]) -> Response:
        changed = request.body.changed(request.caller.workspace_id, request.caller.user_id, kind)
        saved = save_part(part_of(request)[1], changed, deps=site_deps(), now=request.now)
        return Response(part_envelope(saved))

    @edit("DELETE", one, statuses=(204,), summary=f"Remove a {kind} that no page uses.")
    def delete_part(request: Request[Empty]) -> Response:
        remove_part(*part_of(request), request.origin, deps=site_deps(), now=request.now)
        return Response(status=204)

    @read(f"{one}/uses", answer=PartUseList, errors=(404,), summary=f"List the pages that use a {kind}.")
    def get_uses(request: Request[Empty]) -> Response:
        return Response(use_list(list_uses(*part_of(request), deps=site_deps())))

    versions = f"List the versions of a {kind}, newest first."

    @read(f"{one}/versions", query=SiteQuery, answer=PartVersionList, errors=(404,), summary=versions)
    def list_part_versions(request: Request[Empty]) -> Response:
        query: SiteQuery = request.query
        part = parts().get(*part_of(request))
        page = parts().versions(part.workspace_id, part.id, query.before_number, query.limit, request.now)
        return Response(part_version_list(page))
