"""Bring a workshop to where it should be: publish its events, let offers lapse, offer free places, remind, settle.

Each step is a condition of its own write and may be repeated at any time, by requests and by the schedule in parallel.
Whatever changes a workshop makes it due in the same write, so what a dead process left is done within a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.clock import TimeLeft, rfc3339
from atelier.errors import AtelierError, NotFound
from atelier.events.workshop_events import EnrolmentChange
from atelier.ledger.ports import StaleWallet
from atelier.telemetry import logger
from atelier.workshops.deps import AdvanceDeps
from atelier.workshops.fees import end_fee
from atelier.workshops.model import (
    OPEN,
    WITH_PLACE,
    Enrolment,
    EnrolmentState,
    Workshop,
    WorkshopChanged,
    WorkshopStatus,
    offer_ends_at,
)
from atelier.workshops.ports import Counted

PAGE = 50
ROUNDS_MAX = 20
DUE_TOGETHER = 25
TIME_MARGIN_MILLISECONDS = 10_000
# A workshop whose visit failed is visited again after this time, so that it does not stand before the others.
PUT_OFF = timedelta(minutes=5)
State = EnrolmentState


def advance_due(context: TimeLeft | None, *, deps: AdvanceDeps, clock: Callable[[], datetime]) -> int:
    """Advance the workshops that are due, the longest overdue first, as long as the time suffices; returns how many."""
    done = 0
    while due := deps.store.due(clock(), DUE_TOGETHER):
        for workshop_id in due:
            if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
                logger.warning("workshops are left for the next run", advanced=done)
                return done
            _advance_or_put_off(workshop_id, deps, clock())
            done += 1
    logger.info("workshops advanced", advanced=done)
    return done


def _advance_or_put_off(workshop_id: str, deps: AdvanceDeps, now: datetime) -> None:
    try:
        after = advance(workshop_id, deps=deps, now=now)
        if after.due_at is not None and after.due_at <= now:
            deps.store.set_due(after, now + PUT_OFF)
    except NotFound:
        logger.warning("a due workshop is gone", workshop_id=workshop_id)
    except AtelierError as error:
        logger.exception("a workshop could not be advanced", workshop_id=workshop_id, error=type(error).__name__)
        deps.store.set_due(deps.store.find(workshop_id), now + PUT_OFF)


def advance(workshop_id: str, *, deps: AdvanceDeps, now: datetime) -> Workshop:
    """Do what is due of a workshop; returns it as it is then. Raises NotFound."""
    workshop = deps.store.find(workshop_id)
    for _ in range(ROUNDS_MAX):
        try:
            workshop = _step(workshop, deps, now)
        except (WorkshopChanged, StaleWallet):
            # Somebody else was faster: look at what they left.
            workshop = deps.store.find(workshop_id)
            continue
        if workshop.due_at is None or workshop.due_at > now:
            break
    return workshop


def _step(workshop: Workshop, deps: AdvanceDeps, now: datetime) -> Workshop:
    """One round; the workshop as it is after it, due later unless somebody has changed it meanwhile."""
    is_over = workshop.status in (WorkshopStatus.CANCELLED, WorkshopStatus.COMPLETED)
    hours: int | None = None
    settled_at: datetime | None = None
    if workshop.status is WorkshopStatus.SCHEDULED and workshop.started_at is None and now >= workshop.starts_at:
        deps.store.set_due(workshop, now, started_at=now)
        workshop = deps.store.find(workshop.id)
    if (is_over or workshop.started_at is not None) and workshop.settled_at is None:
        _settle(workshop, deps, now)
        settled_at = now
    elif workshop.is_open(now):
        _let_offers_lapse(workshop, deps, now)
        _offer_places(workshop, deps, now)
        _tell_move(workshop, deps)
        hours = workshop.due_reminder(now)
        if hours is not None:
            _remind(workshop, hours, deps, now)

    # What was done above is in the outbox. The version is read before it: what comes later keeps the workshop due.
    seen, workshop = workshop, deps.store.find(workshop.id)
    _publish_outbox(workshop, deps)
    ends = [offer.offer_ends_at for offer in deps.store.offers(workshop, 1) if offer.offer_ends_at]
    # What was announced counts for the times of then: it may have been moved once more meanwhile.
    is_announced = seen.moved_at == workshop.moved_at
    hours = hours if is_announced else None
    after = replace(workshop, reminded=hours or workshop.reminded, moved_at=None if is_announced else workshop.moved_at)
    due_at = after.next_due_at(ends)
    deps.store.set_due(workshop, due_at, reminded=hours, settled_at=settled_at, is_move_announced=is_announced)
    return deps.store.find(workshop.id)


def _publish_outbox(workshop: Workshop, deps: AdvanceDeps) -> None:
    while waiting := deps.store.outbox(workshop, PAGE):
        for key, event in waiting:
            deps.publisher().publish(event)
            deps.store.published(workshop, key)


def _let_offers_lapse(workshop: Workshop, deps: AdvanceDeps, now: datetime) -> None:
    for offer in deps.store.offers(workshop, PAGE):
        if offer.offer_ends_at is None or offer.offer_ends_at > now:
            return
        before = deps.store.enrolment(workshop, offer.user_id)
        if before is not None and before.id == offer.enrolment_id:
            after = replace(before, state=State.LAPSED, offer_ends_at=None, updated_at=max(now, before.updated_at))
            event = enrolment_event(workshop, after, "lapsed")
            deps.store.change_enrolment(workshop, before, after, Counted(places=-1), event=event)


def _offer_places(workshop: Workshop, deps: AdvanceDeps, now: datetime) -> None:
    current = deps.store.find(workshop.id)
    free = min(current.capacity - current.places_taken, current.waiting_count, PAGE)
    for place in deps.store.queue(current, free) if free > 0 else ():
        current = deps.store.find(workshop.id)
        if current.places_taken >= current.capacity or not current.is_open(now):
            return
        before = deps.store.enrolment(current, place.user_id)
        if before is not None and before.id == place.enrolment_id:
            after = replace(
                before,
                state=State.OFFERED,
                offer_ends_at=offer_ends_at(current, now),
                updated_at=max(now, before.updated_at),
            )
            event = enrolment_event(current, after, "offered")
            deps.store.change_enrolment(current, before, after, Counted(places=1, waiting=-1), event=event)


def _remind(workshop: Workshop, hours: int, deps: AdvanceDeps, now: datetime) -> None:
    """Publish the reminder of each attendee. An event has one id for each start and lead, so nobody is told twice."""
    for enrolment in _enrolments(workshop, deps):
        if enrolment.state is State.ENROLLED:
            deps.publisher().publish(enrolment_event(workshop, replace(enrolment, updated_at=now), "reminder", hours))


def _tell_move(workshop: Workshop, deps: AdvanceDeps) -> None:
    """Publish that a workshop has other times, for everybody who enrolled before. An event has one id for each move."""
    moved_at = workshop.moved_at
    if moved_at is None:
        return
    for enrolment in _enrolments(workshop, deps):
        if enrolment.state in OPEN and enrolment.created_at <= moved_at:
            deps.publisher().publish(enrolment_event(workshop, replace(enrolment, updated_at=moved_at), "moved"))


def _settle(workshop: Workshop, deps: AdvanceDeps, now: datetime) -> None:
    """End what a workshop leaves open when it starts or is cancelled: fees are paid, or go back in full."""
    is_cancelled = workshop.status is WorkshopStatus.CANCELLED
    for before in _enrolments(workshop, deps):
        after = _settled(before, now, is_cancelled=is_cancelled)
        if after is None:
            continue
        refund = before.price_credits if is_cancelled else 0
        ended = end_fee(before, refund, wallets=deps.wallets, now=now)
        after = replace(after, refunded_credits=ended.refund) if before.has_escrow else after
        event = None
        if after.state is not before.state:
            event = enrolment_event(workshop, after, "refunded" if is_cancelled else "lapsed")
        counted = Counted()
        if before.state is State.WAITING:
            counted = Counted(waiting=-1)
        elif before.state in WITH_PLACE and after.state not in WITH_PLACE:
            counted = Counted(places=-1)
        deps.store.change_enrolment(workshop, before, after, counted, ended.postings, event)


def _settled(before: Enrolment, now: datetime, *, is_cancelled: bool) -> Enrolment | None:
    """An enrolment after the start or the cancellation of its workshop; None when nothing changes."""
    at = max(now, before.updated_at)
    paid_at = now if before.has_escrow else before.paid_at
    if before.state in (State.WAITING, State.OFFERED):
        state = State.CANCELLED if is_cancelled else State.LAPSED
        return replace(before, state=state, offer_ends_at=None, updated_at=at)
    if is_cancelled and before.state is State.ENROLLED:
        return replace(before, state=State.CANCELLED, paid_at=paid_at, updated_at=at)
    return replace(before, paid_at=paid_at, updated_at=at) if before.has_escrow else None


def _enrolments(workshop: Workshop, deps: AdvanceDeps) -> Iterator[Enrolment]:
    after: str | None = None
    while True:
        page = deps.store.enrolments(workshop, after, PAGE)
        yield from page.enrolments
        after = page.next_key
        if after is None:
            return


def enrolment_event(workshop: Workshop, enrolment: Enrolment, change: str, hours: int = 0) -> EnrolmentChange:
    """The event of a change of an enrolment, or of a reminder."""
    return EnrolmentChange(
        workshop.workspace_id,
        workshop.id,
        enrolment.id,
        enrolment.user_id,
        change,
        workshop.title,
        rfc3339(workshop.starts_at),
        hours,
        rfc3339(enrolment.updated_at),
    )
