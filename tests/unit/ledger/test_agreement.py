"""Plans whose entries and counters disagree stop before anything is written; sound plans pass in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import InsufficientCredits
from atelier.ledger.agreement import assert_agreement, assert_refresh
from atelier.ledger.model import (
    Account,
    Change,
    DailyCreditRule,
    EndState,
    GrantSource,
    Hold,
    Movement,
    Wallet,
    new_wallet,
)
from atelier.ledger.operations import (
    GrantRecord,
    Operation,
    plan_adjustment,
    plan_give_back,
    plan_grant,
    plan_revocation,
    revoked_credits,
)
from atelier.ledger.plan_hold import plan_hold, plan_late_result, plan_settlement
from atelier.ledger.plan_refresh import plan_refresh

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAILY = DailyCreditRule(50)
GENERATION = "gen_01M7XC43T8VQH8B4746A8669M7"


def applied(wallet: Wallet, change: Change) -> Wallet:
    """The wallet after a change, as the store applies it."""
    deltas = {each.grant_id: each for each in change.grants}
    grants = tuple(
        replace(grant, remaining=grant.remaining + delta.remaining, held=grant.held + delta.held)
        if (delta := deltas.get(grant.id))
        else grant
        for grant in wallet.grants
    )
    return replace(
        wallet,
        available=wallet.available + change.available,
        held=wallet.held + change.held,
        debt=wallet.debt + change.debt,
        holds_open=wallet.holds_open + change.holds_open,
        grants=(*grants, *change.added),
    )


def funded() -> Wallet:
    return plan_refresh(new_wallet("wsp_A", "free", NOW), DAILY, NOW).wallet


def purchase(wallet: Wallet, key: str, credits: int, now: datetime) -> Operation:
    """A bought grant; its key is its place in the statement too."""
    source = GrantSource.PURCHASE
    return plan_grant(wallet, key, source, credits, expires_at=None, priority=None, facts={}, order=key, now=now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hold", "settle", "grant", "revoke", "give back", "adjust", "refresh"]), st.integers(0, 60)
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_the_counters_of_a_wallet_equal_its_movements_after_any_steps(steps: list[tuple[str, int]]) -> None:
    wallet, now, holds, movements = new_wallet("wsp_A", "free", NOW), NOW, list[Hold](), list[Movement]()
    purchases: list[tuple[str, int]] = []
    revocations: list[tuple[Movement, GrantRecord]] = []
    for number, (step, amount) in enumerate(steps):
        order = f"{number:026d}"
        now += timedelta(hours=amount % 7)
        refresh = plan_refresh(wallet, DAILY, now)
        wallet = refresh.wallet
        movements += refresh.movements
        try:
            if step == "hold":
                opened = plan_hold(wallet, f"gen_{order}", amount, now, {}, now, holds_open_max=99)
                holds.append(opened.hold)
                movement, change = opened.movement, opened.change
            elif step == "settle" and holds:
                hold = holds.pop(amount % len(holds))
                ended = plan_settlement(hold, EndState.SETTLED, min(amount, hold.amount), {}, now)
                movement, change = ended.movement, ended.change
            elif step == "revoke" and purchases:
                key, given_credits = purchases.pop()
                record = purchase(wallet, key, given_credits, now).new_grant
                assert record is not None
                again = f"revoke#{order}"
                revocation = plan_revocation(
                    wallet, again, record, amount + 1, expired_credits=0, reason="refund", order=order, now=now
                )
                assert revocation is not None
                assert revocation.changed_grant is not None
                posting = revocation.postings[0]
                movement, change = posting.movement, posting.change
                assert revoked_credits(movement) == min(amount + 1, given_credits)
                revocations.append((movement, revocation.changed_grant[1]))
            elif step == "give back" and revocations:
                revoked, record = revocations.pop()
                returned = plan_give_back(wallet, revoked, record, reason="refund failed", order=order, now=now)
                assert returned.changed_grant is not None
                assert returned.changed_grant[1].revoked == 0
                movement, change = returned.postings[0].movement, returned.postings[0].change
            elif step == "grant" and amount:
                posting = purchase(wallet, order, amount, now).postings[0]
                purchases.append((order, amount))
                movement, change = posting.movement, posting.change
            elif step == "adjust" and amount:
                posting = plan_adjustment(wallet, f"adjust#{order}", -amount, {}, order=order, now=now).postings[0]
                movement, change = posting.movement, posting.change
            else:
                continue
        except InsufficientCredits:
            continue
        wallet = applied(wallet, change)
        movements.append(movement)
    sums = {
        account: sum(entry.amount for movement in movements for entry in movement.entries if entry.account is account)
        for account in Account
    }
    assert sum(sums.values()) == 0
    assert (wallet.available, wallet.held, wallet.debt) == (sums["available"], sums["held"], -sums["debt"])
    assert min(wallet.available, wallet.held, wallet.debt) >= 0
    assert wallet.available == sum(grant.remaining for grant in wallet.grants)
    assert wallet.held == sum(grant.held for grant in wallet.grants) == sum(hold.amount for hold in holds)


WRONG: list[tuple[str, Callable[[Change], Change]]] = [
    ("disagrees on available", lambda change: replace(change, available=change.available + 1)),
    ("disagrees on held", lambda change: replace(change, held=change.held - 1)),
    ("disagrees on debt", lambda change: replace(change, debt=1)),
    ("disagrees on grant", lambda change: replace(change, grants=())),
    ("disagrees on grant", lambda change: replace(change, grants=(replace(change.grants[0], held=0),))),
]


@pytest.mark.parametrize(("message", "wrong"), WRONG)
def test_a_change_that_disagrees_with_its_movement_is_stopped(message: str, wrong: Callable[[Change], Change]) -> None:
    sound = plan_hold(funded(), GENERATION, 5, NOW, {}, NOW, holds_open_max=9)
    assert_agreement(sound.movement, sound.change)
    with pytest.raises(AssertionError, match=message):
        assert_agreement(sound.movement, wrong(sound.change))


def test_a_refresh_that_disagrees_with_its_movements_is_stopped() -> None:
    plan = plan_refresh(new_wallet("wsp_A", "free", NOW), DAILY, NOW)
    assert_refresh(plan.before, plan.wallet, plan.movements)
    for wrong, message in [
        (replace(plan.wallet, available=51), "available"),
        (replace(plan.wallet, held=1), "held"),
        (replace(plan.wallet, debt=1), "debt"),
    ]:
        with pytest.raises(AssertionError, match=message):
            assert_refresh(plan.before, wrong, plan.movements)


def test_an_operators_loss_is_never_negative() -> None:
    with pytest.raises(AssertionError, match="is -1 credits"):
        plan_late_result(GENERATION, -1, {}, NOW)
