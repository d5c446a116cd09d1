"""Executions of write_export: the task is repeated until the export has ended, and a job that fails says so."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import botocore.session
import pytest

from atelier.adapters.aws.export_jobs import StepFunctionsExportJobs
from tests.statemachines.conftest import MACHINES, WORKSPACE, Execution, Step

WRITE, ASK, FAIL = "WriteParts", "HasEnded", "EndAsFailed"


@pytest.fixture(scope="module")
def deployed(deploy: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return deploy(MACHINES / "write_export.asl.yaml")


@pytest.fixture
def start(deployed: tuple[str, Path], aws: botocore.session.Session) -> Callable[..., Execution]:
    """A function that starts the job of an export whose task follows a script."""
    arn, scripts = deployed

    def started(*steps: Step) -> Execution:
        export_id = f"exp_{uuid.uuid4().hex}"
        folder = scripts / export_id
        folder.mkdir()
        (folder / "write.json").write_text(json.dumps(steps))
        jobs = StepFunctionsExportJobs(arn)
        jobs.start(WORKSPACE, export_id)
        jobs.start(WORKSPACE, export_id)
        return Execution(
            aws.create_client("stepfunctions"), f"{arn.replace(':stateMachine:', ':execution:')}:{export_id}", folder
        )

    return started


def test_the_task_is_repeated_until_the_export_has_ended(start: Callable[..., Execution]) -> None:
    execution = start({"return_ids": {"has_ended": False}}, {"return_ids": {"has_ended": True}})
    execution.wait_for_end()
    assert execution.entered == [WRITE, ASK, WRITE, ASK, "Done"]
    ids = {"workspace_id": WORKSPACE, "export_id": execution.arn.rpartition(":")[2]}
    assert execution.payloads("write") == [ids, ids]


def test_a_job_that_fails_for_good_ends_the_export(start: Callable[..., Execution]) -> None:
    execution = start(*[{"raise": "no"}] * 7, {"return_ids": {"has_ended": True}})
    assert execution.wait_for_end()["status"] == "FAILED"
    assert [name for name in execution.entered if name != WRITE] == [FAIL, "Failed"]
    payloads = execution.payloads("write")
    assert len(payloads) == 8
    assert payloads[-1]["failed"] is True
