"""Executions of erase: the task is repeated until nothing is left, and once more an hour later."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import botocore.session
import pytest

from atelier.adapters.aws.erasure_jobs import StepFunctionsErasureJobs
from tests.statemachines.conftest import MACHINES, Execution, Step

ERASE, ASK, WAIT, AGAIN = "EraseSome", "IsComplete", "WaitForLateWrites", "BeginLastPass"


@pytest.fixture(scope="module")
def deployed(deploy: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return deploy(MACHINES / "erase.asl.yaml")


@pytest.fixture
def start(deployed: tuple[str, Path], aws: botocore.session.Session) -> Callable[..., Execution]:
    """A function that starts the job of an erasure whose task follows a script."""
    arn, scripts = deployed

    def started(*steps: Step) -> Execution:
        subject = f"usr_{uuid.uuid4().hex}"
        folder = scripts / subject
        folder.mkdir()
        (folder / "erase.json").write_text(json.dumps(steps))
        jobs = StepFunctionsErasureJobs(arn)
        jobs.start(subject, "20261129")
        jobs.start(subject, "20261129")
        name = f"{arn.replace(':stateMachine:', ':execution:')}:{subject}-20261129"
        return Execution(aws.create_client("stepfunctions"), name, folder)

    return started


def test_the_task_is_repeated_until_nothing_is_left_and_once_more(start: Callable[..., Execution]) -> None:
    ended = {"return_ids": {"has_ended": True}}
    execution = start({"return_ids": {"has_ended": False}}, ended, ended)
    execution.wait_for_end()
    assert execution.entered == [ERASE, ASK, ERASE, ASK, WAIT, AGAIN, ERASE, ASK, "Done"]
    payloads = execution.payloads("erase")
    assert [payload["is_last"] for payload in payloads] == [False, False, True]
    assert len({payload["subject"] for payload in payloads}) == 1


def test_a_task_that_fails_for_good_fails_the_job_which_raises_the_alarm(start: Callable[..., Execution]) -> None:
    execution = start(*[{"raise": "no"}] * 7)
    assert execution.wait_for_end()["status"] == "FAILED"
