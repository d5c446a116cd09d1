"""Costs: each unit, sums of units, complete and incomplete usage; exact, and rounded up once."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.catalogue.costs import Cost, Workload, estimate_cost, measure_cost

TEXT: Cost = {"unit": "token", "input": 2_000_000, "cached": 200_000, "cache_write": 2_500_000, "output": 10_000_000}
PICTURE: Cost = {
    "unit": "token",
    "input": 5_000_000,
    "image_input": 8_000_000,
    "output": 30_000_000,
    "output_per_megapixel": {"low": 272, "high": 4160},
    "tokens_each_file": 1600,
}
SPEECH: Cost = {"unit": "token", "input": 600_000, "output": 12_000_000, "output_per_second": 21}
BY_SIZE: Cost = {"unit": "image", "by": ["resolution", "quality"], "microusd": {"1k low": 30_000, "2k low": 50_000}}
FILM: Cost = {"unit": "second", "by": ["resolution"], "microusd": {"480p": 50_000, "720p": 70_000}}
GIVEN: Cost = {"unit": "file", "role": "image", "microusd": 2000}
RUN: Cost = {"unit": "prediction_second", "microusd": 975, "seconds_estimate": 7, "per": "megapixel"}
CALL: Cost = {"unit": "call", "microusd": 80_000}
CHARACTERS: Cost = {"unit": "character", "microusd_per_million": 15_000_000}
SQUARE = {"width": 1024, "height": 1024}


@pytest.mark.parametrize(
    ("costs", "ask", "microusd"),
    [
        # 64 tokens of overhead and one for three bytes, at the dearest input price; then the maximum output.
        ((TEXT,), Workload({"max_tokens": 1000}, "x" * 300), ceil(164 * 2.5) + 10_000),
        ((TEXT,), Workload({"max_tokens": 1000, "system": "y" * 300}, "x" * 300), ceil(264 * 2.5) + 10_000),
        # An upper bound: a two-byte letter and a digit count as up to one token, a Chinese character as two.
        ((TEXT,), Workload({"max_tokens": 1000}, "é" * 150 + "7" * 10), ceil(224 * 2.5) + 10_000),
        ((TEXT,), Workload({"max_tokens": 1000}, "中" * 100), ceil(264 * 2.5) + 10_000),
        # A choice's text counts as input: an estimate is an upper bound.
        ((PICTURE,), Workload({**SQUARE, "quality": "high", "n": 2}), 66 * 5 + 2 * 4160 * 30),
        ((PICTURE,), Workload({**SQUARE, "quality": "low"}, files={"image": 2}), 65 * 5 + 272 * 30 + 3200 * 8),
        ((SPEECH,), Workload({}, "x" * 1000), ceil((64 + 334) * 0.6 + ceil(77.5 * 21) * 12)),
        ((BY_SIZE,), Workload({"resolution": "2k", "quality": "low", "n": 3}), 150_000),
        ((FILM,), Workload({"resolution": "720p", "duration_seconds": 8}), 560_000),
        ((FILM, GIVEN), Workload({"resolution": "480p", "duration_seconds": 1}, files={"image": 1}), 52_000),
        ((RUN,), Workload({"width": 512, "height": 1024, "n": 1}), ceil(975 * 7 / 2)),
        ((CALL,), Workload({}), 80_000),
        ((CHARACTERS,), Workload({}, "four"), 60),
        (({"unit": "megapixel", "microusd": 3000},), Workload({"width": 1025, "height": 1024, "n": 2}), 6006),
    ],
)
def test_each_cost_unit_is_estimated_from_the_request(costs: tuple[Cost, ...], ask: Workload, microusd: int) -> None:
    assert estimate_cost(costs, ask) == microusd


@pytest.mark.parametrize(
    ("costs", "usage", "microusd"),
    [
        ((TEXT,), {"tokens_input": 1000, "tokens_output": 100}, 2000 + 1000),
        ((TEXT,), {"tokens_input": 1000, "tokens_output": 0, "tokens_cached": 400}, 1200 + 80),
        ((TEXT,), {"tokens_input": 1000, "tokens_output": 0, "tokens_cache_write": 400}, 1200 + 1000),
        # More cached tokens than input tokens: the rest is zero, not negative.
        ((TEXT,), {"tokens_input": 10, "tokens_output": 0, "tokens_cached": 400}, 2),
        ((PICTURE,), {"tokens_input": 50, "tokens_output": 4160, "tokens_image": 40}, 50 + 320 + 124_800),
        ((BY_SIZE,), {"images": 2}, 60_000),
        ((FILM,), {"output_milliseconds": 2001}, 100_050),
        ((FILM, GIVEN), {"output_milliseconds": 1000}, 52_000),
        ((RUN,), {"predict_milliseconds": 2001}, 1951),
        ((CHARACTERS,), {"characters": 100}, 1500),
    ],
)
def test_each_cost_unit_is_billed_by_reported_usage(
    costs: tuple[Cost, ...], usage: dict[str, int], microusd: int
) -> None:
    ask = Workload({**SQUARE, "resolution": "480p" if FILM in costs else "1k", "quality": "low"}, files={"image": 1})
    assert measure_cost(costs, usage, ask) == microusd


@pytest.mark.parametrize(
    ("costs", "usage"),
    [
        ((TEXT,), {}),
        ((TEXT,), {"tokens_input": 1000}),
        ((TEXT,), {"tokens_output": 1000}),
        ((TEXT,), {"tokens_input": -1, "tokens_output": 5}),
        ((FILM, GIVEN), {"images": 1}),
        ((RUN, TEXT), {"predict_milliseconds": 1000}),
        ((CALL,), {}),
        ((GIVEN,), {"images": 1}),
    ],
)
def test_incomplete_usage_gives_no_bill(costs: tuple[Cost, ...], usage: dict[str, int]) -> None:
    assert measure_cost(costs, usage, Workload({"resolution": "480p"}, files={"image": 1})) is None


def test_a_removed_choice_costs_as_much_as_the_dearest_one() -> None:
    gone = Workload({**SQUARE, "resolution": "8k", "quality": "superb", "duration_seconds": 1})
    assert estimate_cost((BY_SIZE,), gone) == 50_000
    assert estimate_cost((FILM,), gone) == 70_000
    assert estimate_cost((PICTURE,), gone) >= 4160 * 30


counts = st.integers(0, 10**9)


@given(prices=st.lists(st.integers(0, 10**8), min_size=3, max_size=3), tokens=st.tuples(counts, counts), ran=counts)
def test_a_sum_of_units_is_exact_and_rounded_up_once(prices: list[int], tokens: tuple[int, int], ran: int) -> None:
    costs: tuple[Cost, ...] = (
        {"unit": "token", "input": prices[0], "output": prices[1]},
        {"unit": "prediction_second", "microusd": prices[2], "seconds_estimate": 1, "per": "call"},
    )
    usage = {"tokens_input": tokens[0], "tokens_output": tokens[1], "predict_milliseconds": ran}
    exact = Fraction(tokens[0] * prices[0] + tokens[1] * prices[1], 10**6) + Fraction(ran * prices[2], 1000)
    assert measure_cost(costs, usage, Workload({})) == ceil(exact)


@given(text=st.text(), talk=st.lists(st.text(), max_size=3))
def test_input_tokens_count_the_conversation_instead_of_the_prompt(text: str, talk: list[str]) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": said}]} for said in talk]
    ask = Workload({"max_tokens": 1, "messages": messages}, text)
    assert ask.input_tokens * 3 >= sum(len(each.encode(errors="replace")) for each in talk or [text])
    assert ask.input_tokens == Workload({"max_tokens": 1, "messages": messages}, "" if talk else text).input_tokens
