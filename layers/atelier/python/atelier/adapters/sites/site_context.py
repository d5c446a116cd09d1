"""PublishedSites: the context of sites, as deployments need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atelier.sites.deps import SiteDeps
    from atelier.sites.model import PublishedSite, Site


class SiteContext:
    """PublishedSites on the use cases of sites."""

    def __init__(self, deps: SiteDeps) -> None:
        self._deps = deps

    def get(self, workspace_id: str, site_id: str) -> Site:
        return self._deps.sites.get(workspace_id, site_id)

    def collect(self, workspace_id: str, site_id: str) -> PublishedSite:
        # Imported here, because whoever shows a site collects none.
        from atelier.sites.collect import collect_published

        return collect_published(self._deps, workspace_id, site_id)

    def find(self, slug: str) -> tuple[str, str] | None:
        return self._deps.sites.find(slug)

    def find_domain(self, domain: str) -> tuple[str, str] | None:
        return self._deps.sites.find_domain(domain)
