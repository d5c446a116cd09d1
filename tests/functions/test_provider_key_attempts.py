"""An image generated with a workspace's own provider key, from submission to end: only the provider sees the key."""

from __future__ import annotations

import json

import pytest

from atelier.caller import Caller
from atelier.clock import system_clock
from atelier.generations.create import accept
from atelier.generations.model import Generation, Kind, Recipe, Status
from atelier.wiring import generation_requests, generations, ledger
from infra.simulators.replicate import ReplicateSimulator
from tests.functions.conftest import AwsResources
from tests.functions.example_data import KEY, OWN_KEY, PROMPT, USER, WORKSPACE, add_provider_key
from tests.invoke import load_function
from tests.polling import wait_until

REMOTE = "replicate/sdxl"


def submitted(model: str = REMOTE) -> Generation:
    recipe = Recipe(Kind.IMAGE, PROMPT, model, None, {"width": 512, "height": 512})
    return accept(
        generation_requests.create_deps(system_clock()), Caller(USER, WORKSPACE, "owner"), recipe, None, system_clock()
    ).generation


def test_a_workspaces_provider_key_reaches_only_the_provider(
    cloud: AwsResources, replicate: ReplicateSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    # The simulator refuses the platform's own token here.
    replicate.api_key = OWN_KEY
    add_provider_key()
    generation = submitted()
    assert (generation.candidates, generation.credits_held) == ((f"{REMOTE}@{KEY}",), 0)
    task = cloud.start_waiting_execution()
    visit = {"workspace_id": WORKSPACE, "generation_id": generation.id, "task_token": task.token, "lost": None}
    load_function("tasks/attempt_generation").handler(visit, None)
    (prediction,) = replicate.predictions.values()
    assert prediction.webhook is None
    wait_until(lambda: prediction.shown["completed_at"])
    messages = cloud.take_messages(cloud.attempts_queue, seconds_max=5)
    records = [{"messageId": "1", "body": json.dumps(message)} for message in messages]
    assert load_function("queues/attempts").handler({"Records": records}, None) == {"batchItemFailures": []}
    answer = task.answer
    end = {"workspace_id": WORKSPACE, "generation_id": generation.id, "result": answer}
    load_function("tasks/finish_generation").handler(end, None)
    made = generations.store().get(WORKSPACE, generation.id)
    (attempt,) = made.attempts
    assert (made.status, attempt.key, made.credits_charged) == (Status.SUCCEEDED, KEY, 0)
    assert made.cost_microusd > 0
    assert ledger.wallets().wallet(WORKSPACE).held == 0
    stored = json.dumps([cloud.items(getattr(cloud.tables, table)) for table in cloud.tables.__dataclass_fields__])
    written = capsys.readouterr()
    outputs = json.dumps([answer, messages]) + written.out + written.err + repr(made)
    assert OWN_KEY not in stored + outputs
    assert OWN_KEY[:12] not in stored + outputs


def test_a_refused_provider_key_fails_without_the_platforms_key(
    cloud: AwsResources, replicate: ReplicateSimulator
) -> None:
    add_provider_key()
    generation = submitted()
    task = cloud.start_waiting_execution()
    visit = {"workspace_id": WORKSPACE, "generation_id": generation.id, "task_token": task.token, "lost": None}
    load_function("tasks/attempt_generation").handler(visit, None)
    assert (task.answer["status"], task.answer["error_class"]) == ("failed", "auth")
    assert OWN_KEY not in json.dumps(task.answer)
    assert replicate.predictions == {}
