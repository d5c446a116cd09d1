"""functions/streams/*, fed with DynamoDB's records: what a change triggers, even if its record is repeated."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from atelier.aws.clients import client
from atelier.generations.model import Attempt, AttemptStatus
from atelier.generations.ports import Callback
from atelier.http import Caller
from atelier.wiring import generations, workflow
from infra.local.standins.replicate import FOREIGN_SECRET, WEBHOOK_SECRET, ReplicateStandIn, signature
from tests.embedded_aws import forget_wiring
from tests.functions.cast import ATTEMPT, GENERATION, USER, WORKSPACE, address, current, under_way
from tests.functions.conftest import Cloud
from tests.invoke import example, function
from tests.until import until

IDS = {"workspace_id": WORKSPACE, "generation_id": GENERATION}


@pytest.fixture
def outbox(cloud: Cloud) -> ModuleType:
    return function("streams/generations")


@pytest.fixture
def inbox(cloud: Cloud) -> ModuleType:
    return function("streams/inbox")


def executions(cloud: Cloud) -> list[str]:
    found = client("stepfunctions").list_executions(stateMachineArn=cloud.machine)["executions"]
    return [execution["name"] for execution in found]


# ---- the outbox ------------------------------------------------------------------------------------------------------


def test_a_new_generation_starts_its_execution_once(outbox: ModuleType, cloud: Cloud) -> None:
    for _ in range(2):
        outbox.handler(example("streams/generations/inserted"), None)
    assert cloud.begun().input == {**IDS, "lost": None}
    assert executions(cloud) == [GENERATION]


def test_a_requested_cancellation_is_carried_to_the_queue(outbox: ModuleType, cloud: Cloud) -> None:
    outbox.handler(example("streams/generations/cancel_requested"), None)
    assert cloud.messages(cloud.attempts, seconds_max=5) == [{"do": "cancel", **IDS}]
    assert cloud.messages(cloud.told) == []


def test_an_end_is_told_on_the_bus_as_one_fact_however_often(outbox: ModuleType, cloud: Cloud) -> None:
    told: list[dict[str, Any]] = []
    for _ in range(2):
        outbox.handler(example("streams/generations/succeeded"), None)
        told += cloud.messages(cloud.told, seconds_max=5)
    assert [(event["source"], event["detail-type"]) for event in told] == [
        ("atelier.generations", "generation.succeeded")
    ] * 2
    assert told[0]["detail"] == told[1]["detail"]
    assert told[0]["detail"] == {
        "id": f"{GENERATION}#succeeded",
        **IDS,
        "status": "succeeded",
        "model": "local/canvas",
        "credits_charged": 1,
        "cost_microusd": 0,
        "completed_at": "2026-11-20T21:10:13.902Z",
    }
    assert executions(cloud) == []


def test_an_attempt_that_is_out_when_time_is_up_is_asked_about_once_more(outbox: ModuleType, cloud: Cloud) -> None:
    outbox.handler(example("streams/generations/expired"), None)
    (told,) = cloud.messages(cloud.told, seconds_max=5)
    assert (told["detail-type"], told["detail"]["credits_charged"]) == ("generation.expired", 0)
    assert cloud.delayed() == 1


@pytest.mark.parametrize("attempts", [None, "[]", '[{"id": "att_1", "ended_at": "2026-11-20T21:10:13.902Z"}]'])
def test_what_expired_with_nothing_out_is_not_asked_about(
    outbox: ModuleType, cloud: Cloud, attempts: str | None
) -> None:
    expired = example("streams/generations/expired")
    image = expired["Records"][0]["dynamodb"]["NewImage"]
    del image["attempts"]
    if attempts is not None:
        image["attempts"] = {"S": attempts}
    outbox.handler(expired, None)
    assert cloud.delayed() == 0


def test_a_late_success_is_told_after_the_expiry_as_another_fact(outbox: ModuleType, cloud: Cloud) -> None:
    late = example("streams/generations/expired")
    change = late["Records"][0]["dynamodb"]
    change["OldImage"] = copy.deepcopy(change["NewImage"])
    change["NewImage"]["status"]["S"] = "succeeded"
    outbox.handler(late, None)
    (told,) = cloud.messages(cloud.told, seconds_max=5)
    assert (told["detail"]["id"], told["detail"]["credits_charged"]) == (f"{GENERATION}#succeeded", 0)
    assert cloud.delayed() == 0


def test_no_other_change_sets_anything_in_motion(outbox: ModuleType, cloud: Cloud) -> None:
    (changed,) = example("streams/generations/cancel_requested")["Records"]
    requested = changed["dynamodb"]["NewImage"]
    again = copy.deepcopy(changed)
    again["dynamodb"]["OldImage"] = requested
    removed = copy.deepcopy(changed) | {"eventName": "REMOVE"}
    del removed["dynamodb"]["NewImage"]
    callback = copy.deepcopy(changed) | {"eventName": "INSERT"}
    callback["dynamodb"]["Keys"]["sk"]["S"] = f"callback#{GENERATION}#{ATTEMPT}"
    del callback["dynamodb"]["OldImage"]
    (ended,) = example("streams/generations/succeeded")["Records"]
    ended["dynamodb"]["OldImage"] = ended["dynamodb"]["NewImage"]
    outbox.handler({"Records": [again, removed, callback, ended]}, None)
    assert executions(cloud) == []
    assert cloud.messages(cloud.attempts) == []
    assert cloud.messages(cloud.told) == []


def test_what_could_not_be_relayed_fails_the_batch_so_that_it_comes_again(
    outbox: ModuleType, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setenv("ATELIER_GENERATE_MEDIA_ARN", f"{cloud.machine}-gone")
        forget_wiring(clients=False)
        with pytest.raises(Exception, match="StateMachineDoesNotExist"):
            outbox.handler(example("streams/generations/inserted"), None)
    forget_wiring(clients=False)
    outbox.handler(example("streams/generations/inserted"), None)
    assert cloud.begun().input == {**IDS, "lost": None}


# ---- the inbox -------------------------------------------------------------------------------------------------------


def keep(prediction: dict[str, Any], *, secret: str = WEBHOOK_SECRET) -> None:
    """Store the webhook about a prediction in the inbox."""
    body, event_id, sent_at = json.dumps(prediction).encode(), "msg_1", int(time.time())
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": signature(secret, event_id, sent_at, body),
    }
    about = {"provider": "replicate", **IDS, "attempt_id": address().attempt_id}
    workflow.inbox().keep("replicate", ATTEMPT, event_id, about, headers, body, current().created_at)


def done(replicate: ReplicateStandIn, reference: str) -> dict[str, Any]:
    until(lambda: replicate.predictions[reference].shown["completed_at"])
    return replicate.predictions[reference].shown


def test_a_webhook_wakes_the_workflow_however_often_it_is_told(
    inbox: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    task = cloud.task()
    reference = under_way(task.token)
    keep(done(replicate, reference))
    for _ in range(2):
        inbox.handler(example("streams/inbox/arrived"), None)
    assert task.answer["status"] == "succeeded"
    assert task.answer["outputs"] == [{"key": None, "url": f"{replicate.url}/_delivery/{reference}/out-0.png"}]


@pytest.mark.parametrize("fault", ["forged", "of another job", "of another input", "not the end"])
def test_a_webhook_that_does_not_fit_wakes_nobody(
    inbox: ModuleType, cloud: Cloud, replicate: ReplicateStandIn, fault: str
) -> None:
    task = cloud.task()
    prediction = done(replicate, under_way(task.token))
    match fault:
        case "forged":
            keep(prediction, secret=FOREIGN_SECRET)
        case "of another job":
            keep(prediction | {"id": "another"})
        case "of another input":
            keep(prediction | {"input": prediction["input"] | {"seed": 8}})
        case _:
            keep(prediction | {"status": "processing", "output": None})
    inbox.handler(example("streams/inbox/arrived"), None)
    assert task.unanswered()


def test_a_webhook_that_nobody_listens_to_is_asked_about_later(
    inbox: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    task = cloud.task()
    keep(done(replicate, under_way(task.token)))
    assert task.unanswered()  # ... and this call completes the token.
    inbox.handler(example("streams/inbox/arrived"), None)
    assert cloud.delayed() == 1


def test_a_webhook_before_its_callback_is_left_for_the_attempt_to_find(inbox: ModuleType, cloud: Cloud) -> None:
    inbox.handler(example("streams/inbox/arrived"), None)
    assert cloud.messages(cloud.attempts) == []


def test_a_webhook_that_fails_does_not_hold_up_the_next(
    inbox: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    task = cloud.task()
    keep(done(replicate, under_way(task.token)))
    broken = of_a_forgotten_provider()
    (good,) = example("streams/inbox/arrived")["Records"]
    bad = json.loads(json.dumps(good).replace(GENERATION, broken))
    inbox.handler({"Records": [bad, good]}, None)
    assert task.answer["status"] == "succeeded"


def test_what_is_forgotten_or_changed_wakes_nobody(
    inbox: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    task = cloud.task()
    keep(done(replicate, under_way(task.token)))
    (record,) = example("streams/inbox/arrived")["Records"]
    removed = copy.deepcopy(record) | {"eventName": "REMOVE"}
    del removed["dynamodb"]["NewImage"]
    inbox.handler({"Records": [removed, record | {"eventName": "MODIFY"}]}, None)
    assert task.unanswered()


def of_a_forgotten_provider() -> str:
    """A second generation that waits for the same attempt's id, of a provider that no longer exists."""
    now = current().created_at
    made = generations.submit(Caller(USER, WORKSPACE, "owner"), replace(current().recipe), None, now).generation
    begun = Attempt(ATTEMPT, "nobody", "nobody/nothing", AttemptStatus.SUBMITTING, now)
    generations.store().save_progress(made, made.attempting(begun))
    generations.store().save_callback(WORKSPACE, made.id, Callback(ATTEMPT, "a token", "r1"))
    return made.id
