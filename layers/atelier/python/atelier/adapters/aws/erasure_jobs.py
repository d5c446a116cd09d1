"""The jobs of erasures on Step Functions. An execution has the name of its subject and the day, so a second start does
nothing, and one that failed is started again the next day."""

from __future__ import annotations

import contextlib
import json

from atelier.adapters.aws.clients import client


class StepFunctionsErasureJobs:
    """ErasureJobs on a Standard state machine."""

    def __init__(self, state_machine_arn: str) -> None:
        self._arn = state_machine_arn

    def start(self, subject: str, day: str) -> None:
        states = client("stepfunctions")
        data = json.dumps({"subject": subject, "is_last": False})
        with contextlib.suppress(states.exceptions.ExecutionAlreadyExists):
            states.start_execution(stateMachineArn=self._arn, name=f"{subject}-{day}", input=data)
