"""Write the zip files of an export of everything, one after the other.

A zip file ends when it is full or when the time is nearly up, and what comes behind it is stored with it. So memory is
bounded by one page, and a run that was killed is continued after the last complete zip file. Each attempt writes a file
of its own: of two runs at the same time one finds the export changed, and its file is left to the bucket's lifecycle.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.exports.ports import ExportChanged
from atelier.exports.whole_export import ZIP_BYTES, ExportedZip, Place, WholeExport
from atelier.exports.whole_ports import Section, WholeExportStore, ZipFiles, ZipWriter
from atelier.telemetry import logger

TIME_MARGIN_MILLISECONDS = 120_000
FAILED = "The files could not be written. Request the export again."


@dataclass(frozen=True, slots=True)
class WriteWholeExportDeps:
    """Dependencies. sections: by their names, in the order of the export. zip_bytes: from which size on a zip file gets
    no more."""

    store: WholeExportStore
    sections: Mapping[str, Section]
    files: ZipFiles
    clock: Callable[[], datetime]
    zip_bytes: int = ZIP_BYTES


def write_whole_export(
    workspace_id: str, export_id: str, *, deps: WriteWholeExportDeps, context: TimeLeft | None
) -> bool:
    """Write zip files until all are complete or the time is nearly up; whether the export has ended. Safe to repeat,
    and to stop at any point. Raises ExportChanged when another run works on it."""
    export = deps.store.get(workspace_id, export_id)
    while export.is_open:
        if _is_time_up(context):
            return False
        export = _write_zip(export, deps, context)
    return True


def fail_whole_export(workspace_id: str, export_id: str, *, deps: WriteWholeExportDeps) -> bool:
    """End an export whose job has failed for good."""
    export = deps.store.get(workspace_id, export_id)
    if export.is_open:
        deps.store.save(export, export.as_failed(FAILED, deps.clock()))
        logger.info("whole export ended", export_id=export_id, workspace_id=workspace_id, status="failed")
    return True


def run_whole_export_step(
    event: Mapping[str, Any], *, deps: WriteWholeExportDeps, context: TimeLeft | None
) -> dict[str, Any]:
    """One visit of the state machine: {workspace_id, export_id, failed?} → the ids, and whether the export has
    ended."""
    ids: dict[str, Any] = {name: event[name] for name in ("workspace_id", "export_id")}
    if event.get("failed"):
        return ids | {"has_ended": fail_whole_export(**ids, deps=deps)}
    return ids | {"has_ended": write_whole_export(**ids, deps=deps, context=context)}


def _write_zip(export: WholeExport, deps: WriteWholeExportDeps, context: TimeLeft | None) -> WholeExport:
    """The export with one more zip file."""
    key = export.file_key(secrets.token_hex(8))
    archive = deps.files.begin(key)
    try:
        place = _fill(archive, export, deps, context)
        file = ExportedZip(key, archive.close()) if archive.size_bytes else None
    except BaseException:
        archive.abort()
        raise
    if file is None:
        archive.abort()
    after = export.with_file(file, place) if file and place else export.as_succeeded(file, deps.clock())
    try:
        deps.store.save(export, after)
    except ExportChanged:
        logger.warning("another run has written this file", export_id=export.id, workspace_id=export.workspace_id)
        raise
    logger.info(
        "whole export written",
        export_id=export.id,
        workspace_id=export.workspace_id,
        files=len(after.files),
        size_bytes=file.size_bytes if file else 0,
        status=after.status.value,
    )
    return after


def _fill(
    archive: ZipWriter, export: WholeExport, deps: WriteWholeExportDeps, context: TimeLeft | None
) -> Place | None:
    """Fill a zip file; returns where the next one begins, None after the last. It gets one piece at least, unless
    nothing is left."""
    names = list(deps.sections)
    place = export.place or Place(names[0])
    begun = set[str]()
    for name in names[names.index(place.section) :]:
        for piece in deps.sections[name].pieces(export, place.after if name == place.section else None):
            if not piece.is_rest:
                begun.add(piece.file)
            # A file that was begun in an earlier zip file goes on under a name of its own.
            file = piece.file if piece.file in begun else _continued(piece.file, len(export.files) + 1)
            archive.write(file, piece.chunks)
            if archive.size_bytes >= deps.zip_bytes or _is_time_up(context):
                return Place(name, piece.after)
    return None


def _continued(file: str, number: int) -> str:
    """`generations.ndjson` in the third zip file is `generations.part3.ndjson`."""
    stem, dot, extension = file.partition(".")
    return f"{stem}.part{number}{dot}{extension}"


def _is_time_up(context: TimeLeft | None) -> bool:
    return context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS
