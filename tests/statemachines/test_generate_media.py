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

from atelier.generations.outcome import Outcome
from atelier.generations.ports import Lost
from atelier.generations.turn import Turn, resume
from tests.statemachines.conftest import ASL, FINISHED, SUCCEEDED, WAIT, WORKSPACE, Execution, Machine

TRANSITIONS_MAX = 5
ATTEMPT, ASSUME, FINISH = "AttemptGeneration", "AssumeUnknownOutcome", "FinishGeneration"
RETRIES_OF_AN_ATTEMPT, RETRIES_OF_A_FINISH = 6, 5


def token(execution: Execution, visit: int = 1) -> str:
    """The task token of the attempt task's call number `visit`."""
    return str(execution.visits("attempt", visit)[-1]["task_token"])


def broken(machine: Machine, execution: Execution, visit: int) -> None:
    """Fails the attempt task with an error other than the one for the next candidate."""
    machine.states.send_task_failure(taskToken=token(execution, visit), error="Broken", cause="it fell over")


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_generation_with_one_provider_is_two_states_and_three_transitions(machine: Machine, status: str) -> None:
    execution = machine.start({"succeed": {"status": status}}, finish=({"return": {"outcome": status}},))
    assert execution.output == {"outcome": status}
    assert execution.entered == [ATTEMPT, FINISH]
    assert execution.transitions == 3 <= TRANSITIONS_MAX


def test_its_tasks_are_given_ids_and_what_the_attempt_came_to(machine: Machine) -> None:
    execution = machine.start({"succeed": SUCCEEDED})
    generation_id = execution.arn.rpartition(":")[2]
    execution.ended()
    (attempt,), (finish,) = execution.visits("attempt"), execution.visits("finish")
    ids = {"workspace_id": WORKSPACE, "generation_id": generation_id}
    assert attempt == {**ids, "task_token": attempt["task_token"], "lost": None}
    assert finish == {**ids, "result": SUCCEEDED}


def test_a_token_answered_by_another_process_goes_on_as_well(machine: Machine) -> None:
    execution = machine.start(WAIT)
    assert machine.workflow.succeed(token(execution), SUCCEEDED)
    assert execution.output == FINISHED
    assert execution.transitions == 3
    assert execution.visits("finish")[0]["result"] == SUCCEEDED


def test_a_token_answered_twice_counts_once(machine: Machine) -> None:
    execution = machine.start(WAIT)
    assert machine.workflow.succeed(token(execution), SUCCEEDED)
    execution.visits("finish", 1)
    assert not machine.workflow.succeed(token(execution), {"status": "failed"})
    assert not machine.workflow.try_next(token(execution), Lost("att_1", "capacity"))
    assert execution.entered == [ATTEMPT, FINISH]
    assert [visit["result"] for visit in execution.visits("finish")] == [SUCCEEDED]
    assert not machine.workflow.succeed(token(execution), {"status": "failed"})


def test_nobody_waits_on_a_token_that_was_never_given(machine: Machine) -> None:
    assert not machine.workflow.succeed("a token of nobody", SUCCEEDED)


def test_a_generation_started_twice_runs_once(machine: Machine) -> None:
    execution = machine.start(WAIT)
    answer = token(execution)
    machine.workflow.start(WORKSPACE, execution.arn.rpartition(":")[2])
    machine.workflow.succeed(answer, SUCCEEDED)
    execution.ended()
    machine.workflow.start(WORKSPACE, execution.arn.rpartition(":")[2])
    assert len(execution.visits("attempt")) == 1
    assert len(machine.states.list_executions(stateMachineArn=machine.arn, statusFilter="RUNNING")["executions"]) == 0


def test_the_next_candidate_is_tried_and_told_which_attempt_was_lost_and_why(machine: Machine) -> None:
    execution = machine.start(WAIT, WAIT, {"succeed": SUCCEEDED})
    losses = [Lost("att_1", "capacity"), Lost("att_2", "transient", cost_microusd=700, cost_source="usage")]
    for visit, lost in enumerate(losses, 1):
        assert machine.workflow.try_next(token(execution, visit), lost)
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, ATTEMPT, ATTEMPT, FINISH]
    first, *later = [visit["lost"] for visit in execution.visits("attempt")]
    assert first is None
    # Parsed as functions/tasks/attempt_generation does.
    assert [(lost["Error"], Lost(**json.loads(lost["Cause"]))) for lost in later] == [
        ("NextCandidate", lost) for lost in losses
    ]
    assert execution.visits("finish")[0]["result"] == SUCCEEDED
    # Each further candidate is one transition: it is not a retry of the same task.
    assert execution.transitions == 5


def test_a_turn_that_has_come_is_another_visit_and_is_told(machine: Machine) -> None:
    execution = machine.start(WAIT, {"succeed": SUCCEEDED})
    turn = Turn("replicate/sdxl@key_1", datetime(2026, 11, 20, 12, tzinfo=UTC))
    resume(token(execution), str(turn), workflow=machine.workflow)
    assert execution.output == FINISHED
    told = Lost(**json.loads(execution.visits("attempt")[1]["lost"]["Cause"]))
    assert Turn.read(str(told.turn)) == turn
    assert execution.transitions == 4


def test_an_attempt_that_broke_is_visited_again_as_the_same_attempt(machine: Machine) -> None:
    execution = machine.start(WAIT, {"succeed": SUCCEEDED})
    broken(machine, execution, 1)
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, FINISH]
    first, second = execution.visits("attempt")
    assert {**second, "task_token": None} == {**first, "task_token": None}
    assert execution.transitions == 4


def test_a_loss_is_still_told_when_the_visit_after_it_breaks(machine: Machine) -> None:
    execution = machine.start(WAIT, WAIT, {"succeed": SUCCEEDED})
    machine.workflow.try_next(token(execution, 1), Lost("att_1", "capacity"))
    broken(machine, execution, 2)
    assert execution.output == FINISHED
    lost = [visit["lost"] for visit in execution.visits("attempt")]
    assert lost[1] == lost[2]
    assert json.loads(lost[2]["Cause"])["attempt_id"] == "att_1"


def test_an_attempt_that_keeps_breaking_is_finished_as_unknown(machine: Machine) -> None:
    execution = machine.start(WAIT)
    for visit in range(1, RETRIES_OF_AN_ATTEMPT + 2):
        broken(machine, execution, visit)
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, ASSUME, FINISH]
    assert len(execution.visits("attempt")) == RETRIES_OF_AN_ATTEMPT + 1
    assert result_of(execution) == "unknown"


def test_an_attempt_that_nobody_answers_is_finished_as_unknown_and_not_repeated(
    deploy: Callable[..., tuple[str, Path]], aws: botocore.session.Session
) -> None:
    # The only change to the definition: a time-out of a second instead of two hours.
    machine = Machine(aws.create_client("stepfunctions"), *deploy(AttemptGeneration={"TimeoutSeconds": 1}))
    execution = machine.start(WAIT)
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, ASSUME, FINISH]
    assert len(execution.visits("attempt")) == 1
    assert result_of(execution) == "unknown"
    assert not machine.workflow.succeed(token(execution), SUCCEEDED)


def test_a_finish_that_fails_is_repeated_with_the_same_result(machine: Machine) -> None:
    execution = machine.start({"succeed": SUCCEEDED}, finish=({"raise": "throttled"}, {"return": FINISHED}))
    assert execution.output == FINISHED
    assert execution.entered == [ATTEMPT, FINISH]
    first, second = execution.visits("finish")
    assert first == second
    assert execution.transitions == 4


def test_a_finish_that_keeps_failing_is_left_to_the_reconciler(machine: Machine) -> None:
    execution = machine.start({"succeed": SUCCEEDED}, finish=({"raise": "broken"},))
    ended = execution.ended()
    assert (ended["status"], ended["error"]) == ("FAILED", "FinishFailed")
    assert len(execution.visits("finish")) == RETRIES_OF_A_FINISH + 1
    assert execution.entered == [ATTEMPT, FINISH, "LeaveToReconciler"]


def test_every_task_has_a_time_out_retries_and_a_net() -> None:
    states: dict[str, dict[str, Any]] = yaml.safe_load(ASL.read_text())["States"]
    tasks = [state for state in states.values() if state["Type"] == "Task"]
    assert len(tasks) == 2
    for task in tasks:
        assert task["TimeoutSeconds"] > 0
        assert task["Retry"]
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def result_of(execution: Execution) -> str:
    """The status of the finish task's input, as the finish function reads it."""
    (finish,) = execution.visits("finish")
    return Outcome.from_data(finish["result"]).status
