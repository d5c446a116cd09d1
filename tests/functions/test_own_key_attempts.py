"""An image generated with a workspace's own provider key, from submission to end: only the provider sees the key."""

from __future__ import annotations

import json

import pytest

from atelier.clock import system_clock
from atelier.generations.model import Generation, Kind, Recipe, Status
from atelier.http import Caller
from atelier.wiring import generations, ledger
from infra.local.standins.replicate import ReplicateStandIn
from tests.functions.cast import KEY, OWN_KEY, PROMPT, USER, WORKSPACE, bring_key
from tests.functions.conftest import Cloud
from tests.invoke import function
from tests.until import until

REMOTE = "replicate/sdxl"


def submitted(model: str = REMOTE) -> Generation:
    recipe = Recipe(Kind.IMAGE, PROMPT, model, None, {"width": 512, "height": 512})
    return generations.submit(Caller(USER, WORKSPACE, "owner"), recipe, None, system_clock()).generation


def test_the_key_is_with_the_provider_and_nowhere_else(
    cloud: Cloud, replicate: ReplicateStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    # The stand-in refuses the platform's own token here.
    replicate.api_token = OWN_KEY
    bring_key()
    asked = submitted()
    assert (asked.candidates, asked.credits_held) == ((f"{REMOTE}@{KEY}",), 0)
    task = cloud.task()
    visit = {"workspace_id": WORKSPACE, "generation_id": asked.id, "task_token": task.token, "lost": None}
    function("tasks/attempt_generation").handler(visit, None)
    (prediction,) = replicate.predictions.values()
    assert prediction.webhook is None
    until(lambda: prediction.shown["completed_at"])
    messages = cloud.messages(cloud.attempts, seconds_max=5)
    records = [{"messageId": "1", "body": json.dumps(message)} for message in messages]
    assert function("queues/attempts").handler({"Records": records}, None) == {"batchItemFailures": []}
    answer = task.answer
    end = {"workspace_id": WORKSPACE, "generation_id": asked.id, "result": answer}
    function("tasks/finish_generation").handler(end, None)
    made = generations.store().get(WORKSPACE, asked.id)
    (attempt,) = made.attempts
    assert (made.status, attempt.key, made.credits_charged) == (Status.SUCCEEDED, KEY, 0)
    assert made.cost_microusd > 0
    assert ledger.wallets().wallet(WORKSPACE).held == 0
    stored = json.dumps([cloud.items(getattr(cloud.tables, table)) for table in cloud.tables.__dataclass_fields__])
    written = capsys.readouterr()
    told = json.dumps([answer, messages]) + written.out + written.err + repr(made)
    assert OWN_KEY not in stored + told
    assert OWN_KEY[:12] not in stored + told


def test_a_key_that_is_refused_costs_nothing_and_the_platforms_access_is_not_used(
    cloud: Cloud, replicate: ReplicateStandIn
) -> None:
    bring_key()
    asked = submitted()
    task = cloud.task()
    visit = {"workspace_id": WORKSPACE, "generation_id": asked.id, "task_token": task.token, "lost": None}
    function("tasks/attempt_generation").handler(visit, None)
    assert (task.answer["status"], task.answer["error_class"]) == ("failed", "auth")
    assert OWN_KEY not in json.dumps(task.answer)
    assert replicate.predictions == {}
