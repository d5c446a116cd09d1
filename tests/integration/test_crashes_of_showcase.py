"""A process may die at any write of a publication, a purchase, a collection, a refund or a visit of the schedule:
nothing is lost, and nothing is paid twice.

Each run lets the process die before or after one write; whoever asked asks again, and the schedule runs as ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.showcase.advance import ShowcaseAdvanceDeps, advance_showcase
from atelier.showcase.publish import publish, remove
from tests.conftest import Tables
from tests.integration.showcase_world import ShowcaseWorld, fields_of
from tests.integration.test_crashes_of_workshops import DyingBus, Fate, until_it_lives

WRITES = frozenset(
    {
        *("create", "change", "buy", "refund", "put_off", "like"),
        *("copy_file", "record_asset", "save_rank", "settle", "published"),
    }
)
# More writes than the scenario makes.
WRITES_MAX = 100


class DyingPart:
    """A real store, or the library; a write may be the process's last."""

    def __init__(self, part: Any, fate: Fate) -> None:
        self._part, self._fate = part, fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        if name not in WRITES:
            return method
        return lambda *args, **kept: self._fate.meet(lambda: method(*args, **kept))


def happens(tables: Tables, fate: Fate) -> None:
    """Ada publishes; Bob buys and collects; Cem buys and has it refunded; Eve buys and waits; Dee likes it; Ada removes
    it."""
    world = ShowcaseWorld(tables)
    works, real = world.deps.works(), world.deps
    ranks = world.advance_deps.store
    world.deps = replace(
        real,
        listings=DyingPart(real.listings, fate),
        purchases=DyingPart(real.purchases, fate),
        reactions=DyingPart(real.reactions, fate),
        works=lambda: DyingPart(works, fate),
    )
    deps = ShowcaseAdvanceDeps(DyingPart(ranks, fate), lambda: DyingBus(world.bus, fate), world.deps.payments)

    def runs() -> None:
        advance_showcase(None, deps=deps, clock=lambda: world.now)

    asset = world.asset("Ada")
    for name in ("Bob", "Cem", "Dee", "Eve"):
        world.buyer(name)
    creator, kept = world.creator("Ada"), list[Any]()

    def publishes() -> None:
        made, _ = publish(creator, fields_of(asset.id, 100), "key", deps=world.deps, now=world.now)
        kept[:] = [made]

    steps: list[Callable[[], Any]] = [
        publishes,
        lambda: world.approve(kept[0]),
        lambda: world.buy(kept[0], "Bob", key="b"),
        lambda: world.collect(kept[0], "Bob"),
        lambda: world.buy(kept[0], "Cem", key="c"),
        lambda: world.refund(kept[0], "Cem"),
        lambda: world.buy(kept[0], "Eve", key="e"),
        lambda: world.deps.reactions.like(kept[0].id, "usr_Dee", world.now),
        runs,
        lambda: remove(creator, kept[0].id, deps=world.deps, now=world.now),
        runs,
    ]
    for step in steps:
        until_it_lives(step)
    world.time_passes(timedelta(hours=24))
    until_it_lives(runs)
    until_it_lives(runs)

    listing = real.listings.find(kept[0].id)
    assert (listing.status.value, listing.sales, listing.likes) == ("removed", 2, 1)
    assert [world.bought_left(name) for name in ("Bob", "Cem", "Eve")] == [900, 1000, 900]
    assert [world.held(name) for name in ("Bob", "Cem", "Eve")] == [0, 0, 0]
    assert (world.earned("Ada"), world.total("Ada"), world.waiting("Ada")) == (180, (270, 90, 2), 0)
    bobs = world.assets.list(world.buyer("Bob").workspace_id, None, None, 10).assets
    assert [each.listing_id for each in bobs] == [listing.id]
    assert world.assets.count_bytes(bobs[0].workspace_id) == 1000
    assert (bobs[0].workspace_id, asset.sha256) in world.files.there
    told = [each.type for each in world.bus.events.values() if getattr(each, "listing_id", "") == listing.id]
    expected = ["approved", "refunded", "removed", "sold", "sold", "sold", "submitted"]
    assert sorted(told) == [f"listing.{each}" for each in expected]
    assert not ranks.outbox(listing.id)
    assert listing.id not in [each.listing_id for each in ranks.due(world.now, 50)]
    world.assert_sound()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_may_die_at_any_write(tables: Tables, after: bool) -> None:
    living = Fate(0, after)
    happens(tables, living)
    assert 15 < living.seen < WRITES_MAX
    for number in range(1, living.seen + 1):
        dying = Fate(number, after)
        happens(tables, dying)
        assert dying.seen >= number
