"""The error of cost estimates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from atelier.catalogue.catalogue import catalogue
from atelier.generations.estimate_error import estimate_error_percent
from atelier.generations.model import Attempt, AttemptStatus, Generation, Kind, Recipe, Status

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRICES = catalogue(frozenset({"local", "replicate"}))


def ended(model: str, cost_microusd: int, source: str = "provider") -> Generation:
    attempt = Attempt("att_A", model.partition("/")[0], model, AttemptStatus.SUCCEEDED, NOON, NOON,
                      cost_microusd=cost_microusd, cost_source=source)  # fmt: skip
    recipe = Recipe(Kind.IMAGE, "a lighthouse", "auto", None, {"width": 1024, "height": 1024, "n": 1, "seed": 7})
    return Generation("gen_A", "wsp_A", "usr_A", recipe, (model,), "v", False, 1, Status.SUCCEEDED, NOON, NOON,
                      cost_microusd=cost_microusd, cost_source=source, attempts=(attempt,))  # fmt: skip


@pytest.mark.parametrize(("cost", "percent"), [(6825, 0), (13650, 100), (0, -100), (7508, 10)])
def test_the_estimate_error_is_a_percentage_of_the_estimate(cost: int, percent: int) -> None:
    assert estimate_error_percent(ended("replicate/sdxl", cost), PRICES) == percent


def test_a_failed_attempts_cost_is_excluded_from_the_estimate_error() -> None:
    once = ended("replicate/sdxl", 6825)
    failed = replace(once.attempts[0], status=AttemptStatus.FAILED, cost_microusd=500, cost_source="usage")
    assert estimate_error_percent(replace(once, attempts=(failed, *once.attempts), cost_microusd=7325), PRICES) == 0


def test_a_generation_without_measured_cost_or_estimate_has_no_error() -> None:
    assert estimate_error_percent(ended("replicate/sdxl", 6825, "estimate"), PRICES) is None
    assert estimate_error_percent(ended("local/canvas", 5), PRICES) is None
    assert estimate_error_percent(ended("gone/model", 5), PRICES) is None
    assert estimate_error_percent(replace(ended("replicate/sdxl", 5), status=Status.FAILED), PRICES) is None
    assert estimate_error_percent(replace(ended("replicate/sdxl", 5), attempts=()), PRICES) is None
