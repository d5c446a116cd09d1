"""What participants show of what they have made: their own published listings, by their own choice.

Showing a work is the consent to it, so nobody else can do it: an educator asks, and can take a work off again. What its
creator or a moderator takes back from the showcase is shown here no more either."""

from __future__ import annotations

from datetime import datetime

from atelier.caller import Caller
from atelier.errors import Forbidden, NotFound
from atelier.workshops.deps import PublishedWork, WorkshopDeps
from atelier.workshops.model import EnrolmentState, ShownWorks, Workshop

# Of one person in one workshop.
WORKS_MAX = 10
READ_TOGETHER = 50
MANAGES = "workshops.manage"


def show_work(workshop_id: str, user_id: str, listing_id: str, *, deps: WorkshopDeps, now: datetime) -> PublishedWork:
    """Show a work with the workshop; repeating it changes nothing. Raises NotFound, also for a listing that nobody
    sees; Forbidden for whoever has not attended, and for somebody else's work; Conflict above WORKS_MAX."""
    workshop = deps.store.find(workshop_id)
    found = deps.store.enrolment(workshop, user_id)
    if found is None:
        raise NotFound
    if found.state is not EnrolmentState.ATTENDED:
        raise Forbidden("Works are shown by those who attended the workshop.", state=found.state.value)
    work = deps.published_works([listing_id], now).get(listing_id)
    if work is None:
        raise NotFound("There is no such listing.")
    if work.user_id != user_id:
        raise Forbidden("You can show works of your own.")
    deps.store.show_work(workshop, user_id, listing_id, WORKS_MAX, now)
    return work


def take_off_work(workshop_id: str, caller: Caller, listing_id: str, *, deps: WorkshopDeps, now: datetime) -> None:
    """End the showing of one's own work, or as its educator of anybody's. Repeating it changes nothing. Raises
    NotFound."""
    workshop = deps.store.find(workshop_id)
    work = deps.published_works([listing_id], now).get(listing_id)
    creator_id = work.user_id if work is not None else caller.user_id
    if creator_id != caller.user_id and not _manages(workshop, caller):
        raise NotFound
    deps.store.take_off_work(workshop, creator_id, listing_id, now)


def published_of(shown: tuple[ShownWorks, ...], deps: WorkshopDeps, now: datetime) -> list[PublishedWork]:
    """The works that people show, as far as everybody sees them."""
    ids = [each for person in shown for each in person.listing_ids]
    published = dict[str, PublishedWork]()
    for start in range(0, len(ids), READ_TOGETHER):
        published |= deps.published_works(ids[start : start + READ_TOGETHER], now)
    mine = [(person.user_id, published.get(each)) for person in shown for each in person.listing_ids]
    return [work for user_id, work in mine if work is not None and work.user_id == user_id]


def _manages(workshop: Workshop, caller: Caller) -> bool:
    return workshop.workspace_id == caller.workspace_id and caller.has_permission(MANAGES)
