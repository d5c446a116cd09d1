"""The routes of comments on pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.sites.comment import add_comment, delete_comment, edit_comment, resolve_thread
from atelier.sites.comment_schemas import (
    CommentEnvelope,
    CommentList,
    CommentRequest,
    EditCommentRequest,
    comment_envelope,
    comment_list,
)
from atelier.sites.deps import SiteDeps
from atelier.sites.model import Comment
from atelier.sites.ports import Pages
from atelier.sites.schemas import SiteQuery

PAGE = "/api/sites/<site_id>/pages/<page_id>"
COMMENT = f"{PAGE}/comments/<comment_id>"


def page_of(request: Request[Any]) -> tuple[str, str, str]:
    """The workspace, the site and the page of a request."""
    return request.caller.workspace_id, request.path_id("site_id", "sit"), request.path_id("page_id", "pag")


def comment_id(request: Request[Any]) -> str:
    """The comment of a request."""
    return request.path_id("comment_id", "cmt")


def declare_comments(api: Api, pages: Callable[[], Pages], site_deps: Callable[[], SiteDeps]) -> None:
    """Declare the routes of comments."""
    read = partial(api.route, "GET", permission="sites.read")
    comment = partial(api.route, permission="sites.comment", errors=(403, 404, 409, 503))

    def answer(comment: Comment) -> Response:
        return Response(comment_envelope(comment, site_deps().members.names))

    @read(f"{PAGE}/comments", query=SiteQuery, answer=CommentList, errors=(404,))
    def list_comments(request: Request[Empty]) -> Response:
        """List the comments on a page, oldest first."""
        query: SiteQuery = request.query
        head = pages().head(*page_of(request))
        page = site_deps().comments.list(head.workspace_id, head.id, query.after("cmt_"), query.limit)
        return Response(comment_list(page, site_deps().members.names))

    @comment("POST", f"{PAGE}/comments", body=CommentRequest, answer=CommentEnvelope, statuses=(201,))
    def post_comment(request: Request[CommentRequest]) -> Response:
        """Comment on a page or on one of its blocks. Members whom the comment mentions are notified."""
        new = request.body.new(page_of(request), request.caller.user_id, request.idempotency_key)
        made, replayed = add_comment(new, deps=site_deps(), now=request.now)
        location = f"/api/sites/{made.site_id}/pages/{made.page_id}/comments"
        return created(location, comment_envelope(made, site_deps().members.names), replayed=replayed)

    @comment("PUT", COMMENT, body=EditCommentRequest, answer=CommentEnvelope)
    def put_comment(request: Request[EditCommentRequest]) -> Response:
        """Change your own comment."""
        change = partial(edit_comment, page_of(request), comment_id(request), request.caller.user_id, request.body.body)
        return answer(change(deps=site_deps(), now=request.now))

    @comment("DELETE", COMMENT, statuses=(204,))
    def remove_comment(request: Request[Empty]) -> Response:
        """Delete your own comment; its place in the thread stays."""
        remove = partial(delete_comment, page_of(request), comment_id(request), request.caller.user_id)
        remove(deps=site_deps(), now=request.now)
        return Response(status=204)

    @comment("POST", f"{COMMENT}/resolve", answer=CommentEnvelope)
    def post_resolve(request: Request[Empty]) -> Response:
        """Resolve a thread, by its first comment."""
        resolve = partial(resolve_thread, page_of(request), comment_id(request), request.caller.user_id)
        return answer(resolve(is_resolved=True, deps=site_deps(), now=request.now))

    @comment("POST", f"{COMMENT}/reopen", answer=CommentEnvelope)
    def post_reopen(request: Request[Empty]) -> Response:
        """Open a resolved thread again."""
        reopen = partial(resolve_thread, page_of(request), comment_id(request), request.caller.user_id)
        return answer(reopen(is_resolved=False, deps=site_deps(), now=request.now))
