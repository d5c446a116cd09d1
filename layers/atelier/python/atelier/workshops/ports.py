"""Ports of workshops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.events.event import Event
from atelier.ledger.operations import Posting
from atelier.workshops.model import Enrolment, PlaceInQueue, Review, ShownWorks, Workshop


@dataclass(frozen=True, slots=True)
class WorkshopPage:
    """Workshops in the list's order. `next_key` is where the next page begins; None on the last page."""

    workshops: tuple[Workshop, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class EnrolmentPage:
    """Enrolments in the list's order. `next_key` is where the next page begins; None on the last page."""

    enrolments: tuple[Enrolment, ...]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class Counted:
    """What an enrolment's change does to the counters of its workshop (deltas)."""

    places: int = 0
    waiting: int = 0


class WorkshopStore(Protocol):
    """Workshops and enrolments. Each change of an enrolment is one transaction with the workshop's counters, the place
    in the wait list, the postings of the ledger and the event for the outbox. Conditions are part of the write."""

    def create(self, workshops: Sequence[Workshop], events: Sequence[AuditEvent]) -> None:
        """Store new workshops, all or none. Raises WorkshopExists."""
        ...

    def find(self, workshop_id: str) -> Workshop:
        """The workshop, of whichever workspace (consistent read). Raises NotFound."""
        ...

    def change(
        self, before: Workshop, after: Workshop, events: Sequence[AuditEvent], outbox: Sequence[Event] = ()
    ) -> None:
        """Store what its educator may change, and its status. Raises WorkshopChanged unless nothing was written to the
        workshop since `before` was read; counters are not touched."""
        ...

    def page(self, workspace_id: str, after_key: str | None, limit: int) -> WorkshopPage:
        """The workshops of a workspace, newest first."""
        ...

    def public_page(self, now: datetime, after_key: str | None, limit: int) -> WorkshopPage:
        """The public workshops of the deployment that have not started, the next one first."""
        ...

    def enrolled_page(
        self, user_id: str, after_key: str | None, limit: int
    ) -> tuple[Sequence[tuple[Workshop, Enrolment]], str | None]:
        """The workshops in which a person has ever enrolled, newest first, and where the next page begins."""
        ...

    def enrolment(self, workshop: Workshop, user_id: str) -> Enrolment | None:
        """A person's enrolment (consistent read)."""
        ...

    def enrolments(self, workshop: Workshop, after_user: str | None, limit: int) -> EnrolmentPage:
        """A page of the enrolments, by user."""
        ...

    def queue(self, workshop: Workshop, limit: int) -> Sequence[PlaceInQueue]:
        """The first of those who wait, in order (consistent read)."""
        ...

    def offers(self, workshop: Workshop, limit: int) -> Sequence[PlaceInQueue]:
        """The open offers, the one that ends first at first (consistent read)."""
        ...

    def take_place(
        self, workshop: Workshop, before: Enrolment | None, after: Enrolment, postings: Sequence[Posting], event: Event
    ) -> None:
        """Store a new enrolment with a place, if there is a free one and nobody waits. before: the ended enrolment that
        it replaces. Raises WorkshopChanged, StaleWallet."""
        ...

    def join_queue(self, workshop: Workshop, before: Enrolment | None, after: Enrolment, event: Event) -> None:
        """Store a new enrolment that waits, if no place is free or somebody waits. Raises WorkshopChanged."""
        ...

    def change_enrolment(
        self,
        workshop: Workshop,
        before: Enrolment,
        after: Enrolment,
        counted: Counted,
        postings: Sequence[Posting] = (),
        event: Event | None = None,
    ) -> None:
        """Store a change of an enrolment, with its place in the wait list. A place more is taken only while one is
        free. Raises WorkshopChanged unless the enrolment is as `before` and the workshop's status and start are as
        read; StaleWallet."""
        ...

    def set_due(
        self,
        workshop: Workshop,
        due_at: datetime | None,
        *,
        started_at: datetime | None = None,
        reminded: int | None = None,
        settled_at: datetime | None = None,
        is_move_announced: bool = False,
    ) -> bool:
        """Set when the workshop is due next, and the marks that are given; False, and no change, when anything was
        written to it since it was read."""
        ...

    def due(self, now: datetime, limit: int) -> Sequence[str]:
        """The ids of workshops that are due, the longest overdue first."""
        ...

    def outbox(self, workshop: Workshop, limit: int) -> Sequence[tuple[str, Event]]:
        """The events that were not published yet, the oldest first, each with its key."""
        ...

    def published(self, workshop: Workshop, key: str) -> None:
        """Take an event out of the outbox."""
        ...

    def save_review(self, review: Review) -> None:
        """Store a person's review of a workshop, in place of the one before."""
        ...

    def reviews(self, workshop: Workshop, after_user: str | None, limit: int) -> Sequence[Review]:
        """The reviews of a workshop, by user."""
        ...

    def show_work(self, workshop: Workshop, user_id: str, listing_id: str, most: int, now: datetime) -> None:
        """Add a listing to those that a person shows, of which there are at most `most`. Repeating it changes nothing.
        Raises Conflict."""
        ...

    def take_off_work(self, workshop: Workshop, user_id: str, listing_id: str, now: datetime) -> None:
        """Take a listing out of those that a person shows; if it is not one, nothing changes."""
        ...

    def shown_works(self, workshop: Workshop, after_user: str | None, limit: int) -> Sequence[ShownWorks]:
        """What participants show, by user."""
        ...


class WorkshopPeople(Protocol):
    """Who people are."""

    def persona(self, user_id: str) -> str:
        """A person's persona: artist, educator, partner or none."""
        ...

    def names(self, user_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of those who have an account."""
        ...
