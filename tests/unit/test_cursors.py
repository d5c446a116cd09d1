"""Pages of resources with long texts."""

from __future__ import annotations

from atelier.cursors import LONG_PARTS_BYTES_MAX, fit_to_response


def page(*lengths: int) -> tuple[list[int], str | None]:
    found, next_key = fit_to_response(lengths, "next", key=str, long_parts=lambda length: "x" * length)
    return list(found), next_key


def test_a_page_ends_at_the_size_limit_and_the_next_begins_there() -> None:
    long = LONG_PARTS_BYTES_MAX // 3
    assert page() == ([], "next")
    assert page(1, 2, 3) == ([1, 2, 3], "next")
    assert page(long, long + 1, 5, long + 2, 7) == ([long, long + 1, 5], "5")


def test_a_page_has_at_least_one_item_of_any_size() -> None:
    assert page(LONG_PARTS_BYTES_MAX + 1, 5) == ([LONG_PARTS_BYTES_MAX + 1], str(LONG_PARTS_BYTES_MAX + 1))
