"""The items of articles, in the community table, and their values.

    pk editorial  sk settings                                what the administrators have decided
    pk wsp_…  sk article#art_…                               the head of an article
    pk wsp_…  sk article-version#art_…#<number>              a version, which never changes
    pk wsp_…  sk shown#<source>#<time>#art_…                 a published article, as the public list has it
    pk wsp_…  sk slug#<source>#<locale>#<slug>               which article has, or had, a slug
    pk wsp_…  sk translation#art_…#<locale>                  the article of a group in a locale
    pk wsp_…  sk shown-file#ast_…#art_…                      a published article shows an asset

An article that will be published at a time is in the index `due`, and a deleted one while it leaves something.
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.articles.model import (
    Article,
    ArticleContent,
    ArticleKind,
    ArticleVersion,
    EditorialSettings,
    ShownArticle,
)
from atelier.clock import parse_rfc3339, rfc3339

EDITORIAL, SETTINGS = "editorial", "settings"
ARTICLE, VERSION, SHOWN, SLUG = "article#", "article-version#", "shown#", "slug#"
TRANSLATION, SHOWN_FILE = "translation#", "shown-file#"
DUE_OF = "articles"


class _ArticlesDue(GlobalSecondaryIndex["ArticleItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_of = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class EditorialSettingsItem(Item):
    """What the administrators have decided."""

    workspace_id = UnicodeAttribute(null=True)
    source = UnicodeAttribute()
    needs_review = NumberAttribute(default=0)
    locale = UnicodeAttribute()
    title = UnicodeAttribute()
    integration_id = UnicodeAttribute(null=True)
    sync_due_at = UnicodeAttribute(null=True)
    version = NumberAttribute()


class ArticleItem(Item):
    """The head of an article. due_of, due_at: there while it is scheduled, or leaves something after its deletion."""

    kind = UnicodeAttribute()
    locale = UnicodeAttribute()
    group_id = UnicodeAttribute()
    slug = UnicodeAttribute()
    title = UnicodeAttribute()
    version = NumberAttribute()
    revision = NumberAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    user_id = UnicodeAttribute(null=True)
    source = UnicodeAttribute()
    published_version = NumberAttribute(null=True)
    published_at = UnicodeAttribute(null=True)
    shown_slugs = CompactJSON(null=True)
    review_of = NumberAttribute(null=True)
    approved_by = UnicodeAttribute(null=True)
    scheduled_version = NumberAttribute(null=True)
    source_revision = UnicodeAttribute(null=True)
    deleted_at = UnicodeAttribute(null=True)
    due_of = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    due = _ArticlesDue()


class ArticleVersionItem(Item):
    """One version."""

    title = UnicodeAttribute()
    slug = UnicodeAttribute()
    summary = UnicodeAttribute(null=True)
    body = UnicodeAttribute(null=True)
    tags = CompactJSON(null=True)
    author = UnicodeAttribute(null=True)
    cover_id = UnicodeAttribute(null=True)
    asset_ids = CompactJSON(null=True)
    related_ids = CompactJSON(null=True)
    image_hosts = CompactJSON(null=True)
    user_id = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    note = UnicodeAttribute(null=True)


class ShownArticleItem(Item):
    """A published article, as the list has it."""

    kind = UnicodeAttribute()
    locale = UnicodeAttribute()
    slug = UnicodeAttribute()
    title = UnicodeAttribute()
    summary = UnicodeAttribute(null=True)
    tags = CompactJSON(null=True)
    author = UnicodeAttribute(null=True)
    cover_id = UnicodeAttribute(null=True)
    version = NumberAttribute()
    updated_at = UnicodeAttribute()


class ArticleSlugItem(Item):
    """Which article has, or had, a slug."""

    article_id = UnicodeAttribute()


class TranslationItem(Item):
    """The article of a group in a locale."""

    article_id = UnicodeAttribute()


class ShownFileItem(Item):
    """That a published article shows an asset."""


ITEMS: tuple[type[Item], ...] = (
    EditorialSettingsItem,
    ArticleItem,
    ArticleVersionItem,
    ShownArticleItem,
    ArticleSlugItem,
    TranslationItem,
    ShownFileItem,
)


def settings_item(settings: EditorialSettings) -> EditorialSettingsItem:
    """The stored form of the settings."""
    return EditorialSettingsItem(
        EDITORIAL,
        SETTINGS,
        workspace_id=settings.workspace_id,
        source=settings.source,
        needs_review=int(settings.needs_review),
        locale=settings.locale,
        title=settings.title,
        integration_id=settings.integration_id,
        sync_due_at=_text(settings.sync_due_at),
        version=settings.version,
    )


def settings_of(item: EditorialSettingsItem) -> EditorialSettings:
    """The settings in an item."""
    return EditorialSettings(
        item.workspace_id,
        item.source,
        bool(item.needs_review),
        item.locale,
        item.title,
        item.integration_id,
        _time(item.sync_due_at),
        int(item.version),
    )


def article_item(article: Article) -> ArticleItem:
    """The stored form of a head."""
    return ArticleItem(
        article.workspace_id,
        ARTICLE + article.id,
        kind=article.kind.value,
        locale=article.locale,
        group_id=article.group_id,
        slug=article.slug,
        title=article.title,
        version=article.version,
        revision=article.revision,
        created_at=rfc3339(article.created_at),
        updated_at=rfc3339(article.updated_at),
        user_id=article.user_id or None,
        source=article.source,
        published_version=article.published_version,
        published_at=_text(article.published_at),
        shown_slugs=list(article.shown_slugs) or None,
        review_of=article.review_of,
        approved_by=article.approved_by,
        scheduled_version=article.scheduled_version,
        source_revision=article.source_revision,
        deleted_at=_text(article.deleted_at),
        due_of=DUE_OF if article.scheduled_at else None,
        due_at=_text(article.scheduled_at),
    )


def article_of(item: ArticleItem) -> Article:
    """The head in an item."""
    return Article(
        item.sk.removeprefix(ARTICLE),
        item.pk,
        ArticleKind(item.kind),
        item.locale,
        item.group_id,
        item.slug,
        item.title,
        int(item.version),
        int(item.revision),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        item.user_id or "",
        item.source,
        _number(item.published_version),
        _time(item.published_at),
        tuple(item.shown_slugs or ()),
        _number(item.review_of),
        item.approved_by,
        _time(item.due_at),
        _number(item.scheduled_version),
        item.source_revision,
        _time(item.deleted_at),
    )


def version_key(article_id: str, number: int) -> str:
    """The sort key of a version."""
    return f"{VERSION}{article_id}#{number:08d}"


def version_item(workspace_id: str, version: ArticleVersion) -> ArticleVersionItem:
    """The stored form of a version."""
    content = version.content
    return ArticleVersionItem(
        workspace_id,
        version_key(version.article_id, version.number),
        title=content.title,
        slug=content.slug,
        summary=content.summary or None,
        body=content.body or None,
        tags=list(content.tags) or None,
        author=content.author or None,
        cover_id=content.cover_id,
        asset_ids=list(content.asset_ids) or None,
        related_ids=list(content.related_ids) or None,
        image_hosts=list(content.image_hosts) or None,
        user_id=version.user_id or None,
        created_at=rfc3339(version.created_at),
        note=version.note or None,
    )


def version_of(item: ArticleVersionItem) -> ArticleVersion:
    """The version in an item."""
    _, article_id, number = item.sk.split("#")
    content = ArticleContent(
        item.title,
        item.slug,
        item.summary or "",
        item.body or "",
        tuple(item.tags or ()),
        item.author or "",
        item.cover_id,
        tuple(item.asset_ids or ()),
        tuple(item.related_ids or ()),
        tuple(item.image_hosts or ()),
    )
    at = parse_rfc3339(item.created_at)
    return ArticleVersion(article_id, int(number), content, item.user_id or "", at, item.note or "")


def shown_key(shown: ShownArticle) -> str:
    """The sort key of a published article in the list."""
    return f"{SHOWN}{shown.source}#{rfc3339(shown.published_at)}#{shown.id}"


def shown_item(shown: ShownArticle) -> ShownArticleItem:
    """The stored form of a published article."""
    return ShownArticleItem(
        shown.workspace_id,
        shown_key(shown),
        kind=shown.kind.value,
        locale=shown.locale,
        slug=shown.slug,
        title=shown.title,
        summary=shown.summary or None,
        tags=list(shown.tags) or None,
        author=shown.author or None,
        cover_id=shown.cover_id,
        version=shown.version,
        updated_at=rfc3339(shown.updated_at),
    )


def shown_of(item: ShownArticleItem) -> ShownArticle:
    """The published article in an item."""
    _, source, published_at, article_id = item.sk.split("#")
    return ShownArticle(
        article_id,
        item.pk,
        source,
        ArticleKind(item.kind),
        item.locale,
        item.slug,
        item.title,
        item.summary or "",
        tuple(item.tags or ()),
        item.author or "",
        item.cover_id,
        int(item.version),
        parse_rfc3339(published_at),
        parse_rfc3339(item.updated_at),
    )


def slug_key(source: str, locale: str, slug: str) -> str:
    """The sort key of the claim of a slug."""
    return f"{SLUG}{source}#{locale}#{slug}"


def _text(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None


def _time(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None


def _number(value: float | None) -> int | None:
    return None if value is None else int(value)
