"""functions/tasks/*, which the state machine calls. The task tokens are those of workflows that really wait."""

from __future__ import annotations

import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.clock import rfc3339, system_clock
from atelier.generations.cancel import cancel
from atelier.generations.model import AttemptStatus, Status
from atelier.generations.webhook_token import verify
from atelier.wiring import generations, ledger
from infra.simulators.kit.samples import sample_png
from infra.simulators.replicate import ReplicateSimulator
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import PUBLIC_URL, AwsResources, WaitingExecution
from tests.functions.example_data import (
    ASSET,
    ATTEMPT,
    ATTEMPTS_KEY,
    GENERATION,
    WORKSPACE,
    movement_kinds,
    start_attempt,
    stored_generation,
    submit_example,
)
from tests.invoke import example_event, load_function

DAILY = 50
REMOTE = "replicate/sdxl"


@pytest.fixture
def attempt(cloud: AwsResources) -> ModuleType:
    return load_function("tasks/attempt_generation")


@pytest.fixture
def finish(cloud: AwsResources) -> ModuleType:
    return load_function("tasks/finish_generation")


def visit(name: str, task: WaitingExecution) -> dict[str, Any]:
    return example_event(f"tasks/attempt_generation/{name}") | {"task_token": task.token}


def express(attempt: ModuleType) -> None:
    """One visit of an Express execution that began just now."""
    event = example_event("tasks/attempt_generation/express")
    attempt.handler(event | {"started_at": rfc3339(system_clock())}, None)


def candidates(*models: str) -> None:
    """Give the generation several candidates, as a later catalogue would, and time for them: today's has one offer for
    each model."""
    deadline_at = rfc3339(system_clock() + timedelta(hours=1))
    changes = [GenerationItem.candidates.set(list(models)), GenerationItem.deadline_at.set(deadline_at)]
    GenerationItem(WORKSPACE, GENERATION).update(changes)


def stage_picture(cloud: AwsResources) -> None:
    key = f"staging/{GENERATION}/{ATTEMPT}/0"
    client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=sample_png(512, 512, 7))


# ---- attempt ---------------------------------------------------------------------------------------------------------


def test_a_synchronous_attempt_completes_its_task_token(attempt: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    task = cloud.start_waiting_execution()
    attempt.handler(visit("first_candidate", task), None)
    (begun,) = stored_generation().attempts
    key = f"staging/{GENERATION}/{begun.id}/0"
    assert task.answer["status"] == "succeeded"
    assert task.answer["outputs"] == [{"key": key, "url": None}]
    assert client("s3").get_object(Bucket=cloud.bucket, Key=key)["Body"].read(8) == b"\x89PNG\r\n\x1a\n"
    assert (begun.model, begun.status, stored_generation().status) == (
        "local/canvas",
        AttemptStatus.SUBMITTING,
        Status.RUNNING,
    )
    assert movement_kinds() == ["hold", "grant"]


def test_a_visit_of_an_express_execution_finishes_what_is_answered_at_once(
    attempt: ModuleType, cloud: AwsResources
) -> None:
    submit_example()
    for _ in range(2):
        express(attempt)
    ended = stored_generation()
    assert (ended.status, ended.credits_charged, len(ended.attempts)) == (Status.SUCCEEDED, 1, 1)
    assert [asset.id for asset in ended.assets] == [ASSET]
    assert cloud.bucket_keys("staging/") == []
    assert len(cloud.bucket_keys("media/")) == 2
    assert movement_kinds() == ["settled", "hold", "grant"]


def test_a_visit_of_an_express_execution_gives_what_takes_longer_to_a_standard_one(
    attempt: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    submit_example(model=REMOTE)
    for _ in range(2):
        express(attempt)
    assert (stored_generation().attempts, list(replicate.predictions)) == ((), [])
    standard = cloud.last_waiting_execution()
    assert standard.input["lost"]["Error"] == "NextCandidate"
    # Its first visit takes the place in the provider's limit that the Express one had taken.
    attempt.handler(standard.input | {"task_token": standard.token}, None)
    (begun,) = stored_generation().attempts
    callback = generations.store().callback(WORKSPACE, GENERATION, begun.id)
    assert callback is not None
    assert (callback.task_token, [callback.reference]) == (standard.token, list(replicate.predictions))


def test_an_asynchronous_attempt_stores_its_callback_and_enqueues_a_poll(
    attempt: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    submit_example(model=REMOTE)
    task = cloud.start_waiting_execution()
    attempt.handler(visit("first_candidate", task), None)
    (begun,) = stored_generation().attempts
    (prediction,) = replicate.predictions.values()
    callback = generations.store().callback(WORKSPACE, GENERATION, begun.id)
    assert callback is not None
    assert (callback.task_token, callback.reference) == (task.token, prediction.id)
    url, _, token = str(prediction.webhook).rpartition("/")
    assert url == f"{PUBLIC_URL}/api/webhooks/providers/replicate"
    found = verify("replicate", token, bytes.fromhex(ATTEMPTS_KEY))
    assert found is not None
    assert (found.workspace_id, found.generation_id, found.attempt_id) == (WORKSPACE, GENERATION, begun.id)
    assert cloud.delayed_attempts() == 1
    assert cloud.take_messages(cloud.attempts_queue, seconds_max=5) == [
        {"do": "poll", "workspace_id": WORKSPACE, "generation_id": GENERATION, "attempt_id": begun.id, "polls": 0}
    ]
    assert task.is_unanswered()


def test_a_repeated_attempt_task_submits_one_job(
    attempt: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    submit_example(model=REMOTE)
    task = cloud.start_waiting_execution()
    for _ in range(2):
        attempt.handler(visit("first_candidate", task), None)
    assert len(replicate.predictions) == 1
    assert len(stored_generation().attempts) == 1
    assert task.is_unanswered()


def test_the_next_candidates_attempt_records_the_failed_one(attempt: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    candidates(REMOTE, "local/canvas")
    start_attempt(stored_generation())
    task = cloud.start_waiting_execution()
    attempt.handler(visit("next_candidate", task), None)
    lost, begun = stored_generation().attempts
    assert (lost.id, lost.status, lost.error_class) == (ATTEMPT, AttemptStatus.FAILED, "capacity")
    assert begun.model == "local/canvas"
    assert task.answer["status"] == "succeeded"


def test_a_refused_submission_moves_the_workflow_to_the_next_candidate(
    attempt: ModuleType, cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    submit_example()
    candidates(REMOTE, "local/canvas")
    replicate.behave("create:503")
    task = cloud.start_waiting_execution()
    attempt.handler(visit("first_candidate", task), None)
    (begun,) = stored_generation().attempts
    assert task.answer["Error"] == "NextCandidate"
    assert json.loads(task.answer["Cause"])["attempt_id"] == begun.id


def test_a_cancelled_generation_is_not_attempted(attempt: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    cancel(WORKSPACE, GENERATION, deps=generations.close_deps(), now=stored_generation().created_at)
    task = cloud.start_waiting_execution()
    attempt.handler(visit("first_candidate", task), None)
    assert task.answer["status"] == "cancelled"
    assert stored_generation().attempts == ()
    assert cloud.bucket_keys("staging/") == []


def test_a_crashed_attempt_is_resumed_by_the_next_task(
    attempt: ModuleType, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_example()
    task = cloud.start_waiting_execution()
    with monkeypatch.context() as broken:
        broken.setenv("ATELIER_MEDIA_BUCKET", "no-such-bucket")
        clear_wiring_caches(clients=False)
        with pytest.raises(Exception, match="NoSuchBucket"):
            attempt.handler(visit("first_candidate", task), None)
    clear_wiring_caches(clients=False)
    attempt.handler(visit("first_candidate", task), None)
    assert task.answer["status"] == "succeeded"
    assert len(stored_generation().attempts) == 1


# ---- finish ----------------------------------------------------------------------------------------------------------


def test_a_success_is_delivered_recorded_and_charged_once(finish: ModuleType, cloud: AwsResources) -> None:
    start_attempt(submit_example())
    stage_picture(cloud)
    before = ledger.wallets().wallet(WORKSPACE)
    for _ in range(2):
        assert finish.handler(example_event("tasks/finish_generation/succeeded"), None) == {"outcome": "succeeded"}
    ended = stored_generation()
    (picture,) = ended.assets
    assert (ended.status, ended.credits_charged, picture.id) == (Status.SUCCEEDED, ended.credits_held, ASSET)
    assert sorted(cloud.bucket_keys("media/")) == [
        f"media/{WORKSPACE}/{picture.sha256}.png",
        f"media/{WORKSPACE}/{picture.sha256}.thumb.webp",
    ]
    (asset,) = cloud.items(cloud.tables.library)
    assert (asset["sk"]["S"], asset["sha256"]["S"]) == (ASSET, picture.sha256)
    assert movement_kinds() == ["settled", "hold", "grant"]
    wallet = ledger.wallets().wallet(WORKSPACE)
    assert (wallet.available, wallet.held, wallet.holds_open) == (before.available, 0, 0)
    assert wallet.delivered_bytes == picture.size_bytes


def test_a_success_is_measured_by_status_and_model(
    finish: ModuleType, cloud: AwsResources, capsys: pytest.CaptureFixture[str]
) -> None:
    start_attempt(submit_example())
    stage_picture(cloud)
    finish.handler(example_event("tasks/finish_generation/succeeded"), None)
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    (finished,) = [line for line in written if "GenerationFinished" in line]
    assert (finished["status"], finished["model"], finished["GenerationFinished"]) == ("succeeded", "local/canvas", [1])
    (lasted,) = [line for line in written if "GenerationDuration" in line]
    assert lasted["GenerationDuration"][0] >= 0


def test_the_estimate_error_is_measured_by_model(
    finish: ModuleType, cloud: AwsResources, capsys: pytest.CaptureFixture[str]
) -> None:
    start_attempt(submit_example(model=REMOTE))
    stage_picture(cloud)
    request = example_event("tasks/finish_generation/succeeded")
    # The estimate is a quarter of seven seconds.
    request["result"] = {**request["result"], "usage": {"predict_milliseconds": 3500}}
    finish.handler(request, None)
    assert (stored_generation().cost_microusd, stored_generation().cost_source) == (3413, "usage")
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    measured = {name: line for line in written for name in ("EstimateDrift", "EstimateExcess") if name in line}
    assert (measured["EstimateDrift"]["EstimateDrift"], measured["EstimateDrift"]["model"]) == ([100], REMOTE)
    assert (measured["EstimateExcess"]["EstimateExcess"], "model" in measured["EstimateExcess"]) == ([100], False)


@pytest.mark.parametrize("name", ["failed", "cancelled"])
def test_a_failed_or_cancelled_generation_releases_its_hold(finish: ModuleType, cloud: AwsResources, name: str) -> None:
    start_attempt(submit_example())
    for _ in range(2):
        assert finish.handler(example_event(f"tasks/finish_generation/{name}"), None) == {"outcome": name}
    assert (stored_generation().status, stored_generation().credits_charged) == (Status(name), 0)
    assert movement_kinds() == ["released", "hold", "grant"]
    assert ledger.wallets().wallet(WORKSPACE).available == DAILY


def test_a_success_without_its_staged_file_is_a_failure(finish: ModuleType, cloud: AwsResources) -> None:
    start_attempt(submit_example())
    assert finish.handler(example_event("tasks/finish_generation/succeeded"), None) == {"outcome": "failed"}
    assert cloud.items(cloud.tables.library) == []
    assert movement_kinds() == ["released", "hold", "grant"]


def test_an_unknown_outcome_keeps_its_hold(finish: ModuleType, cloud: AwsResources) -> None:
    start_attempt(submit_example())
    assert finish.handler(example_event("tasks/finish_generation/unknown"), None) == {"outcome": "running"}
    assert movement_kinds() == ["hold", "grant"]


def test_an_unknown_outcome_without_an_attempt_releases_its_hold(finish: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    assert finish.handler(example_event("tasks/finish_generation/unknown"), None) == {"outcome": "failed"}
    assert movement_kinds() == ["released", "hold", "grant"]
