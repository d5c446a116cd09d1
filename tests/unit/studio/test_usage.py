"""Months and changes of the room Usage."""

from __future__ import annotations

import pytest

from studio.pages.usage import change, month_span, shifted


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [(12, 10, "+20\u202f%"), (19, 20, "−5\u202f%"), (7, 7, "±0\u202f%"), (0, 4, "−100\u202f%"), (5, 0, ""), (0, 0, "")],
)
def test_a_change_is_in_percent_of_what_was_before(now: int, before: int, text: str) -> None:
    assert change(now, before) == text


def test_a_month_ends_where_the_next_one_begins() -> None:
    assert shifted("2026-01", -1) == "2025-12"
    assert shifted("2026-12", 1) == "2027-01"
    assert month_span("2026-12") == {"from": "2026-12-01", "to": "2027-01-01"}
