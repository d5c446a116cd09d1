"""functions/queues/attempts, fed with SQS batches: polls, cancellations, and failed messages that fail alone."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from infra.local.standins.replicate import ReplicateStandIn
from tests.functions.cast import ATTEMPT, GENERATION, WORKSPACE, ask, attempted, under_way
from tests.functions.conftest import Cloud
from tests.invoke import example, function
from tests.until import until

NONE_FAILED: dict[str, list[Any]] = {"batchItemFailures": []}


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("queues/attempts")


def poll() -> dict[str, Any]:
    return example("queues/attempts/poll")


def batch(*bodies: str) -> dict[str, Any]:
    """Messages as the queue delivers them; their ids are their positions."""
    (record,) = poll()["Records"]
    return {"Records": [record | {"messageId": str(place), "body": body} for place, body in enumerate(bodies)]}


def ended(replicate: ReplicateStandIn, reference: str) -> str:
    return until(lambda: replicate.predictions[reference].shown["completed_at"]) and str(
        replicate.predictions[reference].shown["status"]
    )


def test_a_poll_of_a_job_that_is_done_wakes_the_workflow(
    app: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    task = cloud.task()
    reference = under_way(task.token)
    assert ended(replicate, reference) == "succeeded"
    assert app.handler(poll(), None) == NONE_FAILED
    assert task.answer["status"] == "succeeded"
    assert task.answer["outputs"] == [{"key": None, "url": f"{replicate.url}/_delivery/{reference}/out-0.png"}]
    assert task.answer["usage"] == {"predict_milliseconds": 1750}
    assert cloud.delayed() == 0


def test_a_poll_of_a_job_that_runs_is_repeated_later(
    app: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    replicate.behave("run:hang")
    task = cloud.task()
    under_way(task.token)
    assert app.handler(poll(), None) == NONE_FAILED
    assert task.unanswered()
    assert cloud.messages(cloud.attempts, seconds_max=5) == [
        {"do": "poll", "workspace_id": WORKSPACE, "generation_id": GENERATION, "attempt_id": ATTEMPT, "polls": 1}
    ]


def test_a_poll_of_a_job_that_has_ended_long_ago_does_nothing(app: ModuleType, cloud: Cloud) -> None:
    ask()
    assert app.handler(poll(), None) == NONE_FAILED
    assert cloud.delayed() == 0
    assert cloud.messages(cloud.attempts) == []


def test_a_cancellation_reaches_the_provider_and_then_the_workflow(
    app: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    replicate.behave("run:hang")
    task = cloud.task()
    reference = under_way(task.token)
    assert app.handler(example("queues/attempts/cancel"), None) == NONE_FAILED
    assert replicate.predictions[reference].shown["status"] == "canceled"
    assert task.answer["status"] == "cancelled"


def test_a_cancellation_of_what_nobody_runs_does_nothing(app: ModuleType, cloud: Cloud) -> None:
    attempted(ask())
    assert app.handler(example("queues/attempts/cancel"), None) == NONE_FAILED


def test_whoever_waits_for_its_turn_is_told_when_it_has_come(app: ModuleType, cloud: Cloud) -> None:
    task = cloud.task()
    message = json.loads(example("queues/attempts/try")["Records"][0]["body"]) | {"task_token": task.token}
    assert app.handler(batch(json.dumps(message)), None) == NONE_FAILED
    assert not task.unanswered()
    # Nothing is resumed when the workflow has ended meanwhile.
    assert app.handler(batch(json.dumps(message)), None) == NONE_FAILED
    assert app.handler(example("queues/attempts/try"), None) == NONE_FAILED


def test_messages_that_fail_are_named_and_keep_none_of_the_others(
    app: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    task = cloud.task()
    ended(replicate, under_way(task.token))
    good = poll()["Records"][0]["body"]
    unknown = json.dumps(json.loads(good) | {"do": "dance"})
    incomplete = json.dumps({"do": "poll", "workspace_id": WORKSPACE})
    failed = app.handler(batch("no JSON", unknown, good, incomplete, "[]"), None)
    assert failed == {"batchItemFailures": [{"itemIdentifier": place} for place in ("0", "1", "3", "4")]}
    assert task.answer["status"] == "succeeded"


def test_a_message_whose_workflow_cannot_be_reached_comes_again(
    app: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    replicate.behave("run:hang")
    under_way(cloud.task().token)
    replicate.stop()
    # A provider that does not respond is polled again later; the message itself has not failed.
    assert app.handler(poll(), None) == NONE_FAILED
    assert cloud.delayed() == 1
