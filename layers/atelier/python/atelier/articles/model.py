"""Values and rules of articles. Immutable, no side effects.

An *article* is of the deployment's editorial workspace, in one locale. Its *versions* never change; its *head* says
which one is the newest and which one is published. A *shown article* is what the public list has of a published one.
What an editorial system elsewhere publishes is *mirrored*: the same items, under that source."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from unicodedata import normalize

from atelier.dataclass import dataclass

BODY_CHARACTERS_MAX = 100_000
# An item of the database has at most 400 KB.
BODY_BYTES_MAX = 250_000
TAGS_MAX, ASSETS_MAX, RELATED_MAX = 20, 20, 10
# Files that one published version may name: its publication is one transaction, of at most 100 items.
FILES_MAX = 40
SLUG_CHARACTERS_MAX = 100
SLUG = r"^[a-z0-9]+(?:-[a-z0-9]+)*$"
LOCALE = r"^[a-z]{2,3}(?:-[A-Z]{2})?$"
# How many translations of an article are named.
TRANSLATIONS_MAX = 30
# The source of what is written here.
OWN = "atelier"
_ASSET = re.compile(r"asset:(ast_[0-7][0-9A-HJKMNP-TV-Z]{25})")
_OTHER = re.compile(r"[^a-z0-9]+")


class ArticleKind(StrEnum):
    ARTICLE = "article"
    ANNOUNCEMENT = "announcement"


class ArticleStatus(StrEnum):
    """What an article is for those who write: the first that is true, from the bottom up."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    # One of its versions is public; a newer one may be a draft.
    PUBLISHED = "published"


class StaleArticle(Exception):
    """The article was changed since it was read."""


class ArticleExists(Exception):
    """An article with this id is stored already."""


class ArticleSlugTaken(Exception):
    """Another article has, or had, this slug in this locale."""


class TranslationExists(Exception):
    """The article has a translation in this locale already."""


@dataclass(frozen=True, slots=True)
class EditorialSettings:
    """What the deployment's administrators have decided. workspace_id: who writes; None = nobody yet. source: whose
    articles the public reads: OWN, or the kind of an integration. needs_review: only what another person has approved
    is published. locale: of a request that names none. title: of the feeds. integration_id: the access to an editorial
    system elsewhere. sync_due_at: when its articles are to be read next. version: counts the changes."""

    workspace_id: str | None = None
    source: str = OWN
    needs_review: bool = False
    locale: str = "en"
    title: str = "Atelier"
    integration_id: str | None = None
    sync_due_at: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class ArticleContent:
    """What people write. body: Markdown (CommonMark with tables and strikethrough). author: the byline. cover_id,
    asset_ids: assets of the workspace; related_ids: articles. image_hosts: hosts of images beside the library's."""

    title: str
    slug: str
    summary: str = ""
    body: str = ""
    tags: tuple[str, ...] = ()
    author: str = ""
    cover_id: str | None = None
    asset_ids: tuple[str, ...] = ()
    related_ids: tuple[str, ...] = ()
    image_hosts: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The assets that the article shows: those of the body, the cover and the related ones."""
        cover = (self.cover_id,) if self.cover_id else ()
        return tuple(dict.fromkeys([*cover, *_ASSET.findall(self.body), *self.asset_ids]))


@dataclass(frozen=True, slots=True)
class ArticleVersion:
    """One version of an article. user_id: who saved it; empty for what was mirrored."""

    article_id: str
    number: int
    content: ArticleContent
    user_id: str
    created_at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Article:
    """The head of an article. version: its newest one; revision: counts all writes. group_id: what its translations
    have in common, the id of the first of them. slug, title: of the newest version. shown_slugs: every slug under which
    the public has seen it, the present one last. review_of: the version that waits for a review, or was approved.
    scheduled_version: what is published at scheduled_at. deleted_at: since when nobody
    reads it; what it leaves is removed at scheduled_at, and an article that the public has seen keeps its head."""

    id: str
    workspace_id: str
    kind: ArticleKind
    locale: str
    group_id: str
    slug: str
    title: str
    version: int
    revision: int
    created_at: datetime
    updated_at: datetime
    user_id: str
    source: str = OWN
    published_version: int | None = None
    published_at: datetime | None = None
    shown_slugs: tuple[str, ...] = ()
    review_of: int | None = None
    approved_by: str | None = None
    scheduled_at: datetime | None = None
    scheduled_version: int | None = None
    # What the source says of the version that was mirrored.
    source_revision: str | None = None
    deleted_at: datetime | None = None

    @property
    def status(self) -> ArticleStatus:
        """What it is for those who write."""
        if self.published_version is not None:
            return ArticleStatus.PUBLISHED
        if self.scheduled_at is not None:
            return ArticleStatus.SCHEDULED
        if self.review_of != self.version:
            return ArticleStatus.DRAFT
        return ArticleStatus.APPROVED if self.approved_by else ArticleStatus.IN_REVIEW

    def is_approved(self, number: int) -> bool:
        """Whether another person than its author has approved this version."""
        return self.review_of == number and self.approved_by is not None

    @property
    def shown_slug(self) -> str | None:
        """The slug under which the public sees it."""
        return self.shown_slugs[-1] if self.published_version is not None and self.shown_slugs else None


@dataclass(frozen=True, slots=True)
class ShownArticle:
    """What the public list has of a published article. updated_at: when this version was published."""

    id: str
    workspace_id: str
    source: str
    kind: ArticleKind
    locale: str
    slug: str
    title: str
    summary: str
    tags: tuple[str, ...]
    author: str
    cover_id: str | None
    version: int
    published_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SlugClaim:
    """Which article a slug leads to."""

    article_id: str
    locale: str
    slug: str


@dataclass(frozen=True, slots=True)
class PublicArticle:
    """A published article with its body. translations, related: those that are published."""

    shown: ShownArticle
    content: ArticleContent
    translations: tuple[ShownArticle, ...] = ()
    related: tuple[ShownArticle, ...] = ()


def shown_article(article: Article, version: ArticleVersion, published_at: datetime, now: datetime) -> ShownArticle:
    """What the list shows of a version that is published now."""
    content = version.content
    return ShownArticle(
        article.id,
        article.workspace_id,
        article.source,
        article.kind,
        article.locale,
        content.slug,
        content.title,
        content.summary,
        content.tags,
        content.author,
        content.cover_id,
        version.number,
        published_at,
        now,
    )


def slug_of(title: str) -> str:
    """A slug made of a title; empty when the title has no Latin letter and no digit."""
    plain = normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return _OTHER.sub("-", plain).strip("-")[:SLUG_CHARACTERS_MAX].strip("-")


def article_url(shown: ShownArticle, base_url: str) -> str:
    """The page of an article."""
    return f"{base_url}/articles/{shown.locale}/{shown.slug}"
