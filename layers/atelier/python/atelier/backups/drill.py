"""A drill as a value: one backup that was restored to see whether it can be. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from atelier.backups.model import Backup
from atelier.dataclass import dataclass
from atelier.ids import derived_id

# A drill is due this long after the beginning of the last good one; somewhat less than a week, because it begins at the
# same hour of the night.
DUE_AFTER = timedelta(days=6, hours=12)
# A drill that has not ended after this time was abandoned by its job.
ABANDONED_AFTER = timedelta(days=1)
# Problems that a drill keeps; of the others it knows the number.
PROBLEMS_MAX = 50
PROBLEM_CHARACTERS = 400
_MODULUS = 2**256


class DrillState(StrEnum):
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


class DrillStage(StrEnum):
    """What a drill does next, in this order."""

    # Signature, and each file: size, SHA-256, lines; and that there is no file more.
    FILES = "files"
    # Start the import of each table into a scratch table.
    LOAD = "load"
    # Until each import has ended.
    WAIT = "wait"
    # Each item of each scratch table; wallets and logs by their verifiers.
    TABLES = "tables"
    # A sample of the media files.
    MEDIA = "media"
    # Remove the scratch tables.
    CLEAR = "clear"
    # Write the report, and publish the result.
    REPORT = "report"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class TableSum:
    """How many items were seen, and the sum of their fingerprints (modulo 2**256)."""

    items: int = 0
    fingerprints: int = 0

    def plus(self, other: TableSum) -> TableSum:
        """The sum of both."""
        return TableSum(self.items + other.items, (self.fingerprints + other.fingerprints) % _MODULUS)


@dataclass(frozen=True, slots=True)
class ScratchLoad:
    """The import of one table. number: counts the tries, and names the table. handle: DynamoDB's of the import; None
    before it is known. has_ended: the table can be read, or `failure` says why not."""

    number: int = 0
    handle: str | None = None
    has_ended: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class DrillFigures:
    """What a drill has looked at. items: in scratch tables. chains of `logs` are audit logs'. media: files opened."""

    files: int = 0
    size_bytes: int = 0
    tables: int = 0
    items: int = 0
    wallets: int = 0
    logs: int = 0
    media: int = 0


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill, with how far it has come: a run of its job goes on from here.

    place: the number of the next file or table of the stage. after: where the next page of that table begins. written:
    what the files of each table have. found: of the table that is being read. heads_met: its chains whose newest seal
    is noted. problems: sentences, each with what it is about. problems_more: how many others there were. is_cleared:
    its scratch tables are gone. revision: counts the writes."""

    id: str
    backup_id: str
    backup_prefix: str
    started_at: datetime
    state: DrillState = DrillState.RUNNING
    finished_at: datetime | None = None
    stage: DrillStage = DrillStage.FILES
    place: int = 0
    after: str | None = None
    written: Mapping[str, TableSum] = field(default_factory=dict[str, TableSum])
    loads: Mapping[str, ScratchLoad] = field(default_factory=dict[str, ScratchLoad])
    found: TableSum = TableSum()
    heads_met: int = 0
    figures: DrillFigures = DrillFigures()
    problems: tuple[str, ...] = ()
    problems_more: int = 0
    is_cleared: bool = False
    revision: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether the result is known and published."""
        return self.stage is DrillStage.ENDED

    @property
    def report_prefix(self) -> str:
        """What the keys of its report begin with, in the bucket of backups."""
        return f"drills/{self.id}/"

    def with_problems(self, problems: Sequence[str]) -> Drill:
        """A copy that knows these problems too."""
        room = max(PROBLEMS_MAX - len(self.problems), 0)
        kept = tuple(problem[:PROBLEM_CHARACTERS] for problem in problems[:room])
        more = self.problems_more + max(len(problems) - room, 0)
        return replace(self, problems=self.problems + kept, problems_more=more)

    def at_stage(self, stage: DrillStage) -> Drill:
        """A copy at the beginning of a stage."""
        return replace(self, stage=stage, place=0, after=None, found=TableSum(), heads_met=0)


def new_drill(execution: str, at: datetime, backup: Backup) -> Drill:
    """The drill of an execution: the same one however often the execution's first step runs."""
    return Drill(derived_id("drl", at, execution), backup.id, backup.prefix, at)


def scratch_name(stack: str, drill_id: str, table: str, number: int) -> str:
    """The name of a scratch table. The deployment's permissions end with the part before the id."""
    return f"{stack}-drill-{drill_id}-{table}-{number}"


def is_due(last_passed: datetime | None, now: datetime) -> bool:
    """Whether a drill is due. last_passed: the beginning of the newest good one."""
    return last_passed is None or now - last_passed >= DUE_AFTER
