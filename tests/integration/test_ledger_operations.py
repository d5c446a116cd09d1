"""Grants, revocations, adjustments and transfers on the embedded store: each is booked once, in repeats and races."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb.ledger.items import OperationKeyItem
from atelier.errors import Conflict, InsufficientCredits, NotFound
from atelier.ledger.model import GrantSource, Movement
from atelier.ledger.operations import GRANTS_MAX, OperationRecord, TransferShare, plan_transfer, returned_key
from atelier.ledger.post import adjust, give_back, grant, revoke, transfer
from tests.conftest import Tables
from tests.integration.world import World, run_concurrently, stock

BOUGHT, REFUND, DISPUTE = "grant#stripe#pi_1", "revoke#stripe#re_1", "revoke#stripe#dp_1"


def buy(world: World, credits: int = 100, key: str = BOUGHT) -> OperationRecord:
    return grant(world.workspace_id, key, GrantSource.PURCHASE, credits, deps=world.post_deps, now=world.now)


def buy_expiring(world: World, credits: int, expires_at: datetime) -> None:
    grant(
        world.workspace_id,
        BOUGHT,
        GrantSource.MONTHLY,
        credits,
        expires_at=expires_at,
        deps=world.post_deps,
        now=world.now,
    )


def take_back(world: World, credits: int = 100, key: str = REFUND, grant_key: str = BOUGHT) -> int:
    return revoke(world.workspace_id, key, grant_key, credits, "refund", deps=world.post_deps, now=world.now)


def return_credits(world: World, key: str = REFUND) -> int:
    return give_back(world.workspace_id, key, "refund failed", deps=world.post_deps, now=world.now)


def unrevoked(world: World, key: str = BOUGHT) -> int:
    recorded = world.wallets.operation_record(world.workspace_id, key)
    assert recorded is not None
    assert recorded.grant is not None
    return recorded.grant.amount - recorded.grant.revoked


def spend(world: World, credits: int) -> None:
    """Settles generations for this many credits, four each."""
    for _ in range(credits // 4):
        generation = world.submit(model="local/canvas", width=1024, height=1024).generation
        world.attempt(generation)
        assert world.finish(generation).credits_charged == 4


def named(world: World, kind: str) -> list[Movement]:
    return [movement for movement in world.movements() if movement.kind == kind]


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def test_a_purchase_is_granted_once_however_often_it_is_repeated(world: World) -> None:
    first = buy(world)
    world.now += timedelta(days=400)
    assert buy(world) == first
    world.now -= timedelta(days=400)
    assert [movement.key for movement in named(world, "grant")] == [BOUGHT, "daily#2026-11-20"]
    assert world.refreshed().available == 150
    world.assert_sound()


def test_an_operation_key_with_another_amount_or_kind_is_a_conflict(world: World) -> None:
    buy(world, 100)
    with pytest.raises(Conflict):
        buy(world, 1000)
    with pytest.raises(Conflict):
        adjust(world.workspace_id, BOUGHT, 100, reason="r", by="usr_A", deps=world.post_deps, now=world.now)
    assert world.refreshed().available == 150


def test_parallel_deliveries_of_one_payment_grant_it_once(world: World) -> None:
    results = run_concurrently(16, lambda _: buy(world))
    assert len({result.order for result in results if isinstance(result, OperationRecord)}) == 1
    assert not [result for result in results if isinstance(result, Exception)]
    assert len([m for m in named(world, "grant") if m.key == BOUGHT]) == 1
    world.assert_sound()


def test_parallel_grants_of_two_amounts_with_one_key_book_one_of_them(world: World) -> None:
    results = run_concurrently(8, lambda number: buy(world, 100 + number % 2))
    assert sum(isinstance(result, Conflict) for result in results) == 4
    world.assert_sound()


def test_a_refund_of_unspent_credits_leaves_no_debt(world: World) -> None:
    buy(world)
    take_back(world)
    wallet = world.refreshed()
    assert (wallet.available, wallet.debt) == (50, 0)
    world.assert_sound()


def test_a_chargeback_after_spending_is_a_debt_that_blocks_spending_until_covered(world: World) -> None:
    buy(world, 40)
    spend(world, 80)  # The daily 50 credits are spent first, then 30 of the 40 bought.
    take_back(world, 40)
    assert (world.wallet().available, world.wallet().debt) == (0, 30)
    buy(world, 20, key="grant#stripe#pi_2")
    with pytest.raises(InsufficientCredits) as refusal:
        world.submit()
    assert refusal.value.facts["available"] == 0
    assert (world.wallet().available, world.wallet().debt) == (0, 10)
    buy(world, 15, key="grant#stripe#pi_3")
    world.submit()
    assert (world.wallet().available, world.wallet().debt) == (4, 0)
    assert [movement.kind for movement in world.movements()].count("cover") == 2
    world.assert_sound()


def test_credits_returned_from_a_hold_cover_a_debt_first(world: World) -> None:
    buy(world, 14)
    generation = world.submit(width=1024, height=1024, n=4).generation  # 16 of today's 50
    spend(world, 44)  # 34 of today's, 10 bought
    take_back(world, 14)
    assert (world.wallet().held, world.wallet().debt) == (16, 10)
    world.fail(generation)
    assert (world.refreshed().available, world.wallet().debt) == (6, 0)
    world.assert_sound()


def test_repeated_and_parallel_refunds_with_one_key_are_one_refund(world: World) -> None:
    buy(world)
    assert run_concurrently(8, lambda _: take_back(world)) == [100] * 8
    world.now += timedelta(days=400)
    assert take_back(world) == 100
    world.now -= timedelta(days=400)
    assert len(named(world, "revoke")) == 1
    world.assert_sound()


def test_parallel_refunds_take_up_to_the_grant_together(world: World) -> None:
    buy(world, 100)

    def refund(number: int) -> int:
        return take_back(world, 30, f"revoke#stripe#re_{number}")

    results = run_concurrently(8, refund)
    assert sorted(result for result in results if isinstance(result, int)) == [0, 0, 0, 0, 10, 30, 30, 30]
    assert [refund(number) for number in range(8)] == results
    assert (world.refreshed().available, world.wallet().debt, unrevoked(world)) == (50, 0, 0)
    assert len(named(world, "revoke")) == 4
    world.assert_sound()


def test_a_refund_and_a_dispute_of_one_payment_at_once_take_it_once(world: World) -> None:
    for number in range(10):
        bought = f"grant#stripe#pi_{number}"
        buy(world, 20, bought)
        keys = (f"revoke#stripe#re_{number}", f"revoke#stripe#dp_{number}")
        results = run_concurrently(2, lambda place, keys=keys, bought=bought: take_back(world, 20, keys[place], bought))
        assert sorted(result for result in results if isinstance(result, int)) == [0, 20]
        assert unrevoked(world, bought) == 0
    assert (world.refreshed().available, world.wallet().debt) == (50, 0)
    world.assert_sound()


def test_a_revocation_with_nothing_left_to_take_writes_nothing(world: World) -> None:
    buy(world)
    take_back(world)
    before = world.refreshed()
    assert [take_back(world, 100, DISPUTE) for _ in range(2)] == [0, 0]
    assert world.wallet() == before
    assert world.wallets.operation_record(world.workspace_id, DISPUTE) is None


def test_a_revocation_repeated_with_another_amount_is_a_conflict(world: World) -> None:
    buy(world, 10)
    assert take_back(world, 30) == 10
    assert take_back(world, 30) == 10
    with pytest.raises(Conflict):
        take_back(world, 10)
    with pytest.raises(Conflict):
        take_back(world, 30, BOUGHT)
    world.assert_sound()


def test_a_refund_during_parallel_spending_loses_no_credits(world: World) -> None:
    for number in range(5):
        bought = f"grant#stripe#pi_{number}"
        buy(world, 20, bought)

        def step(place: int, bought: str = bought, number: int = number) -> object:
            if place == 0:
                return take_back(world, 20, f"revoke#stripe#re_{number}", bought)
            try:
                return world.submit(width=1024, height=1024)
            except InsufficientCredits:
                return None

        results = run_concurrently(6, step)
        assert results[0] == 20
        assert not [result for result in results if isinstance(result, Exception)]
        wallet = world.refreshed()
        assert wallet.available + wallet.held - wallet.debt == 50
        world.assert_sound()


def test_a_give_back_returns_what_the_revocation_took_once(world: World) -> None:
    buy(world, 60)
    assert take_back(world, 100) == 60
    assert run_concurrently(8, lambda _: return_credits(world)) == [60] * 8
    world.now += timedelta(days=400)
    assert return_credits(world) == 60
    world.now -= timedelta(days=400)
    [returned] = [movement for movement in named(world, "grant") if movement.key == returned_key(REFUND)]
    assert returned.key == "grant#stripe#re_1#returned"
    assert (returned.facts["source"], returned.facts["revocation"]) == ("refund", REFUND)
    assert (world.refreshed().available, world.wallet().debt, unrevoked(world)) == (110, 0, 60)
    world.assert_sound()


def test_a_give_back_of_a_revocation_that_never_happened_gives_nothing(world: World) -> None:
    buy(world)
    before = world.refreshed()
    assert return_credits(world) == 0
    assert world.wallet() == before
    # It has not been used up: a revocation that comes later is given back.
    take_back(world)
    assert return_credits(world) == 100
    with pytest.raises(ValueError, match="revoked nothing"):
        return_credits(world, BOUGHT)


def test_a_give_back_covers_a_debt_first(world: World) -> None:
    buy(world, 40)
    spend(world, 80)  # The daily 50 credits are spent first, then 30 of the 40 bought.
    assert take_back(world, 40) == 40
    assert (world.wallet().available, world.wallet().debt) == (0, 30)
    assert return_credits(world) == 40
    assert (world.refreshed().available, world.wallet().debt) == (10, 0)
    world.assert_sound()


@pytest.mark.parametrize(("days", "days_returned"), [(None, None), (3, 30), (90, 90)])
def test_returned_credits_expire_with_the_grant_but_not_within_thirty_days(
    world: World, days: int | None, days_returned: int | None
) -> None:
    if days is None:
        buy(world)
    else:
        buy_expiring(world, 100, world.now + timedelta(days=days))
    take_back(world)
    return_credits(world)
    expected = None if days_returned is None else world.now + timedelta(days=days_returned)
    [returned] = [grant for grant in world.wallet().grants if grant.source is GrantSource.REFUND]
    assert (returned.amount, returned.remaining, returned.expires_at) == (100, 100, expected)


def test_a_payment_that_was_given_back_can_be_refunded_again(world: World) -> None:
    buy(world)
    assert take_back(world) == 100
    assert take_back(world, 100, DISPUTE) == 0
    assert return_credits(world) == 100
    # The second refund finds no credits in the first grant: its debt is covered from the returned ones.
    assert take_back(world, 100, "revoke#stripe#re_2") == 100
    assert (world.refreshed().available, world.wallet().debt) == (50, 0)
    assert return_credits(world) == 100
    assert world.refreshed().available == 50
    world.assert_sound()


def test_a_revocation_by_an_earlier_build_is_given_back(world: World) -> None:
    buy(world)
    take_back(world, 30)
    # Its records have always been these: nothing on the key item says what was taken.
    item = OperationKeyItem.get(world.workspace_id, f"key#{REFUND}").serialize()
    assert set(item) == {"pk", "sk", "fingerprint", "order"}
    assert (take_back(world, 30), return_credits(world)) == (30, 30)


def test_credits_that_expired_unspent_are_no_debt_after_a_refund(world: World) -> None:
    expires_at = world.now + timedelta(hours=1)
    grant(
        world.workspace_id,
        BOUGHT,
        GrantSource.PURCHASE,
        100,
        expires_at=expires_at,
        deps=world.post_deps,
        now=world.now,
    )
    spend(world, 12)
    world.now += timedelta(hours=2)
    take_back(world, 90, "revoke#1")
    take_back(world, 10, "revoke#2")
    # 12 credits were spent; before the second refund, the daily credits already covered the first 2 of the debt.
    assert (world.wallet().available, world.wallet().debt) == (48, 10)
    world.assert_sound()


def test_a_refund_of_a_missing_grant_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        take_back(world)
    with pytest.raises(NotFound):
        grant("wsp_none", BOUGHT, GrantSource.PROMO, 1, deps=world.post_deps, now=world.now)


def test_an_adjustment_adds_or_removes_credits_but_never_below_zero(world: World) -> None:
    def change(key: str, credits: int) -> None:
        adjust(world.workspace_id, key, credits, reason="an apology", by="usr_A", deps=world.post_deps, now=world.now)

    change("adjust#1", 7)
    change("adjust#2", -10)
    change("adjust#2", -10)
    with pytest.raises(InsufficientCredits):
        change("adjust#3", -48)
    assert world.refreshed().available == 47
    by_key = {movement.key: movement for movement in world.movements()}
    assert by_key["adjust#2"].facts == {"reason": "an apology", "by": "usr_A"}
    world.assert_sound()


def test_a_sale_pays_seller_and_royalty_and_keeps_the_fee_in_one_transaction(tables: Tables) -> None:
    buyer, seller, artist = World(tables), World(tables), World(tables)

    def sell(sale: str) -> OperationRecord:
        shares = {seller.workspace_id: ("seller", 7), artist.workspace_id: ("royalty", 2)}
        return transfer(buyer.workspace_id, f"transfer#{sale}", shares, fee=1, deps=buyer.post_deps, now=buyer.now)

    results = run_concurrently(4, lambda number: sell(f"sale_{number % 2}"))
    assert not [result for result in results if isinstance(result, Exception)]
    assert buyer.wallet().available == 30
    assert (seller.wallet().available, artist.wallet().available) == (14, 4)
    assert [(g.id, g.amount, g.remaining) for g in seller.wallet().grants] == [("earnings", 14, 14)]
    entries = [
        e for world in (buyer, seller, artist) for m in world.movements() for e in m.entries if "daily" not in m.key
    ]
    sums = {account: sum(e.amount for e in entries if e.account == account) for account in ("issued", "revenue")}
    assert sums == {"issued": 0, "revenue": 2}
    for world in (buyer, seller, artist):
        world.assert_sound()


def test_a_transfer_beyond_the_available_credits_changes_no_wallet(tables: Tables) -> None:
    buyer, seller = World(tables), World(tables)
    shares = {seller.workspace_id: ("seller", 30)}

    def sell(number: int) -> OperationRecord:
        return transfer(buyer.workspace_id, f"transfer#{number}", shares, fee=0, deps=buyer.post_deps, now=buyer.now)

    results = run_concurrently(4, sell)
    assert sum(isinstance(result, OperationRecord) for result in results) == 1
    assert sum(isinstance(result, InsufficientCredits) for result in results) == 3
    assert (buyer.wallet().available, seller.wallet().available) == (20, 30)


def test_grants_and_holds_in_parallel_lose_no_credits(world: World) -> None:
    def step(number: int) -> object:
        if number % 2:
            return buy(world, 10, f"grant#stripe#pi_{number}")
        return world.submit(width=1024, height=1024)

    results = run_concurrently(16, step)
    assert not [result for result in results if isinstance(result, Exception)]
    wallet = world.refreshed()
    assert (wallet.available, wallet.held) == (50 + 80 - 32, 32)
    world.assert_sound()


def test_credits_that_expired_while_held_are_no_debt_after_a_refund(world: World) -> None:
    world.refreshed()
    expires_at = world.now + timedelta(minutes=1)
    grant(
        world.workspace_id,
        BOUGHT,
        GrantSource.PURCHASE,
        10,
        expires_at=expires_at,
        deps=world.post_deps,
        now=world.now,
    )
    generation = world.submit(model="local/canvas", width=1024, height=1024).generation
    world.now = expires_at + timedelta(seconds=1)
    world.fail(generation)
    world.refreshed()
    take_back(world, 10)
    wallet = world.refreshed()
    assert (wallet.debt, wallet.available) == (0, 50)
    world.assert_sound()


def test_an_expiry_booked_by_a_fast_clock_is_no_debt_after_a_refund(world: World) -> None:
    expires_at = world.now + timedelta(seconds=2)
    grant(
        world.workspace_id, BOUGHT, GrantSource.PURCHASE, 10, expires_at=expires_at, deps=world.post_deps, now=world.now
    )
    world.now += timedelta(seconds=3)
    world.refreshed()
    world.now -= timedelta(seconds=2)
    take_back(world, 10)
    assert (world.refreshed().debt, world.refreshed().available) == (0, 50)
    world.assert_sound()


@pytest.mark.parametrize("source", [GrantSource.PURCHASE, GrantSource.MONTHLY, GrantSource.REFUND])
def test_a_paid_grant_is_given_even_at_the_maximum_number_of_grants(world: World, source: GrantSource) -> None:
    stock(world, GRANTS_MAX - len(world.refreshed().grants))
    with pytest.raises(Conflict):
        grant(world.workspace_id, "promo#more", GrantSource.PROMO, 1, deps=world.post_deps, now=world.now)
    before = world.refreshed().available
    grant(world.workspace_id, BOUGHT, source, 100, deps=world.post_deps, now=world.now)
    assert world.refreshed().available == before + 100
    assert len(world.wallet().grants) == GRANTS_MAX + 1


def test_a_callers_facts_do_not_override_the_grants_own_facts(world: World) -> None:
    facts: dict[str, int | str | None] = {"amount": 999, "source": "stripe"}
    grant(world.workspace_id, BOUGHT, GrantSource.PURCHASE, 10, facts=facts, deps=world.post_deps, now=world.now)
    with pytest.raises(Conflict):
        grant(world.workspace_id, BOUGHT, GrantSource.PURCHASE, 20, facts=facts, deps=world.post_deps, now=world.now)
    assert [movement.facts["source"] for movement in named(world, "grant") if movement.key == BOUGHT] == ["purchase"]


def test_an_operation_key_must_have_a_known_prefix_and_a_bounded_length(world: World) -> None:
    for key in ("hold#gen_1", "daily#2026-11-21", "", "x" * 201, "grant#two\nlines"):
        with pytest.raises(ValueError, match="the key of an operation"):
            buy(world, key=key)
    payer = world.refreshed()
    shares = tuple(TransferShare(replace(payer, workspace_id=f"wsp_{number}"), 1, "seller") for number in range(41))
    with pytest.raises(ValueError, match="every receiver"):
        plan_transfer(payer, "transfer#1", shares, 0, {}, order="A" * 26, now=world.now)
