"""HTTP schemas of published articles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import ConfigDict, Field

from atelier.articles.deps import ArticleDeps
from atelier.articles.model import ArticleKind, PublicArticle, ShownArticle, article_url
from atelier.articles.ports import ShownPage
from atelier.articles.render_body import render_body
from atelier.articles.schemas import Cursor, Locale, Tag
from atelier.cursors import encode
from atelier.lazy_model import LazyModel


class ArticleQuery(LazyModel):
    model_config = ConfigDict(extra="ignore")

    locale: Locale | None = None
    tag: Tag | None = None
    kind: ArticleKind | None = None
    limit: int = Field(default=20, ge=1, le=50)
    cursor: Cursor | None = None


class LocaleQuery(LazyModel):
    """locale: of the slug, or of the feed's entries."""

    model_config = ConfigDict(extra="ignore")

    locale: Locale | None = None


class ArticleCard(LazyModel):
    """A published article in a list. url: of its page; cover_url: of its picture."""

    id: str
    kind: ArticleKind
    locale: str
    slug: str
    title: str
    summary: str
    tags: list[str]
    author: str
    cover_url: str | None
    url: str
    published_at: datetime
    updated_at: datetime


class ArticleList(LazyModel):
    """Published articles, the newest first."""

    items: list[ArticleCard]
    next_cursor: str | None


class TranslationView(LazyModel):
    locale: str
    slug: str
    title: str
    url: str


class RelatedAsset(LazyModel):
    """A file of the library that belongs to the article."""

    id: str
    url: str


class ArticleView(ArticleCard):
    """A published article. body: Markdown; html: sanitised, with absolute addresses."""

    body: str
    html: str
    translations: list[TranslationView]
    related: list[ArticleCard]
    assets: list[RelatedAsset]


class ArticleEnvelope(LazyModel):
    article: ArticleView


FileUrl = Callable[[str], str]


def card_of(shown: ShownArticle, deps: ArticleDeps, file_url: FileUrl | None = None) -> ArticleCard:
    """A published article in a list."""
    url_of = file_url or deps.file_url
    return ArticleCard(
        id=shown.id,
        kind=shown.kind,
        locale=shown.locale,
        slug=shown.slug,
        title=shown.title,
        summary=shown.summary,
        tags=list(shown.tags),
        author=shown.author,
        cover_url=url_of(shown.cover_id) if shown.cover_id else None,
        url=article_url(shown, deps.base_url),
        published_at=shown.published_at,
        updated_at=shown.updated_at,
    )


def article_list(page: ShownPage, deps: ArticleDeps) -> ArticleList:
    """A page of published articles."""
    items = [card_of(each, deps) for each in page.articles]
    return ArticleList(items=items, next_cursor=encode(page.next_key))


def article_envelope(found: PublicArticle, deps: ArticleDeps, file_url: FileUrl | None = None) -> ArticleEnvelope:
    """One article. file_url: where assets are read that the public does not see yet."""
    url_of = file_url or deps.file_url
    html, _ = render_body(found.content, deps.base_url, url_of)
    return ArticleEnvelope(
        article=ArticleView(
            **card_of(found.shown, deps, url_of).model_dump(),
            body=found.content.body,
            html=html,
            translations=[
                TranslationView(
                    locale=each.locale, slug=each.slug, title=each.title, url=article_url(each, deps.base_url)
                )
                for each in found.translations
            ],
            related=[card_of(each, deps) for each in found.related],
            assets=[RelatedAsset(id=id, url=url_of(id)) for id in found.content.asset_ids],
        )
    )
