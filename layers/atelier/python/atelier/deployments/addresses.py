"""Where our own edge shows sites."""

from __future__ import annotations

from atelier.dataclass import dataclass
from atelier.deployments.model import SiteDeployment, preview_label


@dataclass(frozen=True, slots=True)
class SiteHosts:
    """suffix: what follows a site's name in its address, such as `.sites.example.com` or, on a developer's machine,
    `.localhost:8080`. scheme: of the addresses. is_served: whether sites are served at all."""

    suffix: str
    scheme: str = "https"

    @property
    def is_served(self) -> bool:
        """Whether this deployment of Atelier has a domain for sites."""
        return bool(self.suffix)

    def url(self, label: str) -> str:
        """The address of a name."""
        return f"{self.scheme}://{label}{self.suffix}"

    def name(self, label: str) -> str:
        """The host's name, without a port."""
        return f"{label}{self.suffix}".partition(":")[0]

    def base_url(self, slug: str, domain: str | None) -> str:
        """The public address that a site's pages name, whatever they are deployed to."""
        return f"https://{domain}" if domain else self.url(slug)

    def url_of(self, deployment: SiteDeployment, slug: str) -> str:
        """The address at which a deployment is shown."""
        return self.url(preview_label(slug, deployment.id) if deployment.is_preview else slug)
