"""Executions of write_backup: each part is written until it is complete, then the manifest; what fails says so."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import botocore.session
import pytest

from tests.statemachines.conftest import MACHINES, Execution, Step

WRITTEN: Step = {"return_ids": {"has_ended": True, "wait_seconds": 0}}
AGAIN: Step = {"return_ids": {"has_ended": False, "wait_seconds": 60}}
FINISHED: Step = {"return": {"state": "complete"}}
ESCROWED: Step = {"return": {"escrowed": True}}
FAIL: Step = {"raise": "no"}


@pytest.fixture(scope="module")
def deployed(deploy: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return deploy(MACHINES / "write_backup.asl.yaml")


@pytest.fixture
def start(deployed: tuple[str, Path], aws: botocore.session.Session) -> Callable[..., Execution]:
    """A function that starts a backup whose task follows a script; the backup has the execution's name."""
    arn, scripts = deployed

    def started(
        *steps: Step, parts: tuple[str, ...] = ("ledger/0/1",), escrow: tuple[Step, ...] = (ESCROWED,)
    ) -> Execution:
        name = f"bak-{uuid.uuid4().hex}"
        folder = scripts / name
        folder.mkdir()
        begun = {"return": {"backup_id": name, "parts": parts}}
        (folder / "escrow.json").write_text(json.dumps(escrow))
        (folder / "back_up.json").write_text(json.dumps([begun, *steps]))
        states = aws.create_client("stepfunctions")
        execution = states.start_execution(stateMachineArn=arn, name=name, input='{"scope": null}')["executionArn"]
        return Execution(states, execution, folder)

    return started


def test_a_part_is_written_until_it_is_complete(start: Callable[..., Execution]) -> None:
    execution = start(AGAIN, WRITTEN, FINISHED)
    assert execution.wait_for_end()["status"] == "SUCCEEDED"
    begin, *writes, finish = execution.payloads("back_up")
    name = execution.arn.rpartition(":")[2]
    assert (begin["step"], begin["execution"], begin["scope"]) == ("begin", name, None)
    assert begin["started_at"].startswith("20")
    assert begin["input"] == {"scope": None}
    assert writes == [{"step": "write", "backup_id": name, "part": "ledger/0/1"}] * 2
    assert finish == {"step": "finish", "backup_id": name}
    assert execution.payloads("escrow") == [{"backup_id": name}]


def test_every_part_is_written(start: Callable[..., Execution]) -> None:
    parts = tuple(f"ledger/{segment}/20" for segment in range(20))
    execution = start(*[WRITTEN] * 20, FINISHED, parts=parts)
    assert execution.wait_for_end()["status"] == "SUCCEEDED"
    written = [payload["part"] for payload in execution.payloads("back_up") if payload["step"] == "write"]
    assert sorted(written) == sorted(parts)


def test_a_backup_without_the_secrets_that_it_should_have_fails(start: Callable[..., Execution]) -> None:
    execution = start(WRITTEN, FINISHED, escrow=(FAIL,) * 7)
    assert execution.wait_for_end()["status"] == "FAILED"
    assert execution.payloads("back_up")[-1]["step"] == "fail"


@pytest.mark.parametrize("steps", [[FAIL] * 7, [WRITTEN, *[FAIL] * 7]], ids=["a part", "the manifest"])
def test_a_backup_that_fails_for_good_says_so(start: Callable[..., Execution], steps: list[Step]) -> None:
    execution = start(*steps, FINISHED)
    ended = execution.wait_for_end()
    assert ended["status"] == "FAILED"
    assert execution.payloads("back_up")[-1] == {"step": "fail", "backup_id": execution.arn.rpartition(":")[2]}
    assert execution.entered[-1] == "Failed"
