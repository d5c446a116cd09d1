"""Write an export's file: page by page, part by part, with the progress stored after each part.

Memory is bounded by one page and one part, whatever the size of the file. A run that dies, or whose time is up, is
followed by one that goes on from the stored progress: it writes at most one part again, under its number, from the same
record on, so no row is in the file twice. Of two runs at the same time one finds the progress changed and ends; should
it have overwritten a part of the other, the tags differ when the file is completed, and the file is begun anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.exports.columns import COLUMNS, select
from atelier.exports.formats import Encoder, encoder_of
from atelier.exports.model import CONTENT_TYPES, ROWS_MAX, Export, ExportDataset, ExportFormat, ExportProgress
from atelier.exports.ports import ExportFiles, ExportJobStore, Records, UploadBroken
from atelier.telemetry import logger

# A part of a file: S3 takes at least 5 MiB (but for the last), and at most 10,000 of them.
PART_BYTES = 8 * 1024 * 1024
TIME_MARGIN_MILLISECONDS = 60_000
RESTARTS_MAX = 3
TOO_LARGE = "The export has more than {} rows: request it in parts, by shorter times."
FAILED = "The file could not be written. Request the export again."


@dataclass(frozen=True, slots=True)
class WriteExportDeps:
    """Dependencies. make_parquet: makes the Parquet file of an export of its complete rows, again if it is there, and
    returns its size in bytes. part_bytes: size of a part at least. rows_max: of a file."""

    store: ExportJobStore
    records: Mapping[ExportDataset, Records]
    files: ExportFiles
    make_parquet: Callable[[Export], int]
    clock: Callable[[], datetime]
    part_bytes: int = PART_BYTES
    rows_max: int = ROWS_MAX


def write_export(workspace_id: str, export_id: str, *, deps: WriteExportDeps, context: TimeLeft | None) -> bool:
    """Write an export's file until it is complete or the time is nearly up; whether the export has ended. Safe to
    repeat, and to stop at any point. Raises ExportChanged when another run works on it."""
    export = deps.store.get(workspace_id, export_id)
    if not export.is_open:
        return True
    progress = deps.store.progress(workspace_id, export_id)
    if progress.upload is None:
        progress = _begin_file(export, progress, deps)
    written = _write_parts(export, progress, deps, context)
    if written is None:
        return False
    if written.rows > deps.rows_max:
        return _end(export.as_failed(TOO_LARGE.format(deps.rows_max), deps.clock()), deps)
    try:
        deps.files.complete(export.rows_key, written.upload or "", written.parts)
    except UploadBroken:
        _restart(export, written, deps)
        return False
    is_parquet = export.format is ExportFormat.PARQUET
    size_bytes = deps.make_parquet(export) if is_parquet else written.size_bytes
    return _end(export.as_succeeded(written.rows, size_bytes, deps.clock()), deps)


def fail_export(workspace_id: str, export_id: str, *, deps: WriteExportDeps) -> bool:
    """End an export whose job has failed for good; what it has written is left to the bucket's lifecycle."""
    export = deps.store.get(workspace_id, export_id)
    return _end(export.as_failed(FAILED, deps.clock()), deps) if export.is_open else True


def _begin_file(export: Export, before: ExportProgress, deps: WriteExportDeps) -> ExportProgress:
    upload = deps.files.begin(export.rows_key, CONTENT_TYPES[export.format])
    begun = replace(before, upload=upload)
    deps.store.save_progress(export, before, begun)
    return begun


def _write_parts(
    export: Export, progress: ExportProgress, deps: WriteExportDeps, context: TimeLeft | None
) -> ExportProgress | None:
    """The progress with all parts written; None when the time is nearly up. Ends early above rows_max."""
    records, columns = deps.records[export.dataset], COLUMNS[export.dataset]
    encoder = encoder_of(export.format, columns, is_first=not progress.parts)
    after, rows, is_last = progress.after, progress.rows, False
    # `after` is None at the beginning, and again at the end.
    if progress.parts and after is None:
        return progress
    while not is_last:
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            return None
        page = records.page(export, after)
        selected = select(page.rows, export.filters, columns)
        encoder.add(selected)
        rows, after, is_last = rows + len(selected), page.next_after, page.next_after is None
        if rows > deps.rows_max:
            return replace(progress, rows=rows)
        if is_last or encoder.size_bytes >= deps.part_bytes:
            progress = _put_part(export, progress, encoder, after, rows, deps)
    return progress


def _put_part(
    export: Export, before: ExportProgress, encoder: Encoder, after: str | None, rows: int, deps: WriteExportDeps
) -> ExportProgress:
    part = encoder.take()
    tag = deps.files.put_part(export.rows_key, before.upload or "", len(before.parts) + 1, part)
    written = replace(
        before,
        after=after,
        parts=(*before.parts, tag),
        rows=rows,
        size_bytes=before.size_bytes + len(part),
    )
    deps.store.save_progress(export, before, written)
    return written


def _restart(export: Export, before: ExportProgress, deps: WriteExportDeps) -> None:
    restarts = before.restarts + 1
    if restarts > RESTARTS_MAX:
        raise UploadBroken(f"the file of {export.id} was overwritten {restarts} times")
    logger.warning("export begun anew", export_id=export.id, workspace_id=export.workspace_id)
    deps.store.save_progress(export, before, ExportProgress(restarts=restarts))


def _end(ended: Export, deps: WriteExportDeps) -> bool:
    if deps.store.end(ended):
        logger.info(
            "export ended",
            export_id=ended.id,
            workspace_id=ended.workspace_id,
            dataset=ended.dataset.value,
            status=ended.status.value,
            rows=ended.rows,
        )
    return True


def run_export_step(event: Mapping[str, Any], *, deps: WriteExportDeps, context: TimeLeft | None) -> dict[str, Any]:
    """One visit of the state machine: {workspace_id, export_id, failed?} → the ids, and whether the export has
    ended."""
    ids: dict[str, Any] = {name: event[name] for name in ("workspace_id", "export_id")}
    if event.get("failed"):
        return ids | {"has_ended": fail_export(**ids, deps=deps)}
    return ids | {"has_ended": write_export(**ids, deps=deps, context=context)}
