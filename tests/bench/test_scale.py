"""The simulation behind `make scale`, against what can be computed by hand."""

from __future__ import annotations

import random

import pytest

from tests.bench import scale
from tests.bench.scale import busiest_second, dollars_of_million, facts, loads, report, throttled_at_ramp, write_wallet


def test_every_limit_names_its_source_and_what_lifts_it() -> None:
    for name, limit in facts()["limits"].items():
        assert limit["source"].startswith("https://docs.aws.amazon.com/"), name
        assert limit["lift"], name
        assert limit["per"], name
        assert limit.get("per_second") or limit.get("at_once"), name


def test_the_load_on_a_limit_is_rate_times_use() -> None:
    known = facts()
    by_name = {load.limit: load for load in loads(100, 7, known)}
    assert by_name["executions"].demand == 100
    assert by_name["executions"].use == pytest.approx(1 / 60)
    assert by_name["partition_writes of the busiest wallet"].demand == 28
    assert by_name["table_writes of ledger"].demand == pytest.approx(830)
    assert "table_writes of identity" not in by_name


def test_the_busiest_workspace_has_the_share_of_zipfs_law() -> None:
    first = 1 / sum(1 / rank for rank in range(1, scale.WORKSPACES + 1))
    busiest = busiest_second(5000, 20, random.Random(1))
    assert 5000 * first < busiest < 5000 * first * 1.3


def test_lambda_refuses_nothing_below_its_first_thousand() -> None:
    assert throttled_at_ramp(900 / facts()["generation"]["lambda_second"], facts()) == (0, 0)


def test_lambda_refuses_what_is_above_its_ramp() -> None:
    known = facts()
    used = known["generation"]
    rate = 2000 / used["lambda_second"]
    # For ten seconds half of what is wanted is allowed.
    assert throttled_at_ramp(rate, known) == (round(10 * rate * used["lambda_request"] / 2), 10)
    assert throttled_at_ramp(rate, known, concurrency_max=1500)[1] == 3600


def test_a_quiet_wallet_writes_at_the_first_try() -> None:
    run = write_wallet(0.05, 2000, facts(), random.Random(2))
    assumed = facts()["assumed"]
    assert run.carried == 1
    assert run.seconds_median == pytest.approx(assumed["read_seconds"] + assumed["transaction_seconds"])
    assert run.tries_mean < 1.05


def test_a_wallet_carries_no_more_than_one_transaction_at_a_time() -> None:
    known = facts()
    run = write_wallet(200, 10, known, random.Random(3))
    written_in_a_second = run.carried * 200 * known["generation"]["wallet_transactions"]
    assert written_in_a_second < 1 / known["assumed"]["transaction_seconds"] * 2
    assert run.tries_mean > 10


def test_a_million_costs_what_the_price_file_says_and_less_in_a_large_month() -> None:
    known = facts()
    small, large = dollars_of_million(0.001, known), dollars_of_million(5000, known)
    requests = known["generation"]["http_api_request"]
    assert 0 < small - large <= requests * 0.1 + 0.01
    assert 35 < small < 45


def test_the_report_names_what_gives_way_first_at_each_rate() -> None:
    text = "\n".join(report(facts()))
    assert text.count("generations a second: $") == len(scale.RATES)
    assert "1037.5% GIVES WAY new_table_writes" in text
    assert "one workspace alone" in text
