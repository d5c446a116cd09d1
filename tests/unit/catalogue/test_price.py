"""Prices and settlements: integers, rounded up, never more than the hold, and zero for a failure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.model import Settlement
from atelier.provider_port import ErrorClass

BOTH = catalogue(frozenset({"local", "replicate"}))
ALL = catalogue(frozenset({"openai", "anthropic", "replicate", "fal", "xai", "stability", "local", "custom"}))
FOUR = {"width": 1024, "height": 1024, "n": 4, "seed": 1}
ONE = FOUR | {"n": 1}


@pytest.mark.parametrize(
    ("width", "height", "n", "credits"),
    [
        (1024, 1024, 1, 4),
        (1024, 1024, 4, 16),
        (512, 512, 1, 1),
        (64, 64, 1, 1),
        (64, 64, 4, 4),
        (2048, 2048, 1, 16),
        (1025, 1024, 1, 5),
    ],
)
def test_local_canvas_costs_four_credits_a_megapixel_for_each_image(
    width: int, height: int, n: int, credits: int
) -> None:
    assert BOTH.price("local/canvas", {"width": width, "height": height, "n": n}).credits == credits


def test_an_estimate_is_seconds_times_the_price_of_a_second() -> None:
    assert BOTH.price("replicate/sdxl", ONE).cost_microusd == 7 * 975
    assert BOTH.price("replicate/sdxl", FOUR).cost_microusd == 4 * 7 * 975


sizes = st.integers(64, 2048)


@given(width=sizes, height=sizes, n=st.integers(1, 4), delivered=st.integers(0, 9), ran=st.integers(0, 10**9))
def test_a_settlement_never_exceeds_the_price_and_is_never_negative(
    width: int, height: int, n: int, delivered: int, ran: int
) -> None:
    parameters = {"width": width, "height": height, "n": n, "seed": 0}
    for model in BOTH.data.models:
        held = BOTH.price(model.id, parameters).credits
        assert held >= (0 if "free" in model.credits else 1)
        for outcome in BOTH.data.outcomes:
            end = BOTH.settle(model.id, parameters, outcome, delivered=delivered, usage={"predict_milliseconds": ran})
            assert 0 <= end.credits <= held
            assert end.cost_microusd >= 0


def test_a_success_is_charged_by_what_was_delivered() -> None:
    assert BOTH.settle("replicate/sdxl", FOUR, "succeeded", delivered=4).credits == 32
    assert BOTH.settle("replicate/sdxl", FOUR, "succeeded", delivered=3).credits == 24
    assert BOTH.settle("replicate/sdxl", FOUR, "succeeded", delivered=0).credits == 0
    assert BOTH.settle("replicate/sdxl", FOUR, "succeeded", delivered=5).credits == 32


def test_missing_images_do_not_lower_the_bill_for_the_delivered_ones() -> None:
    four = ALL.parameters_for("openai/gpt-image-2", {"n": 4, "quality": "high"})
    usage = {"tokens_input": 20, "tokens_output": 8000, "images": 2}
    end = ALL.settle("openai/gpt-image-2", four, "succeeded", delivered=2, usage=usage)
    assert (end.credits, end.cost_microusd) == (31, 240_100)
    # One of the two images was withheld here: the operator pays for it.
    assert ALL.settle("openai/gpt-image-2", four, "succeeded", delivered=1, usage=usage).credits == 16


KNOWN: tuple[str, ...] = (
    *("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write", "tokens_image"),
    *("images", "characters", "output_milliseconds", "predict_milliseconds"),
)
numbers = st.one_of(st.integers(-3, 3), st.integers(0, 10**6), st.integers(-(10**20), 10**20))


@given(st.data())
def test_a_settlement_is_bounded_for_any_reported_usage(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(ALL.data.models))
    chosen: dict[str, Any] = {}
    for name, rule in model.parameters.items():
        if "minimum" in rule and data.draw(st.booleans()):
            chosen[name] = data.draw(st.sampled_from([rule["minimum"], rule["maximum"]]))
        elif "choices" in rule and data.draw(st.booleans()):
            chosen[name] = data.draw(st.sampled_from(rule["choices"]))
        elif "least" in rule and data.draw(st.booleans()):
            chosen[name] = data.draw(st.floats(rule["least"], rule["most"]))
    files = {role: data.draw(st.integers(rule["minimum"], rule["maximum"])) for role, rule in model.inputs.items()}
    prompt = data.draw(st.text(max_size=40))
    request: dict[str, Any] = {"prompt": prompt, "files": files}
    parameters = ALL.parameters_for(model.id, chosen)
    price = ALL.price(model.id, parameters, **request)
    usage = data.draw(st.dictionaries(st.sampled_from(KNOWN), numbers))
    reported, delivered = data.draw(st.none() | numbers), data.draw(st.integers(0, 20))
    outcome = data.draw(st.sampled_from(sorted(ALL.data.outcomes)))
    end = ALL.settle(
        model.id, parameters, outcome, delivered=delivered, usage=usage, reported_microusd=reported, **request
    )
    assert type(end.credits) is type(end.cost_microusd) is int
    assert 0 <= end.credits <= price.credits
    # A reported bill of a million dollars is ignored; a count below its bound may cost more at the highest price.
    assert 0 <= end.cost_microusd < 10**15
    if outcome == "succeeded" and delivered:
        assert end.credits >= (0 if "free" in model.credits else 1)


def test_the_cost_is_the_reported_one_then_by_usage_then_the_estimate() -> None:
    usage = {"predict_milliseconds": 2001}
    ends = [
        BOTH.settle("replicate/sdxl", ONE, "succeeded", delivered=1, usage=usage, reported_microusd=5),
        BOTH.settle("replicate/sdxl", ONE, "succeeded", delivered=1, usage=usage),
        BOTH.settle("replicate/sdxl", ONE, "succeeded", delivered=1),
    ]
    assert ends == [Settlement(8, 5, "provider"), Settlement(8, 1951, "usage"), Settlement(8, 6825, "estimate")]


@pytest.mark.parametrize("outcome", [*ErrorClass, "expired", "no_result"])
def test_a_failure_costs_the_user_no_credits(outcome: str) -> None:
    usage = {"predict_milliseconds": 60_000}
    assert BOTH.settle("replicate/sdxl", ONE, outcome, usage=usage).credits == 0


@pytest.mark.parametrize(
    ("outcome", "usage", "cost"),
    [
        ("transient", {"predict_milliseconds": 1000}, 975),
        ("transient", {}, 0),
        ("moderated_billed", {}, 6825),
        ("unknown_outcome", {}, 6825),
        ("no_result", {"predict_milliseconds": 1000}, 975),
        ("invalid_input", {"predict_milliseconds": 1000}, 975),
        ("moderated", {"predict_milliseconds": 1000}, 975),
        ("invalid_input", {}, 0),
        ("timeout_unstarted", {}, 0),
    ],
)
def test_a_failures_cost_to_the_operator_follows_the_outcome_table(
    outcome: str, usage: dict[str, Any], cost: int
) -> None:
    assert BOTH.settle("replicate/sdxl", ONE, outcome, usage=usage).cost_microusd == cost


def test_a_cancellation_is_charged_by_the_billed_run_time() -> None:
    assert BOTH.settle("replicate/sdxl", ONE, "cancelled").credits == 0
    assert BOTH.settle("replicate/sdxl", ONE, "cancelled", usage={"predict_milliseconds": 1}).credits == 1
    assert BOTH.settle("replicate/sdxl", ONE, "cancelled", usage={"predict_milliseconds": 3400}).credits == 4
    assert BOTH.settle("replicate/sdxl", ONE, "cancelled", usage={"predict_milliseconds": 90_000}).credits == 8


def test_a_cancellation_that_the_provider_does_not_bill_is_free() -> None:
    assert BOTH.settle("local/canvas", FOUR, "cancelled", usage={"predict_milliseconds": 900}) == Settlement(
        0, 0, "estimate"
    )


def test_an_outcome_without_a_rule_raises_key_error() -> None:
    with pytest.raises(KeyError):
        BOTH.settle("local/canvas", ONE, "evaporated")
