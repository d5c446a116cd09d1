"""The jobs of deployments on Step Functions. An execution has the name of its deployment, so a second start does
nothing."""

from __future__ import annotations

import contextlib
import json

from atelier.adapters.aws.clients import client


class StepFunctionsDeploymentJobs:
    """DeploymentJobs on a Standard state machine."""

    def __init__(self, state_machine_arn: str) -> None:
        self._arn = state_machine_arn

    def start(self, workspace_id: str, deployment_id: str) -> None:
        states = client("stepfunctions")
        data = json.dumps({"workspace_id": workspace_id, "deployment_id": deployment_id})
        with contextlib.suppress(states.exceptions.ExecutionAlreadyExists):
            states.start_execution(stateMachineArn=self._arn, name=deployment_id, input=data)
