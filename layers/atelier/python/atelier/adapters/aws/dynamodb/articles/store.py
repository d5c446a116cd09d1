"""ArticleStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    ItemAddress,
    Transaction,
    batch_read,
    conditional,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.articles.items import (
    ARTICLE,
    DUE_OF,
    EDITORIAL,
    ITEMS,
    SETTINGS,
    SHOWN,
    SHOWN_FILE,
    TRANSLATION,
    ArticleItem,
    ArticleSlugItem,
    ArticleVersionItem,
    EditorialSettingsItem,
    ShownArticleItem,
    ShownFileItem,
    TranslationItem,
    article_item,
    article_of,
    settings_item,
    settings_of,
    shown_item,
    shown_of,
    slug_key,
    version_item,
    version_key,
    version_of,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.articles.model import (
    OWN,
    Article,
    ArticleExists,
    ArticleSlugTaken,
    ArticleStatus,
    ArticleVersion,
    EditorialSettings,
    ShownArticle,
    SlugClaim,
    StaleArticle,
    TranslationExists,
)
from atelier.articles.ports import ArticlePage, ArticleVersionPage, ShownFilter, ShownPage
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.errors import NotFound

BUSY = "The article is busy. Try again."
TRIES_MAX = 20
# The parts of a transaction, and what it means when their condition does not hold.
FAILURES: Mapping[str, type[Exception]] = {
    "new": ArticleExists,
    "translation": TranslationExists,
    "slug": ArticleSlugTaken,
    "article": StaleArticle,
}


class DynamoArticles:
    """ArticleStore on DynamoDB. The audit log's items must be bound to their table."""

    def __init__(self, table_name: str) -> None:
        for item in ITEMS:
            item.bind(table_name)

    def settings(self) -> EditorialSettings:
        try:
            return settings_of(EditorialSettingsItem.get(EDITORIAL, SETTINGS))
        except DoesNotExist:
            return EditorialSettings()

    def save_settings(self, before: EditorialSettings, after: EditorialSettings, events: Sequence[AuditEvent]) -> None:
        item = EditorialSettingsItem
        unchanged = item.version == before.version if before.version else item.pk.does_not_exist()

        def fill(write: Transaction) -> None:
            write.save(settings_item(after), unchanged, part="article")
            save_events(write, events)

        _write(fill)

    def create(self, article: Article, version: ArticleVersion) -> None:
        def fill(write: Transaction) -> None:
            write.save(article_item(article), ArticleItem.pk.does_not_exist(), part="new")
            write.save(version_item(article.workspace_id, version))
            _claim_slug(write, article, article.slug)
            claim = TranslationItem(article.workspace_id, _translation_key(article), article_id=article.id)
            write.save(claim, TranslationItem.pk.does_not_exist(), part="translation")

        _write(fill)

    def save(self, before: Article, after: Article, version: ArticleVersion) -> None:
        def fill(write: Transaction) -> None:
            _put_head(write, before, after)
            write.save(
                version_item(after.workspace_id, version), ArticleVersionItem.pk.does_not_exist(), part="article"
            )
            if after.slug != before.slug:
                _claim_slug(write, after, after.slug)
                if before.slug not in before.shown_slugs and not _is_scheduled(before):
                    write.delete(_slug_item(before, before.slug))

        _write(fill)

    def change(self, before: Article, after: Article, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            _put_head(write, before, after)
            save_events(write, events)

        _write(fill)

    def publish(
        self,
        before: Article,
        after: Article,
        shown: ShownArticle,
        files: tuple[Sequence[str], Sequence[str]],
        events: Sequence[AuditEvent],
    ) -> None:
        def fill(write: Transaction) -> None:
            _put_head(write, before, after)
            write.save(shown_item(shown))
            _claim_slug(write, after, shown.slug)
            old, new = files
            for asset_id in [each for each in old if each not in new]:
                write.delete(_file_item(after, asset_id))
            for asset_id in [each for each in new if each not in old]:
                write.save(_file_item(after, asset_id))
            save_events(write, events)

        _write(fill)

    def unpublish(self, before: Article, after: Article, files: Sequence[str], events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            _put_head(write, before, after)
            write.delete(ShownArticleItem(before.workspace_id, _shown_key_of(before)))
            for asset_id in files:
                write.delete(_file_item(before, asset_id))
            save_events(write, events)

        _write(fill)

    def delete(self, before: Article, after: Article, files: Sequence[str], events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            _put_head(write, before, after)
            if before.published_version is not None:
                write.delete(ShownArticleItem(before.workspace_id, _shown_key_of(before)))
            for asset_id in files:
                write.delete(_file_item(before, asset_id))
            write.delete(TranslationItem(before.workspace_id, _translation_key(before)))
            save_events(write, events)

        _write(fill)

    def drop_version(self, article: Article, version: ArticleVersion) -> None:
        slug = version.content.slug
        if slug not in article.shown_slugs:
            # The slug goes first: only the version knows it.
            ours = ArticleSlugItem.article_id == article.id
            conditional(lambda: _slug_item(article, slug).delete(condition=ours))
        ArticleVersionItem(article.workspace_id, version_key(article.id, version.number)).delete()

    def end_deletion(self, before: Article) -> None:
        def fill(write: Transaction) -> None:
            if before.shown_slugs:
                _put_head(write, before, replace(before, scheduled_at=None, revision=before.revision + 1))
            else:
                head = ArticleItem(before.workspace_id, ARTICLE + before.id)
                write.delete(head, ArticleItem.revision == before.revision, part="article")

        _write(fill)

    def get(self, workspace_id: str, article_id: str) -> Article:
        try:
            return article_of(ArticleItem.get(workspace_id, ARTICLE + article_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def heads(self, workspace_id: str, article_ids: Sequence[str]) -> Mapping[str, Article]:
        wanted: list[ItemAddress] = [(ArticleItem, workspace_id, ARTICLE + id) for id in dict.fromkeys(article_ids)]
        found = map(article_of, cast("Any", batch_read(wanted).values())) if wanted else ()
        return {head.id: head for head in found}

    def mirror(self, before: Article | None, after: Article, version: ArticleVersion, shown: ShownArticle) -> None:
        item = ArticleItem
        unchanged = item.pk.does_not_exist() if before is None else item.revision == before.revision

        def fill(write: Transaction) -> None:
            write.save(article_item(after), unchanged, part="article")
            write.save(version_item(after.workspace_id, version))
            _claim_slug(write, after, shown.slug)
            write.save(shown_item(shown))
            if before is not None:
                write.delete(ArticleVersionItem(before.workspace_id, version_key(before.id, before.version)))
                if before.published_at != after.published_at:
                    write.delete(ShownArticleItem(before.workspace_id, _shown_key_of(before)))

        _write(fill)

    def version(self, workspace_id: str, article_id: str, number: int) -> ArticleVersion:
        try:
            key = version_key(article_id, number)
            return version_of(ArticleVersionItem.get(workspace_id, key, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound("There is no such version.") from error

    def versions(self, workspace_id: str, article_id: str, below: int | None, limit: int) -> ArticleVersionPage:
        bounds = (version_key(article_id, 0), version_key(article_id, 10**8 - 1))
        after = version_key(article_id, below) if below is not None else None
        items, next_key = newest_page(
            ArticleVersionItem, workspace_id, bounds, matching=None, after=after, limit=limit, mostly_matching=True
        )
        return ArticleVersionPage(tuple(map(version_of, items)), int(next_key.split("#")[2]) if next_key else None)

    def page(self, workspace_id: str, status: ArticleStatus | None, after_key: str | None, limit: int) -> ArticlePage:
        items, next_key = newest_page(
            ArticleItem,
            workspace_id,
            (ARTICLE, ARTICLE + "~"),
            matching=(ArticleItem.source == OWN) & ArticleItem.deleted_at.does_not_exist(),
            after=after_key,
            limit=limit,
            mostly_matching=status is None,
            accepts=None if status is None else lambda item: article_of(item).status is status,
        )
        return ArticlePage(tuple(map(article_of, items)), next_key)

    def claim(self, workspace_id: str, source: str, locale: str, slug: str) -> SlugClaim | None:
        try:
            item = ArticleSlugItem.get(workspace_id, slug_key(source, locale, slug))
        except DoesNotExist:
            return None
        return SlugClaim(item.article_id, locale, slug)

    def shown_page(
        self, workspace_id: str, source: str, matching: ShownFilter, after_key: str | None, limit: int
    ) -> ShownPage:
        item, prefix = ShownArticleItem, f"{SHOWN}{source}#"
        conditions: list[Condition] = []
        conditions += [item.locale == matching.locale] if matching.locale else []
        conditions += [item.kind == matching.kind] if matching.kind else []
        both = conditions[0] & conditions[1] if len(conditions) == 2 else (conditions or [None])[0]
        tag = matching.tag
        items, next_key = newest_page(
            item,
            workspace_id,
            (prefix, prefix + "~"),
            matching=both,
            after=after_key,
            limit=limit,
            accepts=None if tag is None else lambda each: tag in (each.tags or ()),
        )
        return ShownPage(tuple(map(shown_of, items)), next_key)

    def shown(self, workspace_id: str, article_ids: Sequence[str]) -> Mapping[str, ShownArticle]:
        wanted: list[ItemAddress] = [(ArticleItem, workspace_id, ARTICLE + id) for id in dict.fromkeys(article_ids)]
        heads = [article_of(cast("ArticleItem", item)) for item in batch_read(wanted).values()] if wanted else []
        shown: list[ItemAddress] = [
            (ShownArticleItem, workspace_id, _shown_key_of(head))
            for head in heads
            if head.published_version is not None
        ]
        found = map(shown_of, cast("Any", batch_read(shown).values())) if shown else ()
        return {each.id: each for each in found}

    def published_versions(self, shown: Sequence[ShownArticle]) -> Mapping[str, ArticleVersion]:
        keys: list[ItemAddress] = [
            (ArticleVersionItem, each.workspace_id, version_key(each.id, each.version)) for each in shown
        ]
        found = map(version_of, cast("Any", batch_read(keys).values())) if keys else ()
        return {each.article_id: each for each in found}

    def translations(self, workspace_id: str, group_id: str) -> Sequence[str]:
        found = TranslationItem.query(workspace_id, TranslationItem.sk.startswith(f"{TRANSLATION}{group_id}#"))
        return [item.article_id for item in found]

    def is_shown_file(self, workspace_id: str, asset_id: str) -> bool:
        prefix = f"{SHOWN_FILE}{asset_id}#"
        return any(True for _ in ShownFileItem.query(workspace_id, ShownFileItem.sk.startswith(prefix), limit=1))

    def due(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        found = ArticleItem.due.query(DUE_OF, ArticleItem.due_at <= rfc3339(now), limit=limit, page_size=limit)
        return [(item.pk, item.sk.removeprefix(ARTICLE)) for item in found]


def _write(fill: Callable[[Transaction], None]) -> None:
    try:
        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise next(failure for part, failure in FAILURES.items() if part in error.parts) from error


def _put_head(write: Transaction, before: Article, after: Article) -> None:
    write.save(article_item(after), ArticleItem.revision == before.revision, part="article")


def _claim_slug(write: Transaction, article: Article, slug: str) -> None:
    item = ArticleSlugItem
    is_ours = item.pk.does_not_exist() | (item.article_id == article.id)
    write.save(_slug_item(article, slug), is_ours, part="slug")


def _slug_item(article: Article, slug: str) -> ArticleSlugItem:
    return ArticleSlugItem(article.workspace_id, slug_key(article.source, article.locale, slug), article_id=article.id)


def _file_item(article: Article, asset_id: str) -> ShownFileItem:
    return ShownFileItem(article.workspace_id, f"{SHOWN_FILE}{asset_id}#{article.id}")


def _translation_key(article: Article) -> str:
    return f"{TRANSLATION}{article.group_id}#{article.locale}"


def _shown_key_of(article: Article) -> str:
    at = article.published_at
    assert at is not None, "a published article has a time"
    return f"{SHOWN}{article.source}#{rfc3339(at)}#{article.id}"


def _is_scheduled(article: Article) -> bool:
    """Whether a version waits for its time: its slug stays claimed."""
    return article.scheduled_version is not None
