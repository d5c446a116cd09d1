"""Escrows: what is held is paid with its fee, or given back, to the credit, whatever has expired meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import Conflict, InsufficientCredits
from atelier.ledger.escrow import REFUND_LIFETIME, plan_escrow, plan_escrow_end
from atelier.ledger.model import (
    DRAWS_MAX,
    SPENDING_PRIORITY,
    Account,
    Grant,
    GrantSource,
    Movement,
    Wallet,
    WalletFrozen,
    new_wallet,
)
from atelier.ledger.operations import TransferShare
from atelier.ledger.payable import payable

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
PAYMENT = "enr_01M7XCN60QZZZZZZZZZZZZZZZZ"
EDUCATOR, AUTHOR = new_wallet("wsp_E", "free", NOW), new_wallet("wsp_R", "free", NOW)
amounts = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def wallet(*credits: int, hours: int = 0, source: GrantSource = GrantSource.MONTHLY) -> Wallet:
    """A wallet with these grants; each of them expires some hours after the one before, or none does."""
    grants = tuple(
        Grant(
            f"grt_{number}",
            source,
            each,
            each,
            0,
            SPENDING_PRIORITY[source],
            NOW,
            NOW + timedelta(hours=hours * (number + 1)) if hours else None,
        )
        for number, each in enumerate(credits)
    )
    return replace(new_wallet("wsp_A", "free", NOW), available=sum(credits), grants=grants)


def shares(*credits: int) -> list[TransferShare]:
    """Shares of the educator and the author; a share of nothing is left out."""
    receivers = zip((EDUCATOR, AUTHOR), credits, strict=False)
    return [TransferShare(each, amount, "seller") for each, amount in receivers if amount]


def holding(payer: Wallet, escrow: Movement) -> Wallet:
    """The wallet after the escrow was written."""
    held = {entry.grant_id: entry.amount for entry in escrow.entries if entry.account is Account.HELD}
    grants = tuple(
        replace(each, remaining=each.remaining - held.get(each.id, 0), held=held.get(each.id, 0))
        for each in payer.grants
    )
    total = sum(held.values())
    return replace(payer, available=payer.available - total, held=total, grants=grants)


@given(
    credits=amounts,
    share=st.integers(1, 100),
    part=st.integers(0, 100),
    cut=st.integers(0, 100),
    later=st.integers(0, 8),
)
def test_what_was_held_is_paid_or_comes_back(credits: list[int], share: int, part: int, cut: int, later: int) -> None:
    payer = wallet(*credits, hours=1)
    price = max(sum(credits) * share // 100, 1)
    begin = plan_escrow(payer, PAYMENT, price, {}, NOW)
    paid = price * part // 100
    fee = paid * cut // 100
    royalty = (paid - fee) // 3
    receivers = shares(paid - fee - royalty, royalty)
    at = NOW + timedelta(hours=later)
    mine, *theirs = plan_escrow_end(holding(payer, begin.movement), begin.movement, receivers, fee, {}, at)
    assert mine.change.held == -price
    assert mine.change.available == price - paid
    assert [each.change.available for each in theirs] == [each.credits for each in receivers]
    assert sum(entry.amount for entry in mine.movement.entries if entry.account is Account.REVENUE) == fee
    assert len({each.movement.key for each in (mine, *theirs)}) == 1
    assert len(mine.change.added) == len(mine.grant_movements) <= 1
    assert all(added.expires_at == at + REFUND_LIFETIME for added in mine.change.added)


def test_what_its_owner_has_back_lasts_no_longer_than_it_would_have() -> None:
    payer = wallet(10, 20, hours=2)
    begin = plan_escrow(payer, PAYMENT, 30, {}, NOW)
    for hours, left in ((3, {2: 10}), (5, {4: 30}), (2000, {4: 30})):
        at = NOW + timedelta(hours=hours)
        held = holding(payer, begin.movement)
        (mine,) = plan_escrow_end(held, begin.movement, (), 0, {}, at, is_payers_choice=True)
        assert {(each.expires_at or at) - at: each.amount for each in mine.change.added} == {
            timedelta(hours=each): credits for each, credits in left.items()
        }
    long = replace(payer, grants=tuple(replace(each, expires_at=NOW + timedelta(days=90)) for each in payer.grants))
    at = NOW + timedelta(days=100)
    (mine,) = plan_escrow_end(holding(long, begin.movement), begin.movement, (), 0, {}, at, is_payers_choice=True)
    assert [each.expires_at for each in mine.change.added] == [at + REFUND_LIFETIME]


def test_a_refund_that_is_given_back_again_lives_no_longer() -> None:
    payer = wallet(10, 20, hours=2)
    first, second = payer.grants
    payer = replace(payer, grants=(replace(first, source=GrantSource.REFUND), second))
    begin = plan_escrow(payer, PAYMENT, 30, {}, NOW)
    at = NOW + timedelta(days=100)
    (mine,) = plan_escrow_end(holding(payer, begin.movement), begin.movement, (), 0, {}, at)
    assert {each.amount: each.expires_at for each in mine.change.added} == {
        10: at + timedelta(hours=2),
        20: at + REFUND_LIFETIME,
    }
    assert {each.movement.key for each in (mine,)} | {each.key for each in mine.grant_movements} == {
        f"escrow-end#{PAYMENT}",
        f"refund#{PAYMENT}",
        f"refund#{PAYMENT}#again",
    }
    assert len({each.id for each in mine.change.added}) == 2
    assert sum(entry.amount for each in mine.movements for entry in each.entries) == 0


@pytest.mark.parametrize("state", [{"debt": 3}, {"frozen_at": NOW}])
def test_a_wallet_in_debt_or_frozen_pays_nobody(state: dict[str, Any]) -> None:
    payer = wallet(5)
    begin = plan_escrow(payer, PAYMENT, 5, {}, NOW)
    free = holding(payer, begin.movement)
    held = replace(free, **state)
    for receivers, fee in ((shares(1), 0), ([], 1)):
        with pytest.raises(ValueError, match="debt"):
            plan_escrow_end(held, begin.movement, receivers, fee, {}, NOW)
    (back,) = plan_escrow_end(held, begin.movement, (), 0, {}, NOW)
    assert (back.change.available, back.requires_no_debt, back.requires_not_frozen) == (5, False, False)
    (paid,) = plan_escrow_end(free, begin.movement, (), 1, {}, NOW)
    assert paid.requires_no_debt
    assert paid.requires_not_frozen


def test_what_cannot_be_spent_is_not_held() -> None:
    with pytest.raises(InsufficientCredits):
        plan_escrow(wallet(5), PAYMENT, 6, {}, NOW)
    with pytest.raises(InsufficientCredits):
        plan_escrow(replace(wallet(5), debt=1), PAYMENT, 1, {}, NOW)
    with pytest.raises(WalletFrozen):
        plan_escrow(replace(wallet(5), frozen_at=NOW), PAYMENT, 1, {}, NOW)
    with pytest.raises(ValueError, match="at least one"):
        plan_escrow(wallet(5), PAYMENT, 0, {}, NOW)
    with pytest.raises(Conflict, match="grants"):
        plan_escrow(wallet(*[1] * (DRAWS_MAX + 1)), PAYMENT, DRAWS_MAX + 1, {}, NOW)


@pytest.mark.parametrize("source", [GrantSource.DAILY, GrantSource.PROMO])
def test_credits_that_cost_nothing_pay_nobody(source: GrantSource) -> None:
    free, paid = wallet(40, source=source), wallet(5)
    both = replace(free, available=45, grants=(*free.grants, replace(paid.grants[0], id="grt_paid")))
    with pytest.raises(InsufficientCredits, match=r"5.*Daily and promotional credits pay nobody else"):
        plan_escrow(both, PAYMENT, 6, {}, NOW)
    assert (payable(free, NOW), payable(both, NOW)) == (0, 5)
    assert plan_escrow(both, PAYMENT, 5, {}, NOW).change.grants[0].grant_id == "grt_paid"


def test_an_escrow_pays_no_more_than_it_holds_and_others_once_each() -> None:
    payer = wallet(5)
    begin = plan_escrow(payer, PAYMENT, 5, {}, NOW)
    held = holding(payer, begin.movement)
    wrong: list[tuple[list[TransferShare], int]] = [
        (shares(6), 0),
        (shares(5), 1),
        ([], 6),
        (shares(5), -1),
        ([TransferShare(EDUCATOR, 0, "seller")], 1),
        ([TransferShare(EDUCATOR, -1, "seller")], 1),
        ([TransferShare(held, 5, "seller")], 0),
        ([*shares(2), *shares(2)], 0),
    ]
    for receivers, fee in wrong:
        with pytest.raises(ValueError, match="escrow"):
            plan_escrow_end(held, begin.movement, receivers, fee, {}, NOW)
