"""Events of deployments of sites; a part of the catalogue."""

from __future__ import annotations

from typing import Annotated, ClassVar

from atelier.dataclass import dataclass
from atelier.events.event import Instant, Workspace

DEPLOYMENT_CHANGES = ("queued", "building", "uploading", "live", "failed", "cancelled", "rolled_back")


@dataclass(frozen=True, slots=True)
class DeploymentChange:
    """A deployment of a site was requested, goes on, or has ended. `deployment.live`: the target shows it;
    `deployment.rolled_back`: it was shown, and an earlier one is again."""

    source: ClassVar[str] = "atelier.deployments"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(f"deployment.{change}" for change in DEPLOYMENT_CHANGES)

    workspace_id: Workspace
    deployment_id: Annotated[str, "the deployment"]
    site_id: Annotated[str, "the site"]
    user_id: Annotated[str, "who requested it"]
    target: Annotated[str, "`cloudfront`, `netlify`, `vercel` or `github_pages`"]
    is_preview: Annotated[int, "1 = it has an address of its own, and replaces nothing; 0 = it does"]
    status: Annotated[str, f"one of {', '.join(DEPLOYMENT_CHANGES)}"]
    url: Annotated[str | None, "where it is shown, once it is live"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"deployment.{self.status}"

    @property
    def id(self) -> str:
        return f"{self.deployment_id}#{self.status}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at


@dataclass(frozen=True, slots=True)
class IntegrationRefused:
    """A host did not accept the credentials of an integration: they are wrong, expired or revoked."""

    source: ClassVar[str] = "atelier.deployments"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("integration.refused",)

    workspace_id: Workspace
    integration_id: Annotated[str, "the integration"]
    kind: Annotated[str, "`netlify`, `vercel` or `github`"]
    deployment_id: Annotated[str, "the deployment that found it"]
    refused_at: Instant

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def id(self) -> str:
        return f"{self.integration_id}#refused#{self.deployment_id}"

    @property
    def occurred_at(self) -> str:
        return self.refused_at
