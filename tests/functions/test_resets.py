"""functions/schedules/reset_daily_credits and functions/queues/resets: every due wallet gets its daily credits.

Due wallets were opened with dates of the past."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.ledger.items import SHARDS, WalletItem, wallet_item
from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
from atelier.clock import next_midnight, system_clock
from atelier.ids import new_id
from atelier.ledger.due import PAGE_SIZE
from atelier.ledger.model import new_wallet
from atelier.wiring import ledger
from infra.local.templates import read_template
from tests.functions.conftest import AwsResources
from tests.functions.example_data import WORKSPACE
from tests.integration.world import run_concurrently
from tests.invoke import ROOT, example_event, load_function

DAILY = 50
DAY = timedelta(days=1)
RUNS_AT_ONCE = 3
SHARD = 7
NONE_FAILED: dict[str, list[Any]] = {"batchItemFailures": []}


class Context:
    """Lambda's context with enough time for that many wallets."""

    def __init__(self, wallets: int) -> None:
        self._left = wallets

    def get_remaining_time_in_millis(self) -> int:
        self._left -= 1
        return 60_000 if self._left >= 0 else 9_000


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("queues/resets")


def message(shard: int = SHARD, after: str | None = None) -> dict[str, Any]:
    loaded = example_event("queues/resets/start")
    loaded["Records"][0]["body"] = json.dumps({"shard": shard, "after": after})
    return loaded


def work_through(app: ModuleType, cloud: AwsResources, *, wallets_each: int) -> Iterator[dict[str, Any]]:
    """Feed the queue's messages to the function until there are none; yields the body of each."""
    messages: list[dict[str, Any]] = [{"shard": SHARD, "after": None}]
    while messages:
        for each in messages:
            yield each
            assert app.handler(message(**each), Context(wallets_each)) == NONE_FAILED
        messages = cloud.take_messages(cloud.resets_queue)


def workspace(opened_at: datetime, *, tier: str = "free", shard: int = SHARD) -> str:
    """A workspace whose wallet was opened at that time and has not been read since."""
    made = (new_wallet(new_id("wsp", opened_at), tier, opened_at) for _ in range(10_000))
    wallet = next(wallet for wallet in made if wallet_item(wallet).shard == str(shard))
    with transaction() as write:
        put_new_wallet(write, wallet)
    return wallet.workspace_id


def kinds(workspace_id: str) -> Counter[str]:
    movements = ledger.wallets().movements(workspace_id, None, 100).movements
    assert sum(entry.amount for movement in movements for entry in movement.entries) == 0
    return Counter(movement.kind for movement in movements)


def everything(cloud: AwsResources) -> str:
    """All that is stored, as text, but for when a job has run."""
    stored = [item for table in astuple(cloud.tables) for item in cloud.items(table) if item["pk"]["S"] != "job-runs"]
    return json.dumps(stored, default=str, sort_keys=True)


def test_the_schedule_enqueues_each_shard_with_due_wallets(cloud: AwsResources) -> None:
    now = system_clock()
    schedule = load_function("schedules/reset_daily_credits")
    for shard in range(SHARDS):
        due = [workspace(now - DAY, shard=shard) for _ in range(2)]
        if shard % 2:
            for workspace_id in due:
                ledger.refresh_wallet(workspace_id, now)
    ledger.refresh_wallet(WORKSPACE, now)
    before = everything(cloud)
    assert schedule.handler(example_event("schedules/reset_daily_credits/due"), None) == {"shards": SHARDS // 2}
    messages = cloud.take_messages(cloud.resets_queue, seconds_max=5)
    assert sorted(each["shard"] for each in messages) == list(range(0, SHARDS, 2))
    assert {each["after"] for each in messages} == {None}
    assert everything(cloud) == before


def test_concurrent_resets_give_each_due_wallet_one_grant(app: ModuleType, cloud: AwsResources) -> None:
    now = system_clock()
    unused = [workspace(now - 3 * DAY) for _ in range(3)]
    used = [workspace(now - 3 * DAY) for _ in range(3)]
    for workspace_id in used:
        ledger.refresh_wallet(workspace_id, now - DAY)
    assert run_concurrently(RUNS_AT_ONCE, lambda _: app.handler(message(), None)) == [NONE_FAILED] * RUNS_AT_ONCE
    for workspace_id in (*unused, *used):
        wallet = ledger.wallets().wallet(workspace_id)
        assert [(grant.id, grant.remaining) for grant in wallet.grants] == [(f"daily#{now.date()}", DAILY)]
        assert (wallet.available, wallet.reset_at) == (DAILY, next_midnight(now))
    assert all(kinds(workspace_id) == {"grant": 1} for workspace_id in unused)
    assert all(kinds(workspace_id) == {"grant": 2, "expire": 1} for workspace_id in used)


def test_a_wallet_not_due_or_in_another_shard_is_unchanged(app: ModuleType, cloud: AwsResources) -> None:
    now = system_clock()
    done, other = workspace(now - DAY), workspace(now - DAY, shard=8)
    app.handler(message(), None)
    assert (kinds(done), kinds(other)) == ({"grant": 1}, {})
    before = everything(cloud)
    app.handler(message(), None)
    assert everything(cloud) == before


@pytest.mark.parametrize("wallets_each", [1, 2, 3])
def test_a_reset_out_of_time_requeues_the_rest_of_its_shard(
    app: ModuleType, cloud: AwsResources, wallets_each: int
) -> None:
    due = [workspace(system_clock() - DAY) for _ in range(7)]
    messages = list(work_through(app, cloud, wallets_each=wallets_each))
    assert len(messages) == math.ceil(7 / wallets_each)
    assert len({each["after"] for each in messages}) == len(messages), "each goes on where the last one stopped"
    assert all(kinds(workspace_id) == {"grant": 1} for workspace_id in due)


def test_a_reset_without_time_requeues_the_same_cursor(app: ModuleType, cloud: AwsResources) -> None:
    due = workspace(system_clock() - DAY)
    for after in (None, "2020-11-20T00:00:00.000Z#wsp_01M7XCN60Q0Z9AH99VAAQWYH99"):
        app.handler(message(after=after), Context(0))
        assert cloud.take_messages(cloud.resets_queue, seconds_max=5) == [{"shard": SHARD, "after": after}]
    assert kinds(due) == {}


def test_failing_wallets_are_logged_and_do_not_block_the_others(
    app: ModuleType, cloud: AwsResources, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    past = system_clock() - DAY
    broken = [workspace(past - DAY, tier="nobody's") for _ in range(PAGE_SIZE + 1)]
    sound = [workspace(past) for _ in range(2)]
    messages = list(work_through(app, cloud, wallets_each=PAGE_SIZE // 2))
    assert len(messages) == 3
    assert all(kinds(workspace_id) == {"grant": 1} for workspace_id in sound)
    assert all(kinds(workspace_id) == {} for workspace_id in broken)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["workspace_id"] for line in lines if line["level"] == "ERROR"] == sorted(broken)
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    assert sum(line["WalletsFailed"][0] for line in written) == len(broken)
    alarm: dict[str, Any] = read_template(ROOT / "infra/observability.yaml")["Resources"]["WalletsFailedAlarm"][
        "Properties"
    ]
    (metric,) = written[0]["_aws"]["CloudWatchMetrics"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (metric["Namespace"], metric["Metrics"][0]["Name"])


def test_a_failed_wallet_is_retried_by_the_next_reset(app: ModuleType, cloud: AwsResources) -> None:
    broken = workspace(system_clock() - DAY, tier="nobody's")
    app.handler(message(), None)
    WalletItem(broken, "wallet").update([WalletItem.tier.set("free")])
    app.handler(message(), None)
    assert kinds(broken) == {"grant": 1}


def test_an_invalid_message_fails_alone(app: ModuleType, cloud: AwsResources) -> None:
    due = workspace(system_clock() - DAY)
    batch = message()
    (good,) = batch["Records"]
    bad = [good | {"messageId": str(place), "body": body} for place, body in enumerate(("no JSON", "{}", "[]"))]
    failed = app.handler({"Records": [*bad, good]}, None)
    assert failed == {"batchItemFailures": [{"itemIdentifier": place} for place in ("0", "1", "2")]}
    assert kinds(due) == {"grant": 1}
