"""Ports of articles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from atelier.articles.model import (
    Article,
    ArticleStatus,
    ArticleVersion,
    EditorialSettings,
    ShownArticle,
    SlugClaim,
)
from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """Heads, the newest article first. `next_key` is where the next page begins; None on the last page."""

    articles: tuple[Article, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class ShownPage:
    """Published articles, the newest first. `next_key` is where the next page begins; None on the last page."""

    articles: tuple[ShownArticle, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class ArticleVersionPage:
    """Versions, the newest first. `next_number`: the next page begins below it; None on the last page."""

    versions: tuple[ArticleVersion, ...]
    next_number: int | None


@dataclass(frozen=True, slots=True)
class ShownFilter:
    """Which published articles a list has; None = all."""

    locale: str | None = None
    tag: str | None = None
    kind: str | None = None


class ArticleStore(Protocol):
    """Articles of a workspace. A change is one transaction with what belongs to it, on condition that the head is the
    one that was read."""

    def settings(self) -> EditorialSettings:
        """What the administrators have decided."""
        ...

    def save_settings(self, before: EditorialSettings, after: EditorialSettings, events: Sequence[AuditEvent]) -> None:
        """Raises StaleArticle when they were changed since they were read."""
        ...

    def create(self, article: Article, version: ArticleVersion) -> None:
        """Store a new article with its first version, and the claims of its slug and of its locale among the
        translations. Raises ArticleExists, ArticleSlugTaken, TranslationExists."""
        ...

    def save(self, before: Article, after: Article, version: ArticleVersion) -> None:
        """Store a new version. The slug is claimed, and the one before is given back unless the public has seen it.
        Raises StaleArticle, ArticleSlugTaken."""
        ...

    def change(self, before: Article, after: Article, events: Sequence[AuditEvent]) -> None:
        """Store what happens to an article without a new version or a publication. Raises StaleArticle."""
        ...

    def publish(
        self,
        before: Article,
        after: Article,
        shown: ShownArticle,
        files: tuple[Sequence[str], Sequence[str]],
        events: Sequence[AuditEvent],
    ) -> None:
        """Show a version to the public. files: the assets that the public sees by the version before, and by this one.
        Raises StaleArticle, and ArticleSlugTaken when another article has taken the slug of an earlier version."""
        ...

    def unpublish(self, before: Article, after: Article, files: Sequence[str], events: Sequence[AuditEvent]) -> None:
        """Show an article to the public no more. Raises StaleArticle."""
        ...

    def delete(self, before: Article, after: Article, files: Sequence[str], events: Sequence[AuditEvent]) -> None:
        """Mark an article as deleted: nobody sees it, nothing shows its files, and its locale is free among the
        translations. Raises StaleArticle."""
        ...

    def drop_version(self, article: Article, version: ArticleVersion) -> None:
        """Remove a version of a deleted article, and its slug unless the public has seen it. Safe to repeat."""
        ...

    def end_deletion(self, before: Article) -> None:
        """Note that a deleted article has no versions any more; of one that the public never saw, nothing stays. Raises
        StaleArticle."""
        ...

    def get(self, workspace_id: str, article_id: str) -> Article:
        """The head, also of a deleted one (consistent read). Raises NotFound."""
        ...

    def heads(self, workspace_id: str, article_ids: Sequence[str]) -> Mapping[str, Article]:
        """Those of these articles that exist, by id (consistent read). At most 50 ids."""
        ...

    def mirror(self, before: Article | None, after: Article, version: ArticleVersion, shown: ShownArticle) -> None:
        """Store and show what another system has published, in place of its version before. Raises StaleArticle, and
        ArticleSlugTaken."""
        ...

    def version(self, workspace_id: str, article_id: str, number: int) -> ArticleVersion:
        """Raises NotFound."""
        ...

    def versions(self, workspace_id: str, article_id: str, below: int | None, limit: int) -> ArticleVersionPage:
        """The versions below a number, newest first, with empty bodies."""
        ...

    def page(self, workspace_id: str, status: ArticleStatus | None, after_key: str | None, limit: int) -> ArticlePage:
        """The articles that are written here, whatever their state."""
        ...

    def claim(self, workspace_id: str, source: str, locale: str, slug: str) -> SlugClaim | None:
        """The article to which a slug leads."""
        ...

    def shown_page(
        self, workspace_id: str, source: str, matching: ShownFilter, after_key: str | None, limit: int
    ) -> ShownPage:
        """The published articles of a source."""
        ...

    def shown(self, workspace_id: str, article_ids: Sequence[str]) -> Mapping[str, ShownArticle]:
        """Those of these articles that are published, by id. At most 50 ids."""
        ...

    def published_versions(self, shown: Sequence[ShownArticle]) -> Mapping[str, ArticleVersion]:
        """The published versions, by article. At most 50."""
        ...

    def translations(self, workspace_id: str, group_id: str) -> Sequence[str]:
        """The ids of the articles of a group."""
        ...

    def is_shown_file(self, workspace_id: str, asset_id: str) -> bool:
        """Whether a published article shows an asset."""
        ...

    def due(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """(workspace, article) whose scheduled publication is due, or what they left after their deletion, the longest
        overdue first."""
        ...
