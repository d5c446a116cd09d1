"""Workshops on the embedded DynamoDB with the real use cases and wallets; events go into a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from atelier.adapters.aws.dynamodb.workshops.store import DynamoWorkshops
from atelier.adapters.calendars.workshop_file import workshop_file
from atelier.audit_log.model import Origin
from atelier.events.event import Event
from atelier.ledger.model import GrantSource
from atelier.ledger.post import PostDeps, grant
from atelier.workshops.advance import advance, advance_due
from atelier.workshops.deps import AdvanceDeps, WorkshopDeps
from atelier.workshops.enrol import Attendee, Enrolled, confirm, enrol, withdraw
from atelier.workshops.manage import Educator, WorkshopFields, cancel_workshop, create_workshops, schedule_workshop
from atelier.workshops.model import Enrolment, EnrolmentState, Visibility, Workshop
from tests.conftest import Tables
from tests.integration.world import NOON, World


def calendar_file(workshop: Workshop, is_cancelled: bool) -> bytes:
    return workshop_file(workshop, is_cancelled, "https://studio.example.com")


@dataclass
class KnownPeople:
    """Everybody is an educator, apart from `artists`."""

    artists: set[str] = field(default_factory=set[str])

    def persona(self, user_id: str) -> str:
        return "artist" if user_id in self.artists else "educator"

    def names(self, user_ids: Sequence[str]) -> Mapping[str, str]:
        return {user_id: user_id.lower() for user_id in user_ids}


@dataclass
class PublishedEvents:
    """An event bus that keeps what it gets, each event once."""

    events: dict[str, Event] = field(default_factory=dict[str, Event])

    def publish(self, event: Event) -> None:
        self.events.setdefault(event.id, event)

    def types(self, prefix: str = "") -> list[str]:
        """The types of the events whose ids begin so."""
        return [event.type for id, event in self.events.items() if id.startswith(prefix)]


class WorkshopWorld:
    """An educator with a workspace; attendees are made on demand, each with a wallet of 100 bought credits."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.home = World(tables)
        self.now = NOON
        self.store = DynamoWorkshops(tables.community)
        self.people, self.bus = KnownPeople(), PublishedEvents()
        self.worlds = dict[str, World]()
        wallets = PostDeps(self.home.wallets, self.home.post_deps.daily, lambda tries: None)
        self.advancing = AdvanceDeps(self.store, wallets, lambda: self.bus)
        self.deps = WorkshopDeps(
            self.advancing,
            self.people,
            lambda: self.home.keys,
            lambda workspace, ids: True,
            calendar_file,
            lambda ids, now: {},
        )
        self.educator = Educator(self.home.workspace_id, "usr_E", Origin(user_id="usr_E"))

    def attendee(self, name: str, credits: int = 100) -> Attendee:
        """A person with a wallet of bought credits."""
        if name not in self.worlds:
            world = self.worlds[name] = World(self.tables)
            if credits:
                key = f"grant#{world.workspace_id}"
                grant(world.workspace_id, key, GrantSource.PURCHASE, credits, deps=self.advancing.wallets, now=self.now)
        return Attendee(f"usr_{name}", self.worlds[name].workspace_id, may_spend=True)

    def fields(self, *, capacity: int = 2, price: int = 0, starts_in: timedelta = timedelta(days=7)) -> WorkshopFields:
        start = self.now + starts_in
        end = start + timedelta(hours=2)
        return WorkshopFields("Light", "", start, end, "Europe/Berlin", capacity, price, Visibility.PUBLIC, ())

    def scheduled(self, *, capacity: int = 2, price: int = 0, starts_in: timedelta = timedelta(days=7)) -> Workshop:
        fields = self.fields(capacity=capacity, price=price, starts_in=starts_in)
        (made,), _ = create_workshops(self.educator, fields, None, None, deps=self.deps, now=self.now)
        return schedule_workshop(self.educator, made.id, deps=self.deps, now=self.now)

    def enrol(self, workshop: Workshop, name: str, **kept: int) -> Enrolled:
        return enrol(workshop.id, self.attendee(name, **kept), deps=self.deps, now=self.now)

    def confirm(self, workshop: Workshop, name: str) -> Enrolled:
        return confirm(workshop.id, self.attendee(name), deps=self.deps, now=self.now)

    def withdraw(self, workshop: Workshop, name: str) -> Enrolled:
        return withdraw(workshop.id, self.attendee(name), deps=self.deps, now=self.now)

    def cancel(self, workshop: Workshop) -> Workshop:
        return cancel_workshop(self.educator, workshop.id, deps=self.deps, now=self.now)

    def advance(self, workshop: Workshop) -> Workshop:
        return advance(workshop.id, deps=self.advancing, now=self.now)

    def time_passes(self, by: timedelta) -> None:
        """The clock goes on, and the schedule runs."""
        self.now += by
        advance_due(None, deps=self.advancing, clock=lambda: self.now)

    def enrolments(self, workshop: Workshop) -> dict[str, Enrolment]:
        page = self.store.enrolments(workshop, None, 100)
        return {each.user_id.removeprefix("usr_"): each for each in page.enrolments}

    def state(self, workshop: Workshop, name: str) -> EnrolmentState:
        return self.enrolments(workshop)[name].state

    def spendable(self, name: str) -> int:
        return self.worlds[name].wallet().available

    def earned(self) -> int:
        return next((each.remaining for each in self.home.wallet().grants if each.id == "earnings"), 0)

    def assert_sound(self, workshop: Workshop) -> None:
        """Asserts that counters, wait list and wallets agree with the enrolments, and that nothing waits to be done."""
        now, found = self.store.find(workshop.id), list(self.enrolments(workshop).values())
        with_place = [e for e in found if e.state in ("offered", "enrolled", "attended")]
        waiting = {e.id for e in found if e.state == "waiting"}
        assert (now.places_taken, now.waiting_count) == (len(with_place), len(waiting))
        assert now.places_taken <= now.capacity
        assert {place.enrolment_id for place in self.store.queue(now, 100)} == waiting
        offered = {e.id for e in found if e.state == "offered"}
        assert {place.enrolment_id for place in self.store.offers(now, 100)} == offered
        for world in (self.home, *self.worlds.values()):
            world.assert_sound()
            held = [e for e in found if e.payer_id == world.workspace_id and e.has_escrow]
            assert world.wallet().held == sum(e.price_credits for e in held)
        assert not self.store.outbox(now, 10)
