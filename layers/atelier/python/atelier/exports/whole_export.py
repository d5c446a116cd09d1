"""The export of everything that a workspace has, as a value: its zip files so far, and where the job goes on. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.exports.model import FILE_LIFETIME, ExportStatus

# A zip file gets no more once it has this size, so it is larger by one page or by one media file at most.
ZIP_BYTES = 512 * 1024 * 1024
# Another whole export may be requested when one has ended, or has taken this long: then its job has died.
OPEN_TIME_MAX = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the job goes on. section: what is read. after: the last record of it that is in a zip file; None = none."""

    section: str
    after: str | None = None


@dataclass(frozen=True, slots=True)
class ExportedZip:
    """One complete zip file."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class WholeExport:
    """One export of everything. with_account: the workspace is the personal one of `user_id`, whose account is in it
    too. place: None before the first zip file."""

    id: str
    workspace_id: str
    user_id: str
    with_account: bool
    created_at: datetime
    status: ExportStatus = ExportStatus.QUEUED
    files: tuple[ExportedZip, ...] = ()
    place: Place | None = None
    ended_at: datetime | None = None
    failure: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether its job still has to end it."""
        return self.status in (ExportStatus.QUEUED, ExportStatus.RUNNING)

    @property
    def expires_at(self) -> datetime | None:
        """Until when the files can be downloaded; None without files."""
        return self.ended_at + FILE_LIFETIME if self.ended_at and self.status is ExportStatus.SUCCEEDED else None

    def file_key(self, nonce: str) -> str:
        """The key of the next zip file. nonce: of the attempt, so that two runs never write the same file."""
        return f"exports/{self.workspace_id}/{self.id}-{len(self.files) + 1}-{nonce}.zip"

    def file_name(self, number: int) -> str:
        """The name under which a zip file is saved; numbers from 1."""
        return f"{self.id}-{number}.zip"

    def with_file(self, file: ExportedZip, place: Place) -> WholeExport:
        """A copy with one more zip file."""
        return replace(self, status=ExportStatus.RUNNING, files=(*self.files, file), place=place)

    def as_succeeded(self, file: ExportedZip | None, at: datetime) -> WholeExport:
        """A copy that is complete. file: its last zip file; None when nothing was left for another one."""
        files = (*self.files, file) if file else self.files
        return replace(self, status=ExportStatus.SUCCEEDED, files=files, place=None, ended_at=at)

    def as_failed(self, reason: str, at: datetime) -> WholeExport:
        """A copy that has ended without its last file."""
        return replace(self, status=ExportStatus.FAILED, failure=reason, ended_at=at)
