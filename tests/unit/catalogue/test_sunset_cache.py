"""The cache of published shutdown dates: how long it keeps them, and what a failing store changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from atelier.catalogue.catalogue import Catalogue, catalogue
from atelier.catalogue.ports import Sunsets
from atelier.catalogue.sunset_cache import CACHED_FOR, SunsetCache

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL, DAY, LATER_DAY = "openai/gpt-image-2", date(2026, 4, 1), date(2026, 5, 1)
REMOTE = catalogue(frozenset({"local", "openai"}))


class Store:
    """The stored dates. While `fails` is set, it cannot be read. `reads` counts the attempts."""

    def __init__(self) -> None:
        self.day = DAY
        self.fails = False
        self.reads = 0

    def read(self) -> Mapping[str, Sunsets]:
        self.reads += 1
        if self.fails:
            raise ConnectionError
        return {"openai": Sunsets({MODEL: self.day}), "local": Sunsets()}


def sunset_at(known: Catalogue) -> date | None:
    return known.sunset_at(known.model(MODEL))


def test_the_published_dates_are_read_again_after_15_minutes() -> None:
    store = Store()
    cache = SunsetCache(store.read)
    assert sunset_at(cache.apply(REMOTE, NOW)) == DAY
    store.day = LATER_DAY
    assert sunset_at(cache.apply(REMOTE, NOW + CACHED_FOR - timedelta(seconds=1))) == DAY
    assert sunset_at(cache.apply(REMOTE, NOW + CACHED_FOR)) == LATER_DAY
    assert (store.reads, timedelta(minutes=15)) == (2, CACHED_FOR)


def test_a_failed_read_keeps_the_dates_and_is_not_repeated_at_once() -> None:
    store = Store()
    cache = SunsetCache(store.read)
    cache.apply(REMOTE, NOW)
    store.fails = True
    for seconds in (0, 1, 2):
        assert sunset_at(cache.apply(REMOTE, NOW + CACHED_FOR + timedelta(seconds=seconds))) == DAY
    assert store.reads == 2


def test_a_store_that_was_never_read_leaves_the_catalogues_own_dates() -> None:
    store = Store()
    store.fails = True
    assert sunset_at(SunsetCache(store.read).apply(REMOTE, NOW)) == sunset_at(REMOTE)


def test_the_embedded_provider_alone_reads_no_dates() -> None:
    store = Store()
    local = catalogue(frozenset({"local"}))
    assert SunsetCache(store.read).apply(local, NOW) is local
    assert store.reads == 0
