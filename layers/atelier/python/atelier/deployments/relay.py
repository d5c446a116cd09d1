"""What follows a committed change of deployments: the job of the one that runs is started, and changes are told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from atelier.clock import rfc3339
from atelier.deployments.model import SiteDeployment
from atelier.deployments.ports import DeploymentJobs
from atelier.events.deployment_events import DEPLOYMENT_CHANGES, DeploymentChange
from atelier.events.ports import EventPublisher
from atelier.telemetry import logger


def start_deployments(active: Iterable[tuple[str, str]], *, jobs: DeploymentJobs) -> None:
    """Start the jobs of deployments; each is started once, however often it is asked for."""
    for workspace_id, deployment_id in active:
        jobs.start(workspace_id, deployment_id)
        logger.info("deployment started", workspace_id=workspace_id, deployment_id=deployment_id)


def tell_changes(changed: Iterable[tuple[SiteDeployment, datetime]], *, events: EventPublisher) -> None:
    """Publish the changes of status that others follow."""
    for deployment, at in changed:
        if deployment.status.value in DEPLOYMENT_CHANGES:
            event = DeploymentChange(
                workspace_id=deployment.workspace_id,
                deployment_id=deployment.id,
                site_id=deployment.site_id,
                user_id=deployment.user_id,
                target=deployment.target.value,
                is_preview=int(deployment.is_preview),
                status=deployment.status.value,
                url=deployment.url,
                changed_at=rfc3339(at),
            )
            events.publish(event)
