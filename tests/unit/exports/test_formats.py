"""Encoders: parts of a file are the file, whoever wrote the earlier ones."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.adapters.aws.parquet_files import write_parquet
from atelier.exports.columns import Column, ColumnType
from atelier.exports.formats import Row, encoder_of
from atelier.exports.model import ExportFormat

COLUMNS = (
    Column("id", ColumnType.TEXT, ""),
    Column("said", ColumnType.TEXT, "", is_free=True),
    Column("number", ColumnType.INTEGER, ""),
    Column("is_new", ColumnType.BOOLEAN, ""),
    Column("at", ColumnType.TIME, ""),
    Column("facts", ColumnType.JSON, ""),
)
EPOCH = datetime(1971, 1, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(["=1", "-1", '"', "\r\n", ""])
TIMES = st.integers(0, 4_000_000_000_000).map(lambda milliseconds: EPOCH + timedelta(milliseconds=milliseconds))
ROWS = st.lists(
    st.tuples(
        TEXTS.map(lambda text: f"id{text}"),
        st.none() | TEXTS,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(),
        st.none() | TIMES.map(lambda at: at.isoformat(timespec="milliseconds").replace("+00:00", "Z")),
        st.none() | st.dictionaries(TEXTS, TEXTS, max_size=2).map(json.dumps),
    ),
    max_size=40,
)


def encoded(format: ExportFormat, rows: list[Row], parts: list[int]) -> bytes:
    """A file in parts; each is written by another encoder, as by another process."""
    data, done = b"", 0
    for number, size in enumerate([*parts, len(rows)]):
        encoder = encoder_of(format, COLUMNS, is_first=not number)
        encoder.add(rows[done : done + size])
        data += encoder.take()
        done += size
    return data


@given(rows=ROWS, parts=st.lists(st.integers(1, 9), max_size=4))
def test_csv_is_read_back_with_formulas_made_harmless(rows: list[Row], parts: list[int]) -> None:
    data = encoded(ExportFormat.CSV, rows, parts).decode()
    lines = list(csv.reader(io.StringIO(data, newline="")))
    assert lines[0] == [column.name for column in COLUMNS]
    assert len(lines) == len(rows) + 1
    for line, row in zip(lines[1:], rows, strict=True):
        assert line[0] == row[0]
        assert line[1].removeprefix("'") == str(row[1] or "").removeprefix("'")
        assert not line[1].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert line[2] == ("" if row[2] is None else str(row[2]))
        assert line[3] == ("" if row[3] is None else str(row[3]).lower())
        assert line[4] == (row[4] or "")


@given(rows=ROWS, parts=st.lists(st.integers(1, 9), max_size=4))
def test_ndjson_is_read_back(rows: list[Row], parts: list[int]) -> None:
    data = encoded(ExportFormat.NDJSON, rows, parts).decode()
    lines = [json.loads(line) for line in data.split("\n")[:-1]]
    names = [column.name for column in COLUMNS]
    facts = [json.loads(str(row[5])) if row[5] is not None else None for row in rows]
    assert lines == [dict(zip(names, (*row[:5], fact), strict=True)) for row, fact in zip(rows, facts, strict=True)]


@given(rows=ROWS, parts=st.lists(st.integers(1, 9), max_size=4))
def test_parquet_is_read_back_by_duckdb(parquet_file: Path, rows: list[Row], parts: list[int]) -> None:
    write(parquet_file, encoded(ExportFormat.PARQUET, rows, parts))
    found = duckdb.execute("SELECT * FROM read_parquet(?)", [str(parquet_file)])
    assert [name for name, *_ in found.description or ()] == [column.name for column in COLUMNS]
    assert found.fetchall() == [tuple(map(as_read, row, COLUMNS)) for row in rows]


@pytest.fixture(scope="module")
def parquet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parquet") / "file.parquet"


def write(file: Path, lines: bytes) -> None:
    rows = file.with_suffix(".rows")
    rows.write_bytes(lines)
    write_parquet(rows, file, COLUMNS)


def as_read(value: Any, column: Column) -> Any:
    if column.type is ColumnType.TIME and value is not None:
        return datetime.fromisoformat(value).replace(tzinfo=None)
    return value


def test_half_of_a_surrogate_pair_is_text_in_parquet(parquet_file: Path) -> None:
    rows: list[Row] = [("id", "half \ud83d", None, None, None, '{"a": "\\ud83d"}'), ("id2", None, 1, None, None, None)]
    write(parquet_file, encoded(ExportFormat.PARQUET, rows, []))
    found = duckdb.execute("SELECT said, facts, number FROM read_parquet(?)", [str(parquet_file)]).fetchall()
    assert found == [("half \\ud83d", '{"a": "\\ud83d"}', None), (None, None, 1)]


def test_a_large_parquet_file_has_several_row_groups(parquet_file: Path) -> None:
    rows: list[Row] = [(f"id{number}", "x" * 100, number, True, None, None) for number in range(50_000)]
    write(parquet_file, encoded(ExportFormat.PARQUET, rows, []))
    query = "SELECT count(DISTINCT row_group_id) FROM parquet_metadata(?)"
    assert duckdb.execute(query, [str(parquet_file)]).fetchall() == [(3,)]
    query = 'SELECT count(*), sum(number), min(id), count("at") FROM read_parquet(?)'
    assert duckdb.execute(query, [str(parquet_file)]).fetchall() == [(50_000, sum(range(50_000)), "id0", 0)]
