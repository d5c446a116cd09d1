"""Seal the events of logs, as the table's stream delivers them.

An event is sealed once, however often it is delivered: a seal is never older than the events it covers, so only seals
from an event's time onwards can cover it; and two writers cannot write a seal with the same number. Writers of events
neither wait for seals nor contend with one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from atelier.audit_log.ports import AuditSeals
from atelier.audit_log.seals import AuditSeal, PublicForm, chain, month_of
from atelier.dataclass import dataclass
from atelier.ledger.sealed_keys import SealedKeys, SealNumberTaken
from atelier.retrying import retrying
from atelier.telemetry import logger, put_count

TRIES_MAX = 20


@dataclass(frozen=True, slots=True)
class SealEventsDeps:
    """Dependencies. `pause(tries)` waits a little after a parallel writer has taken the next seal number."""

    seals: AuditSeals
    pause: Callable[[int], None]


def seal_events(log: str, events: Iterable[PublicForm], *, deps: SealEventsDeps, now: datetime) -> AuditSeal | None:
    """Seal those of the events that no seal covers yet; returns the newest seal. Raises Unavailable when parallel
    writers took the next number at every attempt."""
    forms = {form["id"]: form for form in events}
    is_repeated = False

    def attempt() -> AuditSeal | None:
        nonlocal is_repeated
        # The first read may be stale: then the write fails, because its number is taken.
        head = deps.seals.newest(log, consistent=is_repeated)
        covered = SealedKeys(log, head, deps.seals)
        is_repeated = True
        unsealed = [form for id, form in forms.items() if not covered.covers(id, form["at"])]
        for seal in chain(log, head, unsealed, now):
            deps.seals.append(log, seal, begins_month=head is None or month_of(head) != month_of(seal))
            head = seal
        return head

    busy = "The log is being sealed by others. Try again."
    return retrying(attempt, on=SealNumberTaken, busy=busy, tries_max=TRIES_MAX, pause=deps.pause)


def seal_batch(logs: Mapping[str, Iterable[PublicForm]], *, deps: SealEventsDeps, now: datetime) -> None:
    """Seal the events of each log. A log that cannot be sealed does not delay the others, but the batch fails at the
    end (an ExceptionGroup) and is repeated."""
    failures: list[Exception] = []
    for log, events in logs.items():
        try:
            head = seal_events(log, events, deps=deps, now=now)
        except Exception as error:
            logger.exception("not sealed", log=log)
            failures.append(error)
            continue
        # The head of the chain is logged as evidence outside the table: rewriting the table does not rewrite the log.
        logger.info("sealed", log=log, head=f"{head.number}:{head.hash}" if head else None)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(logs)} logs could not be sealed", failures)


def report_changes(changed: Iterable[tuple[str, str]], *, is_erased: Callable[[str], bool]) -> None:
    """Raise the alarm that events of logs (log, sort key) were changed or deleted, which nothing of Atelier does but
    the erasure of a whole log."""
    erased = dict[str, bool]()
    for log, key in changed:
        if log not in erased:
            erased[log] = is_erased(log)
        if erased[log]:
            continue
        logger.error("audit event changed", log=log, key=key)
        put_count("AuditEventChanged")
