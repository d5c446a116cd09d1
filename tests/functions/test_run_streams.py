"""functions/streams/generations about runs: a run starts its own state machine, a stage starts none, each only once."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from tests.functions.conftest import AwsResources
from tests.functions.example_data import GENERATION, RUN, WORKSPACE
from tests.invoke import example_event, load_function

STAGE = {"parent_id": {"S": RUN}, "stage": {"S": "image"}}


@pytest.fixture
def outbox(cloud: AwsResources) -> ModuleType:
    return load_function("streams/generations")


def record(name: str, **more: Any) -> dict[str, Any]:
    """An example with these attributes in its new image, and in its old one except for the status."""
    batch = example_event(f"streams/generations/{name}")
    (record_data,) = batch["Records"]
    record_data["dynamodb"]["NewImage"] |= more
    if "OldImage" in record_data["dynamodb"]:
        record_data["dynamodb"]["OldImage"] |= {key: value for key, value in more.items() if key != "status"}
    return batch


def executions(cloud: AwsResources) -> list[str]:
    found = client("stepfunctions").list_executions(stateMachineArn=cloud.machine)["executions"]
    return [execution["name"] for execution in found]


def test_a_new_run_starts_one_pipeline_execution(outbox: ModuleType, cloud: AwsResources) -> None:
    for _ in range(2):
        outbox.handler(record("inserted", pipeline={"S": "image_to_video"}), None)
    assert cloud.last_waiting_execution().input == {
        "workspace_id": WORKSPACE,
        "run_id": GENERATION,
        "generation_id": None,
    }
    assert executions(cloud) == [GENERATION]


def test_a_new_stage_starts_no_execution(outbox: ModuleType, cloud: AwsResources) -> None:
    outbox.handler(record("inserted", **STAGE), None)
    assert executions(cloud) == []
    assert cloud.take_messages(cloud.events_queue) == []


def test_a_stages_cancellation_is_sent_to_the_queue(outbox: ModuleType, cloud: AwsResources) -> None:
    outbox.handler(record("cancel_requested", **STAGE), None)
    (message,) = cloud.take_messages(cloud.attempts_queue, seconds_max=5)
    assert message == {"do": "cancel", "workspace_id": WORKSPACE, "generation_id": GENERATION}


def test_an_ended_stage_publishes_a_stage_event(outbox: ModuleType, cloud: AwsResources) -> None:
    outbox.handler(record("succeeded", **STAGE), None)
    (message,) = cloud.take_messages(cloud.events_queue, seconds_max=5)
    assert message["detail-type"].startswith("stage.")
    assert message["detail"]["run_id"] == RUN
    assert executions(cloud) == []


def test_a_late_stage_success_starts_one_execution_for_its_run(outbox: ModuleType, cloud: AwsResources) -> None:
    batch = record("succeeded", **STAGE, status={"S": "succeeded"})
    batch["Records"][0]["dynamodb"]["OldImage"]["status"] = {"S": "expired"}
    for _ in range(2):
        outbox.handler(batch, None)
    assert executions(cloud) == [f"{RUN}-{GENERATION}"]


def test_a_reused_result_publishes_an_event_and_starts_no_execution(outbox: ModuleType, cloud: AwsResources) -> None:
    outbox.handler(record("inserted", status={"S": "succeeded"}, reused_from={"S": RUN}), None)
    (message,) = cloud.take_messages(cloud.events_queue, seconds_max=5)
    assert (message["detail-type"], message["detail"]["credits_charged"]) == ("generation.succeeded", 0)
    assert executions(cloud) == []
