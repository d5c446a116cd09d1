"""The health of the deployment, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.system_health import AwsDeploymentParts
from atelier.settings import DeadLetterQueues, DeploymentStack
from atelier.system_health.read_health import HealthDeps


@cache
def deps() -> HealthDeps:
    """The dependencies of reading how the deployment is."""
    queues, stack = DeadLetterQueues.read(), DeploymentStack.read()
    parts = AwsDeploymentParts(stack.name, queues.sources().values(), queues.dead().values(), stack.api_id)
    return HealthDeps(parts)
