"""Row 9: a month of usage by day and model, after 10², 10⁴ and 10⁶ generations, beside SQL over a row for each of them.

The generations of a month (five models, durations around 20 s) are counted into rows and kept by day, as in production.
The report is read from the store as the API reads it; the references are `GROUP BY day, model` with counts, sums and
percentiles in DuckDB, and without percentiles in SQLite, both on the same generations, in a file.

Run as a program it prints the figures as JSON.
"""

from __future__ import annotations

import json
import math
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent.parent
SIZES = (100, 10_000, 1_000_000)
DAYS, MODELS = 30, tuple(f"provider-{number}/model-{number}" for number in range(5))
FIRST = datetime(2026, 10, 30, tzinfo=UTC)
NOW = FIRST + timedelta(days=DAYS, hours=6)
WORKSPACE = "wsp_01M7XCN60QPV5D4J3SZ8C2VYQ1"
REPEATS = 15
READ_UNITS_MAX = 4
# What is counted of one generation, as a row of SQL has it.
COLUMNS = "ended_at INTEGER, model TEXT, credits INTEGER, cost INTEGER, duration INTEGER, succeeded INTEGER"


def rows() -> list[object]:
    from tests.bench.measure import Result, run_child

    found = run_child([__file__], {"PYTHONPATH": f"{ROOT / 'layers/atelier/python'}:{ROOT}"}, seconds_max=1200)
    results: list[object] = []
    for size in SIZES:
        name = f"month of usage by day and model, {size:,} generations"
        units = found[f"units {size}"]
        results.append(Result(9, f"{name}, read units", units, units, "RRU", ours_max=READ_UNITS_MAX))
        for engine in ("SQLite", "DuckDB"):
            results.append(
                Result(9, f"{name}, beside {engine}", found[f"ours {size}"], found[f"{engine} {size}"], "ms")
            )
    first, last = (found[f"ours {size}"] for size in (SIZES[0], SIZES[-1]))
    # The smallest month has fewer cells with something in them, so its items are smaller.
    results.append(
        Result(9, "the same, 10⁶ beside 10⁴ generations", last, found[f"ours {SIZES[1]}"], "ms", ratio_max=1.3)
    )
    results.append(Result(9, "the same, 10⁶ beside 10² generations", last, first, "ms"))
    return results


Generated = tuple[int, str, int, int, int, int]


@cache
def generations(size: int) -> list[Generated]:
    """Generations of a month, the same each time."""
    chance, found = random.Random(size), list[Generated]()
    for _ in range(size):
        model = chance.randrange(len(MODELS))
        at = FIRST + timedelta(seconds=chance.randrange(DAYS * 86_400))
        duration = round(20_000 * math.exp(chance.gauss(model / 4, 0.45)))
        is_good = chance.random() > 0.03
        made = int(at.timestamp()), MODELS[model], 4 * is_good, 40_000 + model, duration if is_good else 0, int(is_good)
        found.append(made)
    return found


def main() -> None:
    import pytest

    from atelier.adapters.aws.clients import session
    from tests.bench.meter import metering_proxy
    from tests.embedded_aws import clear_wiring_caches, create_tables, start_emulator

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        emulator, url = start_emulator(Path(folder))
        try:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                environment.setenv(name, "test")
            for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
                environment.setenv(name, "us-east-1")
            for size in SIZES:
                environment.setenv("AWS_ENDPOINT_URL", url)
                clear_wiring_caches()
                create_tables(session().create_client("dynamodb"), environment)
                store(size)
                found[f"ours {size}"] = milliseconds(report)
                with metering_proxy(url) as (meter, metered):
                    environment.setenv("AWS_ENDPOINT_URL", metered)
                    clear_wiring_caches()
                    report()
                    found[f"units {size}"] = meter.dynamodb.total.read
                found |= {f"{name} {size}": value for name, value in sql_sides(size, Path(folder)).items()}
            print(json.dumps(found))
        finally:
            emulator.terminate()
            emulator.wait(timeout=10)


def store(size: int) -> None:
    """Count the generations into rows, and keep the days that are over."""
    from atelier.adapters.aws.dynamodb import pause_with_jitter
    from atelier.adapters.aws.dynamodb.analytics.fact_log import DynamoFactLog
    from atelier.adapters.aws.dynamodb.analytics.items import bind
    from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSumStore
    from atelier.analytics.model import Dataset, Group, Row, add_rows, hour_of
    from atelier.analytics.pack import PackDeps, pack_due
    from atelier.analytics.sketch import bucket

    bind(os.environ["ATELIER_TABLE_ANALYTICS"])
    counts: dict[Any, dict[str, int]] = {}
    for at, model, credits, cost, duration, succeeded in generations(size):
        row = Row(Dataset.USAGE, hour_of(datetime.fromtimestamp(at, UTC)), Group("", "", "usr_1", model, "image"))
        numbers = {"requests": 1, "attempts": 1, "cost_usage_microusd": cost, "credits": credits}
        if succeeded:
            done = {"succeeded": 1, "attempts_succeeded": 1, "pixels": 1 << 20}
            numbers |= done | {"duration_ms": duration, "durations": 1, bucket(duration): 1}
        else:
            numbers |= {"failed": 1, "failed_transient": 1, "attempts_failed_transient": 1}
        add_rows(counts, {row: numbers})
    log, written = DynamoFactLog(), sorted(counts, key=lambda row: row.hour)
    for first in range(0, len(written), 40):
        log.count(WORKSPACE, {}, {row: counts[row] for row in written[first : first + 40]})
    pack_due(deps=PackDeps(DynamoSumStore(), pause_with_jitter), now=NOW)


def report() -> dict[str, Any]:
    """The month, as the API answers it."""
    from atelier.adapters.aws.dynamodb.analytics.items import bind
    from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSums
    from atelier.analytics.report import Reader, ReportKind, read_report
    from atelier.analytics.schemas import ReportQuery

    bind(os.environ["ATELIER_TABLE_ANALYTICS"])
    end = FIRST + timedelta(days=DAYS)
    query = ReportQuery.model_validate(
        {"from": FIRST, "to": end, "period": "daily", "group_by": "model", "previous": False}
    )
    return read_report(ReportKind.USAGE, query, Reader(WORKSPACE, "usr_1", True), NOW, DynamoSums())


def sql_sides(size: int, folder: Path) -> dict[str, float]:
    """Milliseconds of the same question in SQL."""
    import duckdb

    sums = "count(*), sum(succeeded), sum(credits), sum(cost), avg(duration)"
    light = sqlite3.connect(folder / f"{size}.sqlite")
    light.execute(f"CREATE TABLE generations ({COLUMNS})")
    light.executemany("INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?)", generations(size))
    light.commit()
    duck = duckdb.connect(str(folder / f"{size}.duckdb"))
    duck.execute(f"CREATE TABLE generations ({COLUMNS})")
    with tempfile.NamedTemporaryFile("w", suffix=".csv", dir=folder) as file:
        file.writelines(f"{','.join(map(str, each))}\n" for each in generations(size))
        file.flush()
        duck.execute(f"COPY generations FROM '{file.name}'")
    percentiles = "quantile_cont(duration, [0.5, 0.95, 0.99])"
    group = "FROM generations GROUP BY ended_at // 86400, model"
    return {
        "SQLite": milliseconds(lambda: light.execute(f"SELECT {sums} {group.replace('//', '/')}").fetchall()),
        "DuckDB": milliseconds(lambda: duck.execute(f"SELECT {sums}, {percentiles} {group}").fetchall()),
    }


def milliseconds(call: Callable[[], object]) -> float:
    """The median of several calls, after one that is not counted."""
    call()
    times = list[float]()
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1000)
    return median(times)


if __name__ == "__main__":
    main()
