"""Delete articles. One write hides an article from everybody; its versions are removed after it, by the same request or
by the schedule. Of what the public has seen the head stays, so that its addresses say that it is gone."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from atelier.articles.deps import ArticleDeps
from atelier.articles.model import Article, StaleArticle
from atelier.articles.save_article import BUSY, TRIES_MAX, own_article
from atelier.audit_log.model import Origin, audit_event
from atelier.retrying import retrying

PAGE = 50
# How many versions a request removes; the schedule removes the others.
VERSIONS_AT_ONCE = 100


def delete_article(workspace_id: str, article_id: str, origin: Origin, *, deps: ArticleDeps, now: datetime) -> None:
    """Delete an article for good, with all its versions. Raises NotFound, also for one that is deleted already."""

    def attempt() -> Article:
        before = own_article(workspace_id, article_id, deps)
        files: tuple[str, ...] = ()
        if before.published_version is not None:
            files = deps.store.version(workspace_id, article_id, before.published_version).content.files
        after = replace(
            before,
            revision=before.revision + 1,
            updated_at=now,
            deleted_at=now,
            published_version=None,
            review_of=None,
            approved_by=None,
            # So the schedule finds it, until nothing is left.
            scheduled_at=now,
            scheduled_version=None,
        )
        number = before.published_version
        event = audit_event(
            workspace_id, "article.deleted", origin, now, target=article_id, title=before.title, version=number
        )
        deps.store.delete(before, after, files, [event])
        return after

    remove_leftovers(retrying(attempt, on=StaleArticle, busy=BUSY, tries_max=TRIES_MAX), VERSIONS_AT_ONCE, deps=deps)


def remove_leftovers(deleted: Article, versions_max: int, *, deps: ArticleDeps) -> bool:
    """Remove versions of a deleted article; whether nothing is left. It may be cut at any time, and repeated."""
    done, below = 0, None
    while done < versions_max:
        page = deps.store.versions(deleted.workspace_id, deleted.id, below, min(PAGE, versions_max - done))
        for version in page.versions:
            deps.store.drop_version(deleted, version)
        done, below = done + len(page.versions), page.next_number
        if below is None:
            # Nothing but the end of its deletion changes a deleted article: whoever was faster has done the same.
            with suppress(StaleArticle):
                deps.store.end_deletion(deleted)
            return True
    return False
