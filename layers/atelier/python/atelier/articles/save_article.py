"""Create articles and save their versions. Whoever saves names the version that they have read, so nobody's words are
replaced unseen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from atelier.articles.deps import ArticleDeps
from atelier.articles.model import (
    BODY_BYTES_MAX,
    FILES_MAX,
    OWN,
    Article,
    ArticleContent,
    ArticleExists,
    ArticleKind,
    ArticleSlugTaken,
    ArticleVersion,
    EditorialSettings,
    StaleArticle,
    TranslationExists,
    slug_of,
)
from atelier.articles.render_body import render_body
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, ValidationFailed, VersionConflict
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.retrying import retrying
from atelier.sites.rules import Removal

BUSY, TRIES_MAX = "The article is changing quickly. Try again.", 20


@dataclass(frozen=True, slots=True)
class Writer:
    """A verified caller who writes."""

    workspace_id: str
    user_id: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class NewArticle:
    """What is created. translation_of: the article in another locale."""

    kind: ArticleKind
    locale: str | None
    content: ArticleContent
    translation_of: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SavedArticle:
    """An article with its newest version. removed: what the HTML of the body goes without. replayed: the same request
    had been served before."""

    article: Article
    version: ArticleVersion
    removed: tuple[Removal, ...] = ()
    replayed: bool = False


def create_article(new: NewArticle, writer: Writer, *, deps: ArticleDeps, now: datetime) -> SavedArticle:
    """Store an article as a draft. Raises ValidationFailed, NotFound (translation_of), Conflict,
    IdempotencyMismatch."""
    settings = require_editorial(writer.workspace_id, deps)
    locale = new.locale or settings.locale
    content, removed = _checked(new.content, writer.workspace_id, None, deps)
    article_id = new_id("art", now)
    if writer.idempotency_key is not None:
        facts = [new.kind.value, locale, new.translation_of, content_facts(content)]
        key = f"articles {writer.idempotency_key}"
        article_id = deps.keys().reserve(writer.workspace_id, key, fingerprint(facts), article_id)
    group_id = article_id
    if new.translation_of is not None:
        group_id = own_article(writer.workspace_id, new.translation_of, deps).group_id
    article = Article(
        article_id,
        writer.workspace_id,
        new.kind,
        locale,
        group_id,
        content.slug,
        content.title,
        1,
        1,
        now,
        now,
        writer.user_id,
    )
    version = ArticleVersion(article_id, 1, content, writer.user_id, now, new.note)
    try:
        deps.store.create(article, version)
    except ArticleExists:
        # The same request created it earlier, or in parallel.
        return replace(read_article(writer.workspace_id, article_id, deps), removed=removed, replayed=True)
    except ArticleSlugTaken:
        raise slug_taken(content.slug) from None
    except TranslationExists:
        raise Conflict(f"The article has a translation in {locale} already.", locale=locale) from None
    return SavedArticle(article, version, removed)


def save_article(
    article_id: str,
    base_version: int,
    content: ArticleContent,
    writer: Writer,
    note: str = "",
    *,
    deps: ArticleDeps,
    now: datetime,
) -> SavedArticle:
    """Save the next version of an article. Raises NotFound, ValidationFailed, VersionConflict when it has another
    version than the one that the author has read."""

    def attempt() -> SavedArticle:
        before = own_article(writer.workspace_id, article_id, deps)
        checked, removed = _checked(content, writer.workspace_id, before, deps)
        if before.version != base_version:
            newest = deps.store.version(before.workspace_id, before.id, before.version)
            if (newest.content, newest.user_id) == (checked, writer.user_id) and newest.number == base_version + 1:
                # The same request once more, whose answer was lost.
                return SavedArticle(before, newest, removed, replayed=True)
            raise VersionConflict(current=before.version)
        version = ArticleVersion(before.id, before.version + 1, checked, writer.user_id, now, note)
        after = replace(
            before,
            slug=checked.slug,
            title=checked.title,
            version=version.number,
            revision=before.revision + 1,
            updated_at=now,
            user_id=writer.user_id,
        )
        deps.store.save(before, after, version)
        return SavedArticle(after, version, removed)

    try:
        return retrying(attempt, on=StaleArticle, busy=BUSY, tries_max=TRIES_MAX)
    except ArticleSlugTaken:
        raise slug_taken(content.slug) from None


def restore_version(
    article_id: str, number: int, base_version: int | None, writer: Writer, *, deps: ArticleDeps, now: datetime
) -> SavedArticle:
    """Save an earlier version as the newest one; the slug stays as it is now. Raises as `save_article` does."""
    article = own_article(writer.workspace_id, article_id, deps)
    earlier = deps.store.version(writer.workspace_id, article_id, number)
    content = replace(earlier.content, slug=article.slug)
    base = base_version or article.version
    return save_article(article_id, base, content, writer, f"Version {number}", deps=deps, now=now)


def read_article(workspace_id: str, article_id: str, deps: ArticleDeps) -> SavedArticle:
    """An article with its newest version, for those who write. Raises NotFound."""
    article = own_article(workspace_id, article_id, deps)
    return SavedArticle(article, deps.store.version(workspace_id, article_id, article.version))


def own_article(workspace_id: str, article_id: str, deps: ArticleDeps) -> Article:
    """An article that is written here. Raises NotFound."""
    article = deps.store.get(workspace_id, article_id)
    if article.source != OWN or article.deleted_at is not None:
        raise NotFound
    return article


def require_editorial(workspace_id: str, deps: ArticleDeps) -> EditorialSettings:
    """The settings, for those who write in the editorial workspace. Raises Conflict in another one."""
    settings = deps.store.settings()
    if settings.workspace_id != workspace_id:
        raise Conflict("Articles are written in the deployment's editorial workspace. This one is another.")
    return settings


def content_facts(content: ArticleContent) -> Mapping[str, Any]:
    """A content as JSON values, without what is empty."""
    facts: dict[str, Any] = json.loads(json.dumps(asdict(content)))
    return {name: value for name, value in facts.items() if value}


def slug_taken(slug: str) -> ValidationFailed:
    """The refusal of a slug that another article has, or had when the public saw it."""
    return ValidationFailed([{"path": "slug", "message": f"is the slug of another article: {slug}"}])


def _checked(
    content: ArticleContent, workspace_id: str, before: Article | None, deps: ArticleDeps
) -> tuple[ArticleContent, tuple[Removal, ...]]:
    """The content with a slug, and what its HTML goes without. Raises ValidationFailed."""
    slug = content.slug or (before.slug if before else slug_of(content.title))
    content = replace(content, slug=slug)
    wrong = list[dict[str, str]]()
    if not slug:
        wrong.append({"path": "slug", "message": "is needed: the title has no letters that it could be made of"})
    if len(content.body.encode("utf-8", "replace")) > BODY_BYTES_MAX:
        wrong.append({"path": "body", "message": f"is longer than {BODY_BYTES_MAX} bytes"})
    if len(content.files) > FILES_MAX:
        wrong.append({"path": "body", "message": f"shows more than {FILES_MAX} files of the library"})
    elif content.files and not deps.has_assets(workspace_id, content.files):
        wrong.append({"path": "body", "message": "names an asset that the workspace does not have"})
    if before is not None and before.id in content.related_ids:
        wrong.append({"path": "related_ids", "message": "has the article itself"})
    if wrong:
        raise ValidationFailed(wrong)
    return content, render_body(content, deps.base_url, deps.file_url)[1]
