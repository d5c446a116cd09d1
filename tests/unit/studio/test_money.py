"""Amounts as people write them, and the bars of budgets."""

from __future__ import annotations

import re

import pytest

from studio import money


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("", None),
        (" ", None),
        ("0", 0),
        ("12", 12_000_000),
        ("$12.50", 12_500_000),
        ("12,5", 12_500_000),
        ("1 000", 1_000_000_000),
        ("1\u202f000.000001", 1_000_000_001),
    ],
)
def test_an_amount_is_read_as_it_is_written(text: str, amount: int | None) -> None:
    assert money.microusd(text) == amount
    assert money.microusd(money.written(amount)) == amount


@pytest.mark.parametrize("text", ["a lot", "-1", "1.2.3", "1,000.50", "1,000", "0.0000001", ".5", "1e3", "١"])
def test_other_texts_are_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        money.microusd(text)


@pytest.mark.parametrize(
    ("limit", "spent", "reserved", "shares"),
    [
        (None, 5, 5, (0.0, 0.0)),
        (0, 0, 0, (100.0, 0.0)),
        (200, 50, 100, (25.0, 50.0)),
        (100, 90, 30, (90.0, 10.0)),
        (100, 130, 1, (100.0, 0.0)),
    ],
)
def test_a_bar_is_never_longer_than_its_budget(
    limit: int | None, spent: int, reserved: int, shares: tuple[float, float]
) -> None:
    found = money.shares({"budget_microusd": limit, "spent_microusd": spent, "reserved_microusd": reserved})
    assert (found["spent"], found["reserved"]) == shares
