"""The routes of components and of sections, which differ in name alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.sites.deps import SiteDeps
from atelier.sites.manage_parts import (
    compare_part_versions,
    create_part,
    list_uses,
    read_part_version,
    remove_part,
    restore_part_version,
    save_part,
)
from atelier.sites.model import PartKind, PartVersion
from atelier.sites.part_schemas import (
    ChangePartRequest,
    PartEnvelope,
    PartList,
    PartRequest,
    PartUseList,
    PartVersionEnvelope,
    PartVersionList,
    part_envelope,
    part_list,
    part_version_envelope,
    part_version_list,
    part_view,
    use_list,
)
from atelier.sites.ports import Parts
from atelier.sites.schemas import SiteQuery
from atelier.sites.version_schemas import DiffQuery, PartDiffView, RestoreVersionRequest, part_diff_view, version_in


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

    _declare_versions(api, kind, prefix, parts, site_deps)


def _declare_versions(
    api: Api, kind: PartKind, prefix: str, parts: Callable[[], Parts], site_deps: Callable[[], SiteDeps]
) -> None:
    read = partial(api.route, "GET", permission="sites.read", tag=f"{kind}s", errors=(404,))
    one = f"/api/{kind}s/<{kind}_id>"
    one_version = f"{one}/versions/<version>"

    def part_of(request: Request[Any]) -> tuple[str, str]:
        return request.caller.workspace_id, request.path_id(f"{kind}_id", prefix)

    versions = f"List the versions of a {kind}, newest first."

    @read(f"{one}/versions", query=SiteQuery, answer=PartVersionList, summary=versions)
    def list_part_versions(request: Request[Empty]) -> Response:
        query: SiteQuery = request.query
        part = parts().get(*part_of(request))
        page = parts().versions(part.workspace_id, part.id, query.before_number, query.limit, request.now)
        return Response(part_version_list(page, site_deps().members.names))

    def version_of(request: Request[Any]) -> PartVersion:
        number = version_in(request.path)
        return read_part_version(*part_of(request), number, deps=site_deps(), now=request.now)

    @read(one_version, answer=PartVersionEnvelope, summary=f"Get a version of a {kind}.")
    def get_part_version(request: Request[Empty]) -> Response:
        return Response(part_version_envelope(version_of(request), site_deps().members.names))

    restored = f"Save an earlier version of a {kind} as the newest one."

    @api.route(
        "POST",
        f"{one_version}/restore",
        permission="sites.edit",
        body=RestoreVersionRequest,
        answer=PartEnvelope,
        errors=(404, 409, 503),
        tag=f"{kind}s",
        summary=restored,
    )
    def post_part_restore(request: Request[RestoreVersionRequest]) -> Response:
        again = request.body.part_edit(version_of(request), request.caller.user_id)
        saved = restore_part_version(part_of(request)[1], again, deps=site_deps(), now=request.now)
        return Response(part_envelope(saved))

    compared = f"Compare two versions of a {kind}: fields, and the lines of its texts."

    @read(f"{one}/diff", query=DiffQuery, answer=PartDiffView, summary=compared)
    def get_part_diff(request: Request[Empty]) -> Response:
        numbers = request.query.before, request.query.after
        return Response(
            part_diff_view(*compare_part_versions(*part_of(request), *numbers, deps=site_deps(), now=request.now))
        )
