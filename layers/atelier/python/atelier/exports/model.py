"""An export as a value: which records of a workspace, as what kind of file, and how far the job has come. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass

# How many exports of a workspace may be open at the same time.
OPEN_EXPORTS_MAX = 3
# An export that is still open after this time does not count as open any more: its job has died.
OPEN_TIME_MAX = timedelta(days=1)
# How long the file can be downloaded; the bucket deletes it a day later.
FILE_LIFETIME = timedelta(days=7)
# How long the record of an export is kept.
RECORD_LIFETIME = timedelta(days=90)
ROWS_MAX = 10_000_000


class ExportDataset(StrEnum):
    """What an export contains."""

    GENERATIONS = "generations"
    ENTRIES = "entries"
    USAGE = "usage"
    AUDIT = "audit"
    PRODUCT_EVENTS = "product_events"


class ExportFormat(StrEnum):
    """What kind of file."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class ExportStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


CONTENT_TYPES: Mapping[ExportFormat, str] = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.NDJSON: "application/x-ndjson",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}

# How long before the request an export is cut. A record carries the time at which its function read the clock, and is
# committed later, at most when the function's time is up; so after the cut nothing older appears. Generations are
# created, and product events received, by functions of 60 s at most; movements and audit events by any, and no Lambda
# runs longer than 15 minutes. Usage is summed by whole hours, and counted some minutes after it has happened at most.
CUT_BEFORE: Mapping[ExportDataset, timedelta] = {
    ExportDataset.GENERATIONS: timedelta(seconds=60),
    ExportDataset.ENTRIES: timedelta(minutes=15),
    ExportDataset.USAGE: timedelta(minutes=15),
    ExportDataset.AUDIT: timedelta(minutes=15),
    ExportDataset.PRODUCT_EVENTS: timedelta(seconds=60),
}


@dataclass(frozen=True, slots=True)
class Export:
    """One export. It contains the records whose own time is in [begin, end) and that were written before `cut_at`.

    filters: column → value that it must have. rows, size_bytes: of the file, so far. failure: why it failed, for the
    caller."""

    id: str
    workspace_id: str
    user_id: str
    dataset: ExportDataset
    format: ExportFormat
    begin: datetime
    end: datetime
    cut_at: datetime
    created_at: datetime
    filters: Mapping[str, str] = field(default_factory=dict[str, str])
    status: ExportStatus = ExportStatus.QUEUED
    rows: int = 0
    size_bytes: int = 0
    ended_at: datetime | None = None
    failure: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether its job still has to end it."""
        return self.status in (ExportStatus.QUEUED, ExportStatus.RUNNING)

    @property
    def key(self) -> str:
        """The key of its file."""
        return f"exports/{self.workspace_id}/{self.id}.{self.format.value}"

    @property
    def rows_key(self) -> str:
        """The key of the file that is written part by part. A Parquet file is made of it, when it is complete."""
        return f"{self.key}.rows" if self.format is ExportFormat.PARQUET else self.key

    @property
    def file_name(self) -> str:
        """The name under which the file is saved."""
        return f"{self.dataset.value}-{self.begin:%Y%m%d}-{self.end:%Y%m%d}-{self.id}.{self.format.value}"

    @property
    def expires_at(self) -> datetime | None:
        """Until when the file can be downloaded; None without a file."""
        return self.ended_at + FILE_LIFETIME if self.ended_at and self.status is ExportStatus.SUCCEEDED else None

    def as_succeeded(self, rows: int, size_bytes: int, at: datetime) -> Export:
        """A copy whose file is complete."""
        return replace(self, status=ExportStatus.SUCCEEDED, rows=rows, size_bytes=size_bytes, ended_at=at)

    def as_failed(self, reason: str, at: datetime) -> Export:
        """A copy without a file."""
        return replace(self, status=ExportStatus.FAILED, failure=reason, ended_at=at)


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How much of the file is written. A run of the job goes on from here.

    upload: the id of the multipart upload. after: the key of the last record that is in the file. parts: the tags of
    the written parts. restarts: how often the file was begun anew, because another run had overwritten a part."""

    upload: str | None = None
    after: str | None = None
    parts: tuple[str, ...] = ()
    rows: int = 0
    size_bytes: int = 0
    restarts: int = 0


def range_of(
    dataset: ExportDataset, begin: datetime, end: datetime, now: datetime
) -> tuple[datetime, datetime, datetime]:
    """(begin, end, cut_at) of an export that is requested now: nothing after the cut is in it."""
    cut_at = now - CUT_BEFORE[dataset]
    end = min(end, cut_at)
    return min(begin, end), end, cut_at
