"""The task and the schedules of analytics with real generations: nothing that streams would have brought is needed."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.moves.items import MoveItem
from atelier.analytics.model import Dataset, Group, Row
from atelier.clock import rfc3339
from atelier.errors import Conflict, PromptRefused
from atelier.generations.model import Generation
from atelier.wiring import analytics
from infra.analytics_rebuild import FUNCTION, rebuild
from tests.counted import Rows, counted_rows, rows_of_records, total_of
from tests.embedded_aws import Tables
from tests.integration.world import World
from tests.invoke import example_event, load_function

LATER = timedelta(days=2)


@pytest.fixture
def world(tables: Tables) -> World:
    world = World(tables)
    analytics.bind_table()
    return world


def ended(world: World) -> list[Generation]:
    """Two results and a failure; beside them moderation refuses a request."""
    found: list[Generation] = []
    for end in (world.finish, world.fail, world.finish):
        generation = world.submit().generation
        world.attempt(generation)
        end(generation)
        found.append(world.get(generation))
    with pytest.raises(PromptRefused):
        world.submit(prompt="child porn")
    return found


def call(world: World, name: str, event: dict[str, Any]) -> dict[str, Any]:
    return load_function(name).handler(event, None, clock=lambda: world.now + LATER)


def repair(world: World, *, repairs: bool = True) -> dict[str, Any]:
    return call(world, "tasks/rebuild_analytics", {"workspace_id": world.workspace_id, "repairs": repairs})


def expected(world: World, generations: list[Generation]) -> Rows:
    return rows_of_records(generations, world.movements(), world.refusals())


def test_sums_that_were_lost_are_made_anew_from_the_records(world: World) -> None:
    generations = ended(world)

    result = repair(world)

    assert result["is_done"]
    assert result["records"] == len(generations) + len(world.refusals()) + len(world.movements())
    assert result["differences"] == len(counted_rows(world.workspace_id)) > 0
    rows = counted_rows(world.workspace_id)
    assert rows == expected(world, generations)
    assert total_of(rows, "credits", Dataset.USAGE) == total_of(rows, "spent", Dataset.CREDITS) > 0
    assert call(world, "schedules/pack_analytics", example_event("schedules/pack_analytics/due")) == {"packed": 2}
    world.now += timedelta(hours=1)
    assert repair(world)["differences"] == 0


def test_the_nightly_comparison_reports_and_changes_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    ended(world)
    nightly = example_event("schedules/compare_analytics/due")

    result = call(world, "schedules/compare_analytics", nightly)

    assert result["compared"] == 1
    assert result["differences"] > 0
    assert '"AnalyticsDiffer"' in capsys.readouterr().out
    assert counted_rows(world.workspace_id) == {}
    repair(world)
    call(world, "schedules/pack_analytics", example_event("schedules/pack_analytics/due"))
    world.now += timedelta(hours=1)
    assert call(world, "schedules/compare_analytics", nightly) == {"compared": 1, "differences": 0}


class Clients:
    """CloudFormation's and Lambda's clients, as far as the command uses them; invokes the function in this process."""

    def __init__(self, world: World, error: str | None = None) -> None:
        self._world, self._error = world, error

    def describe_stack_resource(self, *, StackName: str, LogicalResourceId: str) -> dict[str, Any]:  # noqa: N803
        assert (StackName, LogicalResourceId) == ("atelier", FUNCTION)
        return {"StackResourceDetail": {"PhysicalResourceId": "function-1"}}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "function-1"
        if self._error:
            return {
                "FunctionError": "Unhandled",
                "Payload": BytesIO(json.dumps({"errorMessage": self._error}).encode()),
            }
        result = call(self._world, "tasks/rebuild_analytics", json.loads(Payload))
        return {"Payload": BytesIO(json.dumps(result).encode())}


def command(world: World, *, repairs: bool, error: str | None = None) -> int:
    clients = Clients(world, error)
    return rebuild(world.workspace_id, "atelier", repairs=repairs, cloudformation=clients, functions=clients)


def test_the_command_compares_first_and_repairs_on_demand(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    ended(world)

    assert command(world, repairs=False) == 2
    assert "sums differ" in capsys.readouterr().out
    assert command(world, repairs=True) == 0
    assert "sums were repaired" in capsys.readouterr().out
    call(world, "schedules/pack_analytics", {})
    world.now += timedelta(hours=1)
    assert command(world, repairs=False) == 0
    assert "0 sums differ" in capsys.readouterr().out
    assert command(world, repairs=False, error="Task timed out") == 1
    assert "run it again to go on" in capsys.readouterr().err


def test_another_workspace_is_not_touched(world: World) -> None:
    ended(world)
    other = "wsp_01M7XCN60QPV5D4J3SZ8C2VYQ2"
    row = Row(Dataset.USAGE, datetime(2026, 1, 1, tzinfo=world.now.tzinfo), Group(model="local/canvas"))
    analytics.record_deps().log.count(other, {}, {row: {"requests": 3}})

    repair(world)

    assert counted_rows(other) == {row: {"requests": 3}}


@pytest.mark.parametrize(("completed_at", "waits"), [(None, True), (timedelta(days=1), True), (timedelta(), False)])
def test_a_project_that_has_just_left_is_awaited(world: World, completed_at: timedelta | None, waits: bool) -> None:
    ended(world)
    analytics.rebuild_deps()
    MoveItem(
        world.workspace_id,
        "move#prj_1",
        target_id="wsp_2",
        user_id="usr_A",
        started_at=rfc3339(world.now),
        step="done",
        completed_at=None if completed_at is None else rfc3339(world.now + completed_at),
    ).save()

    with pytest.raises(Conflict) if waits else nullcontext():
        repair(world)


def test_a_generation_that_has_just_come_is_left_out(world: World) -> None:
    generation, *_ = ended(world)
    moved = GenerationItem.get(world.workspace_id, generation.id)
    moved.update([GenerationItem.moved_at.set(rfc3339(world.now + LATER - timedelta(hours=1)))])

    result = repair(world)

    assert result["hours_left_out"] == 1
    assert not any(row.dataset is Dataset.USAGE for row in counted_rows(world.workspace_id))
