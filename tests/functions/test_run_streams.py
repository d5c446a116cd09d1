"""functions/streams/generations about runs: a run starts its own state machine, a stage starts none, each only once."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from atelier.aws.clients import client
from tests.functions.cast import GENERATION, RUN, WORKSPACE
from tests.functions.conftest import Cloud
from tests.invoke import example, function

STAGE = {"parent_id": {"S": RUN}, "stage": {"S": "image"}}


@pytest.fixture
def outbox(cloud: Cloud) -> ModuleType:
    return function("streams/generations")


def record(name: str, **more: Any) -> dict[str, Any]:
    """An example with these attributes in its new image, and in its old one except for the status."""
    batch = example(f"streams/generations/{name}")
    (told,) = batch["Records"]
    told["dynamodb"]["NewImage"] |= more
    if "OldImage" in told["dynamodb"]:
        told["dynamodb"]["OldImage"] |= {key: value for key, value in more.items() if key != "status"}
    return batch


def executions(cloud: Cloud) -> list[str]:
    found = client("stepfunctions").list_executions(stateMachineArn=cloud.machine)["executions"]
    return [execution["name"] for execution in found]


def test_a_new_run_starts_the_machine_of_runs_once(outbox: ModuleType, cloud: Cloud) -> None:
    for _ in range(2):
        outbox.handler(record("inserted", pipeline={"S": "image_to_video"}), None)
    assert cloud.begun().input == {"workspace_id": WORKSPACE, "run_id": GENERATION, "generation_id": None}
    assert executions(cloud) == [GENERATION]


def test_a_new_stage_starts_nothing(outbox: ModuleType, cloud: Cloud) -> None:
    outbox.handler(record("inserted", **STAGE), None)
    assert executions(cloud) == []
    assert cloud.messages(cloud.told) == []


def test_the_cancellation_of_a_stage_is_carried_to_the_queue(outbox: ModuleType, cloud: Cloud) -> None:
    outbox.handler(record("cancel_requested", **STAGE), None)
    (message,) = cloud.messages(cloud.attempts, seconds_max=5)
    assert message == {"do": "cancel", "workspace_id": WORKSPACE, "generation_id": GENERATION}


def test_the_end_of_a_stage_is_told_as_one_of_a_stage(outbox: ModuleType, cloud: Cloud) -> None:
    outbox.handler(record("succeeded", **STAGE), None)
    (told,) = cloud.messages(cloud.told, seconds_max=5)
    assert told["detail-type"].startswith("stage.")
    assert told["detail"]["run_id"] == RUN
    assert executions(cloud) == []


def test_a_stage_that_came_late_has_its_run_looked_at(outbox: ModuleType, cloud: Cloud) -> None:
    batch = record("succeeded", **STAGE, status={"S": "succeeded"})
    batch["Records"][0]["dynamodb"]["OldImage"]["status"] = {"S": "expired"}
    for _ in range(2):
        outbox.handler(batch, None)
    assert executions(cloud) == [f"{RUN}-{GENERATION}"]


def test_what_was_served_from_an_earlier_result_is_told_and_not_made(outbox: ModuleType, cloud: Cloud) -> None:
    outbox.handler(record("inserted", status={"S": "succeeded"}, reused_from={"S": RUN}), None)
    (told,) = cloud.messages(cloud.told, seconds_max=5)
    assert (told["detail-type"], told["detail"]["credits_charged"]) == ("generation.succeeded", 0)
    assert executions(cloud) == []
