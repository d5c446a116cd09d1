"""Pages of resources with long texts."""

from __future__ import annotations

from atelier.cursors import WORDS_BYTES_MAX, fitting


def page(*lengths: int) -> tuple[list[int], str | None]:
    found, next_key = fitting(lengths, "next", key=str, words=lambda length: "x" * length)
    return list(found), next_key


def test_a_page_ends_where_an_answer_does_and_the_next_goes_on_there() -> None:
    long = WORDS_BYTES_MAX // 3
    assert page() == ([], "next")
    assert page(1, 2, 3) == ([1, 2, 3], "next")
    assert page(long, long + 1, 5, long + 2, 7) == ([long, long + 1, 5], "5")


def test_a_page_has_one_thing_however_long_it_is() -> None:
    assert page(WORDS_BYTES_MAX + 1, 5) == ([WORDS_BYTES_MAX + 1], str(WORDS_BYTES_MAX + 1))
