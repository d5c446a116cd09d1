"""Holds, their settlements, and the daily grant, as pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import InsufficientCredits, RateLimited
from atelier.ledger.model import (
    NEVER,
    Account,
    Daily,
    EndState,
    Grant,
    GrantSource,
    Mailbox,
    Movement,
    Opening,
    Wallet,
    end_hold,
    new_wallet,
    open_hold,
    refresh,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
GENERATION = "gen_01M7XC43T8VQH8B4746A8669M7"


def grant(name: str, remaining: int, *, expires_in_hours: int | None = None, priority: int = 10) -> Grant:
    expires_at = None if expires_in_hours is None else NOW + timedelta(hours=expires_in_hours)
    return Grant(name, GrantSource.PROMO, remaining, remaining, 0, priority, NOW - timedelta(days=1), expires_at)


def wallet(*grants: Grant) -> Wallet:
    available = sum(each.remaining for each in grants)
    return replace(
        new_wallet("wsp_A", "free", NOW), grants=grants, available=available, reset_at=NOW + timedelta(hours=12)
    )


def hold(of: Wallet, amount: int, *, holds_open_max: int = 10) -> Opening:
    return open_hold(of, GENERATION, amount, LATER, {}, NOW, holds_open_max=holds_open_max)


def totals(*movements: Movement) -> dict[str, int]:
    sums: dict[str, int] = {}
    for movement in movements:
        for entry in movement.entries:
            sums[entry.account] = sums.get(entry.account, 0) + entry.amount
    return sums


def test_a_hold_takes_the_earliest_expiry_first_then_the_lowest_priority_number_then_the_oldest() -> None:
    old = replace(grant("old", 5, priority=20), granted_at=NOW - timedelta(days=9))
    of = wallet(
        grant("bought", 5, priority=60), grant("soon", 5, expires_in_hours=1), grant("young", 5, priority=20), old
    )
    draws = hold(of, 17).hold.draws
    assert [(draw.grant_id, draw.amount) for draw in draws] == [("soon", 5), ("old", 5), ("young", 5), ("bought", 2)]


def test_a_hold_beyond_what_is_spendable_is_refused_and_says_how_much_there_is() -> None:
    with pytest.raises(InsufficientCredits) as refusal:
        hold(wallet(grant("a", 3), grant("gone", 9, expires_in_hours=-1)), 4)
    assert refusal.value.facts == {"limit": "wallet", "needed": 4, "available": 3}


def test_a_wallet_in_debt_spends_nothing() -> None:
    with pytest.raises(InsufficientCredits):
        hold(replace(wallet(grant("a", 9)), debt=1), 1)


def test_a_tier_bounds_how_many_holds_are_open_at_once() -> None:
    with pytest.raises(RateLimited):
        hold(replace(wallet(grant("a", 9)), holds_open=2), 1, holds_open_max=2)


def test_only_a_grant_drained_on_the_way_to_the_next_must_still_be_as_it_was_seen() -> None:
    changes = hold(wallet(grant("a", 3, expires_in_hours=1), grant("b", 3)), 6).change.grants
    assert [(change.grant_id, change.drains) for change in changes] == [("a", True), ("b", False)]


def test_settling_less_than_was_held_returns_the_rest_to_the_grants_drawn_last() -> None:
    opening = hold(wallet(grant("a", 3, expires_in_hours=1), grant("b", 9)), 8)
    ending = end_hold(opening.hold, EndState.SETTLED, 4, {}, NOW)
    back = {entry.grant_id: entry.amount for entry in ending.movement.entries if entry.account is Account.AVAILABLE}
    assert back == {"b": 4}
    assert totals(opening.movement, ending.movement) == {"available": -4, "held": 0, "revenue": 4}


def test_what_comes_back_to_an_expired_grant_expires_with_it() -> None:
    opening = hold(wallet(grant("today", 5, expires_in_hours=1)), 5)
    ending = end_hold(opening.hold, EndState.RELEASED, 0, {}, NOW + timedelta(hours=2))
    assert totals(ending.movement) == {"held": -5, "expired": 5}
    assert ending.change.available == 0


def test_a_hold_cannot_be_settled_for_more_than_it_holds() -> None:
    with pytest.raises(ValueError, match="cannot charge 6"):
        end_hold(hold(wallet(grant("a", 5)), 5).hold, EndState.SETTLED, 6, {}, NOW)


def test_a_movement_that_does_not_sum_to_zero_cannot_exist() -> None:
    sound = hold(wallet(grant("a", 5)), 5).movement
    with pytest.raises(ValueError, match="do not sum to zero"):
        replace(sound, entries=sound.entries[:1])


def test_the_first_use_of_a_day_books_what_expired_and_appends_the_days_grant_once() -> None:
    yesterday = grant("yesterday", 7, expires_in_hours=-1)
    due = replace(wallet(yesterday, grant("bought", 3)), reset_at=NOW - timedelta(hours=12))
    plan = refresh(due, Daily(50), NOW)
    assert totals(*plan.movements) == {"available": 43, "expired": 7, "issued": -50}
    assert [each.id for each in plan.wallet.grants] == ["bought", "daily#2026-11-20"]
    assert plan.wallet.available == 53
    assert plan.wallet.reset_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert not plan.wallet.needs_refresh(NOW)


def test_a_days_grant_has_one_key_whenever_in_the_day_it_is_appended() -> None:
    of = new_wallet("wsp_A", "free", NOW)
    morning, evening = (refresh(of, Daily(50), NOW + timedelta(hours=hours)) for hours in (0, 11))
    assert [(m.order, m.key) for m in morning.movements] == [(m.order, m.key) for m in evening.movements]


def test_a_tier_whose_day_is_24_hours_gives_again_24_hours_after_it_gave_last() -> None:
    daily = Daily(50, "after_24h")
    first = refresh(new_wallet("wsp_A", "free", NOW - timedelta(days=3)), daily, NOW).wallet
    assert [(each.id, each.expires_at) for each in first.grants] == [("daily#2026-11-20", NOW + timedelta(hours=24))]
    assert not first.needs_refresh(NOW + timedelta(hours=23))
    again = NOW + timedelta(hours=30)
    second = refresh(first, daily, again)
    assert [movement.key for movement in second.movements] == ["expiry#daily#2026-11-20#1", "daily#2026-11-21"]
    assert (second.wallet.available, second.wallet.reset_at) == (50, again + timedelta(hours=24))


@given(
    resets=st.lists(st.sampled_from(["midnight", "after_24h"]), min_size=2, max_size=6),
    waits=st.lists(st.integers(0, 200_000), min_size=6, max_size=6),
)
def test_however_a_tier_changes_its_day_there_is_one_grant_to_a_date(
    resets: list[Literal["midnight", "after_24h"]], waits: list[int]
) -> None:
    of, now, given_on = new_wallet("wsp_A", "free", NOW), NOW, set[str]()
    for reset, seconds in zip(resets, waits, strict=False):
        now += timedelta(seconds=seconds)
        plan = refresh(of, Daily(50, reset), now)
        keys = {movement.key for movement in plan.movements if movement.kind == "grant"}
        assert not keys & given_on
        of, given_on = plan.wallet, given_on | keys


@given(
    amounts=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    asked=st.integers(0, 60),
    charged=st.integers(0, 60),
    hours=st.integers(0, 48),
)
def test_no_credit_appears_or_disappears(amounts: list[int], asked: int, charged: int, hours: int) -> None:
    of = wallet(*(grant(f"g{place}", amount, expires_in_hours=place * 7 + 1) for place, amount in enumerate(amounts)))
    if asked > of.spendable(NOW):
        with pytest.raises(InsufficientCredits):
            hold(of, asked)
        return
    opening = hold(of, asked)
    ending = end_hold(opening.hold, EndState.SETTLED, min(charged, asked), {}, NOW + timedelta(hours=hours))
    sums = totals(opening.movement, ending.movement)
    assert sum(sums.values()) == 0
    assert sums.get("held", 0) == 0
    assert sums.get("revenue", 0) == min(charged, asked)
    assert opening.change.available + ending.change.available == sums.get("available", 0)
    for change in (*opening.change.grants, *ending.change.grants):
        assert abs(change.remaining) <= 30


def test_daily_credits_of_an_unverified_mailbox_wait_for_its_verification() -> None:
    daily = Daily(50, verified_only=True)
    of = new_wallet("wsp_A", "free", NOW, Mailbox.UNVERIFIED)
    waiting = refresh(of, daily, NOW).wallet
    assert (waiting.grants, waiting.reset_at) == ((), NEVER)
    much_later = NOW + timedelta(days=40)
    assert not waiting.needs_refresh(much_later)
    assert not daily.is_due(waiting, much_later)
    with pytest.raises(InsufficientCredits) as refused:
        open_hold(waiting, "gen_A", 4, NOW, {}, NOW, holds_open_max=9, withheld=daily.withheld_from(waiting))
    assert refused.value.facts == {"limit": "wallet", "needed": 4, "available": 0, "reason": "email_unverified"}
    assert "verified" in refused.value.message
    verified = replace(waiting, mailbox=Mailbox.COUNTS)
    assert daily.is_due(verified, much_later)
    given_on = refresh(verified, daily, much_later)
    assert [movement.key for movement in given_on.movements] == ["daily#2026-12-30"]
    assert not daily.is_due(given_on.wallet, much_later)


def test_daily_credits_need_no_mailbox_where_a_deployment_gives_them_to_everyone() -> None:
    of = new_wallet("wsp_A", "free", NOW, Mailbox.UNVERIFIED)
    assert refresh(of, Daily(50), NOW).wallet.available == 50
    waiting = refresh(of, Daily(50, verified_only=True), NOW).wallet
    assert refresh(waiting, Daily(50), NOW).wallet.available == 50


def test_a_second_account_of_a_mailbox_has_no_daily_credits_anywhere() -> None:
    of = new_wallet("wsp_A", "free", NOW, Mailbox.SHARED)
    for daily in (Daily(50), Daily(50, verified_only=True)):
        assert daily.withheld_from(of) == "mailbox_shared"
        assert refresh(of, daily, NOW).movements == ()
