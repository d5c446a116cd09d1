"""Feeds as other programs read them, whatever stands in titles, names and tags."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import fromstring

import feedparser
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.articles.deps import ArticleDeps
from atelier.articles.model import ArticleContent, ArticleKind, EditorialSettings, ShownArticle
from atelier.articles.read_articles import ArticleEntry
from atelier.articles.write_feeds import Feed, write_atom, write_json_feed, write_rss

BASE, AT = "https://x.example", datetime(2026, 11, 30, 9, tzinfo=UTC)
ART = "art_01M7XCN60QCB8JGMC722TFVM7C"
# Any character that JSON can bring, those too that no XML document may have.
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
NOTHING: Any = None


def feed_of(path: str, *entries: ArticleEntry, title: str = "News") -> Feed:
    deps = ArticleDeps(NOTHING, NOTHING, NOTHING, BASE)
    return Feed(EditorialSettings(title=title), entries, None, path, deps)


def entry(title: str, **fields: Any) -> ArticleEntry:
    author, tags = fields.get("author", ""), fields.get("tags", ())
    summary, content = fields.get("summary", ""), fields.get("content", ArticleContent(title, "s", body="*Light*"))
    shown = ShownArticle(
        *(ART, "wsp_x", "atelier", ArticleKind.ARTICLE, "de-CH", "s", title, summary, tags, author, None, 1),
        AT,
        AT + timedelta(hours=1),
    )
    return ArticleEntry(shown, content)


@settings(deadline=None)
@given(TEXT, TEXT, TEXT)
def test_every_feed_is_well_formed(title: str, author: str, tag: str) -> None:
    one = entry(title, author=author, tags=(tag,), summary=title)
    for path, write in (("/feed.xml", write_rss), ("/feed.atom", write_atom)):
        fromstring(write(feed_of(path, one, title=title)))
    [item] = json.loads(write_json_feed(feed_of("/feed.json", one, title=title)))["items"]
    assert (item["title"], item["authors"], item["tags"]) == (title, [{"name": author}], [tag])


def test_a_feed_without_entries_is_one() -> None:
    for path, write in (("/feed.xml", write_rss), ("/feed.atom", write_atom)):
        parsed = feedparser.parse(write(feed_of(path)))
        assert (parsed.bozo, parsed.entries) == (False, [])


def test_dates_and_ids_are_those_of_the_article() -> None:
    for path, write in (("/feed.xml", write_rss), ("/feed.atom", write_atom)):
        [found] = feedparser.parse(write(feed_of(path, entry("T")))).entries
        assert found.id == f"urn:atelier:{ART}"
        assert found.published_parsed[:4] == (2026, 11, 30, 9)
        assert found.link == f"{BASE}/articles/de-CH/s"
    item = json.loads(write_json_feed(feed_of("/feed.json", entry("T"))))["items"][0]
    assert (item["date_published"], item["date_modified"]) == ("2026-11-30T09:00:00.000Z", "2026-11-30T10:00:00.000Z")
    assert item["content_html"] == "<p><em>Light</em></p>\n"


def test_an_entry_whose_body_is_left_out_has_its_summary() -> None:
    one = entry("T", content=None, summary="In short")
    item = json.loads(write_json_feed(feed_of("/feed.json", one)))["items"][0]
    assert (item["content_text"], "content_html" in item) == ("In short", False)
    [found] = feedparser.parse(write_atom(feed_of("/feed.atom", one))).entries
    assert (found.summary, "content" in found) == ("In short", False)
