"""All files of a published site, one after the other: memory is bounded by a page, whatever the size of the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from atelier.clock import rfc3339
from atelier.deployments.render.feeds import feed_paths, render_feeds
from atelier.deployments.render.files import RenderedFile, SiteAsset, hashed_file
from atelier.deployments.render.images import Images, references
from atelier.deployments.render.page import (
    CSS,
    JAVASCRIPT,
    PageFrame,
    absolute,
    joined,
    joined_scripts,
    render_page,
)
from atelier.deployments.render.parts import part_css
from atelier.sites.model import Block, BlockKind, PageContent, Part, PublishedSite

PLAIN_TEXT = "text/plain; charset=utf-8"
XML = "application/xml; charset=utf-8"
# Below everything that a site says itself.
BASE_CSS = """*,*::before,*::after{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;font-family:var(--font-body,system-ui,sans-serif);line-height:1.6;
color:var(--color-text,#1d1d1f);background:var(--color-background,#fff)}
h1,h2,h3{line-height:1.2}
img,video{max-width:100%;height:auto}
a{color:var(--color-link,#0b57d0)}"""
NOT_FOUND = {
    "de": ("Seite nicht gefunden", "Diese Seite gibt es nicht.", "Zur Startseite"),
    "en": ("Page not found", "There is no such page.", "Go to the home page"),
}


def render_site(
    published: PublishedSite, assets: Mapping[str, SiteAsset], base_url: str, *, preview: bool = False
) -> Iterator[RenderedFile]:
    """The files of a site: stylesheets and scripts before the pages that need them, and stored files of the library at
    the end. assets: by id, those that the library has. preview: search engines are kept out. The redirects of a site
    are no file; each target has a way of its own for them."""
    site, images = published.site, Images(assets)
    frame, shared = site_frame(published, images, base_url)
    yield from shared
    seen: set[str] = set()
    for page in published.pages:
        yield from _once(render_page(page.content, frame, images), seen)
    if all(page.content.path != "/404" for page in published.pages):
        yield from _once(render_page(_not_found(site.settings.language), frame, images), seen)
    yield from render_feeds(published, base_url)
    yield RenderedFile("/robots.txt", PLAIN_TEXT, _robots(base_url, preview=preview).encode())
    yield RenderedFile("/sitemap.xml", XML, _sitemap(published, base_url).encode())
    for path, variant in sorted(images.used.items()):
        yield RenderedFile(path, variant.content_type, None, variant.digest)


def site_frame(published: PublishedSite, images: Images, base_url: str) -> tuple[PageFrame, list[RenderedFile]]:
    """What all pages of a site have in common, and its files."""
    site, parts = published.site, sorted(published.parts.values(), key=lambda part: part.id)
    files = [hashed_file(images.fill_urls(_site_css(site.theme, parts)), CSS)]
    script = joined_scripts([part.js for part in parts]) if site.settings.scripts else ""
    if script:
        files.append(hashed_file(script, JAVASCRIPT))
    paths = [file.path for file in files]
    return PageFrame(published, base_url, paths[0], paths[1] if script else None, feed_paths(published)), files


def assets_of(published: PublishedSite) -> list[str]:
    """The ids of the library's files that a site shows."""
    settings = published.site.settings
    ids = {settings.image_asset_id, settings.favicon_asset_id}
    for part in published.parts.values():
        ids |= references(part.html) | references(part.css)
        ids |= {found for each in part.parameters for found in references(each.default)}
    for page in published.pages:
        ids.add(page.content.seo.image_asset_id)
        for block in page.content.blocks:
            texts = (block.html, block.css, *block.parameters.values(), *block.slots.values())
            ids |= {found for text in texts for found in references(text)}
    return sorted(each for each in ids if each)


def _once(files: Iterator[RenderedFile], seen: set[str]) -> Iterator[RenderedFile]:
    """The files of a page without those that an earlier page has."""
    for file in files:
        if file.path not in seen:
            seen.add(file.path)
            yield file


def _site_css(theme: Mapping[str, str], parts: list[Part]) -> str:
    tokens = ";".join(f"--{name}:{value}" for name, value in sorted(theme.items()))
    return joined([f":root{{{tokens}}}" if tokens else "", BASE_CSS, *map(part_css, parts)])


def _not_found(language: str) -> PageContent:
    title, text, link = NOT_FOUND.get(language.partition("-")[0], NOT_FOUND["en"])
    html = f'<h1>{title}</h1>\n<p>{text}</p>\n<p><a href="/">{link}</a></p>'
    return PageContent("/404", title, (Block("not-found", BlockKind.HTML, html),))


def _robots(base_url: str, *, preview: bool) -> str:
    if preview:
        return "User-agent: *\nDisallow: /\n"
    return f"User-agent: *\nAllow: /\n\nSitemap: {base_url}/sitemap.xml\n"


def _sitemap(published: PublishedSite, base_url: str) -> str:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">']
    for page in published.pages:
        if page.content.path != "/404" and not page.content.seo.no_index:
            url, changed = absolute(base_url, page.content.path), rfc3339(page.updated_at)
            lines.append(f"<url><loc>{escape(url)}</loc><lastmod>{changed}</lastmod></url>")
    return "\n".join([*lines, "</urlset>", ""])
