"""Executions of drill_restore: none is due, a good one, one that found something, one that could not be carried out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import botocore.session
import pytest

from tests.statemachines.conftest import MACHINES, Execution, Step

AGAIN: Step = {"return_ids": {"has_ended": False, "state": "running", "wait_seconds": 30}}
PASSED: Step = {"return_ids": {"has_ended": True, "state": "passed", "wait_seconds": 0}}
NOT_PASSED: Step = {"return_ids": {"has_ended": True, "state": "failed", "wait_seconds": 0}}
RAISE: Step = {"raise": "no"}


@pytest.fixture(scope="module")
def deployed(deploy: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return deploy(MACHINES / "drill_restore.asl.yaml")


@pytest.fixture
def start(deployed: tuple[str, Path], aws: botocore.session.Session) -> Callable[..., Execution]:
    """A function that starts a drill whose task follows a script; the drill has the execution's name."""
    arn, scripts = deployed

    def started(*steps: Step, is_due: bool = True) -> Execution:
        name = f"drl-{uuid.uuid4().hex}"
        folder = scripts / name
        folder.mkdir()
        (folder / "drill.json").write_text(json.dumps([{"return": {"drill_id": name if is_due else None}}, *steps]))
        states = aws.create_client("stepfunctions")
        execution = states.start_execution(stateMachineArn=arn, name=name, input='{"always": false}')["executionArn"]
        return Execution(states, execution, folder)

    return started


def steps(execution: Execution) -> list[str]:
    return [payload["step"] for payload in execution.payloads("drill")]


def test_a_drill_is_carried_on_until_it_has_ended(start: Callable[..., Execution]) -> None:
    execution = start(AGAIN, AGAIN, PASSED)
    assert execution.wait_for_end()["status"] == "SUCCEEDED"
    begin, *others = execution.payloads("drill")
    name = execution.arn.rpartition(":")[2]
    assert (begin["step"], begin["execution"], begin["always"]) == ("begin", name, False)
    assert begin["started_at"].startswith("20")
    assert others == [{"step": "carry_on", "drill_id": name}] * 3


def test_nothing_is_done_when_none_is_due(start: Callable[..., Execution]) -> None:
    execution = start(is_due=False)
    assert execution.wait_for_end()["status"] == "SUCCEEDED"
    assert steps(execution) == ["begin"]


def test_a_drill_that_found_something_fails_the_execution_for_its_alarm(start: Callable[..., Execution]) -> None:
    execution = start(NOT_PASSED)
    assert execution.wait_for_end()["status"] == "FAILED"
    assert steps(execution) == ["begin", "carry_on"]


def test_a_drill_that_cannot_be_carried_out_is_given_up(start: Callable[..., Execution]) -> None:
    execution = start(*[RAISE] * 7, NOT_PASSED)
    assert execution.wait_for_end()["status"] == "FAILED"
    assert steps(execution)[-1] == "fail"
    assert execution.entered[-2:] == ["GiveUp", "NotSound"]
