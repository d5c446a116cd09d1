"""The views of backups and drills over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from atelier import cursors
from atelier.backups.drill import Drill
from atelier.backups.drill_report import drill_view
from atelier.backups.list_backups import backup_view
from atelier.backups.model import Backup
from atelier.lazy_model import LazyModel

State = Literal["running", "passed", "failed"]


class HistoryQuery(LazyModel):
    """A page of what was done, the newest first."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class BackupView(LazyModel):
    """A backup."""

    id: str
    scope: Literal["daily", "monthly", "yearly"]
    method: Literal["segments", "point-in-time"]
    state: Literal["running", "complete", "failed"]
    location: str = Field(description="The folder of its files.")
    started_at: datetime
    cut_at: datetime = Field(description="Everything that was written before is in it.")
    finished_at: datetime | None
    retained_until: datetime = Field(description="When its files are deleted.")
    lock_days: int = Field(description="For how many days nobody can delete its files; 0 = they are not locked.")
    items: int
    media_objects: int = Field(description="In the inventory of the media bucket.")
    files: int
    bytes: int
    failure: str | None
    notes: list[str] = Field(description="What is missing in it.")


class BackupList(LazyModel):
    """A page of backups."""

    items: list[BackupView]
    next_cursor: str | None


class DrillView(LazyModel):
    """A drill: the restore of a backup into scratch tables, and what was found there."""

    id: str
    backup_id: str
    state: State
    stage: Literal["files", "load", "wait", "tables", "media", "clear", "report", "ended"]
    started_at: datetime
    finished_at: datetime | None
    files: int = Field(description="Read, and compared with the manifest.")
    size_bytes: int
    tables: int = Field(description="Restored.")
    items: int
    wallets: int = Field(description="Whose ledger was verified.")
    logs: int = Field(description="Audit logs whose chain was verified.")
    media: int = Field(description="Media files that were opened.")
    problems: list[str] = Field(description="Each names its file, table, wallet, log or media file.")
    problems_more: int = Field(description="Problems beyond those.")
    scratch_removed: bool


class DrillList(LazyModel):
    """A page of drills."""

    items: list[DrillView]
    next_cursor: str | None


def backup_list(page: tuple[Sequence[Backup], str | None]) -> dict[str, Any]:
    """A BackupList."""
    return {"items": [backup_view(backup) for backup in page[0]], "next_cursor": cursors.encode(page[1])}


def drill_list(page: tuple[Sequence[Drill], str | None]) -> dict[str, Any]:
    """A DrillList."""
    return {"items": [drill_view(drill) for drill in page[0]], "next_cursor": cursors.encode(page[1])}
