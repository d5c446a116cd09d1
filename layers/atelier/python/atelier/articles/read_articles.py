"""What the public reads: published articles, whatever their source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from atelier import cursors
from atelier.articles.deps import ArticleDeps
from atelier.articles.model import (
    TRANSLATIONS_MAX,
    ArticleContent,
    EditorialSettings,
    PublicArticle,
    ShownArticle,
)
from atelier.articles.ports import ShownFilter, ShownPage
from atelier.dataclass import dataclass
from atelier.errors import Gone, NotFound
from atelier.ids import is_id

FEED_ENTRIES_MAX = 20
# The bodies of a feed; the entries after that have their summaries.
FEED_CHARACTERS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class MovedArticle:
    """The article has another slug now."""

    shown: ShownArticle


@dataclass(frozen=True, slots=True)
class ArticleEntry:
    """An entry of a feed. content: None where only the summary is given."""

    shown: ShownArticle
    content: ArticleContent | None


def list_shown(matching: ShownFilter, cursor: str | None, limit: int, *, deps: ArticleDeps) -> ShownPage:
    """A page of the published articles. Raises ValidationFailed for a cursor of another list."""
    settings = deps.store.settings()
    if settings.workspace_id is None:
        return ShownPage((), None)
    after = cursors.decode(cursor, f"shown#{settings.source}#")
    return deps.store.shown_page(settings.workspace_id, settings.source, matching, after, limit)


def read_shown(name: str, locale: str | None, *, deps: ArticleDeps) -> PublicArticle | MovedArticle:
    """A published article by its id or its slug in a locale. Raises NotFound, Gone for a deleted one."""
    settings = deps.store.settings()
    if settings.workspace_id is None:
        raise NotFound
    article_id = name
    if not is_id(name, "art"):
        claim = deps.store.claim(settings.workspace_id, settings.source, locale or settings.locale, name)
        if claim is None:
            raise NotFound
        article_id = claim.article_id
    shown = _one(settings, article_id, deps)
    if article_id != name and shown.slug != name:
        return MovedArticle(shown)
    return _with_content(shown, settings.workspace_id, deps)


def read_preview(workspace_id: str, article_id: str, number: int, *, deps: ArticleDeps, now: datetime) -> PublicArticle:
    """An article as the public would see this version. Raises NotFound."""
    article = deps.store.get(workspace_id, article_id)
    if article.deleted_at is not None:
        raise NotFound
    version = deps.store.version(workspace_id, article_id, number)
    content = version.content
    shown = ShownArticle(
        article.id,
        workspace_id,
        article.source,
        article.kind,
        article.locale,
        content.slug,
        content.title,
        content.summary,
        content.tags,
        content.author,
        content.cover_id,
        number,
        article.published_at or now,
        version.created_at,
    )
    return PublicArticle(shown, content)


def newest_entries(locale: str | None, *, deps: ArticleDeps) -> tuple[EditorialSettings, Sequence[ArticleEntry]]:
    """What the feeds contain."""
    settings = deps.store.settings()
    if settings.workspace_id is None:
        return settings, ()
    matching = ShownFilter(locale=locale)
    page = deps.store.shown_page(settings.workspace_id, settings.source, matching, None, FEED_ENTRIES_MAX)
    versions = deps.store.published_versions(page.articles)
    entries, left = list[ArticleEntry](), FEED_CHARACTERS_MAX
    for shown in page.articles:
        version = versions.get(shown.id)
        left -= len(version.content.body) if version else 0
        entries.append(ArticleEntry(shown, version.content if version and left > 0 else None))
    return settings, entries


def shown_file(asset_id: str, *, deps: ArticleDeps) -> str:
    """The workspace of an asset that a published article shows. Raises NotFound."""
    settings = deps.store.settings()
    if settings.workspace_id is None or not deps.store.is_shown_file(settings.workspace_id, asset_id):
        raise NotFound
    return settings.workspace_id


def _one(settings: EditorialSettings, article_id: str, deps: ArticleDeps) -> ShownArticle:
    assert settings.workspace_id is not None, "the public reads the articles of a workspace"
    shown = deps.store.shown(settings.workspace_id, [article_id]).get(article_id)
    if shown is not None and shown.source == settings.source:
        return shown
    head = deps.store.heads(settings.workspace_id, [article_id]).get(article_id)
    was_public = head is not None and head.source == settings.source and bool(head.shown_slugs)
    if head is not None and head.deleted_at is not None and was_public:
        raise Gone
    raise NotFound


def _with_content(shown: ShownArticle, workspace_id: str, deps: ArticleDeps) -> PublicArticle:
    version = deps.store.published_versions([shown]).get(shown.id)
    if version is None:
        raise NotFound
    article = deps.store.get(workspace_id, shown.id)
    group = [id for id in deps.store.translations(workspace_id, article.group_id) if id != shown.id][:TRANSLATIONS_MAX]
    related = version.content.related_ids
    found: dict[str, Any] = dict(deps.store.shown(workspace_id, [*group, *related])) if group or related else {}
    return PublicArticle(
        shown,
        version.content,
        tuple(found[id] for id in group if id in found),
        tuple(found[id] for id in related if id in found),
    )
