"""Archive what is older than the retention: each log's seals of a whole calendar month, with their events, in one file.

The file is stored before anything is marked, and never written again: a month that has ended gets no new seal, so a
second run would write the same bytes. Marked items stay for GRACE, in which a mistake can still be undone. The newest
seal of a log stays in the table with its events, because the next one follows it; the next month's run marks it.
"""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta

from atelier.audit_log.ports import ArchiveFiles, ArchiveMarks, DueArchive
from atelier.audit_log.proof import proof_lines, with_events
from atelier.audit_log.seals import AuditSeal, month_of
from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.telemetry import logger

GRACE = timedelta(days=30)
SEALS_PER_READ = 500
TIME_MARGIN_MILLISECONDS = 60_000


@dataclass(frozen=True, slots=True)
class ArchiveDeps:
    """Dependencies. retention: how long events stay in the table at least."""

    marks: ArchiveMarks
    files: ArchiveFiles
    retention: timedelta


class ArchiveIncomplete(Exception):
    """A month of a log is not archived, for example because a sealed event is not in the table."""


def archive_all(*, deps: ArchiveDeps, now: datetime, context: TimeLeft | None = None) -> int:
    """Archive every month that ended before the retention began, until shortly before the time-out; returns how many.
    A log that fails does not delay the others, but raises ArchiveIncomplete at the end. Safe to repeat, and to stop at
    any point."""
    archived, failed = 0, list[str]()
    for due in deps.marks.due(now - deps.retention):
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            break
        try:
            _archive_month(due, deps, now)
        except Exception:
            logger.exception("not archived", log=due.log, month=due.month)
            failed.append(archive_key(due))
            continue
        archived += 1
    logger.info("archived", months=archived, failed=len(failed))
    if failed:
        raise ArchiveIncomplete(f"not archived: {', '.join(failed)}")
    return archived


def archive_key(due: DueArchive) -> str:
    """The key of a month's file."""
    return f"{due.log}/{due.month}.ndjson.gz"


def _archive_month(due: DueArchive, deps: ArchiveDeps, now: datetime) -> None:
    head = deps.marks.newest(due.log, consistent=True)
    assert head is not None, "a month that is due has a seal"
    until = _seals_until(due, deps.marks)
    key = archive_key(due)
    if not deps.files.exists(key):
        of_month = list(with_events(due.log, [seal for seal in until if month_of(seal) == due.month], deps.marks))
        missing = [each.seal.number for each in of_month if len(each.events) < len(each.seal.events)]
        if missing or not of_month:
            raise ArchiveIncomplete(f"not in the table: events of the seals {missing}")
        deps.files.add(key, gzip.compress(proof_lines(due.log, of_month), mtime=0))
    may_go = [seal for seal in until if seal.number < head.number]
    deps.marks.expire(due.log, may_go, now + GRACE)
    deps.marks.finish(due, now + GRACE)


def _seals_until(due: DueArchive, marks: ArchiveMarks) -> list[AuditSeal]:
    """The seals in the table up to the end of the month. One of an earlier month was its log's newest until now."""
    found, seals = list[AuditSeal](), list(marks.oldest(due.log, SEALS_PER_READ))
    while seals:
        found += [seal for seal in seals if month_of(seal) <= due.month]
        if month_of(seals[-1]) > due.month:
            break
        last = seals[-1].number
        seals = list(marks.between(due.log, last + 1, last + SEALS_PER_READ))
    return found
