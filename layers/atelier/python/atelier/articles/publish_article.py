"""Review, publish, schedule and unpublish articles. Each is one transaction, which can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from atelier.articles.delete_article import remove_leftovers
from atelier.articles.deps import ArticleDeps
from atelier.articles.model import Article, ArticleSlugTaken, ArticleVersion, StaleArticle, shown_article
from atelier.articles.save_article import BUSY, TRIES_MAX, own_article, require_editorial, slug_taken
from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.clock import TimeLeft, rfc3339
from atelier.errors import AtelierError, Conflict, Forbidden, NotFound, ValidationFailed
from atelier.retrying import retrying
from atelier.telemetry import logger

# How far ahead a publication may be scheduled.
AHEAD_MAX = timedelta(days=730)
DUE_TOGETHER = 25
# How many versions of one deleted article a run of the schedule removes.
VERSIONS_OF_A_RUN = 500
TIME_MARGIN_MILLISECONDS = 10_000


def request_review(workspace_id: str, article_id: str, *, deps: ArticleDeps, now: datetime) -> Article:
    """Ask that another person reads the newest version. Asking again changes nothing. Raises NotFound."""

    def attempt() -> Article:
        before = own_article(workspace_id, article_id, deps)
        if before.review_of == before.version:
            return before
        after = replace(before, review_of=before.version, approved_by=None)
        return _changed(before, after, (), deps, now)

    return _retrying(attempt)


def approve_article(
    workspace_id: str, article_id: str, number: int, origin: Origin, *, deps: ArticleDeps, now: datetime
) -> Article:
    """Approve a version for which a review was asked. Raises NotFound, Conflict (another version is the one to
    review), Forbidden for whoever wrote it."""

    def attempt() -> Article:
        before = own_article(workspace_id, article_id, deps)
        if before.review_of != number:
            raise Conflict("No review of this version was asked for.", version=number, review_of=before.review_of)
        if before.approved_by is not None:
            return before
        version = deps.store.version(workspace_id, article_id, number)
        if version.user_id == origin.user_id:
            raise Forbidden("Another person than its author approves a version.")
        after = replace(before, approved_by=origin.user_id)
        event = _event(before, "article.approved", origin, now, version=number)
        return _changed(before, after, [event], deps, now)

    return _retrying(attempt)


def publish_article(
    workspace_id: str, article_id: str, number: int | None, origin: Origin, *, deps: ArticleDeps, now: datetime
) -> Article:
    """Show a version to the public; None = the newest one. What was scheduled is not published any more. Publishing it
    again changes nothing. Raises NotFound, ValidationFailed (its slug was taken), Conflict (it was not approved)."""

    def attempt() -> Article:
        before = own_article(workspace_id, article_id, deps)
        chosen = number or before.version
        _require_approval(before, chosen, deps)
        if before.published_version == chosen and before.scheduled_at is None:
            return before
        return _publish(before, chosen, before.published_at or now, origin, deps, now)

    return _retrying(attempt)


def schedule_article(
    workspace_id: str, article_id: str, number: int | None, at: datetime, origin: Origin, *,
    deps: ArticleDeps, now: datetime,
) -> Article:  # fmt: skip
    """Let a version be published at a time; None = the newest one. A time before it is replaced. Raises NotFound,
    ValidationFailed, Conflict (it was not approved)."""
    if not now < at <= now + AHEAD_MAX:
        raise ValidationFailed([{"path": "at", "message": "must be a time within the next two years"}])

    def attempt() -> Article:
        before = own_article(workspace_id, article_id, deps)
        version = deps.store.version(workspace_id, article_id, number or before.version)
        _require_approval(before, version.number, deps)
        after = replace(before, scheduled_at=at, scheduled_version=version.number)
        event = _event(before, "article.scheduled", origin, now, version=version.number, at=rfc3339(at))
        return _changed(before, after, [event], deps, now)

    return _retrying(attempt)


def unpublish_article(
    workspace_id: str, article_id: str, origin: Origin, *, deps: ArticleDeps, now: datetime
) -> Article:
    """Show an article to the public no more, and publish nothing at a time that was set. Doing it again changes
    nothing. Raises NotFound."""

    def attempt() -> Article:
        before = own_article(workspace_id, article_id, deps)
        if before.published_version is None and before.scheduled_at is None:
            return before
        event = _event(before, "article.unpublished", origin, now, version=before.published_version)
        after = replace(before, scheduled_at=None, scheduled_version=None)
        if before.published_version is None:
            return _changed(before, after, [event], deps, now)
        shown = deps.store.version(workspace_id, article_id, before.published_version)
        after = replace(after, published_version=None, revision=before.revision + 1, updated_at=now)
        deps.store.unpublish(before, after, shown.content.files, [event])
        return after

    return _retrying(attempt)


def publish_due(context: TimeLeft | None, *, deps: ArticleDeps, clock: Callable[[], datetime]) -> int:
    """Publish what is due, the longest overdue first, as long as the time suffices; returns how many. Each is published
    once, however often and by how many processes this runs: the publication ends the schedule."""
    done = 0
    for workspace_id, article_id in deps.store.due(clock(), DUE_TOGETHER):
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            logger.warning("articles are left for the next run", published=done)
            break
        try:
            done += publish_scheduled(workspace_id, article_id, deps=deps, now=clock())
        except NotFound:
            logger.warning("a due article is gone", article_id=article_id)
        except AtelierError as error:
            logger.exception("an article could not be published", article_id=article_id, error=type(error).__name__)
    logger.info("articles published", published=done)
    return done


def publish_scheduled(workspace_id: str, article_id: str, *, deps: ArticleDeps, now: datetime) -> bool:
    """Publish the version of an article whose time has come; False when none is due (any more). Of a deleted article
    versions are removed instead."""

    def attempt() -> bool:
        before = deps.store.get(workspace_id, article_id)
        if before.deleted_at is not None:
            remove_leftovers(before, VERSIONS_OF_A_RUN, deps=deps)
            return False
        at, number = before.scheduled_at, before.scheduled_version
        if at is None or number is None or at > now:
            return False
        _publish(before, number, before.published_at or at, Origin(), deps, now)
        return True

    return retrying(attempt, on=StaleArticle, busy=BUSY, tries_max=TRIES_MAX)


def _publish(
    before: Article, number: int, published_at: datetime, origin: Origin, deps: ArticleDeps, now: datetime
) -> Article:
    version = deps.store.version(before.workspace_id, before.id, number)
    old: ArticleVersion | None = None
    if before.published_version is not None:
        old = deps.store.version(before.workspace_id, before.id, before.published_version)
    slug = version.content.slug
    after = replace(
        before,
        revision=before.revision + 1,
        updated_at=now,
        published_version=number,
        published_at=published_at,
        shown_slugs=(*(each for each in before.shown_slugs if each != slug), slug),
        scheduled_at=None,
        scheduled_version=None,
    )
    shown = shown_article(before, version, published_at, now)
    event = _event(before, "article.published", origin, now, version=number, before=before.published_version)
    files = old.content.files if old else (), version.content.files
    try:
        deps.store.publish(before, after, shown, files, [event])
    except ArticleSlugTaken:
        raise slug_taken(slug) from None
    return after


def _require_approval(article: Article, number: int, deps: ArticleDeps) -> None:
    settings = require_editorial(article.workspace_id, deps)
    if settings.needs_review and not article.is_approved(number):
        raise Conflict("Another person has to approve this version before it is published.", version=number)


def _changed(
    before: Article, after: Article, events: list[AuditEvent] | tuple[()], deps: ArticleDeps, now: datetime
) -> Article:
    after = replace(after, revision=before.revision + 1, updated_at=now)
    deps.store.change(before, after, events)
    return after


def _event(article: Article, action: str, origin: Origin, now: datetime, **facts: Any) -> AuditEvent:
    return audit_event(article.workspace_id, action, origin, now, target=article.id, title=article.title, **facts)


def _retrying(attempt: Callable[[], Article]) -> Article:
    return retrying(attempt, on=StaleArticle, busy=BUSY, tries_max=TRIES_MAX)
