"""Sites, pages and parts over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.http.site_comments import declare_comments
from atelier.http.site_parts import declare_parts
from atelier.sites import schemas
from atelier.sites import version_schemas as versions
from atelier.sites.diff import diff_pages
from atelier.sites.manage_sites import change_site, create_site, remove_site
from atelier.sites.model import PartKind
from atelier.sites.preview import create_preview, show_preview
from atelier.sites.publish_page import publish_page, unpublish_page
from atelier.sites.save_page import (
    compare_versions,
    create_page,
    read_page,
    read_version,
    remove_page,
    restore_version,
    save_page,
)
from atelier.wiring import auth
from atelier.wiring.sites import pages, parts, preview_deps, site_deps, sites

api = Api("sites", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="sites.read")
edit = partial(api.route, permission="sites.edit", errors=(404, 409, 503))
publish = partial(api.route, "POST", permission="sites.publish", errors=(404, 503))
SITE, PAGE = "/api/sites/<site_id>", "/api/sites/<site_id>/pages/<page_id>"
PAGE_BYTES_MAX = 1024 * 1024


def site_of(request: Request[Any]) -> tuple[str, str]:
    """The workspace and the site of a request."""
    return request.caller.workspace_id, request.path_id("site_id", "sit")


def page_of(request: Request[Any]) -> tuple[str, str, str]:
    """The workspace, the site and the page of a request."""
    return *site_of(request), request.path_id("page_id", "pag")


@read("/api/sites", query=schemas.SiteQuery, answer=schemas.SiteList)
def list_sites(request: Request[Empty]) -> Response:
    """List the workspace's sites, newest first."""
    query: schemas.SiteQuery = request.query
    page = sites().list(request.caller.workspace_id, query.after("sit_"), query.limit)
    return Response(schemas.site_list(page))


@edit(
    "POST",
    "/api/sites",
    body=schemas.NewSiteRequest,
    answer=schemas.SiteEnvelope,
    statuses=(201,),
    errors=(402, 409, 503),
)
def post_site(request: Request[schemas.NewSiteRequest]) -> Response:
    """Create a site."""
    new = request.body.new(request.caller.workspace_id, request.caller.user_id, request.idempotency_key)
    site, replayed = create_site(new, request.origin, deps=site_deps(), now=request.now)
    view = schemas.SiteEnvelope(site=schemas.site_view(site))
    return created(f"/api/sites/{site.id}", view, replayed=replayed)


@read(SITE, answer=schemas.SiteEnvelope, errors=(404,))
def get_site(request: Request[Empty]) -> Response:
    """Get a site."""
    return Response(schemas.SiteEnvelope(site=schemas.site_view(sites().get(*site_of(request)))))


@edit("PUT", SITE, body=schemas.ChangeSiteRequest, answer=schemas.SiteEnvelope, errors=(402, 404, 409, 503))
def put_site(request: Request[schemas.ChangeSiteRequest]) -> Response:
    """Change the fields that the body names: name, slug, domain, theme, settings."""
    body, deps = request.body, site_deps()
    change = partial(change_site, *site_of(request), body.change, request.origin)
    site = change(base_version=body.base_version, deps=deps, now=request.now)
    return Response(schemas.SiteEnvelope(site=schemas.site_view(site)))


@edit("DELETE", SITE, statuses=(204,))
def delete_site(request: Request[Empty]) -> Response:
    """Remove a site with its pages. Its slug is free at once."""
    remove_site(*site_of(request), request.origin, deps=site_deps(), now=request.now)
    return Response(status=204)


@read(f"{SITE}/pages", query=schemas.SiteQuery, answer=schemas.PageHeadList, errors=(404,))
def list_pages(request: Request[Empty]) -> Response:
    """List the pages of a site without their blocks, newest first."""
    query: schemas.SiteQuery = request.query
    site = sites().get(*site_of(request))
    page = pages().heads(site.workspace_id, site.id, query.after("pag_"), query.limit)
    return Response(schemas.head_list(page))


@edit(
    "POST",
    f"{SITE}/pages",
    body=schemas.PageRequest,
    answer=schemas.PageEnvelope,
    statuses=(201,),
    body_bytes_max=PAGE_BYTES_MAX,
)
def post_page(request: Request[schemas.PageRequest]) -> Response:
    """Create a page with its first version. What pages must not contain is taken out, and named in the answer."""
    new = request.body.edit(*site_of(request), request.caller.user_id, request.idempotency_key)
    saved = create_page(new, deps=site_deps(), now=request.now)
    location = f"/api/sites/{saved.page.site_id}/pages/{saved.page.id}"
    return created(location, schemas.page_envelope(saved), replayed=saved.replayed)


@read(PAGE, answer=schemas.PageEnvelope, errors=(404,))
def get_page(request: Request[Empty]) -> Response:
    """Get a page in its newest version."""
    page = read_page(*page_of(request), deps=site_deps(), now=request.now)
    return Response(schemas.PageEnvelope(page=schemas.page_view(page)))


@edit("PUT", PAGE, body=schemas.ChangePageRequest, answer=schemas.PageEnvelope, body_bytes_max=PAGE_BYTES_MAX)
def put_page(request: Request[schemas.ChangePageRequest]) -> Response:
    """Save a new version of a page. Changes of others since `base_version` are merged where they do not touch yours;
    else the answer is 409 with both versions and the ids of the blocks in conflict."""
    changed = request.body.changed(*site_of(request), request.caller.user_id)
    saved = save_page(request.path_id("page_id", "pag"), changed, deps=site_deps(), now=request.now)
    return Response(schemas.page_envelope(saved))


@edit("DELETE", PAGE, statuses=(204,))
def delete_page(request: Request[Empty]) -> Response:
    """Remove a page with its versions and comments."""
    remove_page(*page_of(request), request.origin, deps=site_deps(), now=request.now)
    return Response(status=204)


@publish(f"{PAGE}/publish", body=schemas.PublishPageRequest, answer=schemas.PageHeadEnvelope)
def post_publish(request: Request[schemas.PublishPageRequest]) -> Response:
    """Let the next deployment show a version of the page."""
    act = partial(publish_page, *page_of(request), request.body.version, request.origin)
    return Response(schemas.PageHeadEnvelope(page=schemas.head_view(act(deps=site_deps(), now=request.now))))


@publish(f"{PAGE}/unpublish", answer=schemas.PageHeadEnvelope)
def post_unpublish(request: Request[Empty]) -> Response:
    """Let the next deployment leave the page out."""
    head = unpublish_page(*page_of(request), request.origin, deps=site_deps(), now=request.now)
    return Response(schemas.PageHeadEnvelope(page=schemas.head_view(head)))


@read(f"{PAGE}/versions", query=schemas.SiteQuery, answer=versions.PageVersionList, errors=(404,))
def list_versions(request: Request[Empty]) -> Response:
    """List the versions of a page, newest first."""
    query: schemas.SiteQuery = request.query
    head = pages().head(*page_of(request))
    page = pages().versions(head.workspace_id, head.id, query.before_number, query.limit, request.now)
    return Response(versions.version_list(page, site_deps().members.names))


@read(f"{PAGE}/versions/<version>", answer=versions.PageVersionEnvelope, errors=(404,))
def get_version(request: Request[Empty]) -> Response:
    """Get a version of a page with its blocks."""
    found = read_version(*page_of(request), versions.version_in(request.path), deps=site_deps(), now=request.now)
    return Response(versions.version_envelope(found, site_deps().members.names))


@edit("POST", f"{PAGE}/versions/<version>/restore", body=versions.RestoreVersionRequest, answer=schemas.PageEnvelope)
def post_restore(request: Request[versions.RestoreVersionRequest]) -> Response:
    """Save an earlier version as the newest one; the page keeps its path."""
    again = request.body.edit(*site_of(request), request.caller.user_id)
    number, page_id = versions.version_in(request.path), request.path_id("page_id", "pag")
    return Response(schemas.page_envelope(restore_version(page_id, number, again, deps=site_deps(), now=request.now)))


@read(f"{PAGE}/diff", query=versions.DiffQuery, answer=versions.PageDiffView, errors=(404,))
def get_diff(request: Request[Empty]) -> Response:
    """Compare two versions of a page: fields, blocks, and the lines of their texts."""
    query: versions.DiffQuery = request.query
    before, after = compare_versions(*page_of(request), query.before, query.after, deps=site_deps(), now=request.now)
    return Response(versions.diff_view(diff_pages(before.content, after.content), before.number, after.number))


@api.route(
    "POST",
    f"{PAGE}/preview",
    permission="sites.read",
    body=versions.PreviewRequest,
    answer=versions.PagePreviewView,
    errors=(404,),
)
def post_preview(request: Request[versions.PreviewRequest]) -> Response:
    """Sign an address that shows a version of the page for an hour, to whoever has it."""
    preview = create_preview(*page_of(request), request.body.version, deps=preview_deps(), now=request.now)
    return Response(versions.preview_view(preview))


@api.route("GET", "/api/previews/<token>", errors=(404,), files=("text/html",))
def get_preview(request: Request[Empty]) -> Response:
    """Show a page by a signed address: sandboxed, without cookies, on no origin."""
    document, headers = show_preview(request.path["token"], deps=preview_deps(), now=request.now)
    return Response(document.encode(), headers=headers)


declare_comments(api, pages, site_deps)
declare_parts(api, PartKind.COMPONENT, "cmp", parts, site_deps)
declare_parts(api, PartKind.SECTION, "sec", parts, site_deps)
