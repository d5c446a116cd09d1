"""functions/streams/*, fed with DynamoDB's records: what a change triggers, even if its record is repeated."""

from __future__ import annotations

import copy
import io
import json
import time
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.wiring import workflow
from infra.simulators.replicate import FOREIGN_SECRET, WEBHOOK_SECRET, ReplicateSimulator, signature
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    ATTEMPT,
    GENERATION,
    WORKSPACE,
    stored_generation,
    submit_to_replicate,
    webhook_address,
)
from tests.invoke import example_event, load_function
from tests.polling import wait_until

IDS = {"workspace_id": WORKSPACE, "generation_id": GENERATION}


@pytest.fixture
def outbox(cloud: AwsResources) -> ModuleType:
    return load_function("streams/generations")


@pytest.fixture
def inbox(cloud: AwsResources) -> ModuleType:
    return load_function("streams/inbox")


def executions(cloud: AwsResources) -> list[str]:
    found = client("stepfunctions").list_executions(stateMachineArn=cloud.machine)["executions"]
    return [execution["name"] for execution in found]


# ---- the outbox ------------------------------------------------------------------------------------------------------


def test_a_new_generation_starts_its_execution_once(outbox: ModuleType, cloud: AwsResources) -> None:
    for _ in range(2):
        outbox.handler(example_event("streams/generations/inserted"), None)
    assert cloud.last_waiting_execution().input == {**IDS, "lost": None}
    assert executions(cloud) == [GENERATION]


def test_a_requested_cancellation_is_sent_to_the_queue(outbox: ModuleType, cloud: AwsResources) -> None:
    outbox.handler(example_event("streams/generations/cancel_requested"), None)
    assert cloud.take_messages(cloud.attempts_queue, seconds_max=5) == [{"do": "cancel", **IDS}]
    assert cloud.take_messages(cloud.events_queue) == []


def test_an_ended_generation_publishes_the_same_event_id_on_every_delivery(
    outbox: ModuleType, cloud: AwsResources
) -> None:
    messages: list[dict[str, Any]] = []
    for _ in range(2):
        outbox.handler(example_event("streams/generations/succeeded"), None)
        messages += cloud.take_messages(cloud.events_queue, seconds_max=5)
    assert [(event["source"], event["detail-type"]) for event in messages] == [
        ("atelier.generations", "generation.succeeded")
    ] * 2
    assert messages[0]["detail"] == messages[1]["detail"]
    assert messages[0]["detail"] == {
        "id": f"{GENERATION}#succeeded",
        "version": 1,
        "occurred_at": "2026-11-20T21:10:13.902Z",
        **IDS,
        "status": "succeeded",
        "model": "local/canvas",
        "credits_charged": 1,
        "cost_microusd": 0,
        "completed_at": "2026-11-20T21:10:13.902Z",
        "kind": "image",
    }
    assert executions(cloud) == []


def test_an_expired_generation_with_an_open_attempt_is_polled_once_more(
    outbox: ModuleType, cloud: AwsResources
) -> None:
    outbox.handler(example_event("streams/generations/expired"), None)
    (message,) = cloud.take_messages(cloud.events_queue, seconds_max=5)
    assert (message["detail-type"], message["detail"]["credits_charged"]) == ("generation.expired", 0)
    assert cloud.delayed_attempts() == 1


@pytest.mark.parametrize("attempts", [None, "[]", '[{"id": "att_1", "ended_at": "2026-11-20T21:10:13.902Z"}]'])
def test_an_expired_generation_without_an_open_attempt_is_not_polled(
    outbox: ModuleType, cloud: AwsResources, attempts: str | None
) -> None:
    expired = example_event("streams/generations/expired")
    image = expired["Records"][0]["dynamodb"]["NewImage"]
    del image["attempts"]
    if attempts is not None:
        image["attempts"] = {"S": attempts}
    outbox.handler(expired, None)
    assert cloud.delayed_attempts() == 0


def test_a_late_success_publishes_its_own_event_after_the_expiry(outbox: ModuleType, cloud: AwsResources) -> None:
    late = example_event("streams/generations/expired")
    change = late["Records"][0]["dynamodb"]
    change["OldImage"] = copy.deepcopy(change["NewImage"])
    change["NewImage"]["status"]["S"] = "succeeded"
    outbox.handler(late, None)
    (message,) = cloud.take_messages(cloud.events_queue, seconds_max=5)
    assert (message["detail"]["id"], message["detail"]["credits_charged"]) == (f"{GENERATION}#succeeded", 0)
    assert cloud.delayed_attempts() == 0


def test_an_irrelevant_change_triggers_nothing(outbox: ModuleType, cloud: AwsResources) -> None:
    (changed,) = example_event("streams/generations/cancel_requested")["Records"]
    requested = changed["dynamodb"]["NewImage"]
    again = copy.deepcopy(changed)
    again["dynamodb"]["OldImage"] = requested
    removed = copy.deepcopy(changed) | {"eventName": "REMOVE"}
    del removed["dynamodb"]["NewImage"]
    callback = copy.deepcopy(changed) | {"eventName": "INSERT"}
    callback["dynamodb"]["Keys"]["sk"]["S"] = f"callback#{GENERATION}#{ATTEMPT}"
    del callback["dynamodb"]["OldImage"]
    (ended,) = example_event("streams/generations/succeeded")["Records"]
    ended["dynamodb"]["OldImage"] = ended["dynamodb"]["NewImage"]
    outbox.handler({"Records": [again, removed, callback, ended]}, None)
    assert executions(cloud) == []
    assert cloud.take_messages(cloud.attempts_queue) == []
    assert cloud.take_messages(cloud.events_queue) == []


def test_a_failed_relay_fails_the_batch_and_is_retried(
    outbox: ModuleType, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setenv("ATELIER_GENERATE_MEDIA_ARN", f"{cloud.machine}-gone")
        clear_wiring_caches(clients=False)
        with pytest.raises(Exception, match="StateMachineDoesNotExist"):
            outbox.handler(example_event("streams/generations/inserted"), None)
    clear_wiring_caches(clients=False)
    outbox.handler(example_event("streams/generations/inserted"), None)
    assert cloud.last_waiting_execution().input == {**IDS, "lost": None}


# ---- the inbox -------------------------------------------------------------------------------------------------------


def keep(prediction: dict[str, Any], *, secret: str = WEBHOOK_SECRET) -> None:
    """Store the webhook about a prediction in the inbox."""
    body, event_id, sent_at = json.dumps(prediction).encode(), "msg_1", int(time.time())
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": signature(secret, event_id, sent_at, body),
    }
    about = {"provider": "replicate", **IDS, "attempt_id": webhook_address().attempt_id}
    workflow.inbox().keep("replicate", ATTEMPT, event_id, about, headers, body, stored_generation().created_at)


def done(replicate: ReplicateSimulator, reference: str) -> dict[str, Any]:
    wait_until(lambda: replicate.predictions[reference].shown["completed_at"])
    return replicate.predictions[reference].shown


def test_a_repeated_webhook_resumes_the_workflow(
    inbox: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    task = cloud.start_waiting_execution()
    reference = submit_to_replicate(task.token)
    keep(done(replicate, reference))
    for _ in range(2):
        inbox.handler(example_event("streams/inbox/arrived"), None)
    assert task.answer["status"] == "succeeded"
    assert task.answer["outputs"] == [{"key": None, "url": f"{replicate.url}/_files/{reference}-0.png"}]


@pytest.mark.parametrize("fault", ["forged", "of another job", "of another input", "not the end"])
def test_a_webhook_that_does_not_match_its_attempt_resumes_no_workflow(
    inbox: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator, fault: str
) -> None:
    task = cloud.start_waiting_execution()
    prediction = done(replicate, submit_to_replicate(task.token))
    match fault:
        case "forged":
            keep(prediction, secret=FOREIGN_SECRET)
        case "of another job":
            keep(prediction | {"id": "another"})
        case "of another input":
            keep(prediction | {"input": prediction["input"] | {"seed": 8}})
        case _:
            keep(prediction | {"status": "processing", "output": None})
    inbox.handler(example_event("streams/inbox/arrived"), None)
    assert task.is_unanswered()


def test_a_webhook_without_a_waiting_workflow_enqueues_a_poll(
    inbox: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    task = cloud.start_waiting_execution()
    keep(done(replicate, submit_to_replicate(task.token)))
    assert task.is_unanswered()  # ... and this call completes the token.
    inbox.handler(example_event("streams/inbox/arrived"), None)
    assert cloud.delayed_attempts() == 1


def test_a_webhook_that_precedes_its_callback_enqueues_nothing(inbox: ModuleType, cloud: AwsResources) -> None:
    inbox.handler(example_event("streams/inbox/arrived"), None)
    assert cloud.take_messages(cloud.attempts_queue) == []


def test_a_failing_webhook_fails_its_batch_after_the_others_are_handled(
    inbox: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator, log: io.StringIO
) -> None:
    task = cloud.start_waiting_execution()
    keep(done(replicate, submit_to_replicate(task.token)))
    (good,) = example_event("streams/inbox/arrived")["Records"]
    bad = json.loads(json.dumps(good).replace("replicate#", "nobody#"))
    with pytest.raises(ExceptionGroup, match="1 webhooks failed"):
        inbox.handler({"Records": [bad, good]}, None)
    assert task.answer["status"] == "succeeded"
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["message"], line["source"]) for line in lines if "source" in line] == [
        ("webhook failed", "nobody"),
        ("webhook handled", "replicate"),
    ]


def test_a_removed_or_modified_webhook_resumes_no_workflow(
    inbox: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    task = cloud.start_waiting_execution()
    keep(done(replicate, submit_to_replicate(task.token)))
    (record,) = example_event("streams/inbox/arrived")["Records"]
    removed = copy.deepcopy(record) | {"eventName": "REMOVE"}
    del removed["dynamodb"]["NewImage"]
    inbox.handler({"Records": [removed, record | {"eventName": "MODIFY"}]}, None)
    assert task.is_unanswered()
