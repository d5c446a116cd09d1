"""Exports as an outside client uses them, on the whole stack with its IAM policies."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import httpx
import pytest

from atelier.exports.columns import GENERATIONS
from infra.sql import run_query, saved_queries
from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack


@pytest.fixture(scope="module")
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


def exported(person: AccountClient, format: str, dataset: str = "generations") -> dict[str, Any]:
    now = datetime.now(UTC)
    times = {"from": (now - timedelta(days=1)).isoformat(), "to": now.isoformat()}
    response = person.http.post("/api/analytics/exports", json={"dataset": dataset, "format": format, **times})
    assert response.status_code == 202, response.text

    def read() -> dict[str, Any]:
        found: dict[str, Any] = person.get(response.headers["location"]).json()["data"]["export"]
        return found

    return poll_until(read, lambda export: export["status"] in ("succeeded", "failed"), 60)


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet"])
def test_an_export_is_requested_and_downloaded(person: AccountClient, format: str, tmp_path: Any) -> None:
    export = exported(person, format)
    assert export["status"] == "succeeded", export
    file = httpx.get(export["url"])
    assert file.status_code == 200
    assert "attachment" in file.headers["content-disposition"]
    names = [column.name for column in GENERATIONS]
    # Nothing is older than the cut yet.
    assert export["rows"] == 0
    if format == "csv":
        assert file.text == ",".join(names) + "\r\n"
    if format == "ndjson":
        assert file.text == ""
    if format == "parquet":
        (tmp_path / "file.parquet").write_bytes(file.content)
        assert duckdb.sql(f"SELECT * FROM '{tmp_path / 'file.parquet'}'").columns == names


@pytest.mark.parametrize("dataset", ["entries", "audit", "usage"])
def test_every_dataset_may_be_read_by_the_job(person: AccountClient, dataset: str) -> None:
    assert exported(person, "ndjson", dataset)["status"] == "succeeded"


def test_the_files_for_analysts_are_queried_in_sql(stack: Stack, person: AccountClient) -> None:
    """The job as the schedule starts it, and the emulator's Athena with the tables of the template."""
    person.wait_for_end(person.generate().json()["data"]["generation"]["id"])
    aws, today = stack.running.aws(), f"{datetime.now(UTC):%Y-%m-%d}"
    states, athena = aws.client("stepfunctions"), aws.client("athena")
    event = {"shards": [zlib.crc32(person.workspace_id.encode()) % 16], "day": today}
    machine = stack.running.resource("WriteDayFiles")
    began = states.start_execution(stateMachineArn=machine, input=json.dumps(event))

    def state() -> str:
        return str(states.describe_execution(executionArn=began["executionArn"])["status"])

    assert poll_until(state, lambda status: status != "RUNNING", 90) == "SUCCEEDED"
    where = {"workgroup": stack.running.outputs["Workgroup"], "database": stack.running.outputs["Database"]}
    mine = f"workspace_id = '{person.workspace_id}' AND dt = '{today}'"
    query = f"SELECT count(*) AS number FROM generations WHERE {mine}"
    assert run_query(query, athena=athena, **where) == (("number",), [("1",)])
    query = f"SELECT sum(credits) AS total FROM entries WHERE {mine}"
    assert run_query(query, athena=athena, **where) == (("total",), [("0",)])
    for sql in saved_queries().values():
        assert run_query(sql, athena=athena, **where)[0]


def test_an_address_of_a_file_cannot_be_changed(person: AccountClient) -> None:
    url = exported(person, "csv")["url"]
    assert httpx.get(url.replace("exp_", "exp_0")).status_code in (403, 404)
    assert httpx.get(url.partition("?")[0]).status_code in (403, 404)
