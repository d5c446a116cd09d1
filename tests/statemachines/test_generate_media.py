"""Executions of generate_media: the states it enters, the inputs of its tasks, and its reaction to each answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from atelier.generations.attempt_messages import AttemptFailed, Slot, SlotDue, visit_cause
from atelier.generations.outcome import Outcome
from atelier.generations.select_candidate import resume_at_slot
from tests.statemachines.conftest import ASL, FINISHED, SUCCEEDED, WAIT, WORKSPACE, Execution, Machine

TRANSITIONS_MAX = 5
ATTEMPT, ASSUME, FINISH = "AttemptGeneration", "AssumeUnknownOutcome", "FinishGeneration"
RETRIES_OF_AN_ATTEMPT, RETRIES_OF_A_FINISH = 6, 5


def token(execution: Execution, visit: int = 1) -> str:
    """The task token of the attempt task's call number `visit`."""
    return str(execution.payloads("attempt", visit)[-1]["task_token"])


def broken(machine: Machine, execution: Execution, visit: int) -> None:
    """Fails the attempt task with an error other than the one for the next candidate."""
    machine.states.send_task_failure(taskToken=token(execution, visit), error="Broken", cause="it fell over")


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_generation_with_one_provider_is_two_states_and_three_transitions(machine: Machine, status: str) -> None:
    execution = machine.start({"succeed": {"status": status}}, finish=({"return": {"outcome": status}},))
    assert execution.output == {"outcome": status}
    assert execution.entered == [ATTEMPT, FINISH]
    assert execution.transitions == 3 <= TRANSITIONS_MAX


def test_the_tasks_receive_ids_and_the_finish_receives_the_attempts_result(machine: Machine) -> None:
    execution = machine.start({"succeed": SUCCEEDED})
    generation_id = execution.arn.rpartition(":")[2]
    execution.wait_for_end()
    (attempt,), (finish,) = execution.payloads("attempt"), execution.payloads("finish")
    ids = {"workspace_id": WORKSPACE, "generation_id": generation_id}
    assert attempt == {**ids, "task_token": attempt["task_token"], "lost": None}
    assert finish == {**ids, "result": SUCCEEDED}


def test_a_task_token_may_be_answered_by_another_process(machine: Machine) -> None:
    execution = machine.start(WAIT)
    assert machine.workflow.succeed(token(execution), SUCCEEDED)
    assert execution.output == FINISHED
    assert execution.transitions == 3
    assert execution.payloads("finish")[0]["result"] == SUCCEEDED


def test_a_task_token_answered_twice_counts_once(machine: Machine) -> None:
    execution = machine.start(WAIT)
    assert machine.workflow.succeed(token(execution), SUCCEEDED)
    execution.payloads("finish", 1)
    assert not machine.workflow.succeed(token(execution), {"status": "failed"})
    assert not machine.workflow.try_next(token(execution), AttemptFailed("att_1", "capacity"))
    assert execution.entered == [ATTEMPT, FINISH]
    assert [visit["result"] for visit in execution.payloads("finish")] == [SUCCEEDED]
    assert not machine.workflow.succeed(token(execution), {"status": "failed"})


def test_an_answer_to_an_unknown_task_token_is_reported_as_not_delivered(machine: Machine) -> None:
    assert not machine.workflow.succeed("a token of nobody", SUCCEEDED)


def test_a_generation_started_twice_runs_once(machine: Machine) -> None:
    execution = machine.start(WAIT)
    answer = token(execution)
    machine.workflow.start(WORKSPACE, execution.arn.rpartition(":")[2])
    machine.workflow.succeed(answer, SUCCEEDED)
    execution.wait_for_end()
    machine.workflow.start(WORKSPACE, execution.arn.rpartition(":")[2])
    assert len(execution.payloads("attempt")) == 1
    assert len(machine.states.list_executions(stateMachineArn=machine.arn, statusFilter="RUNNING")["executions"]) == 0


def test_the_next_attempt_receives_the_failed_attempt_and_its_error(machine: Machine) -> None:
    execution = machine.start(WAIT, WAIT, {"succeed": SUCCEEDED})
    losses = [
        AttemptFailed("att_1", "capacity"),
        AttemptFailed("att_2", "transient", cost_microusd=700, cost_source="usage"),
    ]
    for visit, lost in enumerate(losses, 1):
        assert machine.workflow.try_next(token(execution, visit), lost)
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, ATTEMPT, ATTEMPT, FINISH]
    first, *later = [visit["lost"] for visit in execution.payloads("attempt")]
    assert first is None
    # Parsed as functions/tasks/attempt_generation does.
    assert [(lost["Error"], visit_cause(json.loads(lost["Cause"]))) for lost in later] == [
        ("NextCandidate", lost) for lost in losses
    ]
    assert execution.payloads("finish")[0]["result"] == SUCCEEDED
    # Each further candidate is one transition: it is not a retry of the same task.
    assert execution.transitions == 5


def test_a_due_slot_starts_another_attempt_task_that_receives_the_slot(machine: Machine) -> None:
    execution = machine.start(WAIT, {"succeed": SUCCEEDED})
    due = SlotDue(Slot("replicate/sdxl@key_1", datetime(2026, 11, 20, 12, tzinfo=UTC)))
    resume_at_slot(token(execution), due, workflow=machine.workflow)
    assert execution.output == FINISHED
    assert visit_cause(json.loads(execution.payloads("attempt")[1]["lost"]["Cause"])) == due
    assert execution.transitions == 4


def test_a_broken_attempt_task_is_retried_with_the_same_input(machine: Machine) -> None:
    execution = machine.start(WAIT, {"succeed": SUCCEEDED})
    broken(machine, execution, 1)
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, FINISH]
    first, second = execution.payloads("attempt")
    assert {**second, "task_token": None} == {**first, "task_token": None}
    assert execution.transitions == 4


def test_a_retried_attempt_task_still_receives_the_failed_attempt(machine: Machine) -> None:
    execution = machine.start(WAIT, WAIT, {"succeed": SUCCEEDED})
    machine.workflow.try_next(token(execution, 1), AttemptFailed("att_1", "capacity"))
    broken(machine, execution, 2)
    assert execution.output == FINISHED
    lost = [visit["lost"] for visit in execution.payloads("attempt")]
    assert lost[1] == lost[2]
    assert json.loads(lost[2]["Cause"])["attempt_id"] == "att_1"


def test_an_attempt_that_keeps_breaking_is_finished_as_unknown(machine: Machine) -> None:
    execution = machine.start(WAIT)
    for visit in range(1, RETRIES_OF_AN_ATTEMPT + 2):
        broken(machine, execution, visit)
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, ASSUME, FINISH]
    assert len(execution.payloads("attempt")) == RETRIES_OF_AN_ATTEMPT + 1
    assert result_of(execution) == "unknown"


def test_an_unanswered_attempt_task_is_finished_as_unknown_and_not_repeated(
    deploy: Callable[..., tuple[str, Path]], aws: botocore.session.Session
) -> None:
    # The only change to the definition: a time-out of a second instead of two hours.
    machine = Machine(aws.create_client("stepfunctions"), *deploy(AttemptGeneration={"TimeoutSeconds": 1}))
    execution = machine.start(WAIT)
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, ASSUME, FINISH]
    assert len(execution.payloads("attempt")) == 1
    assert result_of(execution) == "unknown"
    assert not machine.workflow.succeed(token(execution), SUCCEEDED)


def test_a_finish_that_fails_is_repeated_with_the_same_result(machine: Machine) -> None:
    execution = machine.start({"succeed": SUCCEEDED}, finish=({"raise": "throttled"}, {"return": FINISHED}))
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, FINISH]
    first, second = execution.payloads("finish")
    assert first == second
    assert execution.transitions == 4


def test_a_finish_that_keeps_failing_is_left_to_the_reconciler(machine: Machine) -> None:
    execution = machine.start({"succeed": SUCCEEDED}, finish=({"raise": "broken"},))
    ended = execution.wait_for_end()
    assert (ended["status"], ended["error"]) == ("FAILED", "FinishFailed")
    assert len(execution.payloads("finish")) == RETRIES_OF_A_FINISH + 1
    assert execution.entered == [ATTEMPT, FINISH, "LeaveToReconciler"]


def test_every_task_has_a_time_out_retries_and_a_catch_all() -> None:
    states: dict[str, dict[str, Any]] = yaml.safe_load(ASL.read_text())["States"]
    tasks = [state for state in states.values() if state["Type"] == "Task"]
    assert len(tasks) == 2
    for task in tasks:
        assert task["TimeoutSeconds"] > 0
        assert task["Retry"]
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def result_of(execution: Execution) -> str:
    """The status of the finish task's input, as the finish function reads it."""
    (finish,) = execution.payloads("finish")
    return Outcome.from_data(finish["result"]).status
