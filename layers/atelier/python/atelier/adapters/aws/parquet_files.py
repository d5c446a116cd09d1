"""Parquet files of exports, made by DuckDB of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.exports.columns import COLUMNS, Column, ColumnType
from atelier.exports.formats import Row, encoder_of
from atelier.exports.model import CONTENT_TYPES, Export, ExportFormat

# How much of the file DuckDB keeps in memory; the process with it stays below 256 MB.
MEMORY_MAX = "128MB"
ROW_GROUP_ROWS = 20_480
CHUNK_BYTES = 1024 * 1024
_TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.TIME: "TIMESTAMP_MS",
    ColumnType.JSON: "VARCHAR",
}


class S3ParquetFiles:
    """Makes Parquet files in a bucket. The rows and the file lie on the function's disk meanwhile."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def make(self, export: Export) -> int:
        """Make the file of an export of its complete rows, which stay, so that this can be repeated; returns its size
        in bytes."""
        s3 = client("s3")
        with TemporaryDirectory() as folder:
            rows, file = Path(folder) / "rows", Path(folder) / "file.parquet"
            with rows.open("wb") as copy:
                for chunk in s3.get_object(Bucket=self._bucket, Key=export.rows_key)["Body"].iter_chunks(CHUNK_BYTES):
                    copy.write(chunk)
            write_parquet(rows, file, COLUMNS[export.dataset])
            self._store(export.key, file)
            return file.stat().st_size

    def write(self, key: str, columns: Sequence[Column], batches: Iterable[Iterable[Row]]) -> int:
        """Make a file of rows, in place of an earlier one; returns how many they are."""
        encoder, count = encoder_of(ExportFormat.PARQUET, tuple(columns), is_first=True), 0
        with TemporaryDirectory() as folder:
            lines, file = Path(folder) / "rows", Path(folder) / "file.parquet"
            with lines.open("wb") as copy:
                for batch in batches:
                    rows = list(batch)
                    encoder.add(rows)
                    copy.write(encoder.take())
                    count += len(rows)
            write_parquet(lines, file, columns)
            self._store(key, file)
        return count

    def _store(self, key: str, file: Path) -> None:
        content_type = CONTENT_TYPES[ExportFormat.PARQUET]
        with file.open("rb") as content:
            client("s3").put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type)


def write_parquet(rows: Path, file: Path, columns: Sequence[Column]) -> None:
    """Write a Parquet file of lines of JSON, in their order. Times are UTC, without a zone."""
    import duckdb

    settings: dict[str, Any] = {"memory_limit": MEMORY_MAX, "threads": 1, "temp_directory": str(file.parent)}
    with duckdb.connect(config=settings) as database:
        types = {column.name: _TYPES[column.type] for column in columns}
        lines = database.read_json(str(rows), columns=types, format="newline_delimited")
        lines.write_parquet(str(file), compression="zstd", row_group_size=ROW_GROUP_ROWS)
