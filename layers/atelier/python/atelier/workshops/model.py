"""Values and rules of workshops. Immutable, no side effects.

A *workshop* is of the workspace of its educator, who is paid there. An *enrolment* is a person's place in it, or in its
wait list: *waiting* people are *offered* a place in the order of their requests, and have OFFER_LIFETIME to confirm it.
The fee is in escrow from the enrolment on; it is paid when the workshop starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.errors import Conflict

CAPACITY_MAX = 1000
PRICE_CREDITS_MAX = 100_000
DURATION_MAX = timedelta(days=7)
# How far ahead a workshop may start.
AHEAD_MAX = timedelta(days=730)
SERIES_MAX = 52
MATERIALS_MAX = 50
OFFER_LIFETIME = timedelta(hours=24)
# How long before the start the attendees are reminded, the earliest reminder first.
REMINDERS = (timedelta(hours=24), timedelta(hours=1))


class WorkshopStatus(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Visibility(StrEnum):
    """Who sees a workshop: the members of its workspace, or everybody in the deployment."""

    WORKSPACE = "workspace"
    PUBLIC = "public"


class EnrolmentState(StrEnum):
    WAITING = "waiting"
    # A place is free, and reserved until `offer_ends_at`.
    OFFERED = "offered"
    ENROLLED = "enrolled"
    ATTENDED = "attended"
    # Ended by the attendee.
    WITHDRAWN = "withdrawn"
    # The offer was not confirmed in time, or the workshop started without a place for whoever waited.
    LAPSED = "lapsed"
    # Ended by the educator, with the whole workshop.
    CANCELLED = "cancelled"


# In these states an enrolment takes a place.
WITH_PLACE = frozenset({EnrolmentState.OFFERED, EnrolmentState.ENROLLED, EnrolmentState.ATTENDED})
# What is for attendees (materials, the calendar file's place) is for these.
ADMITTED = frozenset({EnrolmentState.ENROLLED, EnrolmentState.ATTENDED})
OPEN = frozenset({EnrolmentState.WAITING, EnrolmentState.OFFERED, EnrolmentState.ENROLLED, EnrolmentState.ATTENDED})


class WorkshopChanged(Exception):
    """The workshop, or the enrolment, was changed since it was read."""


class WorkshopExists(Exception):
    """A workshop with this id is stored already."""


@dataclass(frozen=True, slots=True)
class RefundRule:
    """Who withdraws more than `before` ahead of the start gets `percent` of the fee back."""

    before: timedelta
    percent: int


# The first rule that applies is taken.
REFUND_RULES = (
    RefundRule(timedelta(hours=48), 100),
    RefundRule(timedelta(hours=24), 50),
    RefundRule(timedelta(0), 0),
)


@dataclass(frozen=True, slots=True)
class Workshop:
    """One workshop. workspace_id: of the educator; educator_id: a user. starts_at, ends_at: UTC; time_zone: IANA, the
    one in which it was planned. price_credits: 0 = free. material_ids: assets of the workspace.

    places_taken, waiting_count: how many enrolments have a place, and how many wait. version: counts all writes;
    sequence: counts those that change a calendar (RFC 5545). started_at: since when nobody enrols or withdraws.
    reminded: for which reminder of this start the attendees have been told, as its number of hours; None = none.
    moved_at: when it got other times of which people have not been told yet.
    settled_at: every fee was paid, or given back. due_at: when `advance.py` has to look at it."""

    id: str
    workspace_id: str
    educator_id: str
    title: str
    description: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    capacity: int
    price_credits: int
    visibility: Visibility
    status: WorkshopStatus
    created_at: datetime
    updated_at: datetime
    series_id: str | None = None
    material_ids: tuple[str, ...] = ()
    places_taken: int = 0
    waiting_count: int = 0
    version: int = 1
    sequence: int = 0
    started_at: datetime | None = None
    reminded: int | None = None
    settled_at: datetime | None = None
    due_at: datetime | None = None
    moved_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether people may enrol and withdraw."""
        return self.status is WorkshopStatus.SCHEDULED and self.started_at is None and now < self.starts_at

    def require_open(self, now: datetime) -> None:
        """Raises Conflict."""
        if self.status is not WorkshopStatus.SCHEDULED:
            raise Conflict(f"The workshop is not scheduled; it is {self.status.value}.", status=self.status.value)
        if not self.is_open(now):
            raise Conflict("The workshop has started.", status=self.status.value)

    def has_free_place(self) -> bool:
        """Whether somebody who asks now gets a place: those who wait come first."""
        return self.places_taken < self.capacity and self.waiting_count == 0

    def price_for(self, payer_id: str) -> int:
        """What a workspace pays for a place. The educator's own workspace would pay itself, so nothing."""
        return 0 if payer_id == self.workspace_id else self.price_credits

    def due_reminder(self, now: datetime) -> int | None:
        """The reminder, as its number of hours, that the attendees should have now and have not."""
        due = [lead for lead in REMINDERS if self.starts_at - lead <= now < self.starts_at]
        hours = _hours(min(due)) if due else None
        return None if hours is None or (self.reminded is not None and self.reminded <= hours) else hours

    def next_due_at(self, offers_end: Iterable[datetime]) -> datetime | None:
        """When something has to be done next, apart from what is due now. offers_end: the open offers' ends."""
        if self.status is not WorkshopStatus.SCHEDULED or self.started_at is not None:
            return None
        reminders = [
            self.starts_at - lead for lead in REMINDERS if self.reminded is None or _hours(lead) < self.reminded
        ]
        untold = [self.moved_at] if self.moved_at is not None else []
        return min([*untold, *reminders, *offers_end, self.starts_at])


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One person's place. workspace_id: the workshop's; payer_id: the workspace that pays. price_credits: as it was
    when the place was taken. agreed_start: the start as it was then. refunded_credits: what was given back of the fee.
    paid_at: when the fee left the escrow. request_key: the Idempotency-Key of the request that made it."""

    id: str
    workshop_id: str
    workspace_id: str
    user_id: str
    payer_id: str
    price_credits: int
    state: EnrolmentState
    created_at: datetime
    updated_at: datetime
    agreed_start: datetime
    offer_ends_at: datetime | None = None
    refunded_credits: int = 0
    paid_at: datetime | None = None
    request_key: str | None = None

    @property
    def has_escrow(self) -> bool:
        """Whether a fee waits in escrow."""
        return self.price_credits > 0 and self.state in ADMITTED and self.paid_at is None


@dataclass(frozen=True, slots=True)
class PlaceInQueue:
    """Somebody in the wait list. offer_ends_at: None = nobody has offered them a place."""

    enrolment_id: str
    user_id: str
    offer_ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Review:
    """What an attendee says of a workshop. stars: 1 to 5."""

    workshop_id: str
    workspace_id: str
    user_id: str
    stars: int
    text: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ShownWorks:
    """The listings that a participant shows with a workshop, in the order of their ids."""

    user_id: str
    listing_ids: tuple[str, ...]


def opens_at(enrolment: Enrolment, workshop: Workshop) -> datetime | None:
    """From when an attendee has what comes with a workshop: when the fee can no longer go back in full. None = at once,
    because nothing was to be paid."""
    return workshop.starts_at - REFUND_RULES[0].before if enrolment.price_credits else None


def refund_of(enrolment: Enrolment, workshop: Workshop, now: datetime) -> int:
    """How many credits an attendee who withdraws gets back. All, if the start was moved after the place was taken."""
    if enrolment.agreed_start != workshop.starts_at:
        return enrolment.price_credits
    left = workshop.starts_at - now
    percent = next((rule.percent for rule in REFUND_RULES if left > rule.before), 0)
    return -(-enrolment.price_credits * percent // 100)


def offer_ends_at(workshop: Workshop, now: datetime) -> datetime:
    """Until when a place that is offered now may be confirmed."""
    return min(now + OFFER_LIFETIME, workshop.starts_at)


def as_moved(workshop: Workshop, before: Workshop, now: datetime) -> Workshop:
    """The workshop after a change of its times: its attendees are told, and reminded anew. Nobody attends a draft."""
    if (workshop.starts_at, workshop.ends_at) == (before.starts_at, before.ends_at):
        return workshop
    is_known = before.status is not WorkshopStatus.DRAFT
    return replace(workshop, reminded=None, moved_at=now if is_known else None)


def _hours(lead: timedelta) -> int:
    return int(lead.total_seconds() // 3600)
