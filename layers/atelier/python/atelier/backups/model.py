"""A backup as a value: what kind it is, how long it is kept, and how far its parts have come. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.ids import derived_id

# Every table of infra/data.yaml, by the name of its context. A test compares this list with the template.
TABLES = (
    "analytics",
    "audit",
    "billing",
    "community",
    "exports",
    "generations",
    "identity",
    "inbox",
    "library",
    "notifications",
    "providers",
    "requests",
    "sites",
    "webhooks",
    # Restored into a new deployment alone: elsewhere the present list is kept, by which the erased are erased again.
    "erasures",
    "ledger",
)
# Tables that no backup contains, each with the reason.
LEFT_OUT = {
    "backups": "It says which backups there are; each of them says so itself, and an older list would hide newer ones.",
    "realtime": "Events of the last day, for those who watch; the state itself is in the other tables.",
}
# Tables whose items are chained by hashes.
CHAINED = ("ledger", "audit")
# The part that is no table: the inventory of the media bucket.
MEDIA = "media"
# How long before its beginning a backup is cut. A record carries the time at which its function read the clock, and is
# written later, at most when the function's time is up, and no Lambda runs longer. DynamoDB can restore any time but
# the last five minutes.
CUT_BEFORE = timedelta(minutes=15)


class BackupScope(StrEnum):
    """Why a backup is kept, which decides for how long."""

    DAILY = "daily"
    MONTHLY = "monthly"
    YEARLY = "yearly"


class BackupMethod(StrEnum):
    """How tables are read: by our own parallel scans, or by DynamoDB's export of one point in time."""

    SEGMENTS = "segments"
    POINT_IN_TIME = "point-in-time"


class BackupState(StrEnum):
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


# As in infra/backups.yaml, whose lifecycle deletes the files; a test compares them.
RETENTION = {
    BackupScope.DAILY: timedelta(days=35),
    BackupScope.MONTHLY: timedelta(days=366),
    BackupScope.YEARLY: timedelta(days=2557),
}


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup. Its files lie under `prefix` in the bucket `bucket`.

    cut_at: tables that are exported by DynamoDB are as of this time; with scans, everything written before it is
    there. parts: what is written, each by itself. items: of all tables. media_objects: in the inventory. lock_days:
    for how many days nobody can delete its files (Object Lock); 0 = it is not locked. notes: what is missing in it, in
    plain words."""

    id: str
    scope: BackupScope
    method: BackupMethod
    bucket: str
    started_at: datetime
    cut_at: datetime
    parts: tuple[str, ...] = ()
    state: BackupState = BackupState.RUNNING
    finished_at: datetime | None = None
    items: int = 0
    media_objects: int = 0
    files: int = 0
    size_bytes: int = 0
    lock_days: int = 0
    failure: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """What the keys of its files begin with."""
        return prefix_of(self.scope, self.id)

    @property
    def location(self) -> str:
        """Where its files are."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def retained_until(self) -> datetime:
        """When its files are deleted."""
        return self.started_at + RETENTION[self.scope]

    @property
    def is_running(self) -> bool:
        """Whether its job still has to end it."""
        return self.state is BackupState.RUNNING

    def as_failed(self, reason: str, at: datetime) -> Backup:
        """A copy that is not complete and never will be."""
        return replace(self, state=BackupState.FAILED, failure=reason, finished_at=at)


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One file of a backup. key: below the backup's folder. items: its lines; 1 for a file that has none."""

    key: str
    size_bytes: int
    sha256: str
    items: int


@dataclass(frozen=True, slots=True)
class PartProgress:
    """How much of one part is written. A run of the job goes on from here.

    after: the place in the source after which the next file begins, as the source writes it; None at the beginning.
    files: what is written. heads: files with the newest seals of the chains in those files. started: the source's own
    handle of work that goes on elsewhere. notes: what is not as it should be."""

    after: str | None = None
    files: tuple[BackupFile, ...] = ()
    heads: tuple[BackupFile, ...] = ()
    started: str | None = None
    notes: tuple[str, ...] = ()
    is_complete: bool = False


def prefix_of(scope: BackupScope, backup_id: str) -> str:
    """What the keys of a backup's files begin with: `daily/bak_…/`."""
    return f"{scope.value}/{backup_id}/"


def scope_of(at: datetime) -> BackupScope:
    """The scope of the backup of a day: the first of a year is kept longest, the first of a month longer."""
    if at.day > 1:
        return BackupScope.DAILY
    return BackupScope.YEARLY if at.month == 1 else BackupScope.MONTHLY


def backup_id(at: datetime, name: str) -> str:
    """The id of the backup that an execution makes: the same one however often the execution's first step runs. name:
    the execution's."""
    return derived_id("bak", at, name)


def part_of(table: str, segment: int, segments: int) -> str:
    """The name of a part: `ledger/0/4` is the first of four."""
    return f"{table}/{segment}/{segments}"


def table_of(part: str) -> tuple[str, int, int]:
    """(table, segment, number of segments) of a part."""
    table, segment, segments = part.split("/")
    return table, int(segment), int(segments)
