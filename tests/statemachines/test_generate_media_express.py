"""Executions of generate_media_express: one state, whose function attempts and finishes the generation itself."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from atelier.adapters.aws.stepfunctions import StepFunctionsWorkflow
from atelier.clock import parse_rfc3339, system_clock
from atelier.generations.start import EXPRESS_TIME_MAX
from tests.statemachines.conftest import ASL, EXPRESS, WORKSPACE, Execution, Step

ATTEMPT = "AttemptGeneration"
RETRIES = 6


@dataclass(frozen=True, slots=True)
class ExpressMachine:
    """The deployed state machine generate_media_express, started by the product's own adapter."""

    states: Any
    arn: str
    scripts: Path

    def start(self, *attempt: Step) -> Execution:
        """Starts an execution whose task follows this script."""
        generation_id = f"gen_{uuid.uuid4().hex}"
        folder = self.scripts / generation_id
        folder.mkdir()
        (folder / "attempt.json").write_text(json.dumps(attempt))
        StepFunctionsWorkflow("", express_arn=self.arn).start_express(WORKSPACE, generation_id)
        return Execution(self.states, f"{self.arn.replace(':stateMachine:', ':execution:')}:{generation_id}", folder)


@pytest.fixture(scope="module")
def deployed_express(deploy: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return deploy(EXPRESS, type="EXPRESS")


@pytest.fixture
def express(deployed_express: tuple[str, Path], aws: botocore.session.Session) -> ExpressMachine:
    return ExpressMachine(aws.create_client("stepfunctions"), *deployed_express)


def definition(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text())
    return loaded


def test_a_visit_gets_ids_and_the_beginning_and_no_task_token(express: ExpressMachine) -> None:
    execution = express.start({"return": None})
    assert execution.wait_for_end()["status"] == "SUCCEEDED"
    assert execution.entered == [ATTEMPT]
    (visit,) = execution.payloads("attempt")
    generation_id = execution.arn.rpartition(":")[2]
    assert visit == {"workspace_id": WORKSPACE, "generation_id": generation_id, "started_at": visit["started_at"]}
    assert abs((system_clock() - parse_rfc3339(visit["started_at"])).total_seconds()) < 60


def test_a_visit_that_crashed_is_repeated_with_the_same_beginning(express: ExpressMachine) -> None:
    execution = express.start({"raise": "it fell over"}, {"return": None})
    assert execution.wait_for_end()["status"] == "SUCCEEDED"
    first, second = execution.payloads("attempt")
    assert first == second


def test_visits_that_always_crash_fail_the_execution(
    deploy: Callable[..., tuple[str, Path]], aws: botocore.session.Session
) -> None:
    retry = {**definition(EXPRESS)["States"][ATTEMPT]["Retry"][0], "IntervalSeconds": 1, "BackoffRate": 1.0}
    arn, scripts = deploy(EXPRESS, type="EXPRESS", **{ATTEMPT: {"Retry": [{**retry, "MaxAttempts": 1}]}})
    execution = ExpressMachine(aws.create_client("stepfunctions"), arn, scripts).start({"raise": "it fell over"})
    assert execution.wait_for_end()["status"] == "FAILED"
    assert len(execution.payloads("attempt")) == 2


def test_a_crash_is_repeated_as_in_a_standard_execution_and_nothing_waits() -> None:
    state, standard = definition(EXPRESS)["States"][ATTEMPT], definition(ASL)["States"][ATTEMPT]
    assert state["Retry"] == standard["Retry"][1:]
    assert state["Retry"][0]["MaxAttempts"] == RETRIES
    # An Express execution cannot wait for a token, and ends after five minutes.
    assert not state["Resource"].endswith(".waitForTaskToken")
    assert "$$.Task.Token" not in EXPRESS.read_text()
    assert state["TimeoutSeconds"] < EXPRESS_TIME_MAX.total_seconds()
