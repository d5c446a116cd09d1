"""`python -m infra.sql`: what `make sql` runs. Queries the files for analysts in SQL, and prints the answer as
a table.

Without a stack it queries the local one, whose Athena is the emulator's. The query is SQL, or the name of a saved query
of infra/analytics.yaml. Needs AWS credentials that may use the stack's workgroup and read its bucket.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.local.templates import read_template

TEMPLATE = Path(__file__).parent / "analytics.yaml"
HANDLES_FILE = "stack.json"
POLL_SECONDS = 0.3
Row = tuple[str | None, ...]


class QueryFailed(Exception):
    """Athena has refused a query or stopped it; the text is its reason."""


def saved_queries() -> dict[str, str]:
    """Name → SQL of the queries in the template."""
    resources = read_template(TEMPLATE)["Resources"].values()
    found = [each["Properties"] for each in resources if each["Type"] == "AWS::Athena::NamedQuery"]
    return {each["Name"]: each["QueryString"] for each in found}


def run_query(sql: str, *, athena: Any, workgroup: str, database: str) -> tuple[Row, list[Row]]:
    """The names of the columns, and the rows as text. Raises QueryFailed."""
    begun = athena.start_query_execution(
        QueryString=sql, WorkGroup=workgroup, QueryExecutionContext={"Database": database}
    )
    id = begun["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
        if status["State"] in ("FAILED", "CANCELLED"):
            raise QueryFailed(status.get("StateChangeReason", status["State"]))
        if status["State"] == "SUCCEEDED":
            break
        time.sleep(POLL_SECONDS)
    first, *rows = _rows(athena, id)
    return first, rows


def _rows(athena: Any, id: str) -> Iterator[Row]:
    """The rows of an answer; the first one has the names of the columns."""
    arguments: dict[str, str] = {}
    while True:
        page = athena.get_query_results(QueryExecutionId=id, **arguments)
        for row in page["ResultSet"]["Rows"]:
            yield tuple(cell.get("VarCharValue") for cell in row["Data"])
        if not page.get("NextToken"):
            return
        arguments = {"NextToken": page["NextToken"]}


def table(columns: Row, rows: Sequence[Row]) -> str:
    """An answer as text."""
    lines = [tuple(cell or "" for cell in row) for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() for line in padded)


def _main() -> int:
    import boto3

    parser = argparse.ArgumentParser(prog="python -m infra.sql", allow_abbrev=False)
    parser.add_argument("--stack-name", default="", help="a deployed stack; empty = the one that `make run` serves")
    parser.add_argument("--data", type=Path, default=Path(".local"), help="folder of the local stack")
    parser.add_argument("--region")
    parser.add_argument("query", help=f"SQL, or one of {', '.join(saved_queries())}")
    chosen = parser.parse_args()
    if chosen.stack_name:
        athena = boto3.client("athena", region_name=chosen.region)
        [stack] = boto3.client("cloudformation", region_name=chosen.region).describe_stacks(
            StackName=chosen.stack_name
        )["Stacks"]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    else:
        handles = json.loads((chosen.data / HANDLES_FILE).read_text("utf-8"))
        access = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        athena = boto3.client("athena", endpoint_url=handles["endpoint"], **access)
        outputs = handles["outputs"]
    sql = saved_queries().get(chosen.query, chosen.query)
    try:
        answer = run_query(sql, athena=athena, workgroup=outputs["Workgroup"], database=outputs["Database"])
    except QueryFailed as error:
        print(f"atelier: {error}", file=sys.stderr)
        return 1
    print(table(*answer))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
