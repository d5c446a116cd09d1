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
    NEVER_RESET,
    Account,
    DailyCreditRule,
    EndState,
    Grant,
    GrantSource,
    HoldPlan,
    MailboxState,
    Movement,
    Wallet,
    new_wallet,
)
from atelier.ledger.plan_hold import plan_hold, plan_settlement
from atelier.ledger.plan_refresh import plan_refresh

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


def hold(of: Wallet, amount: int, *, holds_open_max: int = 10) -> HoldPlan:
    return plan_hold(of, GENERATION, amount, LATER, {}, NOW, holds_open_max=holds_open_max)


def totals(*movements: Movement) -> dict[str, int]:
    sums: dict[str, int] = {}
    for movement in movements:
        for entry in movement.entries:
            sums[entry.account] = sums.get(entry.account, 0) + entry.amount
    return sums


def test_a_hold_draws_grants_by_expiry_then_priority_then_age() -> None:
    old = replace(grant("old", 5, priority=20), granted_at=NOW - timedelta(days=9))
    of = wallet(
        grant("bought", 5, priority=60), grant("soon", 5, expires_in_hours=1), grant("young", 5, priority=20), old
    )
    draws = hold(of, 17).hold.draws
    assert [(draw.grant_id, draw.amount) for draw in draws] == [("soon", 5), ("old", 5), ("young", 5), ("bought", 2)]


def test_a_hold_beyond_the_spendable_credits_names_what_is_available() -> None:
    with pytest.raises(InsufficientCredits) as refusal:
        hold(wallet(grant("a", 3), grant("gone", 9, expires_in_hours=-1)), 4)
    assert refusal.value.facts == {"limit": "wallet", "needed": 4, "available": 3}


def test_a_wallet_in_debt_cannot_open_a_hold() -> None:
    with pytest.raises(InsufficientCredits):
        hold(replace(wallet(grant("a", 9)), debt=1), 1)


def test_the_number_of_open_holds_is_limited_by_tier() -> None:
    with pytest.raises(RateLimited):
        hold(replace(wallet(grant("a", 9)), holds_open=2), 1, holds_open_max=2)


def test_only_a_grant_drained_before_the_next_one_is_marked_as_drained() -> None:
    changes = hold(wallet(grant("a", 3, expires_in_hours=1), grant("b", 3)), 6).change.grants
    assert [(change.grant_id, change.takes_all) for change in changes] == [("a", True), ("b", False)]


def test_a_settlement_below_the_hold_refunds_the_grants_drawn_last() -> None:
    opening = hold(wallet(grant("a", 3, expires_in_hours=1), grant("b", 9)), 8)
    ending = plan_settlement(opening.hold, EndState.SETTLED, 4, {}, NOW)
    back = {entry.grant_id: entry.amount for entry in ending.movement.entries if entry.account is Account.AVAILABLE}
    assert back == {"b": 4}
    assert totals(opening.movement, ending.movement) == {"available": -4, "held": 0, "revenue": 4}


def test_credits_refunded_to_an_expired_grant_expire() -> None:
    opening = hold(wallet(grant("today", 5, expires_in_hours=1)), 5)
    ending = plan_settlement(opening.hold, EndState.RELEASED, 0, {}, NOW + timedelta(hours=2))
    assert totals(ending.movement) == {"held": -5, "expired": 5}
    assert ending.change.available == 0


def test_a_hold_cannot_be_settled_for_more_than_it_holds() -> None:
    with pytest.raises(ValueError, match="cannot charge 6"):
        plan_settlement(hold(wallet(grant("a", 5)), 5).hold, EndState.SETTLED, 6, {}, NOW)


def test_a_movement_that_does_not_sum_to_zero_is_refused() -> None:
    sound = hold(wallet(grant("a", 5)), 5).movement
    with pytest.raises(ValueError, match="do not sum to zero"):
        replace(sound, entries=sound.entries[:1])


def test_the_first_use_of_a_day_books_expired_credits_and_one_grant() -> None:
    yesterday = grant("yesterday", 7, expires_in_hours=-1)
    due = replace(wallet(yesterday, grant("bought", 3)), reset_at=NOW - timedelta(hours=12))
    plan = plan_refresh(due, DailyCreditRule(50), NOW)
    assert totals(*plan.movements) == {"available": 43, "expired": 7, "issued": -50}
    assert [each.id for each in plan.wallet.grants] == ["bought", "daily#2026-11-20"]
    assert plan.wallet.available == 53
    assert plan.wallet.reset_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert not plan.wallet.needs_refresh(NOW)


def test_a_daily_grant_has_the_same_key_at_any_time_of_its_day() -> None:
    of = new_wallet("wsp_A", "free", NOW)
    morning, evening = (plan_refresh(of, DailyCreditRule(50), NOW + timedelta(hours=hours)) for hours in (0, 11))
    assert [(m.order, m.key) for m in morning.movements] == [(m.order, m.key) for m in evening.movements]


def test_a_24_hour_tier_grants_again_24_hours_after_its_last_grant() -> None:
    daily = DailyCreditRule(50, "after_24h")
    first = plan_refresh(new_wallet("wsp_A", "free", NOW - timedelta(days=3)), daily, NOW).wallet
    assert [(each.id, each.expires_at) for each in first.grants] == [("daily#2026-11-20", NOW + timedelta(hours=24))]
    assert not first.needs_refresh(NOW + timedelta(hours=23))
    again = NOW + timedelta(hours=30)
    second = plan_refresh(first, daily, again)
    assert [movement.key for movement in second.movements] == ["expiry#daily#2026-11-20#1", "daily#2026-11-21"]
    assert (second.wallet.available, second.wallet.reset_at) == (50, again + timedelta(hours=24))


@given(
    resets=st.lists(st.sampled_from(["midnight", "after_24h"]), min_size=2, max_size=6),
    waits=st.lists(st.integers(0, 200_000), min_size=6, max_size=6),
)
def test_a_tier_that_changes_its_reset_rule_has_one_grant_for_each_date(
    resets: list[Literal["midnight", "after_24h"]], waits: list[int]
) -> None:
    of, now, given_on = new_wallet("wsp_A", "free", NOW), NOW, set[str]()
    for reset, seconds in zip(resets, waits, strict=False):
        now += timedelta(seconds=seconds)
        plan = plan_refresh(of, DailyCreditRule(50, reset), now)
        keys = {movement.key for movement in plan.movements if movement.kind == "grant"}
        assert not keys & given_on
        of, given_on = plan.wallet, given_on | keys


@given(
    amounts=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    needed=st.integers(0, 60),
    charged=st.integers(0, 60),
    hours=st.integers(0, 48),
)
def test_a_hold_and_its_settlement_conserve_credits(amounts: list[int], needed: int, charged: int, hours: int) -> None:
    of = wallet(*(grant(f"g{place}", amount, expires_in_hours=place * 7 + 1) for place, amount in enumerate(amounts)))
    if needed > of.spendable(NOW):
        with pytest.raises(InsufficientCredits):
            hold(of, needed)
        return
    opening = hold(of, needed)
    ending = plan_settlement(opening.hold, EndState.SETTLED, min(charged, needed), {}, NOW + timedelta(hours=hours))
    sums = totals(opening.movement, ending.movement)
    assert sum(sums.values()) == 0
    assert sums.get("held", 0) == 0
    assert sums.get("revenue", 0) == min(charged, needed)
    assert opening.change.available + ending.change.available == sums.get("available", 0)
    for change in (*opening.change.grants, *ending.change.grants):
        assert abs(change.remaining) <= 30


def test_daily_credits_of_an_unverified_mailbox_are_withheld() -> None:
    daily = DailyCreditRule(50, verified_only=True)
    of = new_wallet("wsp_A", "free", NOW, MailboxState.UNVERIFIED)
    waiting = plan_refresh(of, daily, NOW).wallet
    assert (waiting.grants, waiting.reset_at) == ((), NEVER_RESET)
    much_later = NOW + timedelta(days=40)
    assert not waiting.needs_refresh(much_later)
    assert not daily.is_due(waiting, much_later)
    with pytest.raises(InsufficientCredits) as refused:
        plan_hold(
            waiting, "gen_A", 4, NOW, {}, NOW, holds_open_max=9, withholding_reason=daily.withholding_reason(waiting)
        )
    assert refused.value.facts == {"limit": "wallet", "needed": 4, "available": 0, "reason": "email_unverified"}
    assert "verified" in refused.value.message
    verified = replace(waiting, mailbox=MailboxState.ELIGIBLE)
    assert daily.is_due(verified, much_later)
    given_on = plan_refresh(verified, daily, much_later)
    assert [movement.key for movement in given_on.movements] == ["daily#2026-12-30"]
    assert not daily.is_due(given_on.wallet, much_later)


def test_daily_credits_need_no_verification_if_not_configured() -> None:
    of = new_wallet("wsp_A", "free", NOW, MailboxState.UNVERIFIED)
    assert plan_refresh(of, DailyCreditRule(50), NOW).wallet.available == 50
    waiting = plan_refresh(of, DailyCreditRule(50, verified_only=True), NOW).wallet
    assert plan_refresh(waiting, DailyCreditRule(50), NOW).wallet.available == 50


def test_a_second_account_of_a_mailbox_gets_no_daily_credits() -> None:
    of = new_wallet("wsp_A", "free", NOW, MailboxState.SHARED)
    for daily in (DailyCreditRule(50), DailyCreditRule(50, verified_only=True)):
        assert daily.withholding_reason(of) == "mailbox_shared"
        assert plan_refresh(of, daily, NOW).movements == ()
