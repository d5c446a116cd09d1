"""The price list: versions of tiers and packs, what is on sale, and the entries that it refuses."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from atelier.catalogue.catalogue import FOLDER, Catalogue, catalogue, load
from atelier.catalogue.currencies import format_money

LOCAL = frozenset({"local"})
NEVER_SOLD = {"price_month": 0, "price_year": 0}


@pytest.fixture
def shipped() -> Catalogue:
    return catalogue(LOCAL)


def edited(folder: Path, section: str, name: str, versions: dict[Any, dict[str, Any]]) -> Path:
    """A copy of the catalogue in which one tier or pack has these versions; each is a change of the shipped one."""
    for source in FOLDER.glob("*.yaml"):
        text = source.read_text()
        if source.name == "tiers.yaml":
            document = yaml.safe_load(text)
            entries = document[section]
            shipped = entries[name][1]
            entries[name] = {version: shipped | change for version, change in versions.items()}
            text = yaml.safe_dump(document, sort_keys=False)
        (folder / source.name).write_text(text)
    return folder


def test_the_free_tier_keeps_its_daily_credits_limits_and_watermark(shipped: Catalogue) -> None:
    free = shipped.tier("free")
    assert (free.id, free.name, free.version) == ("free@1", "free", 1)
    assert (free.daily_credits, free.daily_reset, free.watermark) == (50, "midnight", True)
    assert (free.kinds, free.models, free.generations_open_max) == ("all", "all", 25)
    assert free.prices == ()
    assert free.price("month") is None


def test_the_tiers_on_sale_are_in_rank_order_from_free_upwards(shipped: Catalogue) -> None:
    assert shipped.tiers_on_sale() == ("free@1", "starter@1", "pro@1", "studio@1")
    assert [shipped.rank(tier_id) for tier_id in shipped.tiers_on_sale()] == [0, 1, 2, 3]
    assert shipped.rank("pro") == shipped.rank("pro@1")


def test_a_higher_tier_costs_more_and_gives_no_less(shipped: Catalogue) -> None:
    tiers = [shipped.tier(tier_id) for tier_id in shipped.tiers_on_sale()]
    for lower, higher in pairwise(tiers):
        assert higher.price_month > lower.price_month
        assert higher.price_year > lower.price_year
        for limit in ("daily_credits", "monthly_credits", "generations_open_max", "projects_max", "storage_bytes_max"):
            assert getattr(higher, limit) >= getattr(lower, limit)
        assert higher.members_max > lower.members_max
        assert higher.api_calls_max > lower.api_calls_max
        assert 12 * higher.price_month > higher.price_year


def test_a_tier_says_its_price_for_each_interval(shipped: Catalogue) -> None:
    pro = shipped.tier("pro@1")
    assert pro.prices == (
        {"interval": "month", "currency": "usd", "amount_minor": 2900},
        {"interval": "year", "currency": "usd", "amount_minor": 29000},
    )
    assert (pro.price("month"), pro.price("year")) == (2900, 29000)


def test_a_larger_pack_is_cheaper_per_credit_and_none_expires(shipped: Catalogue) -> None:
    packs = [shipped.pack(pack_id) for pack_id in shipped.packs_on_sale()]
    assert [pack.id for pack in packs] == ["small@1", "medium@1", "large@1"]
    rates = [pack.price / pack.credits for pack in packs]
    assert rates == sorted(rates, reverse=True)
    assert all(pack.expires_after_days is None for pack in packs)
    assert (packs[0].name, packs[0].version) == ("small", 1)


def test_a_name_alone_is_the_newest_version_and_an_id_stays_what_it_was(tmp_path: Path) -> None:
    edited(tmp_path, "tiers", "pro", {1: {}, 2: {"price_month": 3900}})
    shelf = load(tmp_path, LOCAL)
    assert shelf.tier("pro").id == "pro@2"
    assert (shelf.tier("pro@1").price_month, shelf.tier("pro@2").price_month) == (2900, 3900)
    assert shelf.tiers_on_sale() == ("free@1", "starter@1", "pro@2", "studio@1")
    assert shelf.rank("pro@1") == shelf.rank("pro@2") == 2


def test_a_new_version_of_a_pack_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    edited(tmp_path, "packs", "small", {1: {}, 2: {"credits": 600}})
    shelf = load(tmp_path, LOCAL)
    assert shelf.packs_on_sale() == ("small@2", "medium@1", "large@1")
    assert (shelf.pack("small").credits, shelf.pack("small@1").credits) == (600, 500)


def test_a_tier_without_a_price_is_kept_but_is_not_on_sale(tmp_path: Path) -> None:
    edited(tmp_path, "tiers", "starter", {1: {}, 2: NEVER_SOLD})
    shelf = load(tmp_path, LOCAL)
    assert shelf.tiers_on_sale() == ("free@1", "pro@1", "studio@1")
    assert shelf.tier("starter@1").price_month == 900
    assert shelf.rank("starter@1") == 1


def test_lists_of_kinds_and_models_are_kept_as_tuples(tmp_path: Path) -> None:
    edited(tmp_path, "tiers", "free", {1: {"kinds": ["text", "image"], "models": ["local/canvas"]}})
    free = load(tmp_path, LOCAL).tier("free")
    assert (free.kinds, free.models) == (("text", "image"), ("local/canvas",))


@pytest.mark.parametrize("unknown", ["gold", "pro@2", "pro@", "@1"])
def test_an_unknown_tier_or_version_is_a_key_error(shipped: Catalogue, unknown: str) -> None:
    with pytest.raises(KeyError):
        shipped.tier(unknown)
    with pytest.raises(KeyError):
        shipped.pack(unknown)


def test_prices_in_a_currency_without_decimals_are_whole_units(tmp_path: Path) -> None:
    edited(tmp_path, "tiers", "pro", {1: {"currency": "jpy", "price_month": 4500, "price_year": 45000}})
    pro = load(tmp_path, LOCAL).tier("pro")
    assert format_money(pro.price_month, pro.currency) == "4500 JPY"
    assert format_money(2900, "usd") == "29.00 USD"
    assert format_money(-5, "usd") == "-0.05 USD"
    assert format_money(12340, "kwd") == "12.340 KWD"


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        # Versions count up from 1.
        ("pro", {2: {}}),
        ("pro", {1: {}, 3: {}}),
        ("pro", {2: {}, 1: {}}),
        ("pro", {0: {}, 1: {}}),
        ("pro", {"one": {}}),
        # Prices.
        ("pro", {1: {"price_month": -1}}),
        ("pro", {1: {"price_month": 29.0}}),
        ("pro", {1: {"price_year": "29000"}}),
        ("pro", {1: {"currency": "shells"}}),
        ("pro", {1: {"currency": "USD"}}),
        ("pro", {1: {"currency": "kwd", "price_month": 2901}}),
        ("pro", {1: {}, 2: {"currency": "eur"}}),
        # The free tier costs nothing.
        ("free", {1: {"price_month": 1}}),
        ("free", {1: {}, 2: {"price_year": 100}}),
        ("free", {1: {"trial_days": 7}}),
        ("free", {1: {"grace_days": 7}}),
        # What a tier gives and allows.
        ("pro", {1: {"daily_credits": -1}}),
        ("pro", {1: {"daily_reset": "noon"}}),
        ("pro", {1: {"trial_days": 0, "trial_credits": 5}}),
        ("pro", {1: {"kinds": ["sculpture"]}}),
        ("pro", {1: {"kinds": []}}),
        ("pro", {1: {"kinds": "image"}}),
        ("pro", {1: {"models": ["local/nothing"]}}),
        ("pro", {1: {"models": []}}),
        ("pro", {1: {"generations_open_max": 0}}),
        ("pro", {1: {"projects_max": 0}}),
        ("pro", {1: {"storage_bytes_max": 1.5e9}}),
        ("pro", {1: {"surprise": True}}),
    ],
    ids=json.dumps,
)
def test_a_wrong_tier_does_not_load(tmp_path: Path, name: str, versions: dict[Any, dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        load(edited(tmp_path, "tiers", name, versions), LOCAL)


@pytest.mark.parametrize(
    "versions",
    [
        {2: {}},
        {1: {"credits": 0}},
        {1: {"price": 0}},
        {1: {"price": -600}},
        {1: {"currency": "shells"}},
        {1: {}, 2: {"currency": "eur"}},
        {1: {"quantity_max": 0}},
        {1: {"expires_after_days": 0}},
        {1: {"surprise": True}},
    ],
    ids=json.dumps,
)
def test_a_wrong_pack_does_not_load(tmp_path: Path, versions: dict[Any, dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        load(edited(tmp_path, "packs", "small", versions), LOCAL)


def test_every_field_of_a_tier_has_to_be_given(tmp_path: Path) -> None:
    edited(tmp_path, "tiers", "pro", {1: {}})
    document = yaml.safe_load((tmp_path / "tiers.yaml").read_text())
    complete = document["tiers"]["pro"][1]
    # These came later, and have a default for the versions of before.
    later = {"sites_max", "page_version_days", "site_scripts"}
    for name in complete.keys() - later:
        document["tiers"]["pro"][1] = {other: value for other, value in complete.items() if other != name}
        (tmp_path / "tiers.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        with pytest.raises(ValidationError):
            load(tmp_path, LOCAL)


def test_the_free_tier_has_to_stand_first(tmp_path: Path) -> None:
    edited(tmp_path, "tiers", "pro", {1: {}})
    document = yaml.safe_load((tmp_path / "tiers.yaml").read_text())
    free = document["tiers"].pop("free")
    for tiers in ({}, document["tiers"], document["tiers"] | {"free": free}):
        (tmp_path / "tiers.yaml").write_text(yaml.safe_dump(document | {"tiers": tiers}, sort_keys=False))
        with pytest.raises(ValidationError):
            load(tmp_path, LOCAL)
