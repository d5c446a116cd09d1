"""A process may die at any write of an enrolment, a withdrawal, an offer, the start or a cancellation: nothing is lost.

Each run lets the process die before or after one write; whoever asked asks again, and the schedule runs as ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.events.event import Event
from atelier.workshops.model import EnrolmentState
from tests.conftest import Tables
from tests.integration.workshop_world import PublishedEvents, WorkshopWorld

State = EnrolmentState
WRITES = frozenset({"take_place", "join_queue", "change_enrolment", "change", "set_due", "published"})
# More writes than any scenario makes.
WRITES_MAX = 200


class ProcessDied(BaseException):
    """Nothing catches it, as nothing catches the end of a process."""


@dataclass
class Fate:
    """At which write the process dies, counted from 1, and whether the write still happens. 0 = it lives."""

    number: int
    after: bool
    seen: int = 0

    def meet(self, write: Callable[[], Any]) -> Any:
        self.seen += 1
        if self.seen != self.number:
            return write()
        if self.after:
            write()
        raise ProcessDied


class DyingStore:
    """The real store; a write may be the process's last."""

    def __init__(self, store: Any, fate: Fate) -> None:
        self._store, self._fate = store, fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in WRITES:
            return method
        return lambda *args, **kept: self._fate.meet(lambda: method(*args, **kept))


class DyingBus:
    """The list of events; a publication may be the process's last."""

    def __init__(self, bus: PublishedEvents, fate: Fate) -> None:
        self._bus, self._fate = bus, fate

    def publish(self, event: Event) -> None:
        self._fate.meet(lambda: self._bus.publish(event))


def until_it_lives(step: Callable[[], Any]) -> None:
    """A step, and the same request once more when the process died."""
    try:
        step()
    except ProcessDied:
        step()


def happens(tables: Tables, fate: Fate, *, is_cancelled: bool) -> WorkshopWorld:
    """Two people, one place: A enrols and withdraws late, B is offered the place and takes it; then the workshop
    starts, or is cancelled."""
    world = WorkshopWorld(tables)
    workshop = world.scheduled(capacity=1, price=31, starts_in=timedelta(hours=40))
    world.advancing = replace(
        world.advancing, store=DyingStore(world.store, fate), publisher=lambda: DyingBus(world.bus, fate)
    )
    world.deps = replace(world.deps, advancing=world.advancing)

    def starts() -> None:
        world.now = max(world.now, workshop.starts_at)
        world.time_passes(timedelta(0))

    steps: list[Callable[[], Any]] = [
        lambda: world.enrol(workshop, "A"),
        lambda: world.enrol(workshop, "B"),
        lambda: world.withdraw(workshop, "A"),
        lambda: world.time_passes(timedelta(0)),
        lambda: world.confirm(workshop, "B"),
        (lambda: world.cancel(workshop)) if is_cancelled else starts,
    ]
    for step in steps:
        until_it_lives(step)
    until_it_lives(lambda: world.time_passes(timedelta(0)))

    found = world.enrolments(workshop)
    paid_by_a = 15
    assert found["A"].state is State.WITHDRAWN
    assert found["A"].refunded_credits == 31 - paid_by_a
    assert found["B"].state is (State.CANCELLED if is_cancelled else State.ENROLLED)
    assert world.earned() == (paid_by_a if is_cancelled else paid_by_a + 31)
    told = [world.bus.types(found[name].id) for name in ("A", "B")]
    assert sorted(told[0]) == ["workshop.enrolled", "workshop.withdrawn"]
    expected = ["workshop.enrolled", "workshop.offered", "workshop.waiting"]
    assert sorted(told[1]) == sorted([*expected, "workshop.refunded"] if is_cancelled else expected)
    assert world.store.find(workshop.id).settled_at is not None
    world.assert_sound(workshop)
    return world


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["start", "cancellation"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_may_die_at_any_write(tables: Tables, is_cancelled: bool, after: bool) -> None:
    living = Fate(0, after)
    happens(tables, living, is_cancelled=is_cancelled)
    assert 15 < living.seen < WRITES_MAX
    for number in range(1, living.seen + 1):
        dying = Fate(number, after)
        happens(tables, dying, is_cancelled=is_cancelled)
        assert dying.seen >= number
