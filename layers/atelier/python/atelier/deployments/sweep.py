"""Find deployments whose execution has stopped: they go on in another one, and fail when that does not help.

An execution stops before its deployment has ended when somebody aborts it or its last step cannot be written; and it
never begins when the stream has failed. What is stored says how far the deployment came, so another one goes on."""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.deployments.deploy import FAILED, end_as_failed
from atelier.deployments.model import SiteDeployment
from atelier.deployments.ports import DeploymentChanged, DeploymentJobs, Deployments, ExecutionState
from atelier.errors import NotFound
from atelier.telemetry import logger

# By then the stream has started the execution of a deployment that may run.
STARTED_AFTER = timedelta(minutes=5)
# How many further executions a deployment gets.
RESUMED_MAX = 3
TIME_MARGIN_MILLISECONDS = 5_000
GOES_ON = "Its job had stopped. It goes on."


@dataclass(frozen=True, slots=True)
class SweepDeps:
    """Dependencies of the sweep."""

    store: Deployments
    jobs: DeploymentJobs


def sweep_deployments(now: datetime, context: TimeLeft | None, *, deps: SweepDeps) -> int:
    """Let deployments go on whose execution has stopped; how many. Safe to repeat, and beside their executions."""
    stopped = 0
    for ids in deps.store.running_since(now - STARTED_AFTER):
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            break
        stopped += _resume(*ids, now, deps)
    return stopped


def _resume(workspace_id: str, deployment_id: str, now: datetime, deps: SweepDeps) -> bool:
    """Whether a deployment had stopped."""
    try:
        deployment = deps.store.get(workspace_id, deployment_id)
    except NotFound:
        return False
    state = deps.jobs.state(deployment_id, deployment.resumed)
    if state is ExecutionState.RUNNING or not deployment.is_open:
        return False
    try:
        if state is ExecutionState.ENDED:
            deployment = _next(deployment, now, deps)
    except DeploymentChanged:
        # It did not stand still after all; the next sweep sees.
        return False
    if deployment.is_open:
        deps.jobs.start(workspace_id, deployment_id, deployment.resumed)
    logger.warning(
        "deployment stopped", workspace_id=workspace_id, deployment_id=deployment_id, resumed=deployment.resumed
    )
    return True


def _next(deployment: SiteDeployment, now: datetime, deps: SweepDeps) -> SiteDeployment:
    """The deployment with its next execution, which is counted before it is started; or failed."""
    if deployment.resumed >= RESUMED_MAX:
        return end_as_failed(deployment, FAILED, deps.store, now)
    after = deployment.changed(now, GOES_ON, resumed=deployment.resumed + 1)
    deps.store.save(deployment, after)
    return after
