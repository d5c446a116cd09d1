"""Executions of deploy_site: the task is repeated until the deployment has ended, a job that fails says so, and one
that was stopped is told from one that runs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import botocore.session
import pytest

from atelier.adapters.aws.deployment_jobs import StepFunctionsDeploymentJobs
from atelier.deployments.ports import ExecutionState
from tests.statemachines.conftest import MACHINES, WORKSPACE, Execution, Step

WORK, ASK, WAIT, FAIL = "Work", "HasEnded", "WaitForTarget", "EndAsFailed"
GOES_ON: Step = {"return_ids": {"has_ended": False, "wait_seconds": 1}}
ENDS: Step = {"return_ids": {"has_ended": True, "wait_seconds": 1}}


@pytest.fixture(scope="module")
def deployed(deploy: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return deploy(MACHINES / "deploy_site.asl.yaml")


@pytest.fixture
def jobs(deployed: tuple[str, Path], aws: botocore.session.Session) -> StepFunctionsDeploymentJobs:
    return StepFunctionsDeploymentJobs(deployed[0])


@pytest.fixture
def start(
    deployed: tuple[str, Path], jobs: StepFunctionsDeploymentJobs, aws: botocore.session.Session
) -> Callable[..., Execution]:
    """A function that starts the job of a deployment whose task follows a script."""
    arn, scripts = deployed

    def started(*steps: Step, id: str = "", number: int = 0) -> Execution:
        deployment_id = id or f"dep_{uuid.uuid4().hex}"
        folder = scripts / deployment_id
        folder.mkdir(exist_ok=True)
        (folder / "deploy.json").write_text(json.dumps(steps))
        jobs.start(WORKSPACE, deployment_id, number)
        jobs.start(WORKSPACE, deployment_id, number)
        name = f"{deployment_id}-{number}" if number else deployment_id
        states = aws.create_client("stepfunctions")
        return Execution(states, f"{arn.replace(':stateMachine:', ':execution:')}:{name}", folder)

    return started


def test_the_task_is_repeated_until_the_deployment_has_ended(start: Callable[..., Execution]) -> None:
    execution = start(GOES_ON, GOES_ON, ENDS)
    execution.wait_for_end()
    assert execution.entered == [WORK, ASK, WAIT, WORK, ASK, WAIT, WORK, ASK, "Done"]
    ids = {"workspace_id": WORKSPACE, "deployment_id": execution.arn.rpartition(":")[2]}
    assert [{name: each[name] for name in ids} for each in execution.payloads("deploy")] == [ids] * 3


def test_a_job_that_fails_for_good_ends_the_deployment(start: Callable[..., Execution]) -> None:
    execution = start(*[{"raise": "no"}] * 7, ENDS)
    assert execution.wait_for_end()["status"] == "FAILED"
    assert [name for name in execution.entered if name != WORK] == [FAIL, "Failed"]
    payloads = execution.payloads("deploy")
    assert len(payloads) == 8
    assert payloads[-1]["failed"] is True


def test_an_execution_that_was_stopped_is_known_and_followed_by_another_one(
    start: Callable[..., Execution], jobs: StepFunctionsDeploymentJobs
) -> None:
    execution = start({"return_ids": {"has_ended": False, "wait_seconds": 600}})
    execution.payloads("deploy", 1)
    id = execution.arn.rpartition(":")[2]
    assert (jobs.state(id, 0), jobs.state(id, 1)) == (ExecutionState.RUNNING, ExecutionState.NONE)
    execution.states.stop_execution(executionArn=execution.arn)
    execution.wait_for_end()
    assert jobs.state(id, 0) is ExecutionState.ENDED
    further = start(GOES_ON, ENDS, id=id, number=1)
    further.wait_for_end()
    assert further.entered[-1] == "Done"
