"""Enrolments on the embedded DynamoDB: places, the wait list, fees; exact whoever comes at the same time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.billing.adjustments import DynamoWalletFreezer
from atelier.clock import rfc3339
from atelier.errors import Conflict, Forbidden, InsufficientCredits, NotFound, Unavailable
from atelier.events.event import Event
from atelier.events.workshop_events import EnrolmentChange
from atelier.ledger.model import GrantSource, WalletFrozen
from atelier.ledger.post import grant, revoke
from atelier.workshops.enrol import Attendee, confirm, enrol
from atelier.workshops.manage import WorkshopFields, change_workshop
from atelier.workshops.model import EnrolmentState, Workshop, WorkshopStatus
from tests.conftest import Tables
from tests.integration.workshop_world import WorkshopWorld
from tests.integration.world import run_concurrently

State = EnrolmentState
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def world(tables: Tables) -> WorkshopWorld:
    return WorkshopWorld(tables)


def test_of_fifty_at_once_ten_are_enrolled_and_forty_wait_in_order(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=10, price=5)
    names = [f"P{number:02}" for number in range(50)]
    for name in names:
        world.attendee(name)
    done = run_concurrently(50, lambda number: world.enrol(workshop, names[number]))
    assert not [each for each in done if isinstance(each, Exception)]
    world.advance(workshop)
    found = world.enrolments(workshop)
    assert sum(each.state is State.ENROLLED for each in found.values()) == 10
    waiting = [each for each in found.values() if each.state is State.WAITING]
    assert len(waiting) == 40
    queue = world.store.queue(workshop, 100)
    assert [place.enrolment_id for place in queue] == sorted(each.id for each in waiting)
    assert sum(each.wallet().held for each in world.worlds.values()) == 50
    world.assert_sound(workshop)


def test_a_free_place_is_offered_to_the_first_who_waits_then_to_the_next(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=1, price=10)
    for name in ("A", "B", "C"):
        world.enrol(workshop, name)
        world.now += timedelta(seconds=1)
    world.withdraw(workshop, "A")
    assert world.state(workshop, "B") is State.OFFERED
    assert world.state(workshop, "C") is State.WAITING
    world.time_passes(timedelta(hours=23, minutes=59))
    assert world.state(workshop, "B") is State.OFFERED
    world.time_passes(timedelta(minutes=1))
    assert world.state(workshop, "B") is State.LAPSED
    assert world.state(workshop, "C") is State.OFFERED
    with pytest.raises(Conflict):
        world.confirm(workshop, "B")
    assert world.spendable("C") == 150
    assert world.confirm(workshop, "C").enrolment.state is State.ENROLLED
    assert world.confirm(workshop, "C").replayed
    assert world.spendable("C") == 140
    world.assert_sound(workshop)


def test_the_fee_is_held_and_paid_to_the_educator_at_the_start(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=2, price=30)
    world.enrol(workshop, "A")
    assert world.worlds["A"].wallet().held == 30
    world.time_passes(7 * DAY - HOUR)
    assert world.earned() == 0
    world.time_passes(HOUR)
    assert world.earned() == 30
    assert world.worlds["A"].wallet().held == 0
    with pytest.raises(Conflict):
        world.withdraw(workshop, "A")
    with pytest.raises(Conflict):
        world.enrol(workshop, "B")
    world.advance(workshop)
    assert world.earned() == 30
    world.assert_sound(workshop)


def test_no_educator_is_paid_by_who_had_their_own_payment_back(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=3, price=30)
    for name in ("A", "B", "C"):
        world.enrol(workshop, name)
    for name in ("A", "B"):
        owner = world.worlds[name]
        key = f"grant#{owner.workspace_id}"
        revoke(owner.workspace_id, f"revoke#{name}", key, 100, reason="refund", deps=owner.post_deps, now=world.now)
        assert (owner.wallet().debt, owner.wallet().held) == (30, 30)
    world.now = workshop.starts_at - HOUR
    assert world.withdraw(workshop, "A").enrolment.refunded_credits == 30
    world.time_passes(HOUR)
    assert world.earned() == 30
    refunded = {name: each.refunded_credits for name, each in world.enrolments(workshop).items()}
    assert refunded == {"A": 30, "B": 30, "C": 0}
    assert [world.worlds[name].wallet().held for name in ("A", "B", "C")] == [0, 0, 0]
    world.assert_sound(workshop)


def test_no_educator_is_paid_by_a_frozen_wallet(world: WorkshopWorld) -> None:
    workshop = world.scheduled(price=30)
    for name in ("A", "B"):
        world.enrol(workshop, name)
    DynamoWalletFreezer().freeze(world.worlds["A"].workspace_id, world.now, events=())
    world.now = workshop.starts_at
    world.advance(workshop)
    refunded = {name: each.refunded_credits for name, each in world.enrolments(workshop).items()}
    assert (world.earned(), refunded) == (30, {"A": 30, "B": 0})
    world.assert_sound(workshop)


def test_credits_are_not_kept_alive_by_cancelled_workshops(world: WorkshopWorld) -> None:
    attendee = world.attendee("A", credits=0)
    wallets, now = world.advancing.wallets, world.now
    grant(attendee.payer_id, "grant#m", GrantSource.MONTHLY, 80, expires_at=now + DAY, deps=wallets, now=now)
    left: list[timedelta] = []
    for _ in range(2):
        workshop = world.scheduled(price=80, starts_in=100 * DAY)
        world.enrol(workshop, "A")
        world.now += 95 * DAY
        world.cancel(workshop)
        grants = world.worlds["A"].wallet().grants
        [refunded] = [each for each in grants if each.source is GrantSource.REFUND and each.remaining]
        assert refunded.expires_at is not None
        left.append(refunded.expires_at - world.now)
        world.now += 29 * DAY
    # The first one they have not chosen. Whatever is left of it then is all that they can have back again.
    assert left == [30 * DAY, DAY]


@pytest.mark.parametrize(("before_start", "back"), [(49, 31), (48, 16), (25, 16), (24, 0), (1, 0)], ids=str)
def test_who_withdraws_gets_back_what_the_rules_say(world: WorkshopWorld, before_start: int, back: int) -> None:
    workshop = world.scheduled(price=31)
    world.enrol(workshop, "A")
    world.now = workshop.starts_at - before_start * HOUR
    before = world.worlds["A"].wallet().available
    withdrawn = world.withdraw(workshop, "A").enrolment
    assert withdrawn.refunded_credits == back
    assert world.worlds["A"].wallet().available - before == back
    assert world.earned() == 31 - back
    assert world.withdraw(workshop, "A").replayed
    assert world.earned() == 31 - back
    world.assert_sound(workshop)


def test_whoever_did_not_agree_to_a_new_start_gets_everything_back(world: WorkshopWorld) -> None:
    workshop = world.scheduled(price=31)
    world.enrol(workshop, "A")
    change_workshop(
        world.educator,
        workshop.id,
        lambda before: world.fields(price=31, starts_in=5 * HOUR),
        deps=world.deps,
        now=world.now,
    )
    assert world.withdraw(workshop, "A").enrolment.refunded_credits == 31
    world.assert_sound(workshop)


def test_a_cancellation_by_the_educator_gives_everything_back(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=2, price=60)
    for name in ("A", "B", "C"):
        world.enrol(workshop, name)
    world.now = workshop.starts_at - HOUR
    assert world.cancel(workshop).status is WorkshopStatus.CANCELLED
    assert {each.state for each in world.enrolments(workshop).values()} == {State.CANCELLED}
    # All that they had, with the daily credits, which pay no educator.
    assert [world.spendable(name) for name in ("A", "B", "C")] == [150, 150, 150]
    assert world.earned() == 0
    assert world.cancel(workshop).status is WorkshopStatus.CANCELLED
    world.assert_sound(workshop)


def test_a_person_is_enrolled_once_and_pays_once(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=5, price=20)
    world.attendee("A")
    done = run_concurrently(8, lambda number: world.enrol(workshop, "A"))
    assert not [each for each in done if isinstance(each, Exception)]
    assert world.worlds["A"].wallet().held == 20
    assert world.store.find(workshop.id).places_taken == 1
    assert world.enrol(workshop, "A").replayed
    world.advance(workshop)
    world.assert_sound(workshop)


def test_who_cannot_pay_gets_no_place(world: WorkshopWorld) -> None:
    workshop = world.scheduled(price=51)
    with pytest.raises(InsufficientCredits):
        world.enrol(workshop, "A", credits=0)
    assert not world.enrolments(workshop)
    assert world.store.find(workshop.id).places_taken == 0


def test_a_price_that_changes_between_the_page_and_the_click_is_not_paid(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=1, price=10)
    seen = replace(world.attendee("A"), seen_price=10)
    move(world, workshop, replace(world.fields(capacity=1, price=90), starts_at=workshop.starts_at))
    with pytest.raises(Conflict, match="it is 90 credits") as refused:
        enrol(workshop.id, seen, deps=world.deps, now=world.now)
    assert refused.value.facts == {"price_credits": 90, "reason": "price"}
    assert world.worlds["A"].wallet().held == 0
    enrol(workshop.id, replace(seen, seen_price=90), deps=world.deps, now=world.now)
    # Repeated with what was seen before, the enrolment that there is stays.
    assert enrol(workshop.id, seen, deps=world.deps, now=world.now).replayed
    world.enrol(workshop, "B")
    world.withdraw(workshop, "A")
    with pytest.raises(Conflict, match="it is 90 credits"):
        confirm(workshop.id, replace(world.attendee("B"), seen_price=10), deps=world.deps, now=world.now)
    assert confirm(workshop.id, replace(world.attendee("B"), seen_price=90), deps=world.deps, now=world.now)
    world.assert_sound(workshop)


@pytest.mark.parametrize("frozen", ["payer", "educator"])
def test_a_frozen_wallet_takes_no_place_and_stops_no_settlement(world: WorkshopWorld, frozen: str) -> None:
    workshop = world.scheduled(capacity=3, price=10)
    world.enrol(workshop, "A")
    world.enrol(workshop, "B")
    freeze = DynamoWalletFreezer().freeze
    freeze((world.worlds["A"] if frozen == "payer" else world.home).workspace_id, world.now, events=())
    if frozen == "payer":
        other = world.scheduled(capacity=3, price=10)
        with pytest.raises(WalletFrozen):
            world.enrol(other, "A")
    world.withdraw(workshop, "B")
    world.time_passes(8 * DAY)
    assert world.earned() == (0 if frozen == "payer" else 10)
    assert world.store.find(workshop.id).settled_at is not None
    world.assert_sound(workshop)


def test_who_must_not_spend_and_the_educator_do_not_enrol(world: WorkshopWorld) -> None:
    workshop = world.scheduled(price=1)
    with pytest.raises(Forbidden):
        enrol(workshop.id, replace(world.attendee("A"), may_spend=False), deps=world.deps, now=world.now)
    own = Attendee("usr_E", world.attendee("B").payer_id, may_spend=True)
    with pytest.raises(Conflict):
        enrol(workshop.id, own, deps=world.deps, now=world.now)
    with pytest.raises(NotFound):
        world.withdraw(workshop, "C")


def reminders(world: WorkshopWorld) -> list[tuple[str, int]]:
    """The reminders that were published: the start that each was for, and its hours."""
    return [
        (event.starts_at, event.hours)
        for event in world.bus.events.values()
        if isinstance(event, EnrolmentChange) and event.change == "reminder"
    ]


def test_attendees_are_reminded_at_a_day_and_an_hour_before_the_start_once_each(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=1)
    world.enrol(workshop, "A")
    world.enrol(workshop, "B")
    start = rfc3339(workshop.starts_at)
    world.time_passes(6 * DAY - timedelta(minutes=1))
    assert reminders(world) == []
    world.time_passes(timedelta(minutes=1))
    world.time_passes(timedelta(minutes=1))
    assert reminders(world) == [(start, 24)]
    world.time_passes(22 * HOUR + timedelta(minutes=59))
    world.time_passes(timedelta(minutes=30))
    assert reminders(world) == [(start, 24), (start, 1)]
    world.time_passes(DAY)
    assert len(reminders(world)) == 2
    world.assert_sound(workshop)


def test_a_moved_start_moves_the_reminders_and_a_cancellation_ends_them(world: WorkshopWorld) -> None:
    workshop = world.scheduled()
    world.enrol(workshop, "A")
    world.time_passes(6 * DAY + HOUR)
    moved = change_workshop(
        world.educator, workshop.id, lambda before: world.fields(starts_in=3 * DAY), deps=world.deps, now=world.now
    )
    assert (moved.sequence, moved.due_at) == (workshop.sequence + 1, moved.starts_at - DAY)
    world.time_passes(2 * DAY)
    assert reminders(world) == [(rfc3339(workshop.starts_at), 24), (rfc3339(moved.starts_at), 24)]
    cancelled = world.cancel(moved)
    assert (cancelled.due_at, cancelled.sequence) == (None, moved.sequence + 1)
    world.time_passes(3 * DAY)
    assert len(reminders(world)) == 2


def told_of_moves(world: WorkshopWorld) -> list[tuple[str, str]]:
    """Who was told of other times: the person, and the start that was told."""
    events = [each for each in world.bus.events.values() if isinstance(each, EnrolmentChange)]
    return sorted((each.user_id[4:], each.starts_at) for each in events if each.change == "moved")


def move(world: WorkshopWorld, workshop: Workshop, fields: WorkshopFields) -> Workshop:
    world.now += timedelta(seconds=1)
    return change_workshop(world.educator, workshop.id, lambda _: fields, deps=world.deps, now=world.now)


def test_everybody_is_told_of_other_times_once_for_each_move(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=2)
    for name in ("A", "B", "C", "D"):
        world.enrol(workshop, name)
    world.withdraw(workshop, "A")
    later = replace(world.fields(starts_in=9 * DAY), capacity=2)
    moved = move(world, workshop, later)
    world.time_passes(HOUR)
    everybody = [(name, rfc3339(moved.starts_at)) for name in ("B", "C", "D")]
    assert told_of_moves(world) == everybody
    # Who comes later knows it; other changes move nothing; and back is another move.
    world.enrol(workshop, "F")
    move(world, workshop, replace(later, title="Shadow"))
    assert told_of_moves(world) == everybody
    back = move(world, workshop, replace(later, starts_at=workshop.starts_at, ends_at=workshop.ends_at))
    world.time_passes(HOUR)
    again = [(name, rfc3339(back.starts_at)) for name in ("B", "C", "D", "F")]
    assert told_of_moves(world) == sorted([*everybody, *again])
    assert world.store.find(workshop.id).moved_at is None
    world.assert_sound(workshop)


def test_a_second_move_while_people_are_told_of_the_first_is_told_too(world: WorkshopWorld) -> None:
    workshop = world.scheduled(starts_in=2 * DAY)
    world.enrol(workshop, "A")
    first, second = (replace(world.fields(starts_in=hours * HOUR), capacity=2) for hours in (20, 23))
    real, bus = world.deps, world.bus

    class Refuses:
        def publish(self, event: Event) -> None:
            raise Unavailable("no bus")

    class MovesMeanwhile:
        """The bus; while it takes the first event of a move, the educator moves the workshop once more, and whoever
        serves that request cannot tell it."""

        def publish(self, event: Event) -> None:
            bus.publish(event)
            if event.type == "workshop.moved" and world.store.find(workshop.id).starts_at == first.starts_at:
                refusing = replace(real, advancing=replace(real.advancing, publisher=Refuses))
                at = world.now + timedelta(minutes=1)
                change_workshop(world.educator, workshop.id, lambda _: second, deps=refusing, now=at)

    world.deps = replace(real, advancing=replace(real.advancing, publisher=MovesMeanwhile))
    move(world, workshop, first)
    world.time_passes(timedelta(minutes=2))
    starts = sorted(rfc3339(each.starts_at) for each in (first, second))
    assert [start for _, start in told_of_moves(world)] == starts
    assert (rfc3339(second.starts_at), 24) in reminders(world)
    assert world.store.find(workshop.id).moved_at is None


def test_who_waits_at_the_start_has_no_place_any_more(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=1, price=10)
    for name in ("A", "B", "C"):
        world.enrol(workshop, name)
        world.now += timedelta(seconds=1)
    world.now = workshop.starts_at - HOUR
    world.withdraw(workshop, "A")
    assert world.enrolments(workshop)["B"].offer_ends_at == workshop.starts_at
    world.time_passes(HOUR)
    assert [world.state(workshop, name) for name in ("B", "C")] == [State.LAPSED, State.LAPSED]
    assert world.earned() == 10
    world.assert_sound(workshop)


def test_a_bigger_room_is_offered_to_those_who_wait(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=1)
    for name in ("A", "B", "C", "D"):
        world.enrol(workshop, name)
        world.now += timedelta(seconds=1)
    fields = replace(world.fields(), starts_at=workshop.starts_at, ends_at=workshop.ends_at, capacity=3)
    change_workshop(world.educator, workshop.id, lambda before: fields, deps=world.deps, now=world.now)
    assert [world.state(workshop, name) for name in ("B", "C", "D")] == [State.OFFERED, State.OFFERED, State.WAITING]
    world.assert_sound(workshop)


def test_two_people_who_confirm_and_an_educator_who_cancels_at_once_agree(world: WorkshopWorld) -> None:
    workshop = world.scheduled(capacity=2, price=10)
    names = ("A", "B", "C", "D")
    for name in names:
        world.attendee(name)
    calls = [lambda name=name: world.enrol(workshop, name) for name in names]
    run_concurrently(5, lambda number: calls[number]() if number < 4 else world.cancel(workshop))
    world.advance(workshop)
    assert world.store.find(workshop.id).status is WorkshopStatus.CANCELLED
    assert sum(each.wallet().held for each in world.worlds.values()) == 0
    assert world.earned() == 0
    world.assert_sound(workshop)
