"""Ports of exports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.exports.columns import Column, Value
from atelier.exports.model import Export, ExportProgress


class ExportExists(Exception):
    """An export with this id was created before."""


class ExportChanged(Exception):
    """Another run of the job has written meanwhile, or the export has ended."""


class UploadBroken(Exception):
    """The parts of a file are not those that were written, or the upload is gone: the file has to be begun anew."""


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Exports, newest first, and the id after which the next page begins; None on the last page."""

    items: tuple[Export, ...]
    next_id: str | None


class ExportJobStore(Protocol):
    """The records of exports, as their jobs read and write them."""

    def get(self, workspace_id: str, export_id: str) -> Export:
        """Raises NotFound."""
        ...

    def progress(self, workspace_id: str, export_id: str) -> ExportProgress:
        """How far the job has come (consistent read)."""
        ...

    def save_progress(self, export: Export, before: ExportProgress, after: ExportProgress) -> None:
        """Write how far the job has come. Raises ExportChanged unless the stored progress is still `before` and the
        export is open."""
        ...

    def end(self, export: Export) -> bool:
        """Write the final state; whether it was open until now. Safe to repeat."""
        ...


class ExportStore(Protocol):
    """The records of exports, as requests read and write them."""

    def create(self, export: Export, open_max: int, events: Sequence[AuditEvent]) -> None:
        """Write a new export and its audit events. Raises ExportExists, and Conflict when `open_max` exports of the
        workspace are open."""
        ...

    def get(self, workspace_id: str, export_id: str) -> Export:
        """Raises NotFound."""
        ...

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> ExportPage: ...


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Rows in the order of their records, and the key after which the next page begins; None at the end."""

    rows: list[tuple[Value, ...]]
    next_after: str | None


class Records(Protocol):
    """Reads the records of one dataset."""

    def page(self, export: Export, after: str | None) -> RecordPage:
        """The next rows of an export's records, which a filter may thin out: an empty page is not the end."""
        ...


class ExportFiles(Protocol):
    """Files that are written in parts."""

    def begin(self, key: str, content_type: str) -> str:
        """Begin a file; returns the id of the upload."""
        ...

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        """Write a part (numbers from 1), again in place of an earlier one of its number; returns its tag. Raises
        UploadBroken when there is no such upload."""
        ...

    def complete(self, key: str, upload: str, parts: Sequence[str]) -> None:
        """Make the file of its parts. Safe to repeat. Raises UploadBroken."""
        ...


class ParquetFiles(Protocol):
    """Parquet files of rows."""

    def write(self, key: str, columns: Sequence[Column], batches: Iterable[Iterable[Sequence[Value]]]) -> int:
        """Write a file, in place of an earlier one; returns how many rows it has."""
        ...


class ExportUrls(Protocol):
    """Addresses of files for their workspace."""

    def url(self, key: str, file_name: str, now: datetime) -> tuple[str, datetime]:
        """A signed address, and until when it works."""
        ...


class ExportJobs(Protocol):
    """Starts the jobs of exports."""

    def start(self, workspace_id: str, export_id: str) -> None:
        """Start the job of an export, once."""
        ...
