"""Executions of run_pipeline: the states a run enters, the inputs of its tasks, and the billed transitions."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.statemachines.conftest import ASL, FINISHED, RUNS, SUCCEEDED, WAIT, WORKSPACE, Execution, RunMachine

PLAN, ASK, ATTEMPT, FINISH, END = "PlanStage", "IsThereAStage", "AttemptGeneration", "FinishGeneration", "FinishRun"
STAGE = [PLAN, ASK, ATTEMPT, FINISH]
LAST = [PLAN, ASK, END]


def run_id(execution: Execution) -> str:
    return execution.arn.rpartition(":")[2]


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_a_run_takes_four_transitions_for_each_stage_and_four_for_its_end(runs: RunMachine, stages: int) -> None:
    execution = runs.start({"succeed": SUCCEEDED}, stages=stages)
    assert execution.output == FINISHED
    assert execution.entered == STAGE * stages + LAST
    assert execution.transitions == 4 * stages + 4


def test_the_tasks_receive_ids_and_planning_receives_the_stage_just_tried(runs: RunMachine) -> None:
    execution = runs.start({"succeed": SUCCEEDED}, stages=2)
    execution.wait_for_end()
    ids = {"workspace_id": WORKSPACE, "run_id": run_id(execution)}
    visited = [visit["generation_id"] for visit in execution.payloads("plan")]
    assert visited == [None, run_id(execution), run_id(execution)]
    assert [visit.keys() for visit in execution.payloads("plan")] == [{*ids, "generation_id"}] * 3
    assert execution.payloads("end") == [ids]
    of_stage = {"workspace_id": WORKSPACE, "generation_id": run_id(execution)}
    for visit in execution.payloads("attempt"):
        assert visit == {**of_stage, "task_token": visit["task_token"], "lost": None}
    assert execution.payloads("finish") == [{**of_stage, "result": SUCCEEDED}] * 2


def test_a_stages_failed_attempt_is_not_passed_to_the_next_stage(runs: RunMachine) -> None:
    execution = runs.start(WAIT, {"succeed": SUCCEEDED}, stages=2)
    token = str(execution.payloads("attempt", 1)[-1]["task_token"])
    lost = json.dumps({"attempt_id": "att_1", "error_class": "capacity"})
    runs.states.send_task_failure(taskToken=token, error="NextCandidate", cause=lost)
    assert execution.output == FINISHED
    assert execution.entered == [PLAN, ASK, ATTEMPT, ATTEMPT, FINISH, *STAGE, *LAST]
    first, second, of_next = [visit["lost"] for visit in execution.payloads("attempt")]
    assert (first, of_next) == (None, None)
    assert second == {"Error": "NextCandidate", "Cause": lost}


def test_a_run_without_a_stage_ends_at_once(runs: RunMachine) -> None:
    execution = runs.start(stages=0)
    assert execution.output == FINISHED
    assert execution.entered == LAST


def test_a_run_started_twice_runs_once(runs: RunMachine) -> None:
    execution = runs.start(WAIT, {"succeed": SUCCEEDED}, stages=1)
    token = str(execution.payloads("attempt", 1)[-1]["task_token"])
    runs.workflow.start_run(WORKSPACE, run_id(execution))
    runs.workflow.succeed(token, SUCCEEDED)
    execution.wait_for_end()
    runs.workflow.start_run(WORKSPACE, run_id(execution))
    assert len(execution.payloads("attempt")) == 1


def test_a_finish_that_keeps_failing_is_left_to_the_reconciler(runs: RunMachine) -> None:
    execution = runs.start({"succeed": SUCCEEDED}, stages=1, finish=({"raise": "broken"},))
    ended = execution.wait_for_end()
    assert (ended["status"], ended["error"]) == ("FAILED", "RunInterrupted")


def test_a_stages_tasks_are_defined_like_those_of_a_single_generation() -> None:
    def tasks(states: dict[str, dict[str, Any]]) -> list[Any]:
        parts = ("Resource", "TimeoutSeconds", "Parameters", "Retry")
        return [{part: states[name][part] for part in parts} for name in (ATTEMPT, FINISH)]

    one, run = (yaml.safe_load(asl.read_text())["States"] for asl in (ASL, RUNS))
    assert tasks(run) == tasks(one)
    assert run["AssumeUnknownOutcome"] == one["AssumeUnknownOutcome"]
    assert run[ATTEMPT]["Catch"] == one[ATTEMPT]["Catch"]


def test_every_task_has_a_time_out_retries_and_a_catch_all() -> None:
    states: dict[str, dict[str, Any]] = yaml.safe_load(RUNS.read_text())["States"]
    tasks = [state for state in states.values() if state["Type"] == "Task"]
    assert len(tasks) == 4
    for task in tasks:
        assert task["TimeoutSeconds"] > 0
        assert task["Retry"]
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
