"""functions/tasks/*, which the state machine calls. The task tokens are those of workflows that really wait."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.aws.clients import client
from atelier.aws.dynamodb.generations import GenerationItem
from atelier.generations.callback import verify
from atelier.generations.model import AttemptStatus, Status
from atelier.wiring import generations, ledger
from infra.local.standins.replicate import ReplicateStandIn, png
from tests.embedded_aws import forget_wiring
from tests.functions.cast import (
    ASSET,
    ATTEMPT,
    ATTEMPTS_KEY,
    GENERATION,
    WORKSPACE,
    ask,
    attempted,
    current,
    movements,
)
from tests.functions.conftest import PUBLIC_URL, Cloud, Task
from tests.invoke import example, function

DAILY = 50
REMOTE = "replicate/sdxl"


@pytest.fixture
def attempt(cloud: Cloud) -> ModuleType:
    return function("tasks/attempt_generation")


@pytest.fixture
def finish(cloud: Cloud) -> ModuleType:
    return function("tasks/finish_generation")


def visit(name: str, task: Task) -> dict[str, Any]:
    return example(f"tasks/attempt_generation/{name}") | {"task_token": task.token}


def candidates(*models: str) -> None:
    """Give the generation several candidates, as a later catalogue would: today's has one offer for each model."""
    GenerationItem(WORKSPACE, GENERATION).update([GenerationItem.candidates.set(list(models))])


def stage_picture(cloud: Cloud) -> None:
    key = f"staging/{GENERATION}/{ATTEMPT}/0"
    client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=png(512, 512, 7))


# ---- attempt ---------------------------------------------------------------------------------------------------------


def test_an_attempt_that_is_done_at_once_answers_its_own_token(attempt: ModuleType, cloud: Cloud) -> None:
    ask()
    task = cloud.task()
    attempt.handler(visit("first_candidate", task), None)
    (begun,) = current().attempts
    key = f"staging/{GENERATION}/{begun.id}/0"
    assert task.answer["status"] == "succeeded"
    assert task.answer["outputs"] == [{"key": key, "url": None}]
    assert client("s3").get_object(Bucket=cloud.bucket, Key=key)["Body"].read(8) == b"\x89PNG\r\n\x1a\n"
    assert (begun.model, begun.status, current().status) == ("local/canvas", AttemptStatus.SUBMITTING, Status.RUNNING)
    assert movements() == ["hold", "grant"]


def test_an_attempt_that_takes_time_leaves_a_way_to_be_woken(
    attempt: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    ask(model=REMOTE)
    task = cloud.task()
    attempt.handler(visit("first_candidate", task), None)
    (begun,) = current().attempts
    (prediction,) = replicate.predictions.values()
    callback = generations.store().callback(WORKSPACE, GENERATION, begun.id)
    assert callback is not None
    assert (callback.task_token, callback.reference) == (task.token, prediction.id)
    url, _, token = str(prediction.webhook).rpartition("/")
    assert url == f"{PUBLIC_URL}/api/webhooks/providers/replicate"
    found = verify("replicate", token, bytes.fromhex(ATTEMPTS_KEY))
    assert found is not None
    assert (found.workspace_id, found.generation_id, found.attempt_id) == (WORKSPACE, GENERATION, begun.id)
    assert cloud.delayed() == 1
    assert cloud.messages(cloud.attempts, seconds_max=5) == [
        {"do": "poll", "workspace_id": WORKSPACE, "generation_id": GENERATION, "attempt_id": begun.id, "polls": 0}
    ]
    assert task.unanswered()


def test_an_attempt_visited_again_sends_nothing_twice(
    attempt: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    ask(model=REMOTE)
    task = cloud.task()
    for _ in range(2):
        attempt.handler(visit("first_candidate", task), None)
    assert len(replicate.predictions) == 1
    assert len(current().attempts) == 1
    assert task.unanswered()


def test_the_next_candidate_records_the_loss_with_its_own_attempt(attempt: ModuleType, cloud: Cloud) -> None:
    ask()
    candidates(REMOTE, "local/canvas")
    attempted(current())
    task = cloud.task()
    attempt.handler(visit("next_candidate", task), None)
    lost, begun = current().attempts
    assert (lost.id, lost.status, lost.error_class) == (ATTEMPT, AttemptStatus.FAILED, "capacity")
    assert begun.model == "local/canvas"
    assert task.answer["status"] == "succeeded"


def test_a_refusal_sends_the_workflow_to_the_next_candidate(
    attempt: ModuleType, cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    ask()
    candidates(REMOTE, "local/canvas")
    replicate.behave("create:503")
    task = cloud.task()
    attempt.handler(visit("first_candidate", task), None)
    (begun,) = current().attempts
    assert task.answer["Error"] == "NextCandidate"
    assert json.loads(task.answer["Cause"])["attempt_id"] == begun.id


def test_a_cancelled_generation_is_not_attempted(attempt: ModuleType, cloud: Cloud) -> None:
    ask()
    generations.cancel(WORKSPACE, GENERATION, current().created_at)
    task = cloud.task()
    attempt.handler(visit("first_candidate", task), None)
    assert task.answer["status"] == "cancelled"
    assert current().attempts == ()
    assert cloud.keys("staging/") == []


def test_an_attempt_that_dies_is_taken_up_by_the_next_visit(
    attempt: ModuleType, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    task = cloud.task()
    with monkeypatch.context() as broken:
        broken.setenv("ATELIER_MEDIA_BUCKET", "no-such-bucket")
        forget_wiring(clients=False)
        with pytest.raises(Exception, match="NoSuchBucket"):
            attempt.handler(visit("first_candidate", task), None)
    forget_wiring(clients=False)
    attempt.handler(visit("first_candidate", task), None)
    assert task.answer["status"] == "succeeded"
    assert len(current().attempts) == 1


# ---- finish ----------------------------------------------------------------------------------------------------------


def test_a_success_is_delivered_recorded_and_charged_once(finish: ModuleType, cloud: Cloud) -> None:
    attempted(ask())
    stage_picture(cloud)
    before = ledger.wallets().wallet(WORKSPACE)
    for _ in range(2):
        assert finish.handler(example("tasks/finish_generation/succeeded"), None) == {"outcome": "succeeded"}
    ended = current()
    (picture,) = ended.assets
    assert (ended.status, ended.credits_charged, picture.id) == (Status.SUCCEEDED, ended.credits_held, ASSET)
    assert sorted(cloud.keys("media/")) == [
        f"media/{WORKSPACE}/{picture.sha256}.png",
        f"media/{WORKSPACE}/{picture.sha256}.thumb.webp",
    ]
    (asset,) = cloud.items(cloud.tables.library)
    assert (asset["sk"]["S"], asset["sha256"]["S"]) == (ASSET, picture.sha256)
    assert movements() == ["settled", "hold", "grant"]
    wallet = ledger.wallets().wallet(WORKSPACE)
    assert (wallet.available, wallet.held, wallet.holds_open) == (before.available, 0, 0)


def test_a_success_is_measured_by_status_and_model(
    finish: ModuleType, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    attempted(ask())
    stage_picture(cloud)
    finish.handler(example("tasks/finish_generation/succeeded"), None)
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    (finished,) = [line for line in written if "GenerationFinished" in line]
    assert (finished["status"], finished["model"], finished["GenerationFinished"]) == ("succeeded", "local/canvas", [1])
    (lasted,) = [line for line in written if "GenerationDuration" in line]
    assert lasted["GenerationDuration"][0] >= 0


def test_what_an_estimate_was_off_by_is_measured_by_model(
    finish: ModuleType, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    attempted(ask(model=REMOTE))
    stage_picture(cloud)
    request = example("tasks/finish_generation/succeeded")
    # The estimate is a quarter of seven seconds.
    request["result"] = {**request["result"], "usage": {"predict_milliseconds": 3500}}
    finish.handler(request, None)
    assert (current().cost_microusd, current().cost_source) == (3413, "usage")
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    measured = {name: line for line in written for name in ("EstimateDrift", "EstimateExcess") if name in line}
    assert (measured["EstimateDrift"]["EstimateDrift"], measured["EstimateDrift"]["model"]) == ([100], REMOTE)
    assert (measured["EstimateExcess"]["EstimateExcess"], "model" in measured["EstimateExcess"]) == ([100], False)


@pytest.mark.parametrize("name", ["failed", "cancelled"])
def test_an_end_without_a_picture_gives_the_credits_back(finish: ModuleType, cloud: Cloud, name: str) -> None:
    attempted(ask())
    for _ in range(2):
        assert finish.handler(example(f"tasks/finish_generation/{name}"), None) == {"outcome": name}
    assert (current().status, current().credits_charged) == (Status(name), 0)
    assert movements() == ["released", "hold", "grant"]
    assert ledger.wallets().wallet(WORKSPACE).available == DAILY


def test_a_result_that_is_not_there_is_a_failure(finish: ModuleType, cloud: Cloud) -> None:
    attempted(ask())
    assert finish.handler(example("tasks/finish_generation/succeeded"), None) == {"outcome": "failed"}
    assert cloud.items(cloud.tables.library) == []
    assert movements() == ["released", "hold", "grant"]


def test_an_unknown_outcome_keeps_its_hold(finish: ModuleType, cloud: Cloud) -> None:
    attempted(ask())
    assert finish.handler(example("tasks/finish_generation/unknown"), None) == {"outcome": "running"}
    assert movements() == ["hold", "grant"]


def test_an_unknown_outcome_of_which_nothing_was_sent_gives_the_credits_back(finish: ModuleType, cloud: Cloud) -> None:
    ask()
    assert finish.handler(example("tasks/finish_generation/unknown"), None) == {"outcome": "failed"}
    assert movements() == ["released", "hold", "grant"]
