"""The public model list: prices in credits by unit, including the margin."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.costs import Cost
from atelier.catalogue.model import Credits
from atelier.catalogue.schemas import PriceView, model_view, price_views
from atelier.provider_keys.model import WorkspaceProviders
from atelier.routing.list_models import list_models
from tests.price_lists import with_tiers

MODELS = catalogue(frozenset()).data.models
ANY = MODELS[0]
MARGIN: Credits = {"margin_percent": 25, "microusd_per_credit": 10_000}


def priced(credits: Credits, *costs: Cost) -> list[PriceView]:
    return list(price_views(replace(ANY, credits=credits, cost=costs)))


def test_a_fixed_price_is_shown_unchanged() -> None:
    assert priced({"unit": "megapixel", "amount": 8}, {"unit": "call", "microusd": 0}) == [
        PriceView(unit="megapixel", credits="8")
    ]


def test_a_free_model_has_no_price() -> None:
    assert priced({"free": True}, {"unit": "call", "microusd": 0}) == []


@pytest.mark.parametrize(
    ("microusd", "shown"), [(20_000, "2.5"), (8_000, "1"), (800_000, "100"), (1, "0.0002"), (0, "0"), (30_000, "3.75")]
)
def test_a_shown_price_includes_the_margin_and_is_rounded_up(microusd: int, shown: str) -> None:
    assert priced(MARGIN, {"unit": "image", "microusd": microusd}) == [PriceView(unit="image", credits=shown)]


def test_a_price_table_is_shown_row_by_row() -> None:
    table: Cost = {"unit": "second", "by": ["resolution", "sound"], "microusd": {"480p off": 8_000, "720p on": 16_000}}
    assert priced(MARGIN, table, {"unit": "file", "role": "image", "microusd": 2_000}) == [
        PriceView(unit="second", credits="1", when={"resolution": "480p", "sound": "off"}),
        PriceView(unit="second", credits="2", when={"resolution": "720p", "sound": "on"}),
        PriceView(unit="file", credits="0.25", role="image"),
    ]


def test_token_prices_are_shown_for_a_million_tokens() -> None:
    tokens: Cost = {"unit": "token", "input": 2_000_000, "output": 10_000_000, "cached": 200_000}
    shown = {price.unit: price.credits for price in priced(MARGIN, tokens)}
    assert shown == {"million_tokens_input": "250", "million_tokens_output": "1250", "million_tokens_cached": "25"}


def test_characters_and_prediction_seconds_have_prices() -> None:
    assert priced(MARGIN, {"unit": "character", "microusd_per_million": 15_000_000}) == [
        PriceView(unit="million_characters", credits="1875")
    ]
    seconds: Cost = {"unit": "prediction_second", "microusd": 1_400, "seconds_estimate": 75, "per": "call"}
    assert priced(MARGIN, seconds) == [PriceView(unit="prediction_second", credits="0.175")]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_listed_model_hides_the_provider_costs(model: object) -> None:
    assert model in MODELS
    found = next(each for each in MODELS if each == model)
    view = model_view(found, kinds=(found.kind, *found.also), sunset_at=found.sunset_at, is_offered=True)
    text = view.model_dump_json()
    assert "microusd" not in text
    assert "margin" not in text
    assert bool(view.prices) is ("free" not in found.credits)


def test_the_listing_names_the_tiers_that_include_a_model() -> None:
    shelf = with_tiers(free={"kinds": ["text"]}, starter={"models": ["local/film"]})
    listed = list_models(shelf, WorkspaceProviders(), frozenset({"local"}), None, date(2026, 11, 20))
    tiers = {view.id: view.tiers for view in listed.items}
    assert tiers["local/canvas"] == ["pro@1", "studio@1"]
    assert tiers["local/film"] == ["starter@1", "pro@1", "studio@1"]
    assert tiers["local/writer"] == ["free@1", "pro@1", "studio@1"]
