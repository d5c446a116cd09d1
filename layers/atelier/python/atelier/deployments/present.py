"""Answer the requests about deployments: use cases and views together."""

from __future__ import annotations

from atelier.deployments.model import SiteDeployment
from atelier.deployments.ports import Deployments
from atelier.deployments.schemas import (
    DeploymentEnvelope,
    DeploymentList,
    DeploymentLog,
    DeploymentQuery,
    deployment_list,
    deployment_log,
    deployment_view,
)


def show(deployment: SiteDeployment, store: Deployments) -> DeploymentEnvelope:
    """A deployment, and whether its target shows it."""
    live = store.live(deployment.workspace_id, deployment.site_id, deployment.target)
    return DeploymentEnvelope(deployment=deployment_view(deployment, live))


def read_deployment(workspace_id: str, deployment_id: str, store: Deployments) -> DeploymentEnvelope:
    """One deployment. Raises NotFound."""
    return show(store.get(workspace_id, deployment_id), store)


def list_deployments(workspace_id: str, query: DeploymentQuery, store: Deployments) -> DeploymentList:
    """A page of deployments, of a site or of all. Raises ValidationFailed for a wrong cursor."""
    page = store.list(workspace_id, query.site_id, query.after_id, query.limit)
    places = {(each.site_id, each.target) for each in page.items}
    return deployment_list(page, {place: store.live(workspace_id, *place) for place in places})


def read_log(workspace_id: str, deployment_id: str, store: Deployments) -> DeploymentLog:
    """The log of a deployment. Raises NotFound."""
    return deployment_log(store.get(workspace_id, deployment_id))
