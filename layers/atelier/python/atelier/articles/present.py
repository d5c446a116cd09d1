"""Answer the requests about articles: each function calls a use case and builds its view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from difflib import unified_diff
from typing import Any

from atelier import cursors
from atelier.articles.deps import ArticleDeps
from atelier.articles.model import ArticleStatus
from atelier.articles.ports import ShownFilter
from atelier.articles.preview import ArticlePreview, show_preview
from atelier.articles.public_schemas import ArticleEnvelope, ArticleQuery, article_envelope, article_list
from atelier.articles.public_schemas import ArticleList as PublicList
from atelier.articles.read_articles import list_shown, newest_entries
from atelier.articles.save_article import content_facts, own_article, read_article
from atelier.articles.schemas import (
    ArticleDiff,
    ArticleDiffQuery,
    ArticlePreviewEnvelope,
    DraftList,
    VersionList,
    head_view,
    version_view,
)
from atelier.articles.write_feeds import Feed

LINES_MAX = 5000
AssetUrls = Callable[[str, Iterable[str], datetime], Mapping[str, str]]


def list_public(query: ArticleQuery, *, deps: ArticleDeps) -> PublicList:
    """A page of the published articles."""
    matching = ShownFilter(query.locale, query.tag, query.kind.value if query.kind else None)
    return article_list(list_shown(matching, query.cursor, query.limit, deps=deps), deps)


def list_drafts(
    workspace_id: str, status: ArticleStatus | None, cursor: str | None, limit: int, *, deps: ArticleDeps
) -> DraftList:
    """A page of all articles of a workspace, for those who write."""
    page = deps.store.page(workspace_id, status, cursors.decode(cursor, "article#"), limit)
    settings = deps.store.settings()
    return DraftList(
        is_editorial=settings.workspace_id == workspace_id,
        needs_review=settings.needs_review,
        items=list(map(head_view, page.articles)),
        next_cursor=cursors.encode(page.next_key),
    )


def list_versions(
    workspace_id: str, article_id: str, below: int | None, limit: int, *, deps: ArticleDeps
) -> VersionList:
    """A page of the versions of an article. Raises NotFound."""
    own_article(workspace_id, article_id, deps)
    page = deps.store.versions(workspace_id, article_id, below, limit)
    return VersionList(items=list(map(version_view, page.versions)), next_below=page.next_number)


def compare_versions(workspace_id: str, article_id: str, query: ArticleDiffQuery, *, deps: ArticleDeps) -> ArticleDiff:
    """What differs between two versions. Raises NotFound."""
    article = own_article(workspace_id, article_id, deps)
    numbers = (query.from_, query.to or article.version)
    old, new = (deps.store.version(workspace_id, article_id, number).content for number in numbers)
    before, after = content_facts(old), content_facts(new)
    fields = [
        {"field": name, "before": before.get(name), "after": after.get(name)}
        for name in dict.fromkeys([*before, *after])
        if name != "body" and before.get(name) != after.get(name)
    ]
    first, second = (content.body.splitlines()[:LINES_MAX] for content in (old, new))
    lines = list(unified_diff(first, second, lineterm="", n=2))[2:]
    return ArticleDiff(from_version=numbers[0], to_version=numbers[1], fields=fields, lines=lines)


def draft_file(workspace_id: str, article_id: str, *, deps: ArticleDeps) -> bytes:
    """The newest version as a Markdown file with front matter. Raises NotFound."""
    # Imported here, as in the schemas, because it imports a reader of YAML.
    from atelier.articles.front_matter import write_front_matter

    version = read_article(workspace_id, article_id, deps).version
    facts: dict[str, Any] = dict(content_facts(version.content))
    return write_front_matter({"body": "", **facts}).encode("utf-8", "replace")


def preview_envelope(preview: ArticlePreview) -> ArticlePreviewEnvelope:
    """The signed address of a preview."""
    return ArticlePreviewEnvelope(
        url=preview.url, token=preview.token, version=preview.version, expires_at=preview.expires_at
    )


def read_preview_of(
    token: str, key: Callable[[], bytes], asset_urls: AssetUrls, *, deps: ArticleDeps, now: datetime
) -> ArticleEnvelope:
    """What a signed address shows; its files have signed addresses too, since the public does not see them yet. Raises
    NotFound."""
    found = show_preview(token, key, deps=deps, now=now)
    urls = asset_urls(found.shown.workspace_id, found.content.files, now)
    return article_envelope(found, deps, lambda asset_id: urls.get(asset_id, "about:blank"))


def feed_of(path: str, locale: str | None, *, deps: ArticleDeps) -> Feed:
    """The feed that is served at a path."""
    settings, entries = newest_entries(locale, deps=deps)
    return Feed(settings, entries, locale, path, deps)
