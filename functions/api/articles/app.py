"""Articles over HTTP: what the public reads, and what those do who write."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.articles import (
    change_settings,
    delete_article,
    present,
    preview,
    publish_article,
    receive_webhook,
    save_article,
)
from atelier.articles.model import Article
from atelier.articles.save_article import Writer
from atelier.articles.schemas import (
    ApproveRequest,
    ArticleDiff,
    ArticleDiffQuery,
    ArticleHeadEnvelope,
    ArticlePreviewEnvelope,
    CreateArticleRequest,
    DraftEnvelope,
    DraftList,
    EditorialArticleQuery,
    EditorialEnvelope,
    EditorialRequest,
    EditorialWebhook,
    RestoreArticleRequest,
    SaveArticleRequest,
    SchedulePublicationRequest,
    VersionList,
    VersionQuery,
    VersionRequest,
    draft_envelope,
    head_view,
    settings_view,
)
from atelier.http.api import Api
from atelier.http.articles import declare_public_articles, version_in
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.wiring import articles, auth

api = Api("articles", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
PATH, ONE = "/api/articles", "/api/articles/<article_id>"
DESK, DRAFT = "/api/editorial/articles", "/api/editorial/articles/<article_id>"
MARKDOWN = "text/markdown"
reads = partial(api.route, "GET", permission="articles.read", errors=(403, 404))
edits = partial(api.route, permission="articles.edit", errors=(403, 404, 409, 503))
publishes = partial(
    api.route, "POST", permission="articles.publish", answer=ArticleHeadEnvelope, errors=(403, 404, 409, 503)
)


declare_public_articles(api, articles.deps, articles.asset_urls, articles.preview_key)


@edits("POST", PATH, body=CreateArticleRequest, answer=DraftEnvelope, statuses=(201,))
def create_article(request: Request[CreateArticleRequest]) -> Response:
    """Create an article as a draft, in the deployment's editorial workspace."""
    saved = save_article.create_article(request.body.new, _writer(request), deps=articles.deps(), now=request.now)
    return created(f"{DESK}/{saved.article.id}", draft_envelope(saved), replayed=saved.replayed)


@edits("PUT", ONE, body=SaveArticleRequest, answer=DraftEnvelope)
def put_article(request: Request[SaveArticleRequest]) -> Response:
    """Save the next version, made from `base_version`; 409 when the article has a newer one."""
    body, id, writer = request.body, _id(request), _writer(request)
    saved = save_article.save_article(
        id, body.base_version, body.content, writer, body.note, deps=articles.deps(), now=request.now
    )
    return Response(draft_envelope(saved))


@api.route("DELETE", ONE, permission="articles.publish", statuses=(204,), errors=(403, 404, 503))
def remove_article(request: Request[Empty]) -> Response:
    """Delete the article for good, with its versions; what the public has seen is answered with 410 from then on."""
    workspace_id, deps = request.caller.workspace_id, articles.deps()
    delete_article.delete_article(workspace_id, _id(request), request.origin, deps=deps, now=request.now)
    return Response(status=204)


@edits("POST", f"{ONE}/versions/<version>/restore", body=RestoreArticleRequest, answer=DraftEnvelope)
def restore_version(request: Request[RestoreArticleRequest]) -> Response:
    """Save an earlier version as the newest one."""
    base, id, writer, number = request.body.base_version, _id(request), _writer(request), version_in(request)
    return Response(
        draft_envelope(save_article.restore_version(id, number, base, writer, deps=articles.deps(), now=request.now))
    )


@edits("POST", f"{ONE}/submit", answer=ArticleHeadEnvelope)
def request_review(request: Request[Empty]) -> Response:
    """Ask that another person reads the newest version."""
    workspace_id, deps = request.caller.workspace_id, articles.deps()
    return _head(publish_article.request_review(workspace_id, _id(request), deps=deps, now=request.now))


@edits("POST", f"{ONE}/preview", body=VersionRequest, answer=ArticlePreviewEnvelope)
def create_preview(request: Request[VersionRequest]) -> Response:
    """Sign an address that shows a version to whoever has it, for 24 hours."""
    workspace_id, number, key = request.caller.workspace_id, request.body.version, articles.preview_key
    made = preview.create_preview(workspace_id, _id(request), number, key, deps=articles.deps(), now=request.now)
    return Response(present.preview_envelope(made))


@publishes(f"{ONE}/approve", body=ApproveRequest)
def approve_article(request: Request[ApproveRequest]) -> Response:
    """Approve a version that somebody else has written."""
    workspace_id, number, deps = request.caller.workspace_id, request.body.version, articles.deps()
    return _head(
        publish_article.approve_article(workspace_id, _id(request), number, request.origin, deps=deps, now=request.now)
    )


@publishes(f"{ONE}/publish", body=VersionRequest)
def publish(request: Request[VersionRequest]) -> Response:
    """Show a version to the public."""
    workspace_id, number, deps = request.caller.workspace_id, request.body.version, articles.deps()
    return _head(
        publish_article.publish_article(workspace_id, _id(request), number, request.origin, deps=deps, now=request.now)
    )


@publishes(f"{ONE}/schedule", body=SchedulePublicationRequest)
def schedule(request: Request[SchedulePublicationRequest]) -> Response:
    """Let a version be published at a time."""
    caller, body, deps, now = request.caller, request.body, articles.deps(), request.now
    article = publish_article.schedule_article(
        caller.workspace_id, _id(request), body.version, body.at, request.origin, deps=deps, now=now
    )
    return _head(article)


@publishes(f"{ONE}/unpublish")
def unpublish(request: Request[Empty]) -> Response:
    """Show the article to the public no more, and publish nothing at a time that was set."""
    workspace_id, deps = request.caller.workspace_id, articles.deps()
    return _head(
        publish_article.unpublish_article(workspace_id, _id(request), request.origin, deps=deps, now=request.now)
    )


@reads(DESK, query=EditorialArticleQuery, answer=DraftList)
def list_drafts(request: Request[Empty]) -> Response:
    """List all articles of the workspace, whatever their state, the newest first."""
    query, workspace_id = request.query, request.caller.workspace_id
    return Response(present.list_drafts(workspace_id, query.status, query.cursor, query.limit, deps=articles.deps()))


@reads(DRAFT, answer=DraftEnvelope)
def get_draft(request: Request[Empty]) -> Response:
    """Get an article with its newest version."""
    return Response(
        draft_envelope(save_article.read_article(request.caller.workspace_id, _id(request), articles.deps()))
    )


@reads(f"{DRAFT}/file", files=(MARKDOWN,))
def get_draft_file(request: Request[Empty]) -> Response:
    """The newest version as a Markdown file with front matter."""
    file = present.draft_file(request.caller.workspace_id, _id(request), deps=articles.deps())
    return Response(file, headers={"Content-Type": f"{MARKDOWN}; charset=utf-8"})


@reads(f"{DRAFT}/versions", query=VersionQuery, answer=VersionList)
def list_versions(request: Request[Empty]) -> Response:
    """List the versions of an article, the newest first."""
    query, workspace_id = request.query, request.caller.workspace_id
    return Response(present.list_versions(workspace_id, _id(request), query.below, query.limit, deps=articles.deps()))


@reads(f"{DRAFT}/diff", query=ArticleDiffQuery, answer=ArticleDiff)
def compare_versions(request: Request[Empty]) -> Response:
    """What differs between two versions."""
    workspace_id, deps = request.caller.workspace_id, articles.deps()
    return Response(present.compare_versions(workspace_id, _id(request), request.query, deps=deps))


@api.route("GET", "/api/admin/editorial", permission="platform.read", answer=EditorialEnvelope, errors=(403,))
def get_settings(request: Request[Empty]) -> Response:
    """Get who writes articles, and what the public reads."""
    return Response(settings_view(articles.deps().store.settings()))


@api.route(
    "PUT",
    "/api/admin/editorial",
    permission="platform.act",
    step_up=True,
    body=EditorialRequest,
    answer=EditorialEnvelope,
    errors=(403, 409, 503),
)
def put_settings(request: Request[EditorialRequest]) -> Response:
    """Decide who writes articles, and what the public reads."""
    done = change_settings.change_settings(
        request.body.settings,
        request.origin,
        kind_of=articles.workspace_kind,
        source_of=articles.integration_kind,
        sources=articles.sources(),
        deps=articles.deps(),
        now=request.now,
    )
    return Response(settings_view(done))


@api.route(
    "POST",
    "/api/admin/editorial/webhook",
    permission="platform.act",
    step_up=True,
    answer=EditorialWebhook,
    errors=(403,),
)
def show_webhook(request: Request[Empty]) -> Response:
    """Get the address and the secret of the webhook that the editorial system sends."""
    return Response(articles.webhook_place(articles.articles().settings()))


@api.route("POST", "/api/webhooks/editorial/<integration_id>", raw_body=True, answer=None, errors=(401,))
def take_webhook(request: Request[Empty]) -> Response:
    """Takes a webhook of the editorial system: it is read again within a minute."""
    id, store, sources = request.path_id("integration_id", "int"), articles.articles(), articles.sources()
    secret = articles.webhook_secret(id)
    receive_webhook.receive_webhook(
        id, request.raw_body, request.headers, secret, sources=sources, store=store, now=request.now
    )
    return Response(message="Received.")


def _writer(request: Request[Any]) -> Writer:
    return Writer(request.caller.workspace_id, request.caller.user_id, request.idempotency_key)


def _id(request: Request[Any]) -> str:
    return request.path_id("article_id", "art")


def _head(article: Article) -> Response:
    return Response(ArticleHeadEnvelope(article=head_view(article)))
