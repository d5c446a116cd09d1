"""One version of a page as a document of its own, for a preview: what a deployment makes of it, with its stylesheets
and scripts inside, since a preview is on no origin that could have files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from atelier.deployments.addresses import SiteHosts
from atelier.deployments.render.files import RenderedFile
from atelier.deployments.render.images import Images
from atelier.deployments.render.page import CSS, render_page, script_tag, style_tag
from atelier.deployments.render.site import site_frame
from atelier.sites.model import PageVersion, Part, PublishedSite, Site


def render_preview(site: Site, version: PageVersion, parts: Mapping[str, Part], *, hosts: SiteHosts) -> str:
    """The document, in which assets still have addresses of the scheme `asset:`. parts: by id, those that it uses."""
    images = Images({}, keeps_references=True)
    frame, shared = site_frame(PublishedSite(site, (), parts), images, hosts.base_url(site.slug, site.domain))
    *own, page = render_page(version.content, frame, images)
    return _with_files_inside(_text(page), [*shared, *own])


def _with_files_inside(document: str, files: Iterable[RenderedFile]) -> str:
    """A document with its files in place of their addresses; deferred scripts stand at its end."""
    for file in files:
        # Neither may end its element.
        text = _text(file).replace("</", "<\\/")
        if file.content_type == CSS:
            document = document.replace(style_tag(file.path), f"<style>{text}</style>", 1)
        else:
            head, _, body = document.replace(script_tag(file.path), "", 1).rpartition("</body>")
            document = f"{head}<script>{text}</script>\n</body>{body}"
    return document


def _text(file: RenderedFile) -> str:
    assert file.body is not None, "a document and its files are rendered"
    return file.body.decode()
