"""The platform's report over two workspaces with generations of every ending: it agrees with their sums."""

from __future__ import annotations

from datetime import date, timedelta
from threading import Barrier
from typing import Any

import botocore.session
import pytest

from atelier.adapters.aws.dynamodb.analytics.items import SHARDS, RowItem
from atelier.adapters.aws.dynamodb.analytics.platform_sums import READS_TOGETHER
from atelier.analytics.model import CREDIT_COUNTERS, Dataset
from atelier.analytics.pack import pack_due
from atelier.errors import ValidationFailed
from atelier.wiring import analytics
from tests.counted import counted_rows, total_of
from tests.embedded_aws import Tables
from tests.integration.analytics_world import ENDINGS, EndingsWorld, Streams
from tests.invoke import load_function

PRICE = 10_000
MONTH = {"from": "2026-11-01", "to": "2026-12-01", "microusd_per_credit": PRICE}
COSTS = ("cost_provider_microusd", "cost_usage_microusd", "cost_estimate_microusd")


def test_the_report_adds_up_all_workspaces_and_the_margin_of_each_model(
    tables: Tables, aws: botocore.session.Session
) -> None:
    analytics.bind_table()
    streams, worlds = Streams(tables, aws), [EndingsWorld(tables), EndingsWorld(tables)]
    for world in worlds:
        for name in ENDINGS:
            world.end_one(name)
    load_function("streams/analytics").handler({"Records": list(streams.new_records())}, None)
    later = max(world.now for world in worlds) + timedelta(days=1)
    pack_due(deps=analytics.pack_deps(), now=later)
    report = load_function("tasks/report_platform").handler(MONTH, None)

    rows = [counted_rows(world.workspace_id) for world in worlds]
    expected = {name: sum(total_of(each, name, Dataset.CREDITS) for each in rows) for name in CREDIT_COUNTERS}
    assert report["credits"] == expected
    assert report["credits"]["spent"] > 0
    usage = [(row.group.model, counts) for each in rows for row, counts in each.items() if row.dataset is Dataset.USAGE]
    for of_model in report["models"]:
        own = [counts for model, counts in usage if model == of_model["model"]]
        cost = sum(counts.get(name, 0) for counts in own for name in COSTS)
        by_own_key = sum(counts.get("own_key_cost_microusd", 0) for counts in own)
        credits = sum(counts.get("credits", 0) + counts.get("stage_credits", 0) for counts in own)
        is_run = of_model["model"].startswith("pipeline/")
        assert (of_model["credits"], of_model["cost_microusd"]) == (credits, cost)
        assert of_model["margin_microusd"] == (None if is_run else credits * PRICE - cost + by_own_key)
    assert {each["model"] for each in report["models"]} == {model for model, _ in usage}
    assert report["margin_microusd"] == sum(each["margin_microusd"] or 0 for each in report["models"]) != 0


@pytest.mark.parametrize("end", ["2026-11-01", "2026-10-01", "2028-11-01"])
def test_a_report_has_at_least_a_day_and_not_too_many(tables: Tables, end: str) -> None:
    with pytest.raises(ValidationFailed):
        load_function("tasks/report_platform").handler({**MONTH, "to": end}, None)


def test_the_shards_of_a_day_are_read_together(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    analytics.bind_table()
    query, together = RowItem.query, Barrier(READS_TOGETHER)

    def waiting(*keys: Any, **how: Any) -> Any:
        # Goes on when as many others are here too; a read that stands alone would wait in vain.
        together.wait(60)
        return query(*keys, **how)

    monkeypatch.setattr(RowItem, "query", waiting)
    assert SHARDS % READS_TOGETHER == 0
    assert list(analytics.platform_sums().of_day(date(2026, 11, 1))) == []
