"""The jobs of deployments on Step Functions. An execution has the name of its deployment, and a number when it is not
the first one, so a second start does nothing."""

from __future__ import annotations

import contextlib
import json

from atelier.adapters.aws.clients import client
from atelier.deployments.ports import ExecutionState


class StepFunctionsDeploymentJobs:
    """DeploymentJobs on a Standard state machine."""

    def __init__(self, state_machine_arn: str) -> None:
        self._arn = state_machine_arn

    def start(self, workspace_id: str, deployment_id: str, number: int = 0) -> None:
        states = client("stepfunctions")
        data = json.dumps({"workspace_id": workspace_id, "deployment_id": deployment_id})
        with contextlib.suppress(states.exceptions.ExecutionAlreadyExists):
            states.start_execution(stateMachineArn=self._arn, name=_name(deployment_id, number), input=data)

    def state(self, deployment_id: str, number: int) -> ExecutionState:
        states = client("stepfunctions")
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{_name(deployment_id, number)}"
        try:
            status = states.describe_execution(executionArn=arn)["status"]
        except states.exceptions.ExecutionDoesNotExist:
            return ExecutionState.NONE
        return ExecutionState.RUNNING if status in ("RUNNING", "PENDING_REDRIVE") else ExecutionState.ENDED


def _name(deployment_id: str, number: int) -> str:
    return f"{deployment_id}-{number}" if number else deployment_id
