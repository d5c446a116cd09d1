"""Collect what a deployment renders."""

from __future__ import annotations

from collections.abc import Iterable

from atelier.retrying import retrying
from atelier.sites.check_page import parts_in
from atelier.sites.deps import SiteDeps
from atelier.sites.model import PageHead, PublishedPage, PublishedSite
from atelier.sites.ports import StalePage

BUSY, TRIES_MAX = "The site is changing quickly. Try again.", 10


def collect_published(deps: SiteDeps, workspace_id: str, site_id: str) -> PublishedSite:
    """The site, its published pages in their published versions sorted by path, and the parts that they use: one
    version of everything, read once. Raises NotFound."""

    def attempt() -> PublishedSite:
        site = deps.sites.get(workspace_id, site_id)
        heads = [head for head in deps.pages.all_heads(workspace_id, site_id) if head.published_version is not None]
        pages = sorted(_pages(deps, workspace_id, heads), key=lambda page: page.content.path)
        ids = {id for page in pages for id in parts_in(page.content)}
        parts = deps.parts.find(workspace_id, sorted(ids))
        # What is published is kept, and so are its parts: something that is missing was unpublished while this read.
        if len(pages) < len(heads) or len(parts) < len(ids):
            raise StalePage
        return PublishedSite(site, tuple(pages), parts)

    return retrying(attempt, on=StalePage, busy=BUSY, tries_max=TRIES_MAX)


def _pages(deps: SiteDeps, workspace_id: str, heads: Iterable[PageHead]) -> list[PublishedPage]:
    wanted = {head.id: head.published_version or 0 for head in heads}
    versions = deps.pages.contents(workspace_id, wanted.items())
    return [
        PublishedPage(version.page_id, version.number, version.content, version.created_at)
        for version in versions.values()
    ]
