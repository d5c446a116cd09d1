"""functions/queues/attempts, fed with SQS batches: polls, cancellations, and failed messages that fail alone."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from infra.simulators.replicate import ReplicateSimulator
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    ATTEMPT,
    GENERATION,
    WORKSPACE,
    start_attempt,
    submit_example,
    submit_to_replicate,
)
from tests.invoke import example_event, load_function
from tests.polling import wait_until

NONE_FAILED: dict[str, list[Any]] = {"batchItemFailures": []}


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("queues/attempts")


def poll() -> dict[str, Any]:
    return example_event("queues/attempts/poll")


def batch(*bodies: str) -> dict[str, Any]:
    """Messages as the queue delivers them; their ids are their positions."""
    (record,) = poll()["Records"]
    return {"Records": [record | {"messageId": str(place), "body": body} for place, body in enumerate(bodies)]}


def ended(replicate: ReplicateSimulator, reference: str) -> str:
    return wait_until(lambda: replicate.predictions[reference].shown["completed_at"]) and str(
        replicate.predictions[reference].shown["status"]
    )


def test_a_poll_of_a_finished_job_resumes_the_workflow(
    app: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    task = cloud.start_waiting_execution()
    reference = submit_to_replicate(task.token)
    assert ended(replicate, reference) == "succeeded"
    assert app.handler(poll(), None) == NONE_FAILED
    assert task.answer["status"] == "succeeded"
    assert task.answer["outputs"] == [{"key": None, "url": f"{replicate.url}/_files/{reference}-0.png"}]
    assert task.answer["usage"] == {"predict_milliseconds": 1750}
    assert cloud.delayed_attempts() == 0


def test_a_poll_of_a_running_job_is_requeued(
    app: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    replicate.behave("run:hang")
    task = cloud.start_waiting_execution()
    submit_to_replicate(task.token)
    assert app.handler(poll(), None) == NONE_FAILED
    assert task.is_unanswered()
    assert cloud.take_messages(cloud.attempts_queue, seconds_max=5) == [
        {"do": "poll", "workspace_id": WORKSPACE, "generation_id": GENERATION, "attempt_id": ATTEMPT, "polls": 1}
    ]


def test_a_poll_of_an_attempt_that_never_began_does_nothing(app: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    assert app.handler(poll(), None) == NONE_FAILED
    assert cloud.delayed_attempts() == 0
    assert cloud.take_messages(cloud.attempts_queue) == []


def test_a_cancellation_reaches_the_provider_and_then_the_workflow(
    app: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    replicate.behave("run:hang")
    task = cloud.start_waiting_execution()
    reference = submit_to_replicate(task.token)
    assert app.handler(example_event("queues/attempts/cancel"), None) == NONE_FAILED
    assert replicate.predictions[reference].shown["status"] == "canceled"
    assert task.answer["status"] == "cancelled"


def test_a_cancellation_of_an_attempt_without_a_job_does_nothing(app: ModuleType, cloud: AwsResources) -> None:
    start_attempt(submit_example())
    assert app.handler(example_event("queues/attempts/cancel"), None) == NONE_FAILED


def test_a_due_rate_limit_slot_resumes_the_workflow(app: ModuleType, cloud: AwsResources) -> None:
    task = cloud.start_waiting_execution()
    message = json.loads(example_event("queues/attempts/try")["Records"][0]["body"]) | {"task_token": task.token}
    assert app.handler(batch(json.dumps(message)), None) == NONE_FAILED
    assert not task.is_unanswered()
    # Nothing is resumed when the workflow has ended meanwhile.
    assert app.handler(batch(json.dumps(message)), None) == NONE_FAILED
    assert app.handler(example_event("queues/attempts/try"), None) == NONE_FAILED


def test_failed_messages_are_reported_and_do_not_block_the_others(
    app: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    task = cloud.start_waiting_execution()
    ended(replicate, submit_to_replicate(task.token))
    good = poll()["Records"][0]["body"]
    unknown = json.dumps(json.loads(good) | {"do": "dance"})
    incomplete = json.dumps({"do": "poll", "workspace_id": WORKSPACE})
    failed = app.handler(batch("no JSON", unknown, good, incomplete, "[]"), None)
    assert failed == {"batchItemFailures": [{"itemIdentifier": place} for place in ("0", "1", "3", "4")]}
    assert task.answer["status"] == "succeeded"


def test_a_poll_without_a_provider_response_is_requeued(
    app: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    replicate.behave("run:hang")
    submit_to_replicate(cloud.start_waiting_execution().token)
    replicate.stop()
    # A provider that does not respond is polled again later; the message itself has not failed.
    assert app.handler(poll(), None) == NONE_FAILED
    assert cloud.delayed_attempts() == 1
