"""The rules of the showcase: splits are exact, trends decay, words are found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.showcase.model import Ancestor, Disclosure, Listing, ListingStatus, WorkKind, ancestors_of, split_price
from atelier.showcase.rank import ONE, count_of, first_trend, next_trend
from atelier.showcase.rules import ANCESTORS_MAX, HALF_LIFE, PRICE_CREDITS_MAX, WORDS_MAX
from atelier.showcase.words import words_in, words_of

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
LISTING = Listing(
    "lst_0",
    "wsp_0",
    "usr_0",
    WorkKind.ASSET,
    "ast_0",
    "image",
    "Lighthouse",
    "",
    (),
    "standard",
    100,
    Disclosure.UPLOADED,
    ListingStatus.VISIBLE,
    NOW,
    NOW,
)
ancestors = st.lists(
    st.builds(
        Ancestor,
        listing_id=st.sampled_from([f"lst_{number}" for number in range(1, 9)]),
        workspace_id=st.sampled_from([f"wsp_{number}" for number in range(6)]),
        user_id=st.just("usr_1"),
        generation=st.integers(1, 3),
    ),
    max_size=ANCESTORS_MAX,
)


@given(price=st.integers(1, PRICE_CREDITS_MAX), of=ancestors)
def test_a_split_is_the_price_to_the_credit(price: int, of: list[Ancestor]) -> None:
    split = split_price(replace(LISTING, price_credits=price, ancestors=tuple(of)), "wsp_5")
    assert split.fee + sum(share.credits for share in split.shares) == price
    assert all(share.credits > 0 for share in split.shares)
    receivers = [share.workspace_id for share in split.shares]
    assert len(set(receivers)) == len(receivers)
    assert "wsp_5" not in receivers
    assert split.shares[0].role == "seller"


@pytest.mark.parametrize(("price", "fee", "shares"), [(1, 0, [1]), (9, 0, [9]), (10, 1, [8, 1]), (99, 9, [77, 9, 4])])
def test_nothing_is_paid_of_nothing(price: int, fee: int, shares: list[int]) -> None:
    of = (Ancestor("lst_1", "wsp_1", "usr_1", 1), Ancestor("lst_2", "wsp_2", "usr_2", 2))
    split = split_price(replace(LISTING, price_credits=price, ancestors=of), "wsp_9")
    assert (split.fee, [share.credits for share in split.shares]) == (fee, shares)


def test_ancestors_are_bounded_in_depth_and_number() -> None:
    first = replace(LISTING, id="lst_1")
    second = replace(LISTING, id="lst_2", ancestors=ancestors_of([first]))
    third = replace(LISTING, id="lst_3", ancestors=ancestors_of([second]))
    fourth = replace(LISTING, id="lst_4", ancestors=ancestors_of([third]))
    assert [(each.listing_id, each.generation) for each in ancestors_of([fourth])] == [
        ("lst_4", 1),
        ("lst_3", 2),
        ("lst_2", 3),
    ]
    # What is an ancestor twice counts in its nearest generation.
    assert [(each.listing_id, each.generation) for each in ancestors_of([second, first])] == [
        ("lst_2", 1),
        ("lst_1", 1),
    ]
    many = [replace(LISTING, id=f"lst_{number}") for number in range(20)]
    assert len(ancestors_of(many)) == ANCESTORS_MAX


@given(likes=st.integers(0, 50), days=st.integers(0, 20), sales=st.integers(0, 9))
def test_a_trend_rises_with_what_comes_and_falls_with_what_goes(likes: int, days: int, sales: int) -> None:
    begin, at = first_trend(NOW), NOW + timedelta(days=days)
    came = count_of(likes, sales) - count_of(0, 0)
    trend = next_trend(begin, came, at, least=begin)
    assert (trend > begin) == (came > 0)
    assert next_trend(trend, 0, at + timedelta(days=9), least=begin) == trend
    # Whoever takes it back, at once or later, leaves no more than there was.
    assert next_trend(trend, -came, at, least=begin) == pytest.approx(begin, abs=ONE // 100)
    assert next_trend(trend, -came, at + timedelta(days=9), least=begin) == begin


def test_a_like_counts_half_after_a_half_life() -> None:
    later = NOW + HALF_LIFE
    # One publication later is as good as two likes (the publication and one more) before.
    assert first_trend(later) == next_trend(first_trend(NOW), 1, NOW, least=0)
    assert first_trend(later) - first_trend(NOW) == ONE


def test_words_are_found_without_accents_and_within_bounds() -> None:
    assert words_in("Café, CAFÉ Ünïcode a 42!") == ["cafe", "unicode", "42"]
    assert words_in("x" * 31) == ["x" * 30]
    long = replace(LISTING, description=" ".join(f"word{number}" for number in range(500)), tags=("sea side",))
    assert words_of(long)[:3] == ("lighthouse", "sea", "side")
    assert len(words_of(long)) == WORDS_MAX
