"""What follows a workshop: who attended it, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from atelier.errors import Conflict, Forbidden, NotFound
from atelier.retrying import retrying
from atelier.workshops.deps import WorkshopDeps
from atelier.workshops.enrol import visible_workshop
from atelier.workshops.manage import Educator, own_workshop
from atelier.workshops.model import (
    ADMITTED,
    OPEN,
    Enrolment,
    EnrolmentState,
    Review,
    Workshop,
    WorkshopChanged,
    WorkshopStatus,
    opens_at,
)
from atelier.workshops.ports import Counted, WorkshopStore

TRIES_MAX = 60
PEOPLE_PAGE = 100


def mark_attendance(
    educator: Educator, workshop_id: str, user_id: str, *, attended: bool, deps: WorkshopDeps, now: datetime
) -> Enrolment:
    """Note whether somebody who is enrolled has attended; only once the workshop has started. Raises NotFound,
    Conflict."""

    def attempt() -> Enrolment:
        workshop = own_workshop(educator, workshop_id, deps)
        before = deps.store.enrolment(workshop, user_id)
        if before is None or before.state not in ADMITTED:
            raise NotFound
        if workshop.started_at is None:
            raise Conflict("The workshop has not started.", status=workshop.status.value)
        state = EnrolmentState.ATTENDED if attended else EnrolmentState.ENROLLED
        if state is before.state:
            return before
        after = replace(before, state=state, updated_at=max(now, before.updated_at))
        deps.store.change_enrolment(workshop, before, after, Counted())
        return after

    pause = deps.advancing.wallets.pause
    busy = "The workshop is busy. Try again."
    return retrying(attempt, on=WorkshopChanged, busy=busy, tries_max=TRIES_MAX, pause=pause)


def admitted_to(
    workshop_id: str, user_id: str, workspace_id: str, deps: WorkshopDeps
) -> tuple[Workshop, datetime | None]:
    """A workshop whose materials a person may see, and from when, like `opens_at`: of the educator's workspace, or
    enrolled. Raises NotFound, Forbidden."""
    workshop = deps.store.find(workshop_id)
    if workshop.workspace_id == workspace_id:
        return workshop, None
    found = deps.store.enrolment(workshop, user_id)
    if found is None:
        raise NotFound
    if found.state not in ADMITTED:
        raise Forbidden("This is for those who are enrolled.", state=found.state.value)
    return workshop, opens_at(found, workshop)


def calendar_file(workshop_id: str, user_id: str, workspace_id: str, deps: WorkshopDeps) -> bytes:
    """The calendar file of a workshop that a person sees or has enrolled in. It cancels the entry when the workshop, or
    the person's enrolment, has ended without taking place. Raises NotFound."""
    workshop = deps.store.find(workshop_id)
    found = deps.store.enrolment(workshop, user_id)
    if found is None:
        visible_workshop(workshop_id, workspace_id, deps)
    has_left = found is not None and found.state not in OPEN
    return deps.calendar_file(workshop, has_left or workshop.status is WorkshopStatus.CANCELLED)


def write_review(
    workshop_id: str,
    user_id: str,
    stars: int,
    text: str,
    *,
    check: Callable[[str], None],
    deps: WorkshopDeps,
    now: datetime,
) -> Review:
    """Store what an attendee says of a workshop, in place of what they said before. check: raises PromptRefused for a
    text that moderation refuses. Raises NotFound, Forbidden for whoever has not attended."""
    workshop = deps.store.find(workshop_id)
    found = deps.store.enrolment(workshop, user_id)
    if found is None:
        raise NotFound
    if found.state is not EnrolmentState.ATTENDED:
        raise Forbidden("A workshop is reviewed by those who attended it.", state=found.state.value)
    check(text)
    review = Review(workshop.id, workshop.workspace_id, user_id, stars, text, now, now)
    deps.store.save_review(review)
    return review


def is_admitted(workshop_id: str, user_id: str, store: WorkshopStore) -> bool:
    """Whether somebody is enrolled in a workshop, or has attended it."""
    try:
        found = store.enrolment(store.find(workshop_id), user_id)
    except NotFound:
        return False
    return found is not None and found.state in ADMITTED


def admitted_people(workshop_id: str, store: WorkshopStore) -> Iterator[str]:
    """The users who are enrolled in a workshop, or have attended it; nobody when it is gone."""
    try:
        workshop = store.find(workshop_id)
    except NotFound:
        return
    after: str | None = None
    while True:
        page = store.enrolments(workshop, after, PEOPLE_PAGE)
        yield from (each.user_id for each in page.enrolments if each.state in ADMITTED)
        after = page.next_key
        if after is None:
            return


def is_of_workspace(workshop_id: str, workspace_id: str, store: WorkshopStore) -> bool:
    """Whether a workshop is one of a workspace."""
    try:
        return store.find(workshop_id).workspace_id == workspace_id
    except NotFound:
        return False
