"""HTTP schemas of deployments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from atelier import cursors
from atelier.deployments.model import DeploymentStatus, DeploymentTarget, LiveDeployment, SiteDeployment
from atelier.deployments.ports import DeploymentPage
from atelier.deployments.request import NewDeployment
from atelier.lazy_model import LazyModel

SiteId = Annotated[str, Field(pattern=r"^sit_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
IntegrationId = Annotated[str, Field(pattern=r"^int_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


class DeploymentRequest(LazyModel):
    """What is deployed, and where to."""

    model_config = ConfigDict(extra="forbid")

    site_id: SiteId
    target: DeploymentTarget = DeploymentTarget.CLOUDFRONT
    preview: bool = Field(default=False, description="At an address of its own; replaces nothing.")
    integration_id: IntegrationId | None = Field(
        default=None, description="Whose account is used; needed when there are several of the target's kind."
    )

    def new(self, workspace_id: str, user_id: str, idempotency_key: str | None) -> NewDeployment:
        """The deployment to request."""
        return NewDeployment(
            workspace_id, user_id, self.site_id, self.target, self.preview, self.integration_id, idempotency_key
        )


class DeploymentQuery(LazyModel):
    """A page of deployments."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None
    site_id: SiteId | None = None

    @property
    def after_id(self) -> str | None:
        """The deployment after which the page begins. Raises ValidationFailed."""
        return cursors.decode(self.cursor, "dep_")


class DeploymentView(LazyModel):
    """A deployment. `current`: whether its target shows it now. `uploaded`, `uploaded_bytes`: what the target lacked
    and was sent. `rolls_back_to`: the earlier deployment whose files it shows. `failure`: why it failed.
    `files_removed_at`: since when it cannot be rolled back to, because its files are not kept."""

    id: str
    site_id: str
    user_id: str
    target: DeploymentTarget
    preview: bool
    integration_id: str | None
    rolls_back_to: str | None
    status: DeploymentStatus
    current: bool
    url: str | None
    files: int
    uploaded: int
    uploaded_bytes: int
    failure: str | None
    cancel_requested: bool
    created_at: datetime
    ended_at: datetime | None
    files_removed_at: datetime | None


class DeploymentEnvelope(LazyModel):
    deployment: DeploymentView


class DeploymentList(LazyModel):
    """A page of deployments, newest first."""

    items: list[DeploymentView]
    next_cursor: str | None


class LogLineView(LazyModel):
    at: datetime
    text: str


class DeploymentLog(LazyModel):
    """What a deployment has done, the oldest line first."""

    status: DeploymentStatus
    lines: list[LogLineView]


def deployment_view(deployment: SiteDeployment, live: LiveDeployment | None) -> DeploymentView:
    """A deployment for callers. live: what its target shows of its site."""
    is_current = live is not None and live.deployment_id == deployment.id
    return DeploymentView(
        id=deployment.id,
        site_id=deployment.site_id,
        user_id=deployment.user_id,
        target=deployment.target,
        preview=deployment.is_preview,
        integration_id=deployment.integration_id,
        rolls_back_to=deployment.rolls_back_to,
        status=deployment.status,
        current=is_current and not deployment.is_preview,
        url=deployment.url,
        files=deployment.files,
        uploaded=deployment.uploaded,
        uploaded_bytes=deployment.uploaded_bytes,
        failure=deployment.failure,
        cancel_requested=deployment.cancel_requested,
        created_at=deployment.created_at,
        ended_at=deployment.ended_at,
        files_removed_at=deployment.files_removed_at,
    )


def deployment_list(
    page: DeploymentPage, live: dict[tuple[str, DeploymentTarget], LiveDeployment | None]
) -> DeploymentList:
    """A page for callers. live: what targets show of sites."""
    items = [deployment_view(each, live[each.site_id, each.target]) for each in page.items]
    return DeploymentList(items=items, next_cursor=cursors.encode(page.next_id))


def deployment_log(deployment: SiteDeployment) -> DeploymentLog:
    """A deployment's log for callers."""
    return DeploymentLog(
        status=deployment.status, lines=[LogLineView(at=line.at, text=line.text) for line in deployment.log]
    )
