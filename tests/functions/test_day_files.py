"""functions/tasks/write_day_files, and its files queried in SQL: by the emulator's Athena, and by DuckDB."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.generations.transactions import final_actions, put_new
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem, movement_item, wallet_item
from atelier.clock import UTC, rfc3339, system_clock
from atelier.exports.day_files import DAY_TABLES, day_key, settled_day, write_shard
from atelier.generations.model import Attempt, AttemptStatus, Generation, Status
from atelier.ids import new_id
from atelier.ledger.model import Account, Entry, Movement, order_at
from atelier.wiring import exports, generations, ledger, seals
from infra.local.templates import read_template
from infra.sql import run_query, saved_queries, table
from tests.functions.conftest import AwsResources
from tests.functions.example_data import WORKSPACE, submit_example
from tests.invoke import ROOT, load_function

OTHER = "usr_01M7XCN60QZZZZZZZZZZZZZZZZ"


@pytest.fixture
def example(cloud: AwsResources) -> Generation:
    return submit_example()


def shard() -> int:
    return int(WalletItem.get(WORKSPACE, "wallet").shard)


def at(days_ago: int, hour: int = 12) -> datetime:
    """A time of an earlier day."""
    day = system_clock().date() - timedelta(days=days_ago)
    return datetime.combine(day, time(hour), UTC)


def store(example: Generation, ended: datetime, model: str, seconds: int, **changes: Any) -> Generation:
    """Store a generation that succeeded at `ended`."""
    attempt = Attempt(new_id("att", ended), model.partition("/")[0], model, AttemptStatus.SUCCEEDED, ended, ended)
    new = replace(
        example,
        id=new_id("gen", ended - timedelta(seconds=seconds)),
        created_at=ended - timedelta(seconds=seconds),
        started_at=ended - timedelta(seconds=seconds),
        completed_at=ended,
        status=Status.SUCCEEDED,
        attempts=(attempt,),
        budgets=(),
        **changes,
    )
    generations.store()
    with transaction() as write:
        put_new(write, new)
    begun = [
        GenerationItem.started_at.set(rfc3339(ended - timedelta(seconds=seconds))),
        GenerationItem.provider.set(attempt.provider),
        GenerationItem.model.set(model),
    ]
    GenerationItem(new.workspace_id, new.id).update([*final_actions(new), *begun])
    return new


def write_day(days_ago: int, number: int) -> dict[str, int]:
    day = str(system_clock().date() - timedelta(days=days_ago))
    event = {"shard": number, "started_at": rfc3339(system_clock()), "day": day}
    result: dict[str, int] = load_function("tasks/write_day_files").handler(event, None)
    return result


def rows_of(cloud: AwsResources, name: str, days_ago: int, tmp_path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    day = system_clock().date() - timedelta(days=days_ago)
    bucket = f"exports-{cloud.tables.identity}"
    data = client("s3").get_object(Bucket=bucket, Key=day_key(name, day, shard()))["Body"].read()
    (tmp_path / "file.parquet").write_bytes(data)
    found = duckdb.sql(f"SELECT * FROM '{tmp_path / 'file.parquet'}'")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def seal_all() -> None:
    """Seal the movements of the example's wallet."""
    seals.proof(WORKSPACE, 0, system_clock())


# ---- the files -------------------------------------------------------------------------------------------------------


def test_a_generation_is_in_the_file_of_the_day_it_ended(
    cloud: AwsResources, example: Generation, tmp_path: Path
) -> None:
    seal_all()
    late = store(example, at(2, 0) + timedelta(minutes=30), "local/painter", 3600)
    store(example, at(2, 0) - timedelta(seconds=1), "local/painter", 60)
    store(example, at(1, 0), "local/painter", 60)
    for _ in range(2):
        assert write_day(2, shard())["generations"] == 1
        [row] = rows_of(cloud, "generations", 2, tmp_path)
        assert (row["workspace_id"], row["id"], row["model"]) == (WORKSPACE, late.id, "local/painter")
        assert list(row) == [column.name for column in DAY_TABLES["generations"]]
        assert "prompt" not in row


def test_a_movement_is_in_the_file_of_its_day_whatever_its_place(
    cloud: AwsResources, example: Generation, tmp_path: Path
) -> None:
    """A movement stands in the statement at the time of its subject, which may be long before."""
    ledger.wallets()
    wallet = ledger.wallets().wallet(WORKSPACE)
    happened, long_ago = at(0, 0), at(90)
    for number, (order, moment) in enumerate(((long_ago, happened), (happened, happened))):
        entries = (Entry(Account.ISSUED, -5), Entry(Account.AVAILABLE, 5, "grt_1"))
        facts = {"reason": "a gift"}
        movement_item(
            WORKSPACE, Movement(f"adjust#{number}", order_at(order), "adjust", "grt_1", moment, entries, facts)
        ).save()
    wallet_item(replace(wallet, written=wallet.written + 2)).save()
    shown = [("adjust#0", -5), ("adjust#0", 5), ("adjust#1", -5), ("adjust#1", 5)]
    write_day(0, shard())
    unsealed = rows_of(cloud, "entries", 0, tmp_path)
    assert sorted((row["movement"], row["credits"]) for row in unsealed if row["kind"] == "adjust") == shown
    seal_all()
    write_day(0, shard())
    sealed = rows_of(cloud, "entries", 0, tmp_path)
    assert sorted(map(str, sealed)) == sorted(map(str, unsealed))
    assert write_day(90, shard())["entries"] == 0


class Dying:
    """ParquetFiles whose process dies at the write with this number, before or after it, or while it reads rows."""

    def __init__(self, files: Any, number: int, moment: str) -> None:
        self._files, self._left, self._moment = files, number, moment

    def write(self, key: str, columns: Any, batches: Any) -> int:
        self._left -= 1
        if self._left >= 0:
            return int(self._files.write(key, columns, batches))
        if self._moment == "while reading":
            next(iter(batches), None)
        elif self._moment == "after":
            self._files.write(key, columns, batches)
        raise ConnectionResetError


@pytest.mark.parametrize("moment", ["before", "while reading", "after"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_task_writes_the_same_files_when_it_is_repeated(
    cloud: AwsResources, example: Generation, tmp_path: Path, number: int, moment: str
) -> None:
    seal_all()
    ended = store(example, at(2, 12), "local/painter", 60)
    event = {"shard": shard(), "started_at": rfc3339(system_clock()), "day": str(at(2, 0).date())}
    deps = exports.day_file_deps()

    with pytest.raises(ConnectionResetError):
        write_shard(event, deps=replace(deps, files=Dying(deps.files, number, moment)))
    assert write_shard(event, deps=deps)["generations"] == 1

    assert [row["id"] for row in rows_of(cloud, "generations", 2, tmp_path)] == [ended.id]
    assert len(keys(cloud)) == len(set(keys(cloud))) == 2


def test_an_empty_shard_has_files_too(cloud: AwsResources) -> None:
    assert write_day(1, (shard() + 1) % 16) == {"generations": 0, "entries": 0}
    assert any(f"shard-{(shard() + 1) % 16:02}" in key for key in keys(cloud))


def keys(cloud: AwsResources) -> list[str]:
    found = client("s3").list_objects_v2(Bucket=f"exports-{cloud.tables.identity}", Prefix="events/")
    return [each["Key"] for each in found.get("Contents", ())]


def test_a_day_is_written_when_no_late_result_can_change_it() -> None:
    assert str(settled_day(datetime(2026, 11, 29, 3, 29, tzinfo=UTC))) == "2026-11-27"
    assert str(settled_day(datetime(2026, 11, 29, 3, 30, tzinfo=UTC))) == "2026-11-28"


# ---- SQL -------------------------------------------------------------------------------------------------------------


def test_the_tables_have_the_columns_of_the_files() -> None:
    types = {"text": "string", "json": "string", "integer": "bigint", "boolean": "boolean", "time": "timestamp"}
    resources = read_template(ROOT / "infra/analytics.yaml")["Resources"].values()
    tables = [each["Properties"]["TableInput"] for each in resources if each["Type"] == "AWS::Glue::Table"]
    declared = {
        each["Name"]: [(column["Name"], column["Type"]) for column in each["StorageDescriptor"]["Columns"]]
        for each in tables
    }
    assert declared == {
        name: [(column.name, types[column.type.value]) for column in columns] for name, columns in DAY_TABLES.items()
    }


@pytest.fixture
def made(cloud: AwsResources, example: Generation) -> None:
    """Made data with known answers: two models, two people, one of whom came on one day only."""
    seal_all()
    for number in range(1, 21):
        store(example, at(9), "local/painter", number, credits_charged=4, cost_microusd=30_000)
    other = replace(example, user_id=OTHER, project_id="prj_01M7XCN60Q4D8K2M6R0V4Z8B3F")
    store(other, at(9), "local/film", 100, credits_charged=10, cost_microusd=150_000)
    store(example, at(8), "local/painter", 1, credits_charged=4, cost_microusd=30_000)
    for days_ago in (9, 8):
        write_day(days_ago, shard())


@pytest.fixture
def athena(cloud: AwsResources, made: None) -> Iterator[dict[str, Any]]:
    """The emulator's Athena with the tables of the template."""
    bucket, name = f"exports-{cloud.tables.identity}", cloud.tables.identity.replace("-", "_")
    glue = client("glue")
    glue.create_database(DatabaseInput={"Name": name})
    resources = read_template(ROOT / "infra/analytics.yaml")["Resources"].values()
    for declared in (each["Properties"]["TableInput"] for each in resources if each["Type"] == "AWS::Glue::Table"):
        location = f"s3://{bucket}/events/{declared['Name']}/"
        template = f"{location}dt=${{dt}}/"
        glue.create_table(
            DatabaseName=name,
            TableInput={
                **declared,
                "StorageDescriptor": {**declared["StorageDescriptor"], "Location": location},
                "Parameters": {**declared["Parameters"], "storage.location.template": template},
            },
        )
    client("athena").create_work_group(
        Name=name, Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{bucket}/results/"}}
    )
    yield {"athena": client("athena"), "workgroup": name, "database": name}
    with contextlib.suppress(Exception):
        glue.delete_database(Name=name)


def expected() -> dict[str, list[tuple[str | None, ...]]]:
    month, other_month = f"{at(9):%Y-%m}", f"{at(8):%Y-%m}"
    project = "prj_01M7XCN60Q4D8K2M6R0V4Z8B3F"
    by_project = (month, WORKSPACE, project, "1", "10", "150000")
    if month == other_month:
        teams = [(month, WORKSPACE, None, "21", "84", "630000"), by_project]
    else:
        teams = [(month, WORKSPACE, None, "20", "80", "600000"), by_project]
        teams.append((other_month, WORKSPACE, None, "1", "4", "30000"))
    return {
        "cost_by_team": teams,
        "margin_by_model": [
            ("local/film", "1", "100000", "150000", "-50000"),
            ("local/painter", "21", "840000", "630000", "210000"),
        ],
        "slowest_models": [("local/film", "1", "100000", "100000"), ("local/painter", "21", "10000", "19000")],
        "never_came_back": [(OTHER, f"{at(9):%Y-%m-%d}", "1", "10")],
    }


def test_saved_queries_have_the_known_answers_in_athena(athena: dict[str, Any]) -> None:
    answers = {name: run_query(sql, **athena) for name, sql in saved_queries().items()}
    assert {name: rows for name, (_, rows) in answers.items()} == expected()
    columns, rows = answers["margin_by_model"]
    assert table(columns, rows).splitlines()[1].split() == ["local/film", "1", "100000", "150000", "-50000"]


def test_saved_queries_have_the_known_answers_in_duckdb(cloud: AwsResources, made: None, tmp_path: Path) -> None:
    for key in keys(cloud):
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        body = client("s3").get_object(Bucket=f"exports-{cloud.tables.identity}", Key=key)["Body"]
        path.write_bytes(body.read())
    database = duckdb.connect()
    files = f"'{tmp_path}/events/generations/*/*.parquet'"
    database.execute(
        f"CREATE VIEW generations AS SELECT * FROM read_parquet({files}, hive_partitioning = true, "
        "hive_types = {'dt': VARCHAR})"
    )
    for name, rows in expected().items():
        found = database.execute(saved_queries()[name]).fetchall()
        assert [tuple(None if cell is None else str(cell) for cell in row) for row in found] == rows, name


def test_athena_of_the_emulator_runs_real_sql(athena: dict[str, Any]) -> None:
    """Without DuckDB in its environment each query would succeed with one made-up row."""
    assert run_query("SELECT count(*) AS number FROM entries WHERE kind = 'hold'", **athena)[1] != [("mock_value",)]
    assert run_query("SELECT 40 + 2 AS answer", **athena) == (("answer",), [("42",)])
