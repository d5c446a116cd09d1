"""The workflow on Step Functions. An execution has the name of its generation, so a second start does nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.generations.attempt_messages import VisitCause

# Error codes for a token whose task is completed or timed out, or whose execution has ended.
ENDED_TASK_CODES = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


class StepFunctionsWorkflow:
    """Workflow and GenerationPlaces on two Standard state machines, one for a generation and one for a run, and on an
    Express one for a generation whose provider answers at once."""

    def __init__(self, state_machine_arn: str, runs_arn: str = "", express_arn: str = "") -> None:
        self._arn, self._runs_arn, self._express_arn = state_machine_arn, runs_arn, express_arn

    def start(
        self, workspace_id: str, generation_id: str, *, again: str | None = None, cause: VisitCause | None = None
    ) -> None:
        # The cause has the form in which a failed task leaves it.
        lost = {"Error": "NextCandidate", "Cause": json.dumps(cause.as_data())} if cause else None
        data = {"workspace_id": workspace_id, "generation_id": generation_id, "lost": lost}
        self._start(self._arn, generation_id, again, data)

    def start_express(self, workspace_id: str, generation_id: str) -> None:
        data = {"workspace_id": workspace_id, "generation_id": generation_id}
        self._start(self._express_arn, generation_id, None, data)

    def start_run(self, workspace_id: str, run_id: str, *, again: str | None = None) -> None:
        # `generation_id` is the stage that this execution tried last; none yet.
        data = {"workspace_id": workspace_id, "run_id": run_id, "generation_id": None}
        self._start(self._runs_arn, run_id, again, data)

    def workspace_of(self, generation_id: str) -> str | None:
        states = client("stepfunctions")
        for machine in (self._arn, self._runs_arn):
            arn = f"{machine.replace(':stateMachine:', ':execution:')}:{generation_id}"
            with contextlib.suppress(states.exceptions.ExecutionDoesNotExist):
                return str(json.loads(states.describe_execution(executionArn=arn)["input"])["workspace_id"])
        return None

    @staticmethod
    def _start(arn: str, subject: str, again: str | None, data: Mapping[str, Any]) -> None:
        states = client("stepfunctions")
        name = f"{subject}-{again}" if again else subject
        with contextlib.suppress(states.exceptions.ExecutionAlreadyExists):
            states.start_execution(stateMachineArn=arn, name=name, input=json.dumps(data))

    def succeed(self, task_token: str, result: Mapping[str, Any]) -> bool:
        return self._complete_task("send_task_success", taskToken=task_token, output=json.dumps(result))

    def try_next(self, task_token: str, cause: VisitCause) -> bool:
        data = json.dumps(cause.as_data())
        return self._complete_task("send_task_failure", taskToken=task_token, error="NextCandidate", cause=data)

    @staticmethod
    def _complete_task(operation: str, **arguments: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            getattr(client("stepfunctions"), operation)(**arguments)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ENDED_TASK_CODES:
                return False
            raise
        return True
