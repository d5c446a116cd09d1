"""Ports of exports of everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.exports.whole_export import WholeExport


@dataclass(frozen=True, slots=True)
class WholeExportPage:
    """Exports, newest first, and the id after which the next page begins; None on the last page."""

    items: tuple[WholeExport, ...]
    next_id: str | None


class WholeExportStore(Protocol):
    """The records of exports of everything."""

    def create(self, export: WholeExport, opened_after: datetime, events: Sequence[AuditEvent]) -> None:
        """Write a new export and its audit events. Raises ExportExists, and Conflict while another one of the workspace
        is open that was requested after `opened_after`."""
        ...

    def get(self, workspace_id: str, export_id: str) -> WholeExport:
        """Raises NotFound."""
        ...

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> WholeExportPage: ...

    def save(self, before: WholeExport, after: WholeExport) -> None:
        """Write a change. Raises ExportChanged unless the export is open and has as many files as `before`."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bytes of a file in the export. after: where the section goes on behind it. is_rest: an earlier piece has
    begun the file."""

    file: str
    chunks: Iterable[bytes]
    after: str
    is_rest: bool = False


class Section(Protocol):
    """One kind of what is exported."""

    def pieces(self, export: WholeExport, after: str | None) -> Iterator[Piece]:
        """What comes after a place, in an order that does not change. Pieces of one file follow each other."""
        ...


class ZipWriter(Protocol):
    """One zip file that is being written. Nothing exists under its key before `close`."""

    @property
    def size_bytes(self) -> int:
        """How much is written; 0 as long as there is no file in it."""
        ...

    def write(self, file: str, chunks: Iterable[bytes]) -> None:
        """Add bytes to a file: to the last one if it has this name, else to a new one."""
        ...

    def close(self) -> int:
        """Complete the zip file; returns its size in bytes."""
        ...

    def abort(self) -> None:
        """Drop what was written."""
        ...


class ZipFiles(Protocol):
    """Writes zip files."""

    def begin(self, key: str) -> ZipWriter: ...
