"""The origins of an asset, without AWS: their order, and the bounds of the search."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

from atelier.library.lineage import ORIGINS_MAX, STEPS_MAX, read_origins
from atelier.library.model import Asset

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def asset(asset_id: str, *made_from: str) -> Asset:
    return Asset(asset_id, "wsp_1", "usr_1", "image", "x", "png", "5a", 1, 1, 1, None, NOW, made_from=made_from)


class FakeAssets:
    """Assets in memory; counts the reads."""

    def __init__(self, *stored: Asset) -> None:
        self.stored = {each.id: each for each in stored}
        self.reads = 0

    def find_with_deleted(self, workspace_id: str, asset_ids: Iterable[str]) -> tuple[Asset, ...]:
        self.reads += 1
        # In any order.
        return tuple(self.stored[each] for each in reversed(list(asset_ids)) if each in self.stored)


def origins(of: Asset, *stored: Asset) -> tuple[list[str], bool, int]:
    """The ids of the origins, whether they are complete, and the number of reads."""
    assets = FakeAssets(*stored)
    found = read_origins(of, assets=cast("Any", assets))
    return [each.id for each in found.assets], found.is_complete, assets.reads


def test_origins_are_listed_once_the_nearest_first() -> None:
    stored = [asset("a"), asset("b", "a"), asset("c", "a", "b"), asset("d", "b", "c", "gone")]
    assert origins(stored[-1], *stored) == (["b", "c", "a"], True, 2)
    assert origins(stored[0], *stored) == ([], True, 0)


def test_a_long_history_is_cut_off_and_says_so() -> None:
    chain = [asset("s0")] + [asset(f"s{number}", f"s{number - 1}") for number in range(1, STEPS_MAX + 2)]
    expected = [f"s{number}" for number in range(STEPS_MAX, 0, -1)]
    assert origins(chain[-1], *chain) == (expected, False, STEPS_MAX)
    assert origins(chain[-2], *chain[:-1])[:2] == ([*expected[1:], "s0"], True)


def test_a_wide_history_is_cut_off_and_says_so() -> None:
    wide = [asset(f"w{number:03}") for number in range(ORIGINS_MAX + 1)]
    names = [each.id for each in wide]
    assert origins(asset("x", *names), *wide) == (names[:ORIGINS_MAX], False, 1)
    assert origins(asset("x", *names[1:]), *wide) == (names[1:], True, 1)
