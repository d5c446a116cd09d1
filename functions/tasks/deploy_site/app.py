"""State machine task: work on a deployment, as much as the time allows; or end the one whose job failed."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.deployments.deploy import run_deploy_step
from atelier.wiring import deployments


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, Any]:
    """event: {workspace_id, deployment_id, failed?: the job has failed for good}; returns {workspace_id, deployment_id,
    has_ended, wait_seconds}."""
    return run_deploy_step(event, deps=deployments.deploy_deps(clock), context=context)
