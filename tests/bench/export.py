"""Row 17: an export of a million generations, beside the same rows by a plain scan and the csv module.

Both read the same pages of DynamoDB's JSON (1,000 items, as in a page of 1 MB), which are made in memory, so that the
speed of the emulator is no part of it; and both write to where bytes are only counted (Parquet is made of a file). The
plain scan turns items into values as boto3 does, and writes them with `csv.DictWriter`. Peak memory is that of a fresh
process that does nothing else.

Run as a program with a side's name it prints the figures as JSON.
"""

from __future__ import annotations

import csv
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
ROWS, PAGE_ROWS = 1_000_000, 1_000
AT = datetime(2026, 11, 1, tzinfo=UTC)
SIDES = ("plain", "csv", "ndjson", "parquet")
MEMORY_MIB_MAX = 256
# Seconds of processor time in which pages were made.
MAKING = [0.0]


def rows() -> list[object]:
    from tests.bench.measure import Result, run_child

    # Once: a side takes a minute, and a million rows have no outliers.
    environment = {"PYTHONPATH": f"{ROOT / 'layers/atelier/python'}:{ROOT}"}
    found = {side: run_child([__file__, side], environment) for side in SIDES}
    speed = {side: figures["rows_per_second"] for side, figures in found.items()}
    memory = {side: figures["peak_mib"] for side, figures in found.items()}
    results: list[object] = []
    for side in SIDES[1:]:
        goal = {"ratio_min": 1.0} if side == "csv" else {}
        name = f"export of {ROWS:,} generations as {side}"
        results.append(Result(17, f"{name}, beside a plain scan", speed[side], speed["plain"], "rows/s", **goal))
        results.append(
            Result(17, f"{name}, peak memory", memory[side], memory["plain"], "MiB", ours_max=MEMORY_MIB_MAX)
        )
    return results


def pages() -> Iterator[list[dict[str, Any]]]:
    """The items of all generations, as DynamoDB answers. The processor time that making them takes is counted."""
    made = made_pages()
    while True:
        started = time.process_time()
        page = next(made, None)
        MAKING[0] += time.process_time() - started
        if page is None:
            return
        yield page


def made_pages() -> Iterator[list[dict[str, Any]]]:
    """The pages, made in memory."""
    from atelier.clock import rfc3339
    from atelier.ids import floor_id

    for first in range(0, ROWS, PAGE_ROWS):
        page: list[dict[str, Any]] = []
        for number in range(first, first + PAGE_ROWS):
            at = AT + timedelta(milliseconds=number)
            text = rfc3339(at)
            attempt = {"id": "att_01M7XCQ9FV8XPRB91WYT2YAKNS", "model": "openai/gpt-image-1", "status": "succeeded"}
            recipe = {
                "prompt": f"a lighthouse at dusk, number {number}",
                "model": "auto",
                "parameters": {"size": "1024"},
            }
            asset = {"id": "ast_01M7XCQ90TTWV90RHCSAQSAH7Q", "sha256": "0" * 64, "format": "png", "size_bytes": 1}
            strings = {
                "pk": "wsp_01M7XCN60Q0Z9AH99VAAQWYH99",
                "sk": floor_id("gen", at),
                "user_id": "usr_01M7XCN60QCB8JGMC722TFVM7C",
                "kind": "image",
                "recipe": json.dumps(recipe),
                "candidates": '["openai/gpt-image-1"]',
                "price_version": "2026-11-20",
                "project_id": "prj_01M7XCN60Q4D8K2M6R0V4Z8B3F",
                "status": "succeeded",
                "created_at": text,
                "deadline_at": text,
                "started_at": text,
                "completed_at": text,
                "attempts": json.dumps([attempt | {"started_at": text, "ended_at": text}]),
                "provider": "openai",
                "model": "openai/gpt-image-1",
                "assets": json.dumps([asset]),
                "cost_source": "usage",
                "usage": '{"tokens_input":20,"tokens_output":4000}',
            }
            numbers = {
                "watermark": 0,
                "credits_held": 4,
                "credits_charged": 4,
                "attempt_count": 1,
                "cost_microusd": 40000,
            }
            item: dict[str, Any] = {name: {"S": value} for name, value in strings.items()}
            page.append(item | {name: {"N": str(value)} for name, value in numbers.items()})
        yield page


def write_plain(write: Any) -> int:
    """A plain scan: values as boto3's resource makes them, the columns that they have, and `csv.DictWriter`."""
    from boto3.dynamodb.types import TypeDeserializer

    class Out:
        def write(self, text: str) -> None:
            write(text.encode())

    deserialize = TypeDeserializer().deserialize
    columns = ["sk", "created_at", "started_at", "completed_at", "status", "kind", "user_id", "project_id", "provider"]
    columns += ["model", "attempt_count", "credits_held", "credits_charged", "cost_microusd", "cost_source"]
    columns += ["prompt", "tokens_input", "tokens_output"]
    writer: Any = csv.DictWriter(Out(), columns, extrasaction="ignore")
    writer.writeheader()
    count = 0
    for page in pages():
        for item in page:
            values = {name: deserialize(value) for name, value in item.items()}
            values["prompt"] = json.loads(values["recipe"])["prompt"]
            writer.writerow(values | json.loads(values["usage"]))
            count += 1
    return count


@dataclass
class Counted:
    """The ports of the job: pages from memory, and parts that are only counted, unless a Parquet file is made of
    them."""

    export: Any
    stored: Any
    source: Iterator[list[dict[str, Any]]] = field(default_factory=pages)
    size: int = 0
    rows_file: Path | None = None

    def get(self, workspace_id: str, export_id: str) -> Any:
        return self.export

    def progress(self, workspace_id: str, export_id: str) -> Any:
        return self.stored

    def save_progress(self, export: Any, before: Any, after: Any) -> None:
        self.stored = after

    def end(self, export: Any) -> bool:
        self.export = export
        return True

    def begin(self, key: str, content_type: str) -> str:
        return "upload"

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        self.size += len(data)
        if self.rows_file is not None:
            with self.rows_file.open("ab") as file:
                file.write(data)
        return "tag"

    def make_parquet(self, export: Any) -> int:
        from atelier.adapters.aws.parquet_files import write_parquet
        from atelier.exports.columns import COLUMNS

        assert self.rows_file is not None
        file = self.rows_file.with_suffix(".parquet")
        write_parquet(self.rows_file, file, COLUMNS[export.dataset])
        self.size = file.stat().st_size
        return self.size

    def complete(self, key: str, upload: str, parts: Sequence[str]) -> None:
        return None

    def page(self, export: Any, after: str | None) -> Any:
        from atelier.adapters.aws.dynamodb.exports.records import generation_row
        from atelier.exports.ports import RecordPage

        first = int(after or 0) + PAGE_ROWS
        rows = [generation_row(item, item["recipe"]["S"]) for item in next(self.source)]
        return RecordPage(rows, str(first) if first < ROWS else None)


def write_ours(format: str) -> int:
    """The product's job."""
    from atelier.exports.model import Export, ExportDataset, ExportFormat, ExportProgress
    from atelier.exports.write_export import WriteExportDeps, write_export

    dataset = ExportDataset.GENERATIONS
    export = Export("exp_1", "wsp_1", "usr_1", dataset, ExportFormat(format), AT, AT, AT, AT)
    with tempfile.TemporaryDirectory() as folder:
        is_parquet = export.format is ExportFormat.PARQUET
        ports: Any = Counted(export, ExportProgress(), rows_file=Path(folder) / "rows" if is_parquet else None)
        deps = WriteExportDeps(ports, {dataset: ports}, ports, ports.make_parquet, lambda: AT)
        assert write_export("wsp_1", "exp_1", deps=deps, context=None)
    assert ports.size == ports.export.size_bytes
    return int(ports.export.rows)


def measure(side: str) -> dict[str, float]:
    """Rows in a second of processor time, without what making the pages takes, and the peak memory of this process."""
    size = [0]

    def write(data: bytes) -> None:
        size[0] += len(data)

    started = time.process_time()
    count = write_plain(write) if side == "plain" else write_ours(side)
    seconds = time.process_time() - started - MAKING[0]
    assert count == ROWS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows_per_second": round(count / seconds), "peak_mib": round(peak, 1)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
