"""Articles on the embedded DynamoDB: exact whoever writes at the same time, and whenever a process dies."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb import audit_log
from atelier.adapters.aws.dynamodb.articles.store import DynamoArticles
from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem
from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys
from atelier.articles.delete_article import delete_article
from atelier.articles.deps import ArticleDeps
from atelier.articles.model import Article, ArticleContent, ArticleKind, EditorialSettings
from atelier.articles.ports import ShownFilter
from atelier.articles.publish_article import publish_article, publish_due, schedule_article, unpublish_article
from atelier.articles.save_article import NewArticle, SavedArticle, Writer, create_article, save_article
from atelier.audit_log.model import Origin
from atelier.errors import Conflict, NotFound, ValidationFailed, VersionConflict
from atelier.ids import new_id
from tests.conftest import Tables
from tests.integration.world import NOON, run_concurrently

EDITORS = 8


class Desk:
    """The editorial workspace, with the real use cases and store."""

    def __init__(self, tables: Tables) -> None:
        audit_log.bind(tables.audit)
        self.id, self.store = new_id("wsp", NOON), DynamoArticles(tables.community)
        self.store.save_settings(EditorialSettings(), EditorialSettings(self.id, version=1), ())
        keys = DynamoIdempotencyKeys()
        keys.bind(tables.requests)
        self.deps = ArticleDeps(self.store, lambda: keys, lambda _, assets: True, "https://x.example")

    def made(self, slug: str = "light", by: str = "usr_a", key: str | None = None) -> SavedArticle:
        new = NewArticle(ArticleKind.ARTICLE, "en", ArticleContent("Light", slug))
        return create_article(new, Writer(self.id, by, key), deps=self.deps, now=NOON)

    def saved(self, article: Article, title: str, slug: str = "light", base: int = 1) -> SavedArticle:
        content = ArticleContent(title, slug)
        return save_article(article.id, base, content, Writer(self.id, title), deps=self.deps, now=NOON)

    def published(self, article: Article, number: int | None = None) -> Article:
        return publish_article(self.id, article.id, number, Origin("usr_a"), deps=self.deps, now=NOON)

    def shown(self) -> list[str]:
        page = self.store.shown_page(self.id, "atelier", ShownFilter(), None, 50)
        return [each.title for each in page.articles]

    def told(self) -> Counter[str]:
        """How often the log tells each action."""
        return Counter(item.action for item in AuditEventItem.query(self.id))


@pytest.fixture
def desk(tables: Tables) -> Desk:
    return Desk(tables)


def test_of_eight_editors_at_once_one_saves_and_seven_are_told_the_version(desk: Desk) -> None:
    article = desk.made().article
    done = run_concurrently(EDITORS, lambda number: desk.saved(article, f"T{number}"))
    conflicts = [each for each in done if isinstance(each, VersionConflict)]
    [saved] = [each for each in done if isinstance(each, SavedArticle)]
    assert [each.facts for each in conflicts] == [{"current": 2}] * (EDITORS - 1)
    assert desk.store.get(desk.id, article.id).title == saved.article.title
    assert [each.number for each in desk.store.versions(desk.id, article.id, None, 10).versions] == [2, 1]


def test_a_slug_goes_to_one_of_eight_articles_at_once(desk: Desk) -> None:
    done = run_concurrently(EDITORS, lambda number: desk.made(by=f"usr_{number}"))
    assert Counter(type(each) for each in done) == {SavedArticle: 1, ValidationFailed: EDITORS - 1}
    # Those that were refused have left nothing.
    assert len(desk.store.page(desk.id, None, None, 50).articles) == 1


def test_articles_that_exchange_slugs_at_once_never_share_one(desk: Desk) -> None:
    one, two = desk.made("one").article, desk.made("two").article
    run_concurrently(2, lambda number: desk.saved((one, two)[number], "T", ("three", "three")[number]))
    slugs = [desk.store.get(desk.id, each.id).slug for each in (one, two)]
    assert sorted(slugs).count("three") == 1
    for article, slug in zip((one, two), slugs, strict=True):
        claim = desk.store.claim(desk.id, "atelier", "en", slug)
        assert claim is not None
        assert claim.article_id == article.id


def test_the_same_creation_at_once_is_one_article(desk: Desk) -> None:
    done = run_concurrently(EDITORS, lambda _: desk.made(key="one"))
    assert {each.article.id for each in done if isinstance(each, SavedArticle)} == {done[0].article.id}  # type: ignore[union-attr]
    assert [each for each in done if isinstance(each, Exception)] == []


def test_a_due_article_is_published_once_by_four_runs_at_once(desk: Desk) -> None:
    articles, at = [desk.made(f"s{number}").article for number in range(5)], NOON + timedelta(hours=1)
    for article in articles:
        schedule_article(desk.id, article.id, None, at, Origin("usr_a"), deps=desk.deps, now=NOON)
    done = run_concurrently(4, lambda _: publish_due(None, deps=desk.deps, clock=lambda: at))
    assert sum(each for each in done if isinstance(each, int)) == len(articles)
    assert len(desk.shown()) == len(articles)
    assert desk.told()["article.published"] == len(articles)


def test_publishing_and_taking_back_at_once_leaves_no_half(desk: Desk) -> None:
    article = desk.made().article
    for _ in range(5):
        run_concurrently(
            4,
            lambda number: (
                desk.published(article)
                if number % 2
                else unpublish_article(desk.id, article.id, Origin("usr_b"), deps=desk.deps, now=NOON)
            ),
        )
        head = desk.store.get(desk.id, article.id)
        assert desk.shown() == (["Light"] if head.published_version is not None else [])


class ProcessDied(BaseException):
    """Nothing catches it, as nothing catches the end of a process."""


class DyingStore:
    """The real store; the first publication is the process's last act."""

    def __init__(self, store: DynamoArticles, after: bool) -> None:
        self._store, self._after = store, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def publish(self, *args: Any) -> None:
        if self._after:
            self._store.publish(*args)
        raise ProcessDied


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_dies_at_the_write_publishes_once_all_the_same(desk: Desk, after: bool) -> None:
    article, at = desk.made().article, NOON + timedelta(hours=1)
    schedule_article(desk.id, article.id, None, at, Origin("usr_a"), deps=desk.deps, now=NOON)
    dying: Any = DyingStore(desk.store, after)
    late = at + timedelta(minutes=2)
    with pytest.raises(ProcessDied):
        publish_due(None, deps=replace(desk.deps, store=dying), clock=lambda: late)
    assert desk.shown() == (["Light"] if after else [])
    assert [publish_due(None, deps=desk.deps, clock=lambda: late) for _ in range(2)] == [0 if after else 1, 0]
    assert desk.told()["article.published"] == 1
    [shown] = desk.store.shown_page(desk.id, "atelier", ShownFilter(), None, 5).articles
    assert shown.published_at == at


def test_an_earlier_version_whose_slug_was_taken_since_is_not_published(desk: Desk) -> None:
    article = desk.made("first").article
    desk.saved(article, "T", "second")
    desk.made("first")
    with pytest.raises(ValidationFailed):
        desk.published(article, 1)
    assert desk.published(article).published_version == 2


class DiesAtWrite:
    """The real store; the process dies at one of the writes, counted from 1, before or after it. 0 = it lives."""

    def __init__(self, store: DynamoArticles, number: int, *, after: bool) -> None:
        self._store, self._number, self._after, self.seen = store, number, after, 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return partial(self._write, method) if name in ("delete", "drop_version", "end_deletion") else method

    def _write(self, method: Any, *args: Any) -> None:
        self.seen += 1
        if self.seen != self._number:
            method(*args)
            return
        if self._after:
            method(*args)
        raise ProcessDied


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("was_public", [False, True], ids=["draft", "public"])
def test_a_deletion_that_dies_at_any_write_is_ended_by_the_schedule(desk: Desk, was_public: bool, after: bool) -> None:
    writes = 1 + 3 + 1
    for number in range(1, writes + 1):
        slug = f"slug-{number}"
        article = desk.made(slug).article
        for base in (1, 2):
            desk.saved(article, f"T{base}", f"{slug}-{base}", base)
        if was_public:
            desk.published(article)
        dying = DiesAtWrite(desk.store, number, after=after)
        with pytest.raises(ProcessDied):
            delete_article(desk.id, article.id, Origin("usr_a"), deps=replace(desk.deps, store=dying), now=NOON)
        if number == 1 and not after:
            assert desk.store.get(desk.id, article.id).deleted_at is None
            delete_article(desk.id, article.id, Origin("usr_a"), deps=desk.deps, now=NOON)
        for _ in range(2):
            publish_due(None, deps=desk.deps, clock=lambda: NOON)
        assert not desk.store.versions(desk.id, article.id, None, 9).versions
        assert not desk.store.due(NOON, 9)
        claims = [desk.store.claim(desk.id, "atelier", "en", each) for each in (slug, f"{slug}-1", f"{slug}-2")]
        assert [each is not None for each in claims] == [False, False, was_public]
        if was_public:
            assert desk.store.get(desk.id, article.id).scheduled_at is None
        else:
            with pytest.raises(NotFound):
                desk.store.get(desk.id, article.id)
    assert desk.told()["article.deleted"] == writes
    assert desk.shown() == []


def test_deleting_saving_and_publishing_at_once_leaves_nothing(desk: Desk) -> None:
    article = desk.published(desk.made("light").article)

    def act(number: int) -> bool:
        try:
            if number % 3 == 0:
                delete_article(desk.id, article.id, Origin("usr_a"), deps=desk.deps, now=NOON)
            elif number % 3 == 1:
                desk.saved(article, f"T{number}", f"light-{number}")
            else:
                desk.published(article)
        except NotFound:
            return False
        except (VersionConflict, Conflict):
            return True
        return True

    run_concurrently(6, act)
    delete_due = partial(publish_due, None, deps=desk.deps, clock=lambda: NOON)
    assert [delete_due() for _ in range(2)] == [0, 0]
    assert desk.shown() == []
    assert not desk.store.versions(desk.id, article.id, None, 9).versions
    assert desk.told()["article.deleted"] == 1
