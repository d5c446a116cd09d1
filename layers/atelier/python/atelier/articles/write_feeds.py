"""Feeds of the published articles: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring  # nosec B405 - writes alone

from atelier.articles.deps import ArticleDeps
from atelier.articles.model import EditorialSettings, ShownArticle, article_url
from atelier.articles.read_articles import ArticleEntry
from atelier.articles.render_body import render_body
from atelier.clock import rfc3339
from atelier.dataclass import dataclass

ATOM, CONTENT, DC = (
    "http://www.w3.org/2005/Atom",
    "http://purl.org/rss/1.0/modules/content/",
    "http://purl.org/dc/elements/1.1/",
)
RSS_TYPE, ATOM_TYPE, JSON_TYPE = "application/rss+xml", "application/atom+xml", "application/feed+json"
# Of a feed without entries.
NEVER = datetime(2000, 1, 1, tzinfo=UTC)
for _prefix, _uri in (("atom", ATOM), ("content", CONTENT), ("dc", DC)):
    register_namespace(_prefix, _uri)


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed before it has a form. path: where it is served, such as `/feed.xml`."""

    settings: EditorialSettings
    entries: Sequence[ArticleEntry]
    locale: str | None
    path: str
    deps: ArticleDeps

    @property
    def language(self) -> str:
        """The locale of the feed."""
        return self.locale or self.settings.locale

    @property
    def home(self) -> str:
        """The page with the articles."""
        return f"{self.deps.base_url}/articles"

    @property
    def address(self) -> str:
        """Where the feed is served."""
        query = f"?locale={self.locale}" if self.locale else ""
        return f"{self.deps.base_url}{self.path}{query}"

    @property
    def updated_at(self) -> datetime:
        """When an entry was last changed."""
        return max((entry.shown.updated_at for entry in self.entries), default=NEVER)

    def html(self, entry: ArticleEntry) -> str | None:
        """The body of an entry."""
        if entry.content is None:
            return None
        return render_body(entry.content, self.deps.base_url, self.deps.file_url)[0]


def write_rss(feed: Feed) -> bytes:
    """The feed as RSS 2.0."""
    rss = Element("rss", version="2.0")
    channel = SubElement(rss, "channel")
    _add(channel, "title", feed.settings.title)
    _add(channel, "link", feed.home)
    _add(channel, "description", feed.settings.title)
    _add(channel, "language", feed.language.lower())
    _add(channel, "lastBuildDate", format_datetime(feed.updated_at, usegmt=True))
    SubElement(channel, f"{{{ATOM}}}link", href=feed.address, rel="self", type=RSS_TYPE)
    for entry in feed.entries:
        shown, item = entry.shown, SubElement(channel, "item")
        _add(item, "title", shown.title)
        _add(item, "link", article_url(shown, feed.deps.base_url))
        _add(item, "guid", _urn(shown), isPermaLink="false")
        _add(item, "pubDate", format_datetime(shown.published_at, usegmt=True))
        if shown.author:
            _add(item, f"{{{DC}}}creator", shown.author)
        for tag in shown.tags:
            _add(item, "category", tag)
        html = feed.html(entry)
        _add(item, "description", shown.summary or shown.title)
        if html is not None:
            _add(item, f"{{{CONTENT}}}encoded", html)
    return _document(rss)


def write_atom(feed: Feed) -> bytes:
    """The feed as Atom."""
    root = Element(f"{{{ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": feed.language})
    _add(root, f"{{{ATOM}}}title", feed.settings.title)
    _add(root, f"{{{ATOM}}}id", f"{feed.deps.base_url}{feed.path}")
    _add(root, f"{{{ATOM}}}updated", rfc3339(feed.updated_at))
    # Each entry without an author has the feed's.
    _add(SubElement(root, f"{{{ATOM}}}author"), f"{{{ATOM}}}name", feed.settings.title)
    SubElement(root, f"{{{ATOM}}}link", href=feed.address, rel="self", type=ATOM_TYPE)
    SubElement(root, f"{{{ATOM}}}link", href=feed.home, rel="alternate", type="text/html")
    for entry in feed.entries:
        shown, item = entry.shown, SubElement(root, f"{{{ATOM}}}entry")
        _add(item, f"{{{ATOM}}}title", shown.title)
        _add(item, f"{{{ATOM}}}id", _urn(shown))
        _add(item, f"{{{ATOM}}}published", rfc3339(shown.published_at))
        _add(item, f"{{{ATOM}}}updated", rfc3339(shown.updated_at))
        url = article_url(shown, feed.deps.base_url)
        SubElement(item, f"{{{ATOM}}}link", href=url, rel="alternate", type="text/html")
        if shown.author:
            _add(SubElement(item, f"{{{ATOM}}}author"), f"{{{ATOM}}}name", shown.author)
        for tag in shown.tags:
            SubElement(item, f"{{{ATOM}}}category", term=_plain(tag))
        html = feed.html(entry)
        _add(item, f"{{{ATOM}}}summary", shown.summary or shown.title)
        if html is not None:
            _add(item, f"{{{ATOM}}}content", html, type="html")
    return _document(root)


def write_json_feed(feed: Feed) -> bytes:
    """The feed as JSON Feed 1.1."""
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.settings.title,
        "home_page_url": feed.home,
        "feed_url": feed.address,
        "language": feed.language,
        "items": [_json_item(feed, entry) for entry in feed.entries],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _json_item(feed: Feed, entry: ArticleEntry) -> dict[str, Any]:
    shown, html = entry.shown, feed.html(entry)
    item: dict[str, Any] = {
        "id": shown.id,
        "url": article_url(shown, feed.deps.base_url),
        "title": shown.title,
        "date_published": rfc3339(shown.published_at),
        "date_modified": rfc3339(shown.updated_at),
        "language": shown.locale,
    }
    item |= {"content_html": html} if html else {"content_text": shown.summary or shown.title}
    item |= {"summary": shown.summary} if shown.summary else {}
    item |= {"tags": list(shown.tags)} if shown.tags else {}
    item |= {"authors": [{"name": shown.author}]} if shown.author else {}
    item |= {"image": feed.deps.file_url(shown.cover_id)} if shown.cover_id else {}
    return item


def _urn(shown: ShownArticle) -> str:
    """The id of an entry, which no change of its slug or of the deployment's address changes."""
    return f"urn:atelier:{shown.id}"


def _add(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = _plain(text)


@cache
def _no_xml() -> re.Pattern[str]:
    # Characters that no XML document may have; compiled when it is needed, because such large sets take 3 ms.
    return re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _plain(text: str) -> str:
    return _no_xml().sub("\ufffd", text)


def _document(root: Element) -> bytes:
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written
