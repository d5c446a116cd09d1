"""Enrol, confirm an offered place, withdraw. Each is one transaction, planned anew when a parallel write won."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from atelier.dataclass import dataclass
from atelier.errors import AtelierError, Conflict, Forbidden, NotFound
from atelier.ids import new_id
from atelier.ledger.ports import StaleWallet
from atelier.retrying import retrying
from atelier.telemetry import logger
from atelier.workshops.advance import advance, enrolment_event
from atelier.workshops.deps import WorkshopDeps
from atelier.workshops.fees import end_fee, hold_fee
from atelier.workshops.model import (
    OPEN,
    WITH_PLACE,
    Enrolment,
    EnrolmentState,
    Visibility,
    Workshop,
    WorkshopChanged,
    WorkshopStatus,
    refund_of,
)
from atelier.workshops.ports import Counted

TRIES_MAX = 60
BUSY = "Many people enrol just now. Try again."
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Attendee:
    """The verified caller who enrols. payer_id: the workspace that pays. may_spend: whether the caller may spend its
    credits. request_key: the request's Idempotency-Key. seen_price: what the caller has seen; None = whatever it is."""

    user_id: str
    payer_id: str
    may_spend: bool
    request_key: str | None = None
    seen_price: int | None = None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An enrolment and its workshop. replayed: there was one already."""

    workshop: Workshop
    enrolment: Enrolment
    replayed: bool = False


def visible_workshop(workshop_id: str, workspace_id: str, deps: WorkshopDeps) -> Workshop:
    """A workshop that the members of a workspace see. Raises NotFound, also for one that they must not know of."""
    workshop = deps.store.find(workshop_id)
    is_shown = workshop.visibility is Visibility.PUBLIC and workshop.status is not WorkshopStatus.DRAFT
    if not is_shown and workshop.workspace_id != workspace_id:
        raise NotFound
    return workshop


def enrol(workshop_id: str, attendee: Attendee, *, deps: WorkshopDeps, now: datetime) -> Enrolled:
    """Enrol somebody: with a place and its fee in escrow, or in the wait list. Whoever is enrolled already stays as
    they are. Raises NotFound, Conflict (with the present price, when another one was seen), Forbidden,
    InsufficientCredits."""

    def attempt() -> Enrolled:
        workshop = visible_workshop(workshop_id, attendee.payer_id, deps)
        before = deps.store.enrolment(workshop, attendee.user_id)
        if before is not None and (before.state in OPEN or _is_same_request(before, attendee)):
            return Enrolled(workshop, before, replayed=True)
        workshop.require_open(now)
        if attendee.user_id == workshop.educator_id:
            raise Conflict("An educator does not enrol in their own workshop.")
        _require_seen_price(workshop, attendee)
        has_place = workshop.has_free_place()
        new = _new_enrolment(workshop, attendee, EnrolmentState.ENROLLED if has_place else EnrolmentState.WAITING, now)
        _require_payer(new, attendee)
        event = enrolment_event(workshop, new, "enrolled" if has_place else "waiting")
        if has_place:
            postings = hold_fee(new, wallets=deps.advancing.wallets, now=now)
            deps.store.take_place(workshop, before, new, postings, event)
        else:
            deps.store.join_queue(workshop, before, new, event)
        return Enrolled(workshop, new)

    done = _retrying(attempt, deps)
    return done if done.replayed else _advanced(done, deps, now)


def confirm(workshop_id: str, attendee: Attendee, *, deps: WorkshopDeps, now: datetime) -> Enrolled:
    """Take the place that is offered; the fee goes into escrow. A place that was taken stays as it is. Raises NotFound,
    Conflict, Forbidden, InsufficientCredits."""

    def attempt() -> Enrolled:
        workshop, before = _enrolment(workshop_id, attendee, deps)
        if before.state is EnrolmentState.ENROLLED:
            return Enrolled(workshop, before, replayed=True)
        workshop.require_open(now)
        if before.state is not EnrolmentState.OFFERED or before.offer_ends_at is None or before.offer_ends_at <= now:
            raise Conflict("No place is offered to you.", state=before.state.value)
        _require_seen_price(workshop, attendee)
        after = replace(
            before,
            state=EnrolmentState.ENROLLED,
            offer_ends_at=None,
            payer_id=attendee.payer_id,
            price_credits=workshop.price_for(attendee.payer_id),
            agreed_start=workshop.starts_at,
            updated_at=max(now, before.updated_at),
        )
        _require_payer(after, attendee)
        postings = hold_fee(after, wallets=deps.advancing.wallets, now=now)
        event = enrolment_event(workshop, after, "enrolled")
        deps.store.change_enrolment(workshop, before, after, Counted(), postings, event)
        return Enrolled(workshop, after)

    done = _retrying(attempt, deps)
    return done if done.replayed else _advanced(done, deps, now)


def withdraw(workshop_id: str, attendee: Attendee, *, deps: WorkshopDeps, now: datetime) -> Enrolled:
    """End an enrolment. The fee goes back as REFUND_RULES say, the rest is paid; the place is offered to whoever waits.
    An enrolment that has ended stays as it is. Raises NotFound, Conflict when the workshop has started."""

    def attempt() -> Enrolled:
        workshop, before = _enrolment(workshop_id, attendee, deps)
        if before.state not in OPEN:
            return Enrolled(workshop, before, replayed=True)
        workshop.require_open(now)
        refund = refund_of(before, workshop, now) if before.has_escrow else 0
        ended = end_fee(before, refund, wallets=deps.advancing.wallets, now=now, is_payers_choice=True)
        after = replace(
            before,
            state=EnrolmentState.WITHDRAWN,
            offer_ends_at=None,
            refunded_credits=ended.refund,
            paid_at=now if before.has_escrow else None,
            updated_at=max(now, before.updated_at),
        )
        has_place = before.state in WITH_PLACE
        counted = Counted(places=-1) if has_place else Counted(waiting=-1)
        event = enrolment_event(workshop, after, "withdrawn")
        deps.store.change_enrolment(workshop, before, after, counted, ended.postings, event)
        return Enrolled(workshop, after)

    done = _retrying(attempt, deps)
    return done if done.replayed else _advanced(done, deps, now)


def _enrolment(workshop_id: str, attendee: Attendee, deps: WorkshopDeps) -> tuple[Workshop, Enrolment]:
    """A workshop and the caller's enrolment, whoever else may see the workshop by now."""
    workshop = deps.store.find(workshop_id)
    found = deps.store.enrolment(workshop, attendee.user_id)
    if found is None:
        raise NotFound
    return workshop, found


def _is_same_request(before: Enrolment, attendee: Attendee) -> bool:
    return before.request_key is not None and before.request_key == attendee.request_key


def _new_enrolment(workshop: Workshop, attendee: Attendee, state: EnrolmentState, now: datetime) -> Enrolment:
    return Enrolment(
        new_id("enr", now),
        workshop.id,
        workshop.workspace_id,
        attendee.user_id,
        attendee.payer_id,
        workshop.price_for(attendee.payer_id),
        state,
        now,
        now,
        workshop.starts_at,
        request_key=attendee.request_key,
    )


def _require_payer(enrolment: Enrolment, attendee: Attendee) -> None:
    if enrolment.price_credits and not attendee.may_spend:
        raise Forbidden("Your role does not allow to spend this workspace's credits.")


def _require_seen_price(workshop: Workshop, attendee: Attendee) -> None:
    price = workshop.price_credits
    if attendee.seen_price is not None and attendee.seen_price != price:
        raise Conflict(f"The price has changed; it is {price} credits now.", price_credits=price, reason="price")


def _retrying(attempt: Callable[[], ResultT], deps: WorkshopDeps) -> ResultT:
    pause = deps.advancing.wallets.pause
    return retrying(attempt, on=(WorkshopChanged, StaleWallet), busy=BUSY, tries_max=TRIES_MAX, pause=pause)


def _advanced(done: Enrolled, deps: WorkshopDeps, now: datetime) -> Enrolled:
    """The same, with the workshop as it is after what follows: offers, and events. The workshop is due, so the schedule
    does it too, and what fails here is no failure of the request."""
    try:
        return replace(done, workshop=advance(done.workshop.id, deps=deps.advancing, now=now))
    except AtelierError as error:
        logger.warning("a workshop is advanced later", workshop_id=done.workshop.id, error=type(error).__name__)
        return done
