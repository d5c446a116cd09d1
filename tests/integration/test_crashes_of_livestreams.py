"""A process may die at any write and any call of the service while a livestream is announced, started, ended and
recorded: nothing is lost, and nothing is there twice.

Each run lets the process die before or after one of them; whoever asked asks again, and the schedule runs as ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.livestreams.model import LivestreamAccess, LivestreamStatus
from tests.conftest import Tables
from tests.integration.livestream_world import FILM, LivestreamWorld, livestream_world

WRITES = frozenset({"create", "change", "make_due"})
CALLS = frozenset({"create", "open", "close", "fetch"})
# More steps than the scenario has.
STEPS_MAX = 200


class ProcessDied(BaseException):
    """Nothing catches it, as nothing catches the end of a process."""


@dataclass
class Death:
    """At which step the process dies, counted from 1, and whether the step still happens. 0 = it lives."""

    number: int
    after: bool
    seen: int = 0

    def meet(self, step: Callable[[], Any]) -> Any:
        self.seen += 1
        if self.seen != self.number:
            return step()
        if self.after:
            step()
        raise ProcessDied


class Dying:
    """Something real, of which each of these methods may be the process's last."""

    def __init__(self, real: Any, names: frozenset[str], death: Death) -> None:
        self._real, self._names, self._death = real, names, death

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name not in self._names:
            return method
        return lambda *args, **kept: self._death.meet(lambda: method(*args, **kept))


def until_it_lives(step: Callable[[], Any]) -> Any:
    """A step, and the same request once more when the process died."""
    try:
        return step()
    except ProcessDied:
        return step()


def happens(world: LivestreamWorld, death: Death) -> None:
    """A livestream from its announcement to its recording, without webhooks."""
    store, service = Dying(world.store, WRITES, death), Dying(world.service, CALLS, death)
    bus, keep = Dying(world.bus, frozenset({"publish"}), death), world.advancing.keep
    world.advancing = replace(
        world.advancing,
        store=store,
        service=lambda: service,
        publisher=lambda: bus,
        keep=lambda *args: death.meet(lambda: keep and keep(*args)),
    )
    simulator = world.simulator
    livestream = until_it_lives(lambda: world.announce("key", LivestreamAccess.ENROLMENT))
    # The lease of a dead process ends.
    until_it_lives(lambda: world.time_passes(timedelta(minutes=3)))
    until_it_lives(lambda: world.time_passes(timedelta(minutes=3)))
    stream_id = world.found(livestream).stream_id or ""
    until_it_lives(lambda: world.start(livestream))
    asset = simulator.connect(stream_id)
    until_it_lives(world.time_passes)
    until_it_lives(lambda: world.end(livestream))
    simulator.finish(asset)
    until_it_lives(world.time_passes)
    for _ in range(2):
        until_it_lives(lambda: world.time_passes(timedelta(hours=2)))

    found = world.found(livestream)
    assert (found.status, found.due_at) == (LivestreamStatus.ENDED, None)
    assert list(simulator.streams) == [stream_id]
    assert simulator.streams[stream_id]["status"] == "disabled"
    assert world.recordings == dict.fromkeys(found.recording_asset_ids, FILM)
    assert len(found.recording_asset_ids) == 1
    assert world.changes(livestream) == ["scheduled", "started", "ended", "recorded"]
    people = [each.id for each in world.bus.events.values() if each.type == "livestream.open"]
    assert people == [f"{livestream.id}#usr_1", f"{livestream.id}#usr_2"]
    assert len(world.store.page(livestream.workspace_id, None, 10).livestreams) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_may_die_at_any_write_and_call(tables: Tables, after: bool) -> None:
    with livestream_world(tables) as first:
        living = Death(0, after)
        happens(first, living)
        assert 15 < living.seen < STEPS_MAX
        for number in range(1, living.seen + 1):
            first.simulator.reset()
            dying = Death(number, after)
            happens(LivestreamWorld(tables, first.simulator), dying)
            assert dying.seen >= number
