"""Feeds of the pages below a path such as /blog: Atom (RFC 4287) and JSON Feed 1.1."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape

from atelier.clock import rfc3339
from atelier.deployments.render.files import RenderedFile
from atelier.deployments.render.page import absolute, description_of
from atelier.sites.model import PublishedPage, PublishedSite

# The first words of paths whose pages are news.
FEED_PREFIXES = ("/blog", "/news")
ENTRIES_MAX = 50


def feed_paths(published: PublishedSite) -> tuple[str, ...]:
    """The paths of a site's feeds."""
    prefixes = [prefix for prefix in FEED_PREFIXES if _below(published, prefix)]
    return tuple(f"{prefix}/{name}" for prefix in prefixes for name in ("feed.xml", "feed.json"))


def render_feeds(published: PublishedSite, base_url: str) -> Iterator[RenderedFile]:
    """The feeds of a site: the pages that changed last, in front."""
    for prefix in FEED_PREFIXES:
        pages = _below(published, prefix)[:ENTRIES_MAX]
        if pages:
            atom = _atom(published, base_url, prefix, pages)
            yield RenderedFile(f"{prefix}/feed.xml", "application/atom+xml; charset=utf-8", atom.encode())
            data = json.dumps(_json(published, base_url, prefix, pages), ensure_ascii=False, indent=1)
            yield RenderedFile(f"{prefix}/feed.json", "application/feed+json; charset=utf-8", data.encode())


def _below(published: PublishedSite, prefix: str) -> list[PublishedPage]:
    pages = [page for page in published.pages if page.content.path.startswith(prefix + "/")]
    shown = [page for page in pages if not page.content.seo.no_index]
    return sorted(shown, key=lambda page: (page.updated_at, page.id), reverse=True)


def _atom(published: PublishedSite, base_url: str, prefix: str, pages: Sequence[PublishedPage]) -> str:
    site, address = published.site, absolute(base_url, prefix)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<id>{escape(address)}</id>",
        f"<title>{escape(site.name)}</title>",
        f"<updated>{rfc3339(pages[0].updated_at)}</updated>",
        f"<author><name>{escape(site.name)}</name></author>",
        f'<link href="{escape(address)}"/>',
        f'<link rel="self" href="{escape(base_url)}{prefix}/feed.xml"/>',
    ]
    for page in pages:
        url = absolute(base_url, page.content.path)
        lines += [
            f"<entry><id>{escape(url)}</id><title>{escape(page.content.title)}</title>",
            f'<updated>{rfc3339(page.updated_at)}</updated><link href="{escape(url)}"/>',
            f"<summary>{escape(description_of(page.content, site))}</summary></entry>",
        ]
    return "\n".join([*lines, "</feed>", ""])


def _json(published: PublishedSite, base_url: str, prefix: str, pages: Sequence[PublishedPage]) -> dict[str, object]:
    site = published.site
    items = [
        {
            "id": absolute(base_url, page.content.path),
            "url": absolute(base_url, page.content.path),
            "title": page.content.title,
            "summary": description_of(page.content, site),
            "content_text": description_of(page.content, site),
            "date_modified": rfc3339(page.updated_at),
        }
        for page in pages
    ]
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": site.name,
        "home_page_url": absolute(base_url, prefix),
        "feed_url": f"{base_url}{prefix}/feed.json",
        "language": site.settings.language,
        "items": items,
    }
