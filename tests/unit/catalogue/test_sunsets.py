"""The daily check of shutdown dates: what providers publish, when notices are sent, and a missing response."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise

import pytest

from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.ports import Sunsets
from atelier.catalogue.sunsets import Notice, refresh_sunsets
from atelier.provider_port import ListedModel
from infra.simulators.all import PROVIDERS
from tests.integration.world import ScriptedProvider
from tests.invoke import ROOT

OPENAI = catalogue(frozenset({"openai"}))
CHRISTMAS = date(2026, 12, 24)


class Memory:
    """A SunsetStore; `writes` counts its writes."""

    def __init__(self) -> None:
        self.known: dict[str, Sunsets] = {}
        self.writes = 0

    def read(self) -> dict[str, Sunsets]:
        return dict(self.known)

    def write(self, provider: str, sunsets: Sunsets) -> None:
        self.writes += 1
        self.known[provider] = sunsets


class Listing(ScriptedProvider):
    """A provider with a list of models; `silent`: without a response."""

    def __init__(self, *listed: ListedModel, silent: bool = False) -> None:
        super().__init__()
        self._listed = None if silent else listed

    def models(self) -> tuple[ListedModel, ...] | None:
        return self._listed


@pytest.fixture
def store() -> Memory:
    return Memory()


def look(store: Memory, today: date, *listed: ListedModel, silent: bool = False) -> tuple[Notice, ...]:
    return refresh_sunsets(OPENAI, {"openai": Listing(*listed, silent=silent)}, store, today).notices


def of(notices: tuple[Notice, ...], model: str) -> list[int]:
    return [notice.days_left for notice in notices if notice.model == model]


def test_a_published_shutdown_date_is_stored_by_our_model_id(store: Memory) -> None:
    look(
        store,
        date(2026, 9, 1),
        ListedModel("gpt-5.5", CHRISTMAS),
        ListedModel("omni-moderation-latest", CHRISTMAS),
        ListedModel("gpt-5.4", None),
        ListedModel("whisper-1", CHRISTMAS),
    )
    assert store.known["openai"].dates == {"openai/gpt-5.5": CHRISTMAS, "openai/omni-moderation": CHRISTMAS}


def test_a_shutdown_is_noticed_60_30_and_7_days_before_and_on_its_day(store: Memory) -> None:
    days = [CHRISTMAS - timedelta(days=left) for left in range(90, -5, -1)]
    notices = {day: of(look(store, day, ListedModel("gpt-5.5", CHRISTMAS)), "openai/gpt-5.5") for day in days}
    assert [left for day in days for left in notices[day]] == [60, 30, 7, 0]
    assert all(notices[CHRISTMAS - timedelta(days=left)] == [left] for left in (60, 30, 7, 0))


def test_a_missed_notice_is_sent_later_and_none_is_sent_twice(store: Memory) -> None:
    listed = ListedModel("gpt-5.5", CHRISTMAS)
    assert of(look(store, CHRISTMAS - timedelta(days=28), listed), "openai/gpt-5.5") == [28]
    assert of(look(store, CHRISTMAS - timedelta(days=28), listed), "openai/gpt-5.5") == []
    assert of(look(store, CHRISTMAS - timedelta(days=3), listed), "openai/gpt-5.5") == [3]
    assert of(look(store, CHRISTMAS + timedelta(days=9), listed), "openai/gpt-5.5") == [0]


def test_a_catalogue_shutdown_date_is_noticed_with_the_successor(store: Memory) -> None:
    notices = look(store, date(2026, 12, 4), silent=True)
    assert Notice("openai/gpt-5", "openai", date(2026, 12, 11), 7, "openai/gpt-5.5") in notices


def test_a_postponed_shutdown_is_noticed_again(store: Memory) -> None:
    near, far = ListedModel("gpt-5.5", CHRISTMAS), ListedModel("gpt-5.5", CHRISTMAS + timedelta(days=365))
    today = CHRISTMAS - timedelta(days=7)
    assert of(look(store, today, near), "openai/gpt-5.5") == [7]
    assert of(look(store, today, far), "openai/gpt-5.5") == []
    assert of(look(store, today + timedelta(days=365), far), "openai/gpt-5.5") == [7]


def test_an_unreachable_provider_changes_no_shutdown_date(store: Memory) -> None:
    look(store, date(2026, 9, 1), ListedModel("gpt-5.5", CHRISTMAS))
    before = dict(store.known)
    assert look(store, date(2026, 9, 2), silent=True) == ()
    assert refresh_sunsets(OPENAI, {}, store, date(2026, 9, 2)).lists == 0
    assert store.known == before


def test_a_withdrawn_shutdown_date_is_removed(store: Memory) -> None:
    look(store, date(2026, 9, 1), ListedModel("gpt-5.5", CHRISTMAS))
    look(store, date(2026, 9, 2), ListedModel("gpt-5.5", None))
    assert store.known["openai"].dates == {}


def test_unchanged_shutdown_dates_are_not_written_again(store: Memory) -> None:
    today = date(2026, 9, 1)
    for _day in range(5):
        look(store, today, ListedModel("gpt-5.5", CHRISTMAS))
    assert store.writes == 1


def test_a_model_is_not_routed_from_its_published_shutdown_date(store: Memory) -> None:
    look(store, date(2026, 9, 1), ListedModel("gpt-5.5", CHRISTMAS))
    routed = OPENAI.with_sunsets(store.known["openai"].dates)
    days = [CHRISTMAS + timedelta(days=day) for day in range(-2, 3)]
    open_on = {day: "openai/gpt-5.5" in [model.id for model in routed.models_for("text", day)] for day in days}
    assert [day for day in days if open_on[day]] == days[:2]
    assert all(not open_on[later] or open_on[earlier] for earlier, later in pairwise(days))


def test_nothing_on_the_machines_clock_names_a_model_that_will_be_shut_down() -> None:
    """Or it fails on that day. These tests use the whole stack or the simulators, whose clock is the machine's."""
    everything = catalogue(frozenset(PROVIDERS))
    going = [model.id for model in everything.data.models if model.sunset_at is not None]
    assert going
    folders = ("tests/local", "tests/functions", "tests/judges", "tests/bench", "infra")
    programs = [path for each in folders for kind in ("*.py", "*.mjs") for path in (ROOT / each).rglob(kind)]
    files = [path for path in programs if "node_modules" not in path.parts]
    assert len(files) > 100
    named = re.compile(rf"(?:{'|'.join(map(re.escape, going))})(?![\w.-])")
    assert {path.name: found for path in files if (found := named.findall(path.read_text()))} == {}
