"""The routes of published articles and their feeds, and the responses with articles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from atelier.articles import present, read_articles, write_feeds
from atelier.articles.deps import ArticleDeps
from atelier.articles.model import PublicArticle
from atelier.articles.present import AssetUrls
from atelier.articles.public_schemas import (
    ArticleEnvelope,
    ArticleList,
    ArticleQuery,
    LocaleQuery,
    article_envelope,
)
from atelier.articles.read_articles import MovedArticle
from atelier.articles.write_feeds import ATOM_TYPE, JSON_TYPE, RSS_TYPE
from atelier.errors import NotFound
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.http.tagged import PUBLIC, tagged

PATH, ONE = "/api/articles", "/api/articles/<article_id>"
# Shorter than signed addresses live, so that no cache keeps one that has ended.
SIGNED = "public, max-age=240"
NUMBER_DIGITS_MAX = 7


def show_article(request: Request[Any], found: PublicArticle | MovedArticle, deps: ArticleDeps) -> Response:
    """The article, or the place to which it has moved."""
    if isinstance(found, MovedArticle):
        place = f"/api/articles/{found.shown.slug}?locale={found.shown.locale}"
        return Response(b"", 301, headers={"Location": place, "Cache-Control": PUBLIC})
    return tagged(request, article_envelope(found, deps), PUBLIC)


def show_file(url: str | None) -> Response:
    """The signed address of a file. Raises NotFound when the library has lost it."""
    if url is None:
        raise NotFound
    return Response(b"", 302, headers={"Location": url, "Cache-Control": SIGNED})


def version_in(request: Request[Any]) -> int:
    """The number of a version in the path. Raises NotFound."""
    text = request.path["version"]
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX):
        raise NotFound("There is no such version.")
    return int(text)


def declare_public_articles(
    api: Api, deps: Callable[[], ArticleDeps], asset_urls: AssetUrls, preview_key: Callable[[], bytes]
) -> None:
    """Declare the routes of what the public reads."""
    read = partial(api.route, "GET")

    @read(PATH, query=ArticleQuery, answer=ArticleList, statuses=(200, 304))
    def list_articles(request: Request[Empty]) -> Response:
        """List published articles, the newest first."""
        return tagged(request, present.list_public(request.query, deps=deps()), PUBLIC)

    @read(ONE, query=LocaleQuery, answer=ArticleEnvelope, statuses=(200, 301, 304), errors=(404, 410))
    def get_article(request: Request[Empty]) -> Response:
        """Get a published article by its id or its slug; an earlier slug is answered with 301 and the place,
        a deleted article with 410."""
        found = read_articles.read_shown(request.path["article_id"], request.query.locale, deps=deps())
        return show_article(request, found, deps())

    @read(f"{PATH}/files/<asset_id>", statuses=(302,), errors=(404,))
    def get_article_file(request: Request[Empty]) -> Response:
        """A file that a published article shows: the address stays, and leads to a signed one."""
        asset_id = request.path_id("asset_id", "ast")
        workspace_id = read_articles.shown_file(asset_id, deps=deps())
        return show_file(asset_urls(workspace_id, [asset_id], request.now).get(asset_id))

    @read(f"{PATH}/previews/<token>", answer=ArticleEnvelope, errors=(404,))
    def get_preview(request: Request[Empty]) -> Response:
        """Show one version of an article to whoever has its signed address."""
        token, key, urls = request.path["token"], preview_key, asset_urls
        return Response(present.read_preview_of(token, key, urls, deps=deps(), now=request.now))

    @read("/feed.xml", query=LocaleQuery, files=(RSS_TYPE,), statuses=(200, 304))
    def get_rss(request: Request[Empty]) -> Response:
        """The newest articles as RSS 2.0."""
        feed = present.feed_of("/feed.xml", request.query.locale, deps=deps())
        return tagged(request, write_feeds.write_rss(feed), PUBLIC, content_type=f"{RSS_TYPE}; charset=utf-8")

    @read("/feed.atom", query=LocaleQuery, files=(ATOM_TYPE,), statuses=(200, 304))
    def get_atom(request: Request[Empty]) -> Response:
        """The newest articles as Atom."""
        feed = present.feed_of("/feed.atom", request.query.locale, deps=deps())
        return tagged(request, write_feeds.write_atom(feed), PUBLIC, content_type=f"{ATOM_TYPE}; charset=utf-8")

    @read("/feed.json", query=LocaleQuery, files=(JSON_TYPE,), statuses=(200, 304))
    def get_json_feed(request: Request[Empty]) -> Response:
        """The newest articles as JSON Feed."""
        feed = present.feed_of("/feed.json", request.query.locale, deps=deps())
        return tagged(request, write_feeds.write_json_feed(feed), PUBLIC, content_type=JSON_TYPE)
