"""How the ledger's stream, the daily reset and the reconciler audit the ledger, fed with events."""

from __future__ import annotations

import copy
import io
import json
from collections import Counter
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem, wallet_item
from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
from atelier.caller import Caller
from atelier.clock import system_clock
from atelier.generations.create import accept
from atelier.generations.model import Kind, Recipe
from atelier.ids import new_id
from atelier.ledger.model import new_wallet
from atelier.ledger.verify import verify
from atelier.wiring import adjustments, generation_requests, ledger, seals
from infra.local.templates import read_template
from tests.functions.conftest import AwsResources
from tests.functions.example_data import PROMPT, USER, WORKSPACE, submit_example
from tests.invoke import ROOT, example_event, load_function
from tests.orphaned_escrows import write_orphaned_escrow


@pytest.fixture
def stream(cloud: AwsResources) -> ModuleType:
    return load_function("streams/ledger")


@pytest.fixture
def resets(cloud: AwsResources) -> ModuleType:
    return load_function("queues/resets")


def stream_batch(cloud: AwsResources) -> dict[str, Any]:
    """The stream's batch about every item of the ledger's table, including the wallet and the seals."""
    (record,) = example_event("streams/ledger/granted")["Records"]
    batch: list[dict[str, Any]] = []
    for item in cloud.items(cloud.tables.ledger):
        batch.append(copy.deepcopy(record))
        batch[-1]["dynamodb"] |= {"Keys": {"pk": item["pk"], "sk": item["sk"]}, "NewImage": item}
    return {"Records": batch}


def proof() -> dict[str, Any]:
    page, rest = seals.proof(WORKSPACE, 0, system_clock())
    assert rest is None
    return page | {"next_cursor": None}


def workspace(opened_at: datetime) -> str:
    """A workspace whose wallet was opened at that time, in shard 0."""
    made = (new_wallet(new_id("wsp", opened_at), "free", opened_at) for _ in range(10_000))
    wallet = next(wallet for wallet in made if wallet_item(wallet).shard == "0")
    with transaction() as write:
        put_new_wallet(write, wallet)
    return wallet.workspace_id


def orphan(cloud: AwsResources, at: datetime) -> str:
    """A workspace with a hold of that time whose generation is deleted; the rest of its wallet is correct."""
    workspace_id, caller = workspace(at), Caller(USER, "", "owner")
    recipe = Recipe(Kind.IMAGE, PROMPT, "local/canvas", None, {"width": 512, "height": 512})
    made = accept(
        generation_requests.create_deps(at), replace(caller, workspace_id=workspace_id), recipe, None, at
    ).generation
    key = {"pk": {"S": workspace_id}, "sk": {"S": made.id}}
    client("dynamodb").delete_item(TableName=cloud.tables.generations, Key=key)
    return workspace_id


def kinds(workspace_id: str) -> list[str]:
    return sorted(movement.kind for movement in ledger.wallets().movements(workspace_id, None, 100).movements)


def reset(app: ModuleType) -> None:
    event = example_event("queues/resets/start")
    event["Records"][0]["body"] = json.dumps({"shard": 0, "after": None})
    assert app.handler(event, None) == {"batchItemFailures": []}


def everything(cloud: AwsResources) -> str:
    return json.dumps([cloud.items(table) for table in astuple(cloud.tables)], default=str, sort_keys=True)


def alarmed(capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """How often each metric was counted; each metric must have an alarm of its name that watches it."""
    alarms: dict[str, Any] = read_template(ROOT / "infra/observability.yaml")["Resources"]
    found: Counter[str] = Counter()
    for line in map(json.loads, filter(lambda line: line.startswith('{"_aws"'), capsys.readouterr().out.splitlines())):
        (written,) = line["_aws"]["CloudWatchMetrics"]
        name = written["Metrics"][0]["Name"]
        alarm = alarms[f"{name}Alarm"]["Properties"]
        assert (alarm["Namespace"], alarm["MetricName"]) == (written["Namespace"], name)
        assert [[each["Name"] for each in alarm["Dimensions"]]] == written["Dimensions"]
        found[name] += int(line[name][0])
    return found


# ---- the stream ------------------------------------------------------------------------------------------------------


def test_new_movements_are_sealed_once_when_the_stream_repeats_them(
    stream: ModuleType, cloud: AwsResources, log: io.StringIO
) -> None:
    submit_example()
    for _ in range(2):
        stream.handler(stream_batch(cloud), None)
    head = proof()["head"]
    assert (head["number"], head["count"]) == (1, 2)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["movements"], line["head"]) for line in lines if line["message"] == "sealed"] == [
        (2, f"1:{head['hash']}"),
        (0, f"1:{head['hash']}"),
    ]
    verify([proof()])


def test_an_unsealable_wallet_does_not_block_the_other_wallets(stream: ModuleType, cloud: AwsResources) -> None:
    submit_example()
    batch = stream_batch(cloud)
    poison = copy.deepcopy(batch["Records"][0])
    poison["dynamodb"]["Keys"] = {"pk": {"S": "wsp_poison"}, "sk": {"S": "movement#x"}}
    poison["dynamodb"]["NewImage"] = poison["dynamodb"]["Keys"] | {"entries": {"S": "no JSON"}}
    batch["Records"].insert(0, poison)
    for _ in range(2):
        with pytest.raises(ExceptionGroup, match="1 of 2 wallets could not be sealed"):
            stream.handler(batch, None)
    assert proof()["head"]["count"] == 2
    verify([proof()])


def test_a_seal_that_finds_a_wrong_counter_raises_the_ledger_drift_alarm(
    stream: ModuleType, cloud: AwsResources, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    submit_example()
    WalletItem(WORKSPACE, "wallet").update([WalletItem.held.set(WalletItem.held + 1)])
    stream.handler(stream_batch(cloud), None)
    assert alarmed(capsys) == {"LedgerDrift": 1}
    (error,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == "ERROR"]
    assert error["workspace_id"] == WORKSPACE
    assert error["fault"].startswith("held is ")


# ---- the daily reset, and the sweep ----------------------------------------------------------------------------------


def test_the_daily_reset_seals_missed_movements_and_still_grants_credits(
    resets: ModuleType, cloud: AwsResources, capsys: pytest.CaptureFixture[str]
) -> None:
    yesterday = system_clock() - timedelta(days=1)
    workspace_id = workspace(yesterday)
    ledger.refresh_wallet(workspace_id, yesterday)
    WalletItem(workspace_id, "wallet").update([WalletItem.held.set(WalletItem.held + 1)])
    reset(resets)
    assert kinds(workspace_id) == ["expire", "grant", "grant"]
    page, _ = seals.proof(workspace_id, 0, system_clock())
    assert [seal["count"] for seal in page["seals"]] == [1, 3]
    assert alarmed(capsys) == {"LedgerRepairs": 1, "LedgerDrift": 1}


def test_the_daily_reset_releases_a_hold_without_a_generation(
    resets: ModuleType, cloud: AwsResources, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace_id = orphan(cloud, system_clock() - timedelta(days=4))
    reset(resets)
    assert kinds(workspace_id) == ["expire", "grant", "grant", "hold", "released"]
    assert ledger.wallets().wallet(workspace_id).holds_open == 0
    assert alarmed(capsys)["LedgerRepairs"] == 2  # Its movements of four days ago were never sealed either.
    before = everything(cloud)
    reset(resets)
    assert everything(cloud) == before


def test_the_daily_reset_reports_an_escrow_without_a_purchase(
    resets: ModuleType, cloud: AwsResources, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    yesterday = system_clock() - timedelta(days=1)
    workspace_id = workspace(yesterday - timedelta(days=1))
    id = write_orphaned_escrow(workspace_id, 40, deps=adjustments.deps().ledger, now=yesterday)
    reset(resets)
    assert alarmed(capsys)["LedgerDrift"] == 1
    (error,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == "ERROR"]
    assert (error["workspace_id"], error["fault"]) == (
        workspace_id,
        f"the escrow of {id} holds 40, and its record is missing",
    )
    # It is reported, and changed by nobody but an administrator.
    assert ledger.wallets().wallet(workspace_id).held == 40


def test_the_reconciler_releases_an_overdue_hold_without_a_generation(
    cloud: AwsResources, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace_id = orphan(cloud, system_clock() - timedelta(hours=1))
    app = load_function("schedules/reconcile_generations")
    for _ in range(2):
        app.handler(example_event("schedules/reconcile_generations/due"), None)
        assert kinds(workspace_id) == ["grant", "hold", "released"]
    assert ledger.wallets().wallet(workspace_id).holds_open == 0
    assert alarmed(capsys) == {"LedgerRepairs": 1}
