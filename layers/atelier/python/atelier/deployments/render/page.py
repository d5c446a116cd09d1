"""One page as an HTML document, with the files that it needs beside the site's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from atelier.dataclass import dataclass
from atelier.deployments.render.files import RenderedFile, hashed_file
from atelier.deployments.render.images import Images
from atelier.deployments.render.parts import expand
from atelier.sites.model import PageContent, PublishedSite, Site

CSS, JAVASCRIPT = "text/css; charset=utf-8", "text/javascript; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PageFrame:
    """What all pages of a site have in common. base_url: the public address without a slash at its end. stylesheet,
    script: the paths of the site's own; None without one. feeds: paths of feeds that pages announce."""

    published: PublishedSite
    base_url: str
    stylesheet: str
    script: str | None = None
    feeds: tuple[str, ...] = ()


def page_path(path: str) -> str:
    """The path of a page's file: `/about` is `/about/index.html`, and `/404` the page for whatever is not there."""
    if path == "/404":
        return "/404.html"
    return f"{path.rstrip('/')}/index.html"


def render_page(content: PageContent, frame: PageFrame, images: Images) -> Iterator[RenderedFile]:
    """The document of a page and, before it, its own stylesheet and script."""
    site = frame.published.site
    css: list[str] = []
    scripts: list[str] = []
    html: list[str] = []
    for block in content.blocks:
        expanded = expand(block, frame.published.parts)
        css.append(expanded.css)
        scripts.append(block.js if site.settings.scripts else "")
        html.append(expanded.html)
    own_css, own_script = images.fill_urls(joined(css)), joined_scripts(scripts)
    files: list[RenderedFile] = []
    if own_css:
        files.append(hashed_file(own_css, CSS))
    if own_script:
        files.append(hashed_file(own_script, JAVASCRIPT))
    yield from files
    head = "\n".join(_head(content, frame, images, [file.path for file in files]))
    body = images.fill("\n".join(_body(html)), loads_first=True)
    language = escape(content.language or site.settings.language)
    document = f'<!doctype html>\n<html lang="{language}">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
    yield RenderedFile(page_path(content.path), HTML, document.encode())


def joined(texts: Sequence[str]) -> str:
    """Texts without those that are empty or repeated."""
    return "\n".join(dict.fromkeys(text.strip() for text in texts if text.strip()))


def joined_scripts(scripts: Sequence[str]) -> str:
    """Scripts, each with names of its own."""
    return "\n".join(f"(() => {{\n{script}\n}})();" for script in dict.fromkeys(scripts) if script.strip())


def style_tag(path: str) -> str:
    """How a page loads a stylesheet."""
    return f'<link rel="stylesheet" href="{path}">'


def script_tag(path: str) -> str:
    """How a page loads a script."""
    return f'<script src="{path}" defer></script>'


def absolute(base_url: str, path: str) -> str:
    """The public address of a page."""
    return f"{base_url}{path if path == '/' else path.rstrip('/') + '/'}"


def description_of(content: PageContent, site: Site) -> str:
    """What search engines show below a page's title."""
    return content.seo.description or site.settings.description


def _head(content: PageContent, frame: PageFrame, images: Images, own: Sequence[str]) -> Iterator[str]:
    site, seo = frame.published.site, content.seo
    title, description = seo.title or content.title, description_of(content, site)
    url = absolute(frame.base_url, content.path)
    yield '<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>"
    if description:
        yield _meta("description", description)
    if seo.no_index or content.path == "/404":
        yield _meta("robots", "noindex")
    else:
        yield f'<link rel="canonical" href="{escape(url)}">'
    yield _property("og:type", "website")
    yield _property("og:site_name", site.name)
    yield _property("og:title", title)
    if description:
        yield _property("og:description", description)
    yield _property("og:url", url)
    image = images.facts(seo.image_asset_id or site.settings.image_asset_id)
    if image is not None:
        yield _property("og:image", frame.base_url + (images.path(image.asset_id) or ""))
        yield _property("og:image:width", str(image.whole.width))
        yield _property("og:image:height", str(image.whole.height))
    yield _meta("twitter:card", "summary_large_image" if image is not None else "summary")
    icon = images.facts(site.settings.favicon_asset_id)
    # Without an icon a browser asks for /favicon.ico, which is not there.
    yield f'<link rel="icon" href="{images.path(icon.asset_id) if icon else "data:,"}">'
    for feed in frame.feeds:
        kind = "application/feed+json" if feed.endswith(".json") else "application/atom+xml"
        yield f'<link rel="alternate" type="{kind}" title="{escape(site.name)}" href="{escape(feed)}">'
    for path in (frame.stylesheet, *(path for path in own if path.endswith(".css"))):
        yield style_tag(path)
    for path in (frame.script, *(path for path in own if path.endswith(".js"))):
        if path:
            yield script_tag(path)


def _body(blocks: Sequence[str]) -> Iterator[str]:
    """The blocks, in landmarks: what a page begins with as header or navigation, and ends with as footer, stands beside
    its main content."""
    if any("<main" in block for block in blocks):
        yield from blocks
        return
    first, last = 0, len(blocks)
    while first < last and blocks[first].lstrip().startswith(("<header", "<nav")):
        first += 1
    while last > first and blocks[last - 1].lstrip().startswith("<footer"):
        last -= 1
    yield from blocks[:first]
    yield "<main>"
    yield from blocks[first:last]
    yield "</main>"
    yield from blocks[last:]


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">'


def _property(name: str, content: str) -> str:
    return f'<meta property="{name}" content="{escape(content)}">'
