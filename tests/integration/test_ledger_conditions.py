"""For each clause of the ledger's conditions, a deterministic test that fails without the clause.

`test_condition_mutations.py` switches the clauses off one by one and expects a test of this file to fail each time. A
race is staged with `meanwhile`, which runs another write between a caller's read and its own write.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb import ConditionsFailed, connection, transaction
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.ledger.transactions import (
    put_hold,
    put_new_wallet,
    put_posting,
    put_settlement,
    put_tier,
)
from atelier.clock import rfc3339
from atelier.errors import AtelierError, BudgetExceeded, Conflict, InsufficientCredits, NotFound, RateLimited
from atelier.generations.model import Generation, Status
from atelier.generations.ports import GenerationChanged, GenerationExists
from atelier.generations.quote import QuoteInput, quote
from atelier.ids import new_id
from atelier.ledger.escrow import escrow_key, plan_escrow, plan_escrow_end
from atelier.ledger.model import EndState, GrantSource, HoldPlan, new_wallet
from atelier.ledger.operations import TransferShare, plan_adjustment, plan_grant, plan_revocation, plan_transfer
from atelier.ledger.plan_hold import plan_hold, plan_late_result, plan_settlement
from atelier.ledger.ports import OperationExists, StaleWallet
from atelier.ledger.post import adjust, give_back, grant, revoke, transfer
from atelier.projects.model import WORKSPACE, Budget, Project, month_of
from tests.conftest import Tables
from tests.integration.world import World, before_first_request


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def give(world: World, key: str, credits: int, *, hours: int | None = None) -> str:
    expires_at = world.now + timedelta(hours=hours) if hours else None
    source = GrantSource.PURCHASE
    made = grant(
        world.workspace_id, f"grant#{key}", source, credits, expires_at=expires_at, deps=world.post_deps, now=world.now
    )
    assert made.grant is not None
    return made.grant.grant_id


def hold(world: World, credits: int) -> Generation:
    """Submits a generation that holds this many credits: a multiple of four up to 16."""
    return world.submit(model="local/canvas", width=1024, height=1024, n=credits // 4).generation


def left(world: World) -> dict[str, int]:
    return {grant.id: grant.remaining for grant in world.wallet().grants if grant.remaining}


def take_back(world: World, credits: int, key: str, grant_key: str) -> int:
    return revoke(
        world.workspace_id,
        f"revoke#{key}",
        f"grant#{grant_key}",
        credits,
        "refund",
        deps=world.post_deps,
        now=world.now,
    )


def return_credits(world: World, key: str) -> int:
    return give_back(world.workspace_id, f"revoke#{key}", "dispute won", deps=world.post_deps, now=world.now)


def correct(world: World, credits: int, key: str = "adjust#1") -> None:
    adjust(world.workspace_id, key, credits, reason="r", by="usr_A", deps=world.post_deps, now=world.now)


def sell(world: World, to: World, credits: int, key: str = "transfer#1") -> None:
    shares = {to.workspace_id: ("seller", credits)}
    transfer(world.workspace_id, key, shares, fee=0, deps=world.post_deps, now=world.now)


def drift(world: World, **counters: int) -> None:
    """Sets the wallet's counters to wrong values, as no product code does."""
    item = WalletItem(world.workspace_id, "wallet")
    item.update([getattr(WalletItem, name).set(value) for name, value in counters.items()])


def opening(world: World, credits: int, reference: str = "gen_01M7XC43T8VQH8B4746A8669M7") -> HoldPlan:
    deadline_at = world.now + timedelta(minutes=5)
    return plan_hold(world.refreshed(), reference, credits, deadline_at, {}, world.now, holds_open_max=25)


def write_opening(world: World, planned: HoldPlan) -> None:
    with transaction() as write:
        put_hold(write, world.workspace_id, planned)


# ---- wallets ---------------------------------------------------------------------------------------------------------


def test_an_existing_wallet_is_not_created_again(world: World) -> None:
    before = world.refreshed()
    with pytest.raises(ConditionsFailed), transaction() as write:
        put_new_wallet(write, new_wallet(world.workspace_id, "free", world.now))
    assert world.wallet() == before


def set_tier(world: World, tier: str, ends_at: datetime | None = None) -> None:
    with transaction() as write:
        put_tier(write, world.workspace_id, tier, ends_at, part="wallet")


def test_a_tier_of_a_missing_wallet_does_not_create_it(world: World) -> None:
    with pytest.raises(ConditionsFailed), transaction() as write:
        put_tier(write, "wsp_nobody", "pro@2", None, part="wallet")
    with pytest.raises(NotFound):
        world.wallets.wallet("wsp_nobody")


def test_a_tier_set_during_the_daily_reset_is_kept(world: World) -> None:
    ends_at = world.now + timedelta(days=3)
    with before_first_request(lambda: set_tier(world, "free", ends_at)):
        world.refreshed()
    assert (world.wallet().tier_ends_at, world.wallet().available) == (ends_at, 50)


def test_a_hold_planned_under_another_tier_is_refused(world: World) -> None:
    planned = opening(world, 4)
    set_tier(world, "free", world.now + timedelta(days=3))
    with pytest.raises(ConditionsFailed):
        write_opening(world, planned)
    assert world.wallet().held == 0


# ---- holds -----------------------------------------------------------------------------------------------------------


def test_a_hold_is_written_once(world: World) -> None:
    planned = opening(world, 4)
    write_opening(world, planned)
    with pytest.raises(ConditionsFailed):
        write_opening(world, planned)
    assert world.wallet().held == 4


def test_a_hold_spends_a_concurrent_grant_that_expires_sooner_first(world: World) -> None:
    world.refreshed()
    newest: list[str] = []

    def comes() -> None:
        expires_at = world.now + timedelta(minutes=30)
        made = grant(
            world.workspace_id,
            "grant#x",
            GrantSource.PROMO,
            4,
            expires_at=expires_at,
            deps=world.post_deps,
            now=world.now,
        )
        assert made.grant is not None
        newest.append(made.grant.grant_id)

    with before_first_request(comes):
        hold(world, 4)
    assert newest[0] not in left(world)


def test_a_hold_above_the_wallets_available_credits_is_refused(world: World) -> None:
    planned = opening(world, 8)
    drift(world, available=7)
    with pytest.raises(ConditionsFailed):
        write_opening(world, planned)
    assert world.wallet().available == 7


def test_a_concurrent_debt_stops_a_hold(world: World) -> None:
    give(world, "a", 8, hours=1)
    hold(world, 8)
    planned = opening(world, 48)
    with before_first_request(lambda: take_back(world, 8, "a", "a")), pytest.raises(ConditionsFailed):
        write_opening(world, planned)
    assert (world.wallet().available, world.wallet().debt) == (50, 8)


def test_a_concurrent_hold_counts_towards_the_tiers_maximum_of_open_holds(world: World) -> None:
    give(world, "a", 100)
    for _ in range(24):
        hold(world, 4)
    with before_first_request(lambda: hold(world, 4)), pytest.raises(RateLimited):
        hold(world, 4)
    assert world.wallet().holds_open == 25


def test_a_later_deadline_does_not_overwrite_an_earlier_sweep_time(world: World) -> None:
    first, soon = opening(world, 4), world.now + timedelta(seconds=30)
    sooner = plan_hold(world.refreshed(), "gen_" + "A" * 26, 4, soon, {}, world.now, holds_open_max=25)
    # Both were planned on a wallet without a hold; the later deadline must not be written over the earlier one.
    with before_first_request(lambda: write_opening(world, sooner)), pytest.raises(ConditionsFailed):
        write_opening(world, first)
    assert world.wallet().sweep_at == soon


def test_a_hold_planned_with_an_outdated_sweep_time_is_refused(world: World) -> None:
    generation = hold(world, 4)
    planned = opening(world, 4)
    assert planned.sweep_at is None or planned.sweep_at < generation.deadline_at

    later = replace(planned, sweep_at=None)
    world.wallets.postpone_sweep(world.wallet(), world.now + timedelta(hours=9))
    with pytest.raises(ConditionsFailed):
        write_opening(world, later)


def test_a_hold_cannot_overdraw_a_grant_that_a_concurrent_hold_spent(world: World) -> None:
    soon = give(world, "soon", 10, hours=1)
    with before_first_request(lambda: hold(world, 8)):
        hold(world, 4)
    assert left(world) == {"daily#2026-11-20": 48}
    assert soon not in left(world)
    world.assert_sound()


def test_a_hold_spends_concurrently_returned_credits_before_the_next_grant(world: World) -> None:
    soon = give(world, "soon", 12, hours=1)
    back = hold(world, 4)
    with before_first_request(lambda: end(world, back)):
        hold(world, 12)
    assert left(world) == {"daily#2026-11-20": 50}
    assert soon not in left(world)


def end(world: World, generation: Generation) -> None:
    world.attempt(generation)
    world.fail(generation)


# ---- settlements -----------------------------------------------------------------------------------------------------


def test_a_hold_is_settled_once(world: World) -> None:
    planned = opening(world, 4)
    write_opening(world, planned)
    hold(world, 4)
    ending = plan_settlement(planned.hold, EndState.RELEASED, 0, {}, world.now)

    def write_ending() -> None:
        with transaction() as write:
            put_settlement(write, world.workspace_id, ending)

    write_ending()
    with pytest.raises(ConditionsFailed):
        write_ending()
    assert (world.wallet().available, world.wallet().held) == (46, 4)


@pytest.mark.parametrize("lie", ["wallet", "grant"])
def test_a_settlement_returns_no_more_credits_than_are_held(world: World, lie: str) -> None:
    generation = hold(world, 4)
    item = WalletItem.get(world.workspace_id, "wallet")
    if lie == "wallet":
        drift(world, held=3)
    else:
        item.grants["daily#2026-11-20"]["held"] = 3
        item.save()
    with pytest.raises((AtelierError, GenerationChanged)):
        end_strictly(world, generation)
    assert world.wallet().available == 46


def end_strictly(world: World, generation: Generation) -> None:
    """Ends a hold as finishing does, but raises when the write is refused."""
    held = world.wallets.hold(world.workspace_id, generation.id)
    assert held is not None
    ending = plan_settlement(held, EndState.RELEASED, 0, {}, world.now)
    world.generations.close_with_ending(generation.as_ended(Status.CANCELLED, 0, None, world.now), ending)


def test_a_generation_with_a_concurrent_attempt_is_not_withdrawn(world: World) -> None:
    generation = hold(world, 4)
    with before_first_request(lambda: world.attempt(generation)), pytest.raises(GenerationChanged):
        end_strictly(world, generation)


def test_a_closed_generation_is_not_closed_with_another_settlement(world: World) -> None:
    generation = hold(world, 4)
    stored = world.get(generation)
    planned = opening(world, 4)
    write_opening(world, planned)
    end_strictly(world, stored)
    other = plan_settlement(planned.hold, EndState.RELEASED, 0, {}, world.now)
    with pytest.raises(GenerationChanged):
        world.generations.close_with_ending(stored.as_ended(Status.CANCELLED, 0, None, world.now), other)


def test_a_generation_is_created_once_even_with_another_hold(world: World) -> None:
    generation = hold(world, 4)
    with pytest.raises(GenerationExists):
        world.generations.open_with_hold(generation, opening(world, 4))


# ---- late results ----------------------------------------------------------------------------------------------------


def deliver_late(world: World, generation: Generation) -> None:
    delivered = generation.as_succeeded((), 0, world.now)
    world.generations.deliver_late(delivered, plan_late_result(generation.id, 4, {}, world.now))


def test_a_late_result_is_refused_for_a_generation_that_has_not_expired(world: World) -> None:
    generation = hold(world, 4)
    with pytest.raises(GenerationChanged):
        deliver_late(world, generation)
    assert world.get(generation).status is Status.QUEUED


def test_a_late_result_is_booked_once_even_if_the_generation_is_reset(world: World) -> None:
    generation = hold(world, 4)
    item = GenerationItem(world.workspace_id, generation.id)
    item.update([GenerationItem.status.set(Status.EXPIRED.value)])
    deliver_late(world, generation)
    item.update([GenerationItem.status.set(Status.EXPIRED.value)])
    with pytest.raises(GenerationChanged):
        deliver_late(world, generation)
    world.assert_sound()


def test_a_late_result_does_not_overwrite_a_concurrently_booked_cost(world: World) -> None:
    generation = hold(world, 4)
    item = GenerationItem(world.workspace_id, generation.id)
    item.update([GenerationItem.status.set(Status.EXPIRED.value), GenerationItem.cost_microusd.set(70)])
    with pytest.raises(GenerationChanged):
        deliver_late(world, generation)
    stored = world.get(generation)
    assert (stored.status, stored.cost_microusd) == (Status.EXPIRED, 70)


# ---- refreshing and sweeping a wallet --------------------------------------------------------------------------------


def test_a_settlement_during_the_daily_reset_is_kept(world: World) -> None:
    generation = hold(world, 8)
    world.now += timedelta(days=1)
    with before_first_request(lambda: end(world, generation)):
        world.refreshed()
    assert (world.wallet().available, world.wallet().held) == (50, 0)
    world.assert_sound()


def test_a_settlement_during_the_reset_is_kept_in_a_wallet_without_a_write_counter(world: World) -> None:
    generation = hold(world, 8)
    WalletItem(world.workspace_id, "wallet").update(actions=[WalletItem.written.remove()])
    world.now += timedelta(days=1)
    with before_first_request(lambda: end(world, generation)):
        world.refreshed()
    assert (world.wallet().available, world.wallet().held) == (50, 0)


def test_a_wallet_restored_to_an_earlier_state_books_nothing_twice(world: World) -> None:
    give(world, "a", 8, hours=1)
    correct(world, -58)
    take_back(world, 8, "a", "a")
    give(world, "b", 4, hours=1)
    # First with a debt to cover, then with a grant that expires.
    for hours in (0, 2):
        world.now += timedelta(hours=hours)
        if hours:
            give(world, "c", 9, hours=1)
            world.now += timedelta(hours=hours)
        before = WalletItem.get(world.workspace_id, "wallet")
        booked = world.refreshed()
        before.save()
        with pytest.raises(AtelierError):
            world.refreshed()
        WalletItem(world.workspace_id, "wallet").delete()
        with transaction() as write:
            put_new_wallet(write, booked)


def test_a_daily_grant_is_booked_once_even_if_the_wallets_reset_time_is_lost(world: World) -> None:
    world.refreshed()
    WalletItem(world.workspace_id, "wallet").update(actions=[WalletItem.reset_at.set(rfc3339(world.now))])
    with pytest.raises(AtelierError):
        world.refreshed()
    assert world.wallet().available == 50


def test_a_wallet_refresh_does_not_overwrite_a_concurrent_sweep_time(world: World) -> None:
    generation = hold(world, 4)
    world.now += timedelta(days=1)
    seen = world.wallet()
    with before_first_request(lambda: world.wallets.postpone_sweep(seen, world.now + timedelta(minutes=1))):
        world.refreshed()
    assert world.wallet().sweep_at == world.now + timedelta(minutes=1)
    end(world, generation)
    world.wallets.postpone_sweep(world.wallet(), None)
    assert world.wallet().sweep_at is None
    world.now += timedelta(days=1)
    with before_first_request(lambda: hold_now(world)):
        world.refreshed()
    assert world.wallet().sweep_at is not None


def hold_now(world: World) -> None:
    due = rfc3339(world.now + timedelta(hours=1))
    WalletItem(world.workspace_id, "wallet").update(actions=[WalletItem.sweep_at.set(due)])


def test_a_sweep_with_a_stale_wallet_does_not_postpone_the_next_sweep(world: World) -> None:
    hold(world, 4)
    seen = world.wallet()
    hold(world, 4)
    world.wallets.postpone_sweep(seen, world.now + timedelta(hours=1))
    assert world.wallet().sweep_at == seen.sweep_at
    now_seen = world.wallet()
    drift_sweep = world.now + timedelta(minutes=1)
    world.wallets.postpone_sweep(now_seen, drift_sweep)
    world.wallets.postpone_sweep(now_seen, world.now + timedelta(hours=1))
    assert world.wallet().sweep_at == drift_sweep


def test_a_sweep_never_clears_the_sweep_time_of_a_wallet_with_an_open_hold(world: World) -> None:
    first = hold(world, 4)
    end(world, first)
    idle = world.wallet()
    hold(world, 4)
    world.wallets.postpone_sweep(replace(idle, holds_open=1), None)
    assert world.wallet().sweep_at is not None
    busy = world.wallet()
    hold(world, 4)
    world.wallets.postpone_sweep(busy, None)
    assert world.wallet().sweep_at is not None
    for generation in world.generations.open_since(world.workspace_id, world.now - timedelta(hours=2)):
        end(world, generation)
    quiet = world.wallet()
    hold(world, 4)
    world.wallets.postpone_sweep(quiet, None)
    assert world.wallet().sweep_at is not None


# ---- operations ------------------------------------------------------------------------------------------------------


def planned_grant(world: World, key: str, order: str) -> Any:
    return plan_grant(
        world.refreshed(),
        key,
        GrantSource.PROMO,
        5,
        expires_at=None,
        priority=None,
        facts={},
        order=order,
        now=world.now,
    )


def test_an_operations_key_is_used_once_even_at_another_place_in_the_statement(world: World) -> None:
    world.wallets.post(planned_grant(world, "grant#a", "A" * 26), "f")
    with pytest.raises(OperationExists):
        world.wallets.post(planned_grant(world, "grant#a", "B" * 26), "f")
    assert world.wallet().available == 55


def test_a_transfers_movement_is_never_overwritten(tables: Tables) -> None:
    payer, other, seller = World(tables), World(tables), World(tables)

    def pay(world: World) -> None:
        plan = plan_transfer(
            world.refreshed(),
            "transfer#x",
            (TransferShare(seller.wallet(), 3, "seller"),),
            0,
            {},
            order="A" * 26,
            now=world.now,
        )
        world.wallets.post(plan, "f")

    pay(payer)
    with pytest.raises(StaleWallet):
        pay(other)
    assert seller.wallet().available == 3


def test_every_kind_of_movement_is_never_written_over(world: World) -> None:
    for number, plan in enumerate((planned_grant, planned_adjustment, planned_revocation)):
        order = "ABC"[number] * 26
        operation = plan(world, f"k#{number}", order)
        world.wallets.post(operation, "f")
        before = world.wallet()
        key = f"key#k#{number}"
        connection().delete_item(WalletItem.Meta.table_name or "", world.workspace_id, key)
        again = plan(world, f"k#{number}", order)
        # The same order in the statement and another grant id, so that only the existing movement makes the write fail.
        posting = again.postings[0]
        if posting.change.added:
            change = replace(posting.change, added=(replace(posting.change.added[0], id="another"),))
            entries = tuple(
                replace(entry, grant_id="another") if entry.grant_id else entry for entry in posting.movement.entries
            )
            movement = replace(posting.movement, entries=entries)
            again = replace(again, postings=(replace(posting, movement=movement, change=change),))
        with pytest.raises(StaleWallet):
            world.wallets.post(again, "f")
        assert world.wallet() == before


def planned_adjustment(world: World, key: str, order: str) -> Any:
    return plan_adjustment(world.refreshed(), key, -3, {}, order=order, now=world.now)


def planned_revocation(world: World, key: str, order: str) -> Any:
    give(world, "r", 20)
    recorded = world.wallets.operation_record(world.workspace_id, "grant#r")
    assert recorded is not None
    assert recorded.grant is not None
    return plan_revocation(
        world.refreshed(), key, recorded.grant, 2, expired_credits=0, reason="r", order=order, now=world.now
    )


def test_two_first_sales_at_once_do_not_overwrite_the_earnings_grant(tables: Tables) -> None:
    payer, other, seller = World(tables), World(tables), World(tables)
    payer.refreshed()
    other.refreshed()
    with before_first_request(lambda: sell(other, seller, 5, "transfer#2")):
        sell(payer, seller, 3)
    assert left(seller) == {"earnings": 8}
    seller.assert_sound()


def test_a_sale_recreates_an_earnings_grant_that_was_removed_concurrently(tables: Tables) -> None:
    payer, seller = World(tables), World(tables)
    sell(payer, seller, 4)
    correct(seller, -54)
    payer.refreshed()

    def gone() -> None:
        seller.now += timedelta(days=1)
        seller.refreshed()

    with before_first_request(gone):
        sell(payer, seller, 3, "transfer#2")
    assert left(seller) == {"daily#2026-11-21": 50, "earnings": 3}
    seller.assert_sound()


def test_an_adjustment_spends_a_concurrent_grant_that_expires_sooner_first(world: World) -> None:
    world.refreshed()
    with before_first_request(lambda: give(world, "soon", 4, hours=1)):
        correct(world, -4)
    assert left(world) == {"daily#2026-11-20": 50}


def test_a_concurrent_debt_stops_an_adjustment_and_a_transfer(tables: Tables) -> None:
    for spend in (correct_all, sell_all):
        world, other = World(tables), World(tables)
        give(world, "a", 8, hours=1)
        hold(world, 8)
        with (
            before_first_request(lambda world=world: take_back(world, 8, "a", "a")),
            pytest.raises(InsufficientCredits),
        ):
            spend(world, other)
        assert sum(left(world).values()) == 42


def correct_all(world: World, _other: World) -> None:
    correct(world, -50)


def sell_all(world: World, other: World) -> None:
    sell(world, other, 50)


def test_an_adjustment_above_the_wallets_available_credits_is_refused(world: World) -> None:
    plan = plan_adjustment(world.refreshed(), "adjust#1", -8, {}, order="A" * 26, now=world.now)
    drift(world, available=7)
    with pytest.raises(StaleWallet):
        world.wallets.post(plan, "f")


def test_an_adjustment_cannot_overdraw_a_grant_that_a_concurrent_hold_spent(world: World) -> None:
    give(world, "soon", 10, hours=1)
    with before_first_request(lambda: hold(world, 8)):
        correct(world, -4)
    assert left(world) == {"daily#2026-11-20": 48}
    world.assert_sound()


def test_an_adjustment_spends_concurrently_returned_credits_first(world: World) -> None:
    give(world, "soon", 12, hours=1)
    back = hold(world, 4)
    with before_first_request(lambda: end(world, back)):
        correct(world, -12)
    assert left(world) == {"daily#2026-11-20": 50}


def test_a_revocation_books_concurrently_spent_credits_as_debt(world: World) -> None:
    give(world, "a", 8, hours=1)
    with before_first_request(lambda: hold(world, 4)):
        take_back(world, 8, "a", "a")
    assert world.wallet().debt == 4
    world.assert_sound()


def test_a_revocation_takes_concurrently_returned_credits_and_leaves_no_debt(world: World) -> None:
    soon = give(world, "a", 8, hours=1)
    back = hold(world, 8)
    end_of = [back]
    world.now += timedelta(minutes=1)
    assert left(world).get(soon) is None
    with before_first_request(lambda: end(world, end_of[0])):
        take_back(world, 8, "a", "a")
    assert world.wallet().debt == 0
    world.assert_sound()


def test_a_revocation_planned_without_a_grant_that_exists_is_refused(world: World) -> None:
    recorded_id = give(world, "a", 4, hours=1)
    recorded = world.wallets.operation_record(world.workspace_id, "grant#a")
    assert recorded is not None
    assert recorded.grant is not None
    wallet = world.refreshed()
    gone = replace(wallet, grants=tuple(grant for grant in wallet.grants if grant.id != recorded_id))
    plan = plan_revocation(
        gone, "revoke#1", recorded.grant, 4, expired_credits=0, reason="r", order="A" * 26, now=world.now
    )
    assert plan is not None
    with pytest.raises(StaleWallet):
        world.wallets.post(plan, "f")


def test_two_concurrent_revocations_take_no_more_than_the_grant(world: World) -> None:
    give(world, "a", 10, hours=1)
    correct(world, -10)  # All credits are spent: a revocation becomes a debt, and the grant itself does not change.
    with before_first_request(lambda: take_back(world, 6, "1", "a")):
        assert take_back(world, 6, "2", "a") == 4
    assert (world.refreshed().available, world.wallet().debt) == (40, 0)
    world.assert_sound()


def test_a_revocation_does_not_take_concurrently_returned_credits_again(world: World) -> None:
    give(world, "a", 10, hours=1)
    world.now += timedelta(hours=2)
    world.refreshed()

    def taken_and_returned() -> None:
        assert (take_back(world, 10, "1", "a"), return_credits(world, "1")) == (10, 10)

    with before_first_request(taken_and_returned):
        assert take_back(world, 10, "2", "a") == 10
    # The first revocation has taken the expired credits, so the second one takes the returned ones, by a debt.
    assert (world.refreshed().available, world.wallet().debt) == (50, 0)
    world.assert_sound()


def test_a_revocation_given_back_twice_at_once_returns_its_credits_once(world: World) -> None:
    give(world, "a", 10)
    take_back(world, 10, "1", "a")
    with before_first_request(lambda: return_credits(world, "1")):
        assert return_credits(world, "1") == 10
    assert world.refreshed().available == 60
    world.assert_sound()


# ---- budgets and quotes in the hold's transaction --------------------------------------------------------------------


def paid(tables: Tables) -> World:
    """A world whose images come from a paid provider."""
    return World(tables, providers=frozenset({"replicate"}))


def project(world: World, limit: int) -> str:
    made = Project(new_id("prj", world.now), world.workspace_id, "usr_A", "A project", world.now, world.now)
    world.projects.create(made, Budget(world.workspace_id, made.id, limit))
    return made.id


def workspace_budget(world: World, limit: int) -> None:
    world.projects.create_budget(Budget(world.workspace_id, WORKSPACE, limit, period=month_of(world.now)))
    world.wallets.mark_budgeted(world.workspace_id)


def reserved(world: World, name: str) -> int:
    budget = world.projects.budget(world.workspace_id, name)
    assert budget is not None
    return budget.reserved_microusd


def test_a_budget_reserves_no_more_than_its_limit(tables: Tables) -> None:
    world = paid(tables)
    name = project(world, 2000)
    world.submit(project_id=name)
    with pytest.raises(BudgetExceeded):
        world.submit(project_id=name)
    assert reserved(world, name) == 1707


def test_a_missing_project_takes_no_hold(tables: Tables) -> None:
    world = paid(tables)
    with pytest.raises(NotFound):
        world.submit(project_id=new_id("prj", world.now))
    assert world.wallet().held == 0


def test_a_concurrently_archived_project_takes_no_hold(tables: Tables) -> None:
    world = paid(tables)
    name = project(world, 2000)
    seen = world.projects.get(world.workspace_id, name)
    budget = world.projects.budget(world.workspace_id, name)
    assert budget is not None
    after = replace(seen, archived_at=world.now), replace(budget, archived=True)
    with before_first_request(lambda: world.projects.change((seen, budget), after)), pytest.raises(Conflict):
        world.submit(project_id=name)
    assert reserved(world, name) == 0


def test_a_hold_in_a_new_month_reserves_from_the_new_months_budget(tables: Tables) -> None:
    world = paid(tables)
    workspace_budget(world, 2000)
    world.now += timedelta(days=30)
    world.submit()
    budget = world.projects.budget(world.workspace_id, WORKSPACE)
    assert budget is not None
    assert (budget.period, budget.reserved_microusd) == ("2026-12", 1707)


def test_a_quote_is_redeemed_by_one_hold(tables: Tables) -> None:
    world = paid(tables)
    ask = QuoteInput("image", "auto", {"width": 512, "height": 512})
    promise, _ = quote(world.workspace_id, ask, catalogue=world.catalogue, now=world.now)
    world.submit(quote=promise)
    with pytest.raises(Conflict):
        world.submit(quote=promise)
    assert world.wallet().holds_open == 1


def test_a_budget_set_during_the_daily_reset_is_kept(world: World) -> None:
    with before_first_request(lambda: world.wallets.mark_budgeted(world.workspace_id)):
        world.refreshed()
    assert world.wallet().budgeted
    assert world.wallet().available == 50


def test_a_provider_key_mark_set_during_the_daily_reset_is_kept(world: World) -> None:
    assert not world.wallet().own_routes
    with before_first_request(lambda: world.wallets.mark_own_routes(world.workspace_id)):
        world.refreshed()
    assert world.wallet().own_routes
    assert world.wallet().available == 50


def test_a_wallet_without_the_own_routes_mark_counts_as_having_own_routes(world: World) -> None:
    WalletItem(world.workspace_id, "wallet").update(actions=[WalletItem.own_routes.remove()])
    assert world.wallet().own_routes


def test_marking_a_missing_wallet_does_not_create_it(world: World) -> None:
    with pytest.raises(NotFound):
        world.wallets.mark_budgeted("wsp_nobody")
    with pytest.raises(NotFound):
        world.wallets.mark_own_routes("wsp_nobody")
    with pytest.raises(NotFound):
        world.wallets.wallet("wsp_nobody")


def test_an_escrow_ends_only_with_what_its_grants_hold(world: World) -> None:
    give(world, "1", 60)
    payment, twice = new_id("enr", world.now), new_id("enr", world.now)
    begin = plan_escrow(world.refreshed(), payment, 60, {}, world.now)
    with transaction() as write:
        put_posting(write, begin)
    end = plan_escrow_end(world.wallet(), begin.movement, (), 0, {}, world.now)
    # The same credits under another key: no movement is in the way, only what the grants hold.
    lie = replace(end[0], movement=replace(end[0].movement, key=f"escrow-end#{twice}", order=twice[4:]))
    with transaction() as write:
        put_posting(write, end[0])
    with pytest.raises(ConditionsFailed) as refused, transaction() as write:
        put_posting(write, lie)
    assert refused.value.parts == {"wallet"}
    assert world.wallet().held == 0
    world.assert_sound()


def test_a_refund_in_place_of_expired_credits_is_given_once(world: World) -> None:
    give(world, "1", 20, hours=1)
    payment = new_id("enr", world.now)
    begin = plan_escrow(world.refreshed(), payment, 20, {}, world.now)
    with transaction() as write:
        put_posting(write, begin)
    world.now += timedelta(hours=2)
    movement = world.wallets.movement(world.workspace_id, payment[4:], escrow_key(payment))
    (end,) = plan_escrow_end(world.refreshed(), movement, (), 0, {}, world.now)
    with transaction() as write:
        put_posting(write, end)
    assert left(world)[f"grt_{payment[4:]}"] == 20
    with pytest.raises(ConditionsFailed), transaction() as write:
        put_posting(write, end)
    world.assert_sound()


def test_a_payment_has_one_escrow_and_one_end_of_it(world: World) -> None:
    give(world, "1", 30)
    payment, other = new_id("enr", world.now), new_id("enr", world.now)
    for each in (payment, other):
        with transaction() as write:
            put_posting(write, plan_escrow(world.refreshed(), each, 10, {}, world.now))
    with pytest.raises(ConditionsFailed) as refused, transaction() as write:
        put_posting(write, plan_escrow(world.refreshed(), payment, 10, {}, world.now))
    assert refused.value.parts == {"movement"}
    movement = world.wallets.movement(world.workspace_id, payment[4:], escrow_key(payment))
    (end,) = plan_escrow_end(world.wallet(), movement, (), 0, {}, world.now)
    with transaction() as write:
        put_posting(write, end)
    # The credits of the other escrow are still held, so the wallet alone would let the same end happen again.
    with pytest.raises(ConditionsFailed) as refused, transaction() as write:
        put_posting(write, end)
    assert refused.value.parts == {"movement"}
    assert world.wallet().held == 10
    world.assert_sound()
