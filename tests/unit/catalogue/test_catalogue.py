"""The catalogue: its entries, the entries that it refuses, and its offers for a request."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from atelier.catalogue.catalogue import COMPILED, FOLDER, Catalogue, catalogue, compile_folder, load
from atelier.errors import Unavailable, ValidationFailed
from atelier.generations.outcome import MODERATED_OUTPUT
from atelier.provider_port import ErrorClass

TODAY = date(2026, 11, 20)
COMPILE = "PYTHONPATH=layers/atelier/python .venv/bin/python -m atelier.catalogue.catalogue"
LOCAL = frozenset({"local"})
ALL = frozenset({"local", "replicate"})
RUN = {"unit": "prediction_second", "microusd": 975, "seconds_estimate": 7, "per": "megapixel"}
SIZES = {name: {"minimum": 512, "maximum": 1536, "default": 1024} for name in ("width", "height")}


@pytest.fixture
def both() -> Catalogue:
    return catalogue(ALL)


def edited(folder: Path, change: dict[str, Any]) -> Path:
    """A copy of the catalogue in which SDXL's entry is changed."""
    for source in FOLDER.glob("*.yaml"):
        text = source.read_text()
        if source.name == "replicate.yaml":
            document = yaml.safe_load(text)
            entry = document["models"][0]
            document["models"][0] = {
                key: value for key, value in (entry | change).items() if value is not None or entry[key] is None
            }
            text = yaml.safe_dump(document)
        (folder / source.name).write_text(text)
    return folder


def test_the_compiled_catalogue_matches_the_yaml() -> None:
    assert (FOLDER / COMPILED).read_text() == compile_folder(FOLDER), f"run: {COMPILE}"


def test_an_outdated_compiled_catalogue_is_not_used(tmp_path: Path) -> None:
    folder = edited(tmp_path, {"title": "Changed since"})
    (folder / COMPILED).write_text((FOLDER / COMPILED).read_text())
    assert load(folder, ALL).model("replicate/sdxl").title == "Changed since"


def test_the_price_version_changes_with_a_price_and_not_with_a_comment(tmp_path: Path) -> None:
    same, dearer = tmp_path / "same", tmp_path / "dearer"
    same.mkdir()
    dearer.mkdir()
    for source in FOLDER.glob("*.yaml"):
        (same / source.name).write_text("# a comment\n" + source.read_text())
    edited(dearer, {"credits": {"unit": "megapixel", "amount": 9}})
    assert load(same, ALL).price_version == catalogue(ALL).price_version
    assert load(dearer, ALL).price_version != catalogue(ALL).price_version
    assert catalogue(ALL).price_version.startswith("2026-")


@pytest.mark.parametrize(
    "change",
    [
        {"credits": {"unit": "megapixel", "amount": -4}},
        {"credits": {"unit": "megapixel", "amount": 0}},
        {"credits": {"unit": "megapixel", "amount": 1.5}},
        {"credits": {"unit": "token", "amount": 4}},
        {"credits": None},
        {"credits": {"margin_percent": -1, "microusd_per_credit": 10_000}},
        {"credits": {"margin_percent": 25, "microusd_per_credit": 0}},
        {"credits": {"margin_percent": 25}},
        {"credits": {"free": False}},
        {"cost": [RUN | {"microusd": -975}]},
        {"cost": [RUN | {"microusd": "975"}]},
        {"cost": [RUN | {"microusd": 975.0}]},
        {"cost": [RUN | {"seconds_estimate": 0}]},
        {"cost": [RUN | {"surprise": 1}]},
        {"cost": [{"unit": "prediction_second", "microusd": 975, "per": "call"}]},
        {"cost": [{"unit": "furlong", "microusd": 975}]},
        {"cost": []},
        {"cost": None},
        {"cost": RUN},
        # The price depends on a parameter that the model does not take, or does not always have.
        {"cost": [{"unit": "second", "microusd": 975}]},
        {"cost": [{"unit": "token", "input": 1, "output": 1}]},
        {"cost": [{"unit": "token", "input": 1, "output": 1, "output_per_megapixel": {"low": 1}}]},
        {"cost": [{"unit": "image", "by": ["quality"], "microusd": {"low": 1}}]},
        {"cost": [{"unit": "image", "microusd": {"low": 1}}]},
        {"cost": [{"unit": "image", "by": ["quality"], "microusd": 1}]},
        {
            "parameters": SIZES | {"quality": {"choices": ["low", "high"], "default": "low"}},
            "cost": [{"unit": "image", "by": ["quality"], "microusd": {"low": 1}}],
        },
        {"parameters": {"width": {"minimum": 1, "maximum": 9}, "height": {"minimum": 1, "maximum": 9}}},
        {"parameters": SIZES | {"n": {"minimum": 1, "maximum": 4, "default": 5}}},
        {"parameters": SIZES | {"n": {"minimum": 4, "maximum": 1}}},
        {"parameters": SIZES | {"style": {"choices": ["flat"], "default": "deep"}}},
        {"parameters": SIZES | {"style": {"choices": []}}},
        {"charges_on_policy_rejection": True},
        {"bills_on_cancel": "no"},
        {"kind": "sculpture"},
        {"capabilities": ["telepathy"]},
        {"inputs": {"image": {"minimum": 2, "maximum": 1}}},
        {"successor": "replicate/unheard-of"},
        {"successor": "replicate/sdxl"},
        {"id": "openai/dall-e-3", "provider": "openai"},
        {"id": "local/sdxl"},
        {"id": "local/canvas", "provider": "local"},
        {"surprise": True},
    ],
    ids=json.dumps,
)
def test_a_wrong_missing_negative_or_fractional_price_does_not_load(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        load(edited(tmp_path, change), ALL)


@pytest.mark.parametrize("limit", [{"requests": 0, "seconds": 60}, {"requests": 5}, {"requests": 5, "seconds": "60"}])
def test_an_invalid_rate_limit_does_not_load(tmp_path: Path, limit: dict[str, Any]) -> None:
    folder = edited(tmp_path, {})
    (folder / "limits.yaml").write_text(yaml.safe_dump({"limits": {"replicate": limit}}))
    with pytest.raises(ValidationError):
        load(folder, ALL)


def test_rate_limits_name_only_known_providers(both: Catalogue) -> None:
    assert both.data.limits["stability"] == {"requests": 150, "seconds": 10}
    assert both.data.limits.keys() <= {model.provider for model in both.data.models}


def test_a_model_without_an_entry_has_no_price(both: Catalogue) -> None:
    with pytest.raises(ValidationFailed) as refused:
        both.price("replicate/unheard-of", {"width": 1024, "height": 1024, "n": 1})
    assert refused.value.facts["fields"][0]["path"] == "model"


def test_every_error_class_and_every_outcome_has_a_rule(both: Catalogue) -> None:
    ends = {"succeeded", "cancelled", "expired", "no_result", MODERATED_OUTPUT}
    assert set(both.data.outcomes) == {*ErrorClass, *ends}


def test_auto_prefers_a_trained_model_over_the_procedural_one(both: Catalogue) -> None:
    _, offers = both.offers("image", "auto", {}, today=TODAY, seed=1)
    assert [offer.model for offer in offers] == ["replicate/sdxl"]
    _, offers = catalogue(LOCAL).offers("image", "auto", {}, today=TODAY, seed=1)
    assert [offer.model for offer in offers] == ["local/canvas"]


def test_a_model_requested_by_name_is_the_only_offer(both: Catalogue) -> None:
    parameters, offers = both.offers("image", "local/canvas", {"width": 64, "height": 2048}, today=TODAY, seed=1)
    assert parameters == {"width": 64, "height": 2048, "n": 1, "seed": 1}
    assert [(offer.model, offer.provider, offer.credits_max) for offer in offers] == [("local/canvas", "local", 1)]


def test_a_disabled_unknown_or_retired_model_is_refused(both: Catalogue, tmp_path: Path) -> None:
    retired = load(edited(tmp_path, {"sunset_at": TODAY}), ALL)
    for shelf, model in ((catalogue(LOCAL), "replicate/sdxl"), (both, "replicate/other"), (retired, "replicate/sdxl")):
        with pytest.raises(ValidationFailed) as refused:
            shelf.offers("image", model, {}, today=TODAY, seed=1)
        assert refused.value.facts["fields"][0]["path"] == "model"
    assert retired.offers("image", "replicate/sdxl", {}, today=date(2026, 11, 19), seed=1)[1]


def test_a_kind_without_an_enabled_provider_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        catalogue(frozenset()).offers("image", "auto", {}, today=TODAY, seed=1)


def test_the_callers_seed_takes_precedence_over_the_default_one(both: Catalogue) -> None:
    assert both.offers("image", "auto", {"seed": 7}, today=TODAY, seed=99)[0]["seed"] == 7
    assert both.offers("image", "auto", {"seed": None}, today=TODAY, seed=99)[0]["seed"] == 99
    assert 0 <= both.offers("image", "auto", {}, today=TODAY, seed=2**70 + 5)[0]["seed"] < 2**32


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"width": 63}, "parameters.width"),
        ({"width": 2049}, "parameters.width"),
        ({"height": "1024"}, "parameters.height"),
        ({"height": 1024.0}, "parameters.height"),
        ({"n": 0}, "parameters.n"),
        ({"n": 5}, "parameters.n"),
        ({"n": True}, "parameters.n"),
        ({"seed": -1}, "parameters.seed"),
        ({"seed": 2**32}, "parameters.seed"),
        ({"voice": "alto"}, "parameters.voice"),
    ],
)
def test_an_invalid_parameter_is_named_by_its_path(parameters: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        catalogue(LOCAL).offers("image", "auto", parameters, today=TODAY, seed=1)
    assert [field["path"] for field in refused.value.facts["fields"]] == [path]


def test_a_size_that_a_model_cannot_make_is_refused_with_its_rule(both: Catalogue) -> None:
    with pytest.raises(ValidationFailed) as refused:
        both.offers("image", "replicate/sdxl", {"width": 1001}, today=TODAY, seed=1)
    assert refused.value.facts["fields"] == [{"path": "parameters.width", "message": "must be a multiple of 8"}]


def test_the_free_tier_has_daily_credits_and_a_watermark(both: Catalogue) -> None:
    assert both.tier("free").daily_credits == 50
    assert both.tier("free").daily_reset == "midnight"
    assert both.tier("free").watermark is True
