"""Begin the erasures that are due, and start the jobs of those that are not complete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from atelier.clock import parse_rfc3339
from atelier.dataclass import dataclass
from atelier.erasures.ports import ErasureJobs, ErasureStore
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class FindDueDeps:
    """Dependencies."""

    store: ErasureStore
    jobs: ErasureJobs


def start_due_erasures(*, deps: FindDueDeps, now: datetime) -> dict[str, int]:
    """How many erasures were begun, and how many jobs were started. Safe to repeat, also in parallel: an erasure is
    claimed once, and its job has the name of the subject and the day. A job that failed is started again the next
    day."""
    begun = 0
    for subject in deps.store.due(now):
        if deps.store.claim(subject, now):
            begun += 1
            logger.info("erasure begun", subject=subject)
    started = 0
    for subject in deps.store.open():
        deps.jobs.start(subject, f"{now:%Y%m%d}")
        started += 1
    logger.info("erasures due", begun=begun, open=started)
    return {"begun": begun, "open": started}


def run_due_erasures(event: Mapping[str, Any], *, deps: FindDueDeps, now: datetime) -> dict[str, int]:
    """One run of the schedule. event: {repeat_since?: a time, of which a backup was restored}."""
    since = event.get("repeat_since")
    repeated = repeat_erasures(parse_rfc3339(str(since)), store=deps.store) if since else 0
    return start_due_erasures(deps=deps, now=now) | {"repeated": repeated}


def repeat_erasures(since: datetime, *, store: ErasureStore) -> int:
    """Open again the erasures that were begun in the month of `since` or later, after a backup of that time was
    restored; returns how many."""
    count = 0
    for subject in store.begun_since(f"{since:%Y-%m}"):
        store.reopen(subject)
        count += 1
    logger.info("erasures are repeated", since=f"{since:%Y-%m}", count=count)
    return count
