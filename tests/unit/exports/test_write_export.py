"""The job of an export beside a plain list: whatever the sizes of pages and parts, wherever its process dies."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.exports.columns import AUDIT
from atelier.exports.model import Export, ExportDataset, ExportFormat, ExportProgress, ExportStatus
from atelier.exports.ports import ExportChanged, RecordPage, UploadBroken
from atelier.exports.write_export import RESTARTS_MAX, TOO_LARGE, WriteExportDeps, fail_export, write_export

AT = datetime(2026, 11, 29, 6, 0, tzinfo=UTC)
EXPORT = Export(
    *("exp_1", "wsp_1", "usr_1"),
    ExportDataset.AUDIT,
    ExportFormat.CSV,
    AT - timedelta(days=1),
    AT,
    AT,
    AT,
)


class Died(Exception):
    """The process has died."""


@dataclass
class World:
    """The ports in memory. dies_at: the number of the call at which the process dies; after: when the call was done."""

    rows: list[int]
    page_rows: int = 2
    dies_at: int | None = None
    dies_after: bool = False
    time_left: int = 10**9
    export: Export = EXPORT
    stored: ExportProgress = field(default_factory=ExportProgress)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    file: bytes | None = None
    parquet: bytes | None = None
    arrivals: int = 0
    calls: int = 0

    def _call(self, act: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        if number == self.dies_at and not self.dies_after:
            raise Died
        result = act()
        if number == self.dies_at:
            raise Died
        return result

    def get_remaining_time_in_millis(self) -> int:
        self.time_left -= 1
        return 10**9 if self.time_left > 0 else 0

    # ---- ExportJobStore

    def get(self, workspace_id: str, export_id: str) -> Export:
        return self._call(lambda: self.export)

    def progress(self, workspace_id: str, export_id: str) -> ExportProgress:
        return self._call(lambda: self.stored)

    def save_progress(self, export: Export, before: ExportProgress, after: ExportProgress) -> None:
        def save() -> None:
            if self.stored != before or not self.export.is_open:
                raise ExportChanged
            self.stored = after
            self.export = replace(self.export, status=ExportStatus.RUNNING)

        self._call(save)

    def end(self, export: Export) -> bool:
        def write() -> bool:
            was_open, self.export = self.export.is_open, export if self.export.is_open else self.export
            return was_open

        return self._call(write)

    # ---- Records: rows with a number above the cut are written meanwhile, and are no part of the export.

    def page(self, export: Export, after: str | None) -> RecordPage:
        def read() -> RecordPage:
            self.arrivals += 1
            first = int(after) + 1 if after else 0
            numbers = self.rows[first : first + self.page_rows]
            last = first + self.page_rows - 1
            return RecordPage(list(map(row, numbers)), str(last) if last + 1 < len(self.rows) else None)

        return self._call(read)

    # ---- ExportFiles

    def begin(self, key: str, content_type: str) -> str:
        def write() -> str:
            name = f"upload-{len(self.uploads)}"
            self.uploads[name] = {}
            return name

        return self._call(write)

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        def write() -> str:
            self.uploads[upload][number] = data
            return hashlib.sha256(data).hexdigest()

        return self._call(write)

    def complete(self, key: str, upload: str, parts: Sequence[str]) -> None:
        def write() -> None:
            kept = self.uploads[upload]
            if [hashlib.sha256(kept[number]).hexdigest() for number in range(1, len(parts) + 1)] != list(parts):
                raise UploadBroken
            self.file = b"".join(kept[number] for number in range(1, len(parts) + 1))

        self._call(write)

    def make_parquet(self, export: Export) -> int:
        def write() -> int:
            assert self.file is not None
            self.parquet = b"parquet of " + self.file
            return len(self.parquet)

        return self._call(write)

    # ----

    def deps(self, part_bytes: int) -> WriteExportDeps:
        return WriteExportDeps(self, {ExportDataset.AUDIT: self}, self, self.make_parquet, lambda: AT, part_bytes)

    def written(self) -> list[int]:
        """The numbers of the rows in the file."""
        assert self.file is not None
        lines = list(csv.reader(io.StringIO(self.file.decode(), newline="")))
        assert lines[0] == [column.name for column in AUDIT]
        return [int(line[0]) for line in lines[1:]]


def row(number: int) -> tuple[str | None, ...]:
    return (str(number), *[None] * (len(AUDIT) - 1))


def run(world: World, part_bytes: int) -> bool:
    return write_export("wsp_1", "exp_1", deps=world.deps(part_bytes), context=world)


@given(
    rows=st.integers(0, 30),
    page_rows=st.integers(1, 7),
    part_bytes=st.integers(1, 200),
    times=st.lists(st.integers(1, 12), max_size=8),
    deaths=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=6),
)
def test_a_file_has_every_row_once_however_often_its_job_stops(
    rows: int, page_rows: int, part_bytes: int, times: list[int], deaths: list[tuple[int, bool]]
) -> None:
    world = World(list(range(rows)), page_rows)
    for left, (dies_at, dies_after) in itertools.zip_longest(times, deaths, fillvalue=(40, False)):
        world.calls, world.time_left = 0, left if isinstance(left, int) else 10**9
        world.dies_at, world.dies_after = dies_at, dies_after
        try:
            run(world, part_bytes)
        except Died:
            continue
    world.dies_at, world.time_left = None, 10**9
    assert run(world, part_bytes)
    assert world.written() == list(range(rows))
    assert (world.export.status, world.export.rows) == (ExportStatus.SUCCEEDED, rows)
    assert world.export.size_bytes == len(world.file or b"")


def test_the_job_can_die_at_each_call() -> None:
    whole = World(list(range(9)))
    run(whole, 20)
    assert whole.calls > 10
    for number, after in itertools.product(range(whole.calls), (False, True)):
        world = World(list(range(9)), dies_at=number, dies_after=after)
        with pytest.raises(Died):
            run(world, 20)
        world.dies_at = None
        assert run(world, 20)
        assert world.written() == list(range(9)), (number, after)


def test_a_parquet_file_is_made_when_its_rows_are_complete() -> None:
    def new(dies_at: int | None = None, *, dies_after: bool = False) -> World:
        world = World(list(range(3)), dies_at=dies_at, dies_after=dies_after)
        world.export = replace(world.export, format=ExportFormat.PARQUET)
        return world

    whole = new()
    run(whole, 20)
    for number, after in itertools.product(range(whole.calls), (False, True)):
        world = new(number, dies_after=after)
        with pytest.raises(Died):
            run(world, 20)
        world.dies_at = None
        assert run(world, 20)
        lines = (world.file or b"").decode().splitlines()
        assert [json.loads(line)["id"] for line in lines] == ["0", "1", "2"], (number, after)
        assert world.parquet == b"parquet of " + (world.file or b"")
        assert world.export.size_bytes == len(world.parquet)


@dataclass
class RacingWorld(World):
    """At one call another run begins, and works until its end."""

    overtaken_at: int = 0

    def _call(self, act: Callable[[], Any]) -> Any:
        if self.calls == self.overtaken_at:
            self.overtaken_at = -1
            run(self, 20)
        return super()._call(act)


@pytest.mark.parametrize("overtaken_at", range(12))
def test_two_runs_at_the_same_time_write_one_file(overtaken_at: int) -> None:
    world = RacingWorld(list(range(9)), overtaken_at=overtaken_at)
    with contextlib.suppress(ExportChanged):
        run(world, 20)
    while not run(world, 20):
        assert world.stored.restarts <= RESTARTS_MAX
    assert world.overtaken_at == -1
    assert world.written() == list(range(9))


def test_a_file_that_is_overwritten_again_and_again_fails() -> None:
    class Broken(World):
        def complete(self, key: str, upload: str, parts: Sequence[str]) -> None:
            raise UploadBroken

    world = Broken(list(range(3)))
    for _ in range(RESTARTS_MAX):
        assert not run(world, 20)
    with pytest.raises(UploadBroken):
        run(world, 20)


def test_an_export_with_too_many_rows_fails_with_what_to_do() -> None:
    world = World(list(range(9)))
    assert write_export("wsp_1", "exp_1", deps=replace(world.deps(20), rows_max=5), context=world)
    assert world.export.status is ExportStatus.FAILED
    assert world.export.failure == TOO_LARGE.format(5)


def test_an_ended_export_is_left_as_it_is() -> None:
    world = World(list(range(3)))
    assert run(world, 20)
    ended = world.export
    assert run(world, 20)
    assert fail_export("wsp_1", "exp_1", deps=world.deps(20))
    assert world.export == ended
