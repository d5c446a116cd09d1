"""functions/schedules/*, fed with the scheduler's event. What is due was stored with dates of the past."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import astuple
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.job_runs import JOB_RUNS
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
from atelier.caller import Caller
from atelier.clock import rfc3339, system_clock
from atelier.generations.create import accept
from atelier.generations.model import Generation, Kind, Recipe, Status
from atelier.ids import new_id
from atelier.ledger.due import PAGE_SIZE
from atelier.ledger.model import Movement, new_wallet
from atelier.wiring import generation_requests, generations, ledger
from infra.local.templates import read_template
from tests.functions.conftest import AwsResources
from tests.functions.example_data import PROMPT, USER
from tests.integration.world import run_concurrently
from tests.invoke import ROOT, example_event, load_function

DAY = timedelta(days=1)
RUNS_AT_ONCE = 3


class Context:
    """Lambda's context, as far as a schedule uses it."""

    def __init__(self, milliseconds_left: int) -> None:
        self._milliseconds_left = milliseconds_left

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds_left


IN_TIME = Context(50_000)


@pytest.fixture
def reconcile(cloud: AwsResources) -> ModuleType:
    return load_function("schedules/reconcile_generations")


def run(app: ModuleType, context: Context = IN_TIME) -> dict[str, int]:
    folder = Path(str(app.__file__)).parent.name
    done: dict[str, int] = app.handler(example_event(f"schedules/{folder}/due"), context)
    return done


def workspace(opened_at: datetime, *, tier: str = "free") -> str:
    """A workspace whose wallet was opened at that time and has not been read since."""
    workspace_id = new_id("wsp", opened_at)
    with transaction() as write:
        put_new_wallet(write, new_wallet(workspace_id, tier, opened_at))
    return workspace_id


def statement(workspace_id: str) -> tuple[Movement, ...]:
    return ledger.wallets().movements(workspace_id, None, 100).movements


def kinds(workspace_id: str) -> Counter[str]:
    assert sum(entry.amount for movement in statement(workspace_id) for entry in movement.entries) == 0
    return Counter(movement.kind for movement in statement(workspace_id))


def first_in_line(workspace_id: str) -> None:
    """Put a wallet into the first shard, so that it is swept before all others."""
    WalletItem(workspace_id, "wallet").update([WalletItem.shard.set("0")])


def everything(cloud: AwsResources) -> str:
    """All that is stored but the last runs of jobs, as text."""
    items = [item for table in astuple(cloud.tables) for item in cloud.items(table) if item["pk"]["S"] != JOB_RUNS]
    return json.dumps(items, default=str, sort_keys=True)


# ---- overdue generations ---------------------------------------------------------------------------------------------


def submitted(workspace_id: str, at: datetime) -> Generation:
    recipe = Recipe(Kind.IMAGE, PROMPT, "local/canvas", None, {"width": 512, "height": 512})
    return accept(generation_requests.create_deps(at), Caller(USER, workspace_id, "owner"), recipe, None, at).generation


def status(generation: Generation) -> Status:
    return generations.store().get(generation.workspace_id, generation.id).status


def test_concurrent_reconcilers_expire_an_overdue_generation_once(reconcile: ModuleType, cloud: AwsResources) -> None:
    now = system_clock()
    dead = [submitted(workspace(now - 3 * DAY), now - timedelta(hours=1)) for _ in range(3)]
    results = run_concurrently(RUNS_AT_ONCE, lambda _: run(reconcile))
    assert all(isinstance(result, dict) for result in results), results
    for generation in dead:
        assert status(generation) is Status.EXPIRED
        assert kinds(generation.workspace_id)["expired"] == 1
        wallet = ledger.wallets().wallet(generation.workspace_id)
        assert (wallet.held, wallet.holds_open, wallet.sweep_at) == (0, 0, None)


def test_a_generation_before_its_deadline_is_swept_when_it_is_due(reconcile: ModuleType, cloud: AwsResources) -> None:
    now = system_clock()
    workspace_id = workspace(now - 3 * DAY)
    dead, alive = submitted(workspace_id, now - timedelta(hours=1)), submitted(workspace_id, now)
    assert run(reconcile)["expired"] == 1
    assert (status(dead), status(alive)) == (Status.EXPIRED, Status.QUEUED)
    assert ledger.wallets().wallet(workspace_id).sweep_at == alive.deadline_at
    before = everything(cloud)
    assert run(reconcile)["expired"] == 0
    assert everything(cloud) == before


def test_an_unsweepable_wallet_does_not_block_the_others(reconcile: ModuleType, cloud: AwsResources) -> None:
    now = system_clock()
    broken, sound = (submitted(workspace(now - 3 * DAY), now - timedelta(hours=1)) for _ in range(2))
    first_in_line(broken.workspace_id)
    hold = {"pk": {"S": broken.workspace_id}, "sk": {"S": f"movement#{broken.id[4:]}#hold#{broken.id}"}}
    assert client("dynamodb").delete_item(TableName=cloud.tables.ledger, Key=hold, ReturnValues="ALL_OLD")["Attributes"]
    assert run(reconcile)["expired"] == 1
    assert (status(broken), status(sound)) == (Status.QUEUED, Status.EXPIRED)


def test_a_page_of_unsweepable_wallets_does_not_block_the_others(reconcile: ModuleType, cloud: AwsResources) -> None:
    now = system_clock()
    sound = submitted(workspace(now - 3 * DAY), now - timedelta(hours=1))
    first_in_line(sound.workspace_id)
    for _ in range(PAGE_SIZE + 1):
        broken = WalletItem(workspace(now - 3 * DAY), "wallet")
        due = [WalletItem.sweep_at.set(rfc3339(now - DAY)), WalletItem.shard.set("0")]
        broken.update([*due, WalletItem.held.remove()])
    assert run(reconcile)["expired"] == 1
    assert status(sound) is Status.EXPIRED


def test_the_alarm_watches_the_metric_that_is_written(
    reconcile: ModuleType, cloud: AwsResources, capsys: pytest.CaptureFixture[str]
) -> None:
    now = system_clock()
    submitted(workspace(now - 3 * DAY), now - timedelta(hours=1))
    run(reconcile)
    (written,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    (metric,) = written["_aws"]["CloudWatchMetrics"]
    alarm: dict[str, Any] = read_template(ROOT / "infra/observability.yaml")["Resources"]["StuckGenerationsAlarm"][
        "Properties"
    ]
    assert (alarm["Namespace"], alarm["MetricName"]) == (metric["Namespace"], metric["Metrics"][0]["Name"])
    assert written[alarm["MetricName"]] == [1]
    assert [sorted(d["Name"] for d in alarm["Dimensions"])] == metric["Dimensions"]
    assert all(written[dimension["Name"]] == dimension["Value"] for dimension in alarm["Dimensions"])
