"""Mirror what an editorial system elsewhere publishes, so that the public reads it here: by the same list, as fast, and
while that system does not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.articles.model import (
    OWN,
    Article,
    ArticleKind,
    ArticleSlugTaken,
    ArticleVersion,
    EditorialSettings,
    StaleArticle,
    shown_article,
)
from atelier.articles.ports import ArticleStore, ShownFilter
from atelier.articles.source_ports import ArticleSource, SourceAccount, SourceArticle, SourceBusy, SourceRefused
from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.errors import AtelierError, NotFound
from atelier.ids import derived_id
from atelier.retrying import retrying
from atelier.telemetry import logger

# How often everything is read, whatever webhooks came.
EVERY = timedelta(hours=1)
AFTER_REFUSAL = timedelta(minutes=15)
WAIT_MIN = timedelta(minutes=1)
TIME_MARGIN_MILLISECONDS = 15_000
PAGE, TRIES_MAX = 50, 5
BUSY = "The articles are changing quickly. Try again."


@dataclass(frozen=True, slots=True)
class SyncDeps:
    """sources: by their kind. account(settings): the access to the system. Raises NotFound when it was removed."""

    store: ArticleStore
    sources: Mapping[str, ArticleSource]
    account: Callable[[EditorialSettings], SourceAccount]


def sync_due(context: TimeLeft | None, *, deps: SyncDeps, clock: Callable[[], datetime]) -> int:
    """Mirror the system if that is due; returns how many articles have changed. It can be repeated, and cut at any
    time: what has been mirrored is not written again."""
    settings, now = deps.store.settings(), clock()
    if settings.source == OWN or settings.sync_due_at is None or settings.sync_due_at > now:
        return 0
    changed, following = 0, now + EVERY
    try:
        changed = _sync(settings, context, deps, now)
    except SourceBusy as error:
        following = now + max(WAIT_MIN, timedelta(seconds=error.seconds))
        logger.warning("the source of articles is busy", reason=str(error), seconds=error.seconds)
    except (SourceRefused, AtelierError) as error:
        following = now + AFTER_REFUSAL
        logger.exception("the source of articles cannot be read", error=type(error).__name__)
    try:
        after = replace(settings, sync_due_at=following, version=settings.version + 1)
        deps.store.save_settings(settings, after, ())
    except StaleArticle:
        # A webhook, or an administrator, was faster: it stays due.
        logger.info("the source of articles is read again")
    return changed


def make_due(integration_id: str, *, store: ArticleStore, now: datetime) -> None:
    """Let the system be read again within a minute: something has changed there. Raises NotFound when it is not the
    source."""

    def attempt() -> None:
        before = store.settings()
        if before.integration_id != integration_id:
            raise NotFound
        if before.sync_due_at is None or before.sync_due_at > now:
            store.save_settings(before, replace(before, sync_due_at=now, version=before.version + 1), ())

    retrying(attempt, on=StaleArticle, busy=BUSY, tries_max=TRIES_MAX)


def _sync(settings: EditorialSettings, context: TimeLeft | None, deps: SyncDeps, now: datetime) -> int:
    workspace_id = settings.workspace_id
    assert workspace_id is not None, "an access is of a workspace"
    account = deps.account(settings)
    seen, changed, after = set[str](), 0, None
    while True:
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            raise SourceBusy(0, "it has more articles than one run reads")
        page = deps.sources[settings.source].page(account, after)
        if page.skipped:
            logger.warning("articles of the source are left out", ids=list(page.skipped)[:PAGE])
        found = {_id(each, settings): each for each in page.articles if each.published_at <= now}
        heads = deps.store.heads(workspace_id, list(found))
        for article_id, each in found.items():
            seen.add(article_id)
            changed += _mirror(article_id, each, heads.get(article_id), settings, deps, now)
        after = page.next_after
        if after is None:
            break
    return changed + _take_back(workspace_id, settings.source, seen, deps, now)


def _mirror(
    article_id: str,
    found: SourceArticle,
    before: Article | None,
    settings: EditorialSettings,
    deps: SyncDeps,
    now: datetime,
) -> int:
    if before is not None and before.source_revision == found.revision and before.published_version is not None:
        return 0
    assert settings.workspace_id is not None, "an access is of a workspace"
    content, number = found.content, before.version + 1 if before else 1
    slugs = (*(each for each in (before.shown_slugs if before else ()) if each != content.slug), content.slug)
    after = Article(
        article_id,
        settings.workspace_id,
        ArticleKind.ARTICLE,
        before.locale if before else found.locale or settings.locale,
        article_id,
        content.slug,
        content.title,
        number,
        before.revision + 1 if before else 1,
        found.created_at,
        now,
        "",
        settings.source,
        number,
        found.published_at,
        slugs,
        source_revision=found.revision,
    )
    version = ArticleVersion(article_id, number, content, "", now)
    try:
        deps.store.mirror(before, after, version, shown_article(after, version, found.published_at, now))
    except StaleArticle:
        # Another run is faster.
        return 0
    except ArticleSlugTaken:
        logger.warning("two articles of the source have one slug", slug=content.slug, id=found.id)
        return 0
    return 1


def _take_back(workspace_id: str, source: str, seen: set[str], deps: SyncDeps, now: datetime) -> int:
    """Show what the system does not publish any more to nobody."""
    count, after = 0, None
    while True:
        page = deps.store.shown_page(workspace_id, source, ShownFilter(), after, PAGE)
        gone = [shown.id for shown in page.articles if shown.id not in seen]
        for before in deps.store.heads(workspace_id, gone).values():
            hidden = replace(before, published_version=None, revision=before.revision + 1, updated_at=now)
            try:
                deps.store.unpublish(before, hidden, (), ())
                count += 1
            except StaleArticle:
                logger.info("an article of the source has changed meanwhile", article_id=before.id)
        after = page.next_key
        if after is None:
            return count


def _id(found: SourceArticle, settings: EditorialSettings) -> str:
    return derived_id("art", found.created_at, f"{settings.source}#{settings.integration_id}#{found.id}")
