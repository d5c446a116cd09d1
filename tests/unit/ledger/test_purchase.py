"""Purchases: shares, fee and refund are the price to the credit, whoever has spent what meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import Conflict, InsufficientCredits
from atelier.ledger.model import (
    Account,
    DailyCreditRule,
    Grant,
    GrantSource,
    Movement,
    Wallet,
    WalletFrozen,
    new_wallet,
)
from atelier.ledger.operations import EARNINGS_GRANT_ID, Posting, TransferShare
from atelier.ledger.payable import payable
from atelier.ledger.plan_refresh import plan_refresh
from atelier.ledger.purchase import DRAWS_MAX, plan_purchase, plan_purchase_refund
from tests.unit.ledger.test_agreement import applied

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
PURCHASE = "pur_01M7XCN60QZZZZZZZZZZZZZZZZ"
SELLER, AUTHOR = new_wallet("wsp_S", "free", NOW), new_wallet("wsp_R", "free", NOW)
NOTHING_DAILY = DailyCreditRule(0)
NAMES = ("wsp_0", "wsp_1", "wsp_2", "wsp_3")


def wallet(*credits: int, hours: int = 0, source: GrantSource = GrantSource.PURCHASE) -> Wallet:
    """A wallet with these grants; each of them expires some hours after the one before, or none does."""
    grants = tuple(
        Grant(
            f"grt_{number}",
            source,
            each,
            each,
            0,
            60,
            NOW,
            NOW + timedelta(hours=hours * (number + 1)) if hours else None,
        )
        for number, each in enumerate(credits)
    )
    return replace(new_wallet("wsp_A", "free", NOW), available=sum(credits), grants=grants)


def shares(*credits: int) -> list[TransferShare]:
    return [TransferShare(each, amount, "seller") for each, amount in zip((SELLER, AUTHOR), credits, strict=False)]


def test_each_wallet_gets_its_share_and_the_fee_is_revenue() -> None:
    paid, *received = plan_purchase(wallet(70, 50), PURCHASE, shares(80, 10), 10, {"listing": "lst_1"}, NOW)
    entries = {(entry.account, entry.grant_id): entry.amount for entry in paid.movement.entries}
    assert entries == {
        (Account.AVAILABLE, "grt_0"): -70,
        (Account.AVAILABLE, "grt_1"): -30,
        (Account.ISSUED, None): 90,
        (Account.REVENUE, None): 10,
    }
    assert [each.change.available for each in received] == [80, 10]
    assert len({each.movement.key for each in (paid, *received)}) == 1


def test_daily_and_promotional_credits_do_not_pay() -> None:
    for source in (GrantSource.DAILY, GrantSource.PROMO):
        payer = wallet(100, source=source)
        assert payable(payer, NOW) == 0
        with pytest.raises(InsufficientCredits, match="pay nobody else"):
            plan_purchase(payer, PURCHASE, shares(5), 0, {}, NOW)


def test_what_cannot_be_paid() -> None:
    with pytest.raises(InsufficientCredits):
        plan_purchase(wallet(5), PURCHASE, shares(6), 0, {}, NOW)
    with pytest.raises(InsufficientCredits):
        plan_purchase(replace(wallet(5), debt=1), PURCHASE, shares(1), 0, {}, NOW)
    with pytest.raises(WalletFrozen):
        plan_purchase(replace(wallet(5), frozen_at=NOW), PURCHASE, shares(1), 0, {}, NOW)
    with pytest.raises(Conflict, match="grants"):
        plan_purchase(wallet(*[1] * 30), PURCHASE, shares(DRAWS_MAX + 1), 0, {}, NOW)
    payer = wallet(100)
    wrong: list[tuple[list[TransferShare], int]] = [
        ([TransferShare(payer, 5, "seller")], 0),
        ([*shares(5), *shares(5)], 0),
        (shares(0), 5),
        (shares(5), -1),
        ([], 0),
    ]
    for receivers, fee in wrong:
        with pytest.raises(ValueError, match=r"purchase|least one"):
            plan_purchase(payer, PURCHASE, receivers, fee, {}, NOW)
    paid = plan_purchase(payer, PURCHASE, shares(5), 1, {}, NOW)[0]
    with pytest.raises(ValueError, match="shares"):
        plan_purchase_refund(payer, paid.movement, shares(4), {}, NOW)


def test_what_a_receiver_has_spent_is_a_debt() -> None:
    paid = plan_purchase(wallet(100), PURCHASE, shares(90), 10, {}, NOW)[0]
    earnings = Grant(EARNINGS_GRANT_ID, GrantSource.TRANSFER, 90, 30, 0, 55, NOW, None)
    seller = replace(SELLER, available=30, grants=(earnings,))
    back, taken = plan_purchase_refund(wallet(), paid.movement, [TransferShare(seller, 90, "seller")], {}, NOW)
    assert (taken.change.available, taken.change.debt) == (-30, 60)
    assert back.change.available == 100
    none_left = plan_purchase_refund(wallet(), paid.movement, shares(90), {}, NOW)[1]
    assert (none_left.change.available, none_left.change.debt) == (0, 90)


class Market:
    """Wallets that buy from each other, as the store would write them, with all their movements."""

    def __init__(self) -> None:
        self.wallets = {name: replace(wallet(200, hours=30), workspace_id=name) for name in NAMES}
        self.movements: dict[str, list[Movement]] = {name: [] for name in NAMES}
        self.open: list[tuple[str, Movement, list[tuple[str, int]]]] = []
        self.fees, self.now, self.number = 0, NOW, 0

    def refresh(self, name: str) -> Wallet:
        plan = plan_refresh(self.wallets[name], NOTHING_DAILY, self.now)
        self.movements[name] += plan.movements
        self.wallets[name] = plan.wallet
        return plan.wallet

    def write(self, postings: tuple[Posting, ...]) -> None:
        for posting in postings:
            self.wallets[posting.workspace_id] = applied(self.wallets[posting.workspace_id], posting.change)
            self.movements[posting.workspace_id] += posting.movements

    def buy(self, payer: int, credits: list[int], fee: int) -> None:
        self.number += 1
        purchase = f"pur_{self.number:026d}"
        name, *others = NAMES[payer:] + NAMES[:payer]
        paid = [(other, amount) for other, amount in zip(others, credits, strict=False) if amount]
        receivers = [TransferShare(self.wallets[other], amount, "seller") for other, amount in paid]
        try:
            postings = plan_purchase(self.refresh(name), purchase, receivers, fee, {}, self.now)
        except (InsufficientCredits, ValueError):
            return
        self.write(postings)
        self.fees += fee
        self.open.append((name, postings[0].movement, paid))

    def refund(self, place: int) -> None:
        if self.open:
            name, movement, paid = self.open.pop(place % len(self.open))
            receivers = [TransferShare(self.wallets[other], amount, "seller") for other, amount in paid]
            self.write(plan_purchase_refund(self.refresh(name), movement, receivers, {}, self.now))
            self.fees += sum(e.amount for e in movement.entries if e.account is Account.REVENUE) * -1

    def assert_sound(self) -> None:
        for name, movements in self.movements.items():
            entries = [entry for movement in movements for entry in movement.entries]
            assert sum(entry.amount for entry in entries) == 0
            available = 200 + sum(entry.amount for entry in entries if entry.account is Account.AVAILABLE)
            now = self.wallets[name]
            assert now.available == available == sum(grant.remaining for grant in now.grants)
            assert now.debt == -sum(entry.amount for entry in entries if entry.account is Account.DEBT) >= 0
            assert now.available >= 0
        every = [entry for movements in self.movements.values() for m in movements for entry in m.entries]
        assert sum(entry.amount for entry in every if entry.account is Account.REVENUE) == self.fees
        total = sum(each.available - each.debt for each in self.wallets.values())
        expired = sum(entry.amount for entry in every if entry.account is Account.EXPIRED)
        assert total + self.fees + expired == 200 * len(NAMES)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "buy", "buy", "refund", "wait"]),
        st.integers(0, 3),
        st.lists(st.integers(0, 60), min_size=1, max_size=3),
        st.integers(0, 9),
    ),
    min_size=10,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_no_credit_comes_or_goes_in_any_order_of_purchases(steps: list[tuple[str, int, list[int], int]]) -> None:
    market = Market()
    for step, place, credits, fee in steps:
        if step == "buy":
            market.buy(place, credits, fee)
        elif step == "refund":
            market.refund(place)
        else:
            market.now += timedelta(hours=fee)
        market.assert_sound()
