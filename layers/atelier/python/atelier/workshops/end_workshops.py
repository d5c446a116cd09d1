"""End the workshops of a workspace that is being erased: fees go back, or are paid where the workshop took place."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from atelier.clock import rfc3339
from atelier.errors import Unavailable
from atelier.events.workshop_events import WorkshopChange
from atelier.retrying import retrying
from atelier.workshops.advance import advance
from atelier.workshops.deps import AdvanceDeps
from atelier.workshops.model import WorkshopChanged, WorkshopStatus

PAGE = 25
TRIES_MAX = 60
BUSY = "The workshop is busy. Try again."


def end_workshops(workspace_id: str, *, deps: AdvanceDeps, now: datetime) -> None:
    """Cancel what has not started, and settle all fees. Safe to repeat."""
    after: str | None = None
    while True:
        page = deps.store.page(workspace_id, after, PAGE)
        for workshop in page.workshops:
            if workshop.status is not WorkshopStatus.DRAFT and workshop.settled_at is None:
                _end(workshop.id, deps, now)
        after = page.next_key
        if after is None:
            return


def _end(workshop_id: str, deps: AdvanceDeps, now: datetime) -> None:
    def cancel() -> None:
        before = deps.store.find(workshop_id)
        if before.is_open(now):
            number = before.version + 1
            times = rfc3339(before.starts_at), rfc3339(now)
            after = replace(before, status=WorkshopStatus.CANCELLED, sequence=before.sequence + 1, due_at=now)
            event = WorkshopChange(before.workspace_id, before.id, "cancelled", number, before.title, *times)
            deps.store.change(before, replace(after, updated_at=now), (), [event])

    retrying(cancel, on=WorkshopChanged, busy=BUSY, tries_max=TRIES_MAX, pause=deps.wallets.pause)
    settled = advance(workshop_id, deps=deps, now=now)
    if settled.settled_at is None:
        raise Unavailable(BUSY)
