"""A Hypothesis state machine: the real use cases on the embedded store, in any order, compared with a plain oracle.

Every step may be repeated as a retry would; the clock jumps across midnights, deadlines and expiries; after every step
the wallet equals the oracle and the sums of the entries. Each run uses another seed and prints it:
`LEDGER_SEED=… pytest tests/integration/test_ledger_machine.py` repeats a run, `LEDGER_EXAMPLES=1000` makes it longer.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from atelier.adapters.aws.dynamodb import ConditionsFailed, transaction
from atelier.adapters.aws.dynamodb.ledger.transactions import put_posting, put_tier
from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.price_list import PriceList
from atelier.errors import Conflict, InsufficientCredits
from atelier.generations.cancel import cancel
from atelier.generations.model import Generation, Status
from atelier.generations.outcome import Outcome
from atelier.generations.ports import OutputLocation
from atelier.generations.sweep import sweep
from atelier.ids import derived_id, new_id
from atelier.ledger.escrow import escrow_key, plan_escrow, plan_escrow_end
from atelier.ledger.model import GrantSource, Wallet
from atelier.ledger.operations import Posting, TransferShare, returned_key
from atelier.ledger.post import adjust, give_back, grant, revoke, transfer
from tests.conftest import Tables
from tests.integration.oracle import DAILY_CREDITS, OracleGrant, OracleHold, OracleWallet
from tests.integration.world import World

SOURCES = {GrantSource.PURCHASE: 60, GrantSource.PROMO: 30, GrantSource.MONTHLY: 20, GrantSource.REFUND: 40}
hours = st.sampled_from([None, 1, 5, 13, 26])
small = st.integers(1, 60)
MONTH = timedelta(days=30)


def with_daily_credits(catalogue: Catalogue) -> Catalogue:
    """The catalogue with the daily credits that the oracle gives."""
    prices = catalogue.data.prices
    credits = {prices.newest_tiers["free"].id: DAILY_CREDITS["free"], **DAILY_CREDITS}
    tiers = [replace(tier, daily_credits=credits.get(tier.id, tier.daily_credits)) for tier in prices.tiers.values()]
    changed = PriceList.of(tiers, prices.packs.values())
    return replace(catalogue, data=catalogue.data.with_prices(changed))


@dataclass
class Revocation:
    """A revocation of a grant, and how many credits it took; 0 = none, and nothing was written."""

    key: str
    pot: OracleGrant
    asked: int
    taken: int
    call: Callable[[], int]

    def check(self) -> None:
        assert self.call() == self.taken


@dataclass
class Open:
    """An open generation, its hold in the oracle, and whether it was submitted to a provider before its deadline."""

    generation: Generation
    reserve: OracleHold
    was_called: bool = False


class LedgerMachine(RuleBasedStateMachine):
    """Two wallets; the second sells, receives fees and transfers, and spends what it has."""

    tables: Tables

    @initialize()
    def begin(self) -> None:
        self.world, self.other = World(self.tables), World(self.tables)
        self.world.catalogue = self.other.catalogue = with_daily_credits(self.world.catalogue)
        self.purse, self.other_purse = OracleWallet(self.world.now), OracleWallet(self.world.now)
        self.open: list[Open] = []
        self.ended: list[Generation] = []
        self.bought: list[tuple[str, OracleGrant]] = []
        self.escrows: list[tuple[str, OracleHold, datetime]] = []
        self.revocations: list[Revocation] = []
        self.repeatable: list[Callable[[], object]] = []
        self.number = 0
        # The wallets as they were when their movements were last checked.
        self.sound: dict[str, Wallet] = {}

    def key(self, kind: str) -> str:
        self.number += 1
        return f"{kind}#{self.number}"

    def done(self, again: Callable[[], object]) -> None:
        """Repeats the last step at once, as a retry after a lost answer, and keeps it for later repeats."""
        again()
        self.repeatable.append(again)

    # ---- the clock ---------------------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 2, 4, 50, 300, 700, 1500]))
    def time_passes(self, minutes: int) -> None:
        # No hold lives for two days: the sweep, which runs every minute, ends it at its deadline.
        if any(self.world.now - each.generation.created_at > timedelta(hours=20) for each in self.open):
            self.the_sweep_runs()
        self.world.now += timedelta(minutes=minutes)
        self.other.now = self.world.now

    @rule()
    def a_month_passes(self) -> None:
        self.time_passes(180)
        self.the_sweep_runs()
        self.world.now += MONTH
        self.other.now = self.world.now

    @rule()
    def somebody_looks(self) -> None:
        self.world.refreshed()
        self.world.refreshed()
        self.purse.refresh(self.world.now)

    # ---- generations -------------------------------------------------------------------------------------------------

    @rule(images=st.integers(1, 4), scale=st.sampled_from([1, 2]))
    def submit(self, images: int, scale: int) -> None:
        price, key = images * 4 * scale * scale, self.key("request")

        def call() -> Generation:
            sizes = {"width": 1024 * scale, "height": 1024 * scale, "n": images, "seed": 1}
            return self.world.submit(key=key, model="local/canvas", **sizes).generation

        self.purse.refresh(self.world.now)
        if not self.purse.can_spend(price, self.world.now):
            with pytest.raises(InsufficientCredits):
                call()
            return
        generation = call()
        assert generation.watermark == (self.purse.tier_at(self.world.now) == "free")
        self.open.append(Open(generation, self.purse.hold(price, self.world.now)))
        self.done(call)

    def take_open(self, place: int) -> Open:
        taken = self.open.pop(place % len(self.open))
        self.ended.append(taken.generation)
        return taken

    def ask(self, what: Open) -> None:
        """Attempts a generation. It is submitted to a provider only if the first attempt is before the deadline."""
        self.world.attempt(what.generation)
        what.was_called = what.was_called or self.world.now < what.generation.deadline_at

    @precondition(lambda self: self.open)
    @rule(place=st.integers(0, 9))
    def a_model_is_called(self, place: int) -> None:
        self.ask(self.open[place % len(self.open)])

    @precondition(lambda self: self.open)
    @rule(place=st.integers(0, 9), delivered=st.integers(1, 4))
    def succeed(self, place: int, delivered: int) -> None:
        taken = self.take_open(place)
        self.ask(taken)
        generation, reserve = taken.generation, taken.reserve
        if not taken.was_called:
            ended = self.world.finish(generation)
            assert (ended.status, ended.credits_charged) == (Status.FAILED, 0)
            self.purse.end(reserve, 0, self.world.now)
            return
        images = generation.recipe.parameters["n"]
        delivered = min(delivered, images)
        outcome = Outcome("succeeded", tuple(OutputLocation(key=f"k{number}") for number in range(delivered)))
        ended = self.world.finish(generation, outcome)
        charged = reserve.amount * delivered // images
        assert (ended.status, ended.credits_charged) == (Status.SUCCEEDED, charged)
        self.purse.end(reserve, charged, self.world.now)
        self.done(lambda: self.world.finish(generation, outcome))

    @precondition(lambda self: self.open)
    @rule(place=st.integers(0, 9))
    def fail(self, place: int) -> None:
        taken = self.take_open(place)
        self.ask(taken)
        generation = taken.generation
        assert self.world.fail(generation).status is Status.FAILED
        self.purse.end(taken.reserve, 0, self.world.now)
        self.done(lambda: self.world.fail(generation))

    @precondition(lambda self: self.open)
    @rule(place=st.integers(0, 9))
    def cancel(self, place: int) -> None:
        taken = self.take_open(place)
        generation = taken.generation

        def call() -> Generation:
            return cancel(self.world.workspace_id, generation.id, deps=self.world.finish_deps, now=self.world.now)

        cancelled = call()
        if taken.was_called:
            # The job is already running: the cancellation takes effect when its result arrives, which is discarded.
            cancelled = self.world.finish(generation, Outcome("succeeded", (OutputLocation(key="k0"),)))
        assert cancelled.status is Status.CANCELLED
        self.purse.end(taken.reserve, 0, self.world.now)
        self.done(call)

    @rule()
    def the_sweep_runs(self) -> None:
        sweep(self.world.workspace_id, deps=self.world.finish_deps, now=self.world.now)
        overdue = [each for each in self.open if each.generation.deadline_at <= self.world.now]
        for each in overdue:
            assert self.world.get(each.generation).status is Status.EXPIRED
            self.purse.end(each.reserve, 0, self.world.now)
            self.ended.append(each.generation)
        self.open = [each for each in self.open if each not in overdue]

    # ---- grants, revocations, adjustments, transfers -----------------------------------------------------------------

    @rule(source=st.sampled_from(list(SOURCES)), credits=small, lives=hours)
    def grant(self, source: GrantSource, credits: int, lives: int | None) -> None:
        self.give(source, credits, self.world.now + timedelta(hours=lives) if lives else None)

    @rule(credits=small, difference=small, days=st.integers(1, 30))
    def an_invoice_is_paid(self, credits: int, difference: int, days: int) -> None:
        """The first invoice of a subscription and, days before its period's end, the one of an upgrade."""
        period_end = self.world.now + MONTH
        self.tier_becomes("pro@1", None)
        self.give(GrantSource.MONTHLY, credits, period_end)
        self.world.now = period_end - timedelta(days=days) if not self.open else self.world.now
        self.other.now = self.world.now
        self.give(GrantSource.MONTHLY, difference, period_end)

    @rule(tier=st.sampled_from(list(DAILY_CREDITS)), ends_in_hours=hours)
    def the_tier_changes(self, tier: str, ends_in_hours: int | None) -> None:
        self.tier_becomes(tier, self.world.now + timedelta(hours=ends_in_hours) if ends_in_hours else None)

    def tier_becomes(self, tier: str, ends_at: datetime | None) -> None:
        with transaction() as write:
            put_tier(write, self.world.workspace_id, tier, ends_at, part="wallet")
        self.purse.tier, self.purse.tier_ends_at = tier, ends_at

    def give(self, source: GrantSource, credits: int, expires: datetime | None) -> None:
        key, born = self.key("grant"), self.world.now

        def call(amount: int = credits) -> str:
            recorded = grant(
                self.world.workspace_id,
                key,
                source,
                amount,
                expires_at=expires,
                deps=self.world.post_deps,
                now=self.world.now,
            )
            assert recorded.grant is not None
            return recorded.grant.grant_id

        self.purse.refresh(born)
        pot = OracleGrant(call(), credits, SOURCES[source], born, expires, granted=credits)
        self.purse.grants.append(pot)
        self.bought.append((key, pot))
        self.done(call)
        with pytest.raises(Conflict):
            call(credits + 1)

    @precondition(lambda self: self.bought)
    @rule(place=st.integers(0, 9), credits=small)
    def revoke(self, place: int, credits: int) -> None:
        grant_key, pot = self.bought[place % len(self.bought)]
        key = self.key("revoke")

        def call() -> int:
            return revoke(
                self.world.workspace_id,
                key,
                grant_key,
                credits,
                "refund",
                deps=self.world.post_deps,
                now=self.world.now,
            )

        self.take_back(Revocation(key, pot, credits, 0, call))

    @precondition(lambda self: self.revocations)
    @rule(place=st.integers(0, 9))
    def a_revocation_is_repeated(self, place: int) -> None:
        self.take_back(self.revocations.pop(place % len(self.revocations)))

    def take_back(self, revocation: Revocation) -> None:
        """Calls a revocation. One that took something before is a repetition, which does not touch the wallet."""
        taken = revocation.taken
        if not taken:
            self.purse.refresh(self.world.now)
            taken = self.purse.take_back(revocation.pot, revocation.asked)
        revoked = replace(revocation, taken=taken)
        revoked.check()
        revoked.check()
        self.revocations.append(revoked)

    @precondition(lambda self: self.revocations)
    @rule(place=st.integers(0, 9))
    def give_back(self, place: int) -> None:
        revocation = self.revocations.pop(place % len(self.revocations))
        at = self.world.now

        def call() -> None:
            returned = give_back(
                self.world.workspace_id, revocation.key, "r", deps=self.world.post_deps, now=self.world.now
            )
            assert returned == revocation.taken

        call()
        if not revocation.taken:
            self.revocations.append(revocation)
            return
        self.purse.refresh(at)
        recorded = self.world.wallets.operation_record(self.world.workspace_id, returned_key(revocation.key))
        assert recorded is not None
        assert recorded.grant is not None
        pot = self.purse.give_back(revocation.pot, revocation.taken, recorded.grant.grant_id, at)
        assert recorded.grant.expires_at == pot.expires_at
        self.bought.append((recorded.key, pot))
        self.done(call)
        self.repeatable.append(revocation.check)

    @rule(credits=st.integers(-30, 30).filter(bool))
    def adjust(self, credits: int) -> None:
        key, at = self.key("adjust"), self.world.now

        def call() -> str:
            recorded = adjust(
                self.world.workspace_id,
                key,
                credits,
                reason="r",
                by="usr_A",
                deps=self.world.post_deps,
                now=self.world.now,
            )
            return recorded.grant.grant_id if recorded.grant else ""

        self.purse.refresh(at)
        if credits < 0 and not self.purse.can_spend(-credits, at):
            with pytest.raises(InsufficientCredits):
                call()
            return
        granted = call()
        if credits > 0:
            self.purse.grants.append(OracleGrant(granted, credits, 50, at, None, granted=credits))
        else:
            self.purse.take(-credits, at)
        self.done(call)

    @rule(price=small, fee=st.integers(0, 5))
    def sell(self, price: int, fee: int) -> None:
        key, at = self.key("transfer"), self.world.now

        def call() -> object:
            return transfer(
                self.world.workspace_id,
                key,
                {self.other.workspace_id: ("seller", price)},
                fee=fee,
                deps=self.world.post_deps,
                now=self.world.now,
            )

        self.purse.refresh(at)
        if not self.purse.can_spend(price + fee, at):
            with pytest.raises(InsufficientCredits):
                call()
            return
        call()
        self.purse.take(price + fee, at)
        self.earn(price, at)
        self.done(call)

    # ---- escrows -----------------------------------------------------------------------------------------------------

    @rule(price=small)
    def a_price_is_held(self, price: int) -> None:
        payment, at = new_id("enr", self.world.now), self.world.now
        self.purse.refresh(at)
        if self.purse.payable(at) < price:
            with pytest.raises(InsufficientCredits):
                plan_escrow(self.world.refreshed(), payment, price, {}, at)
            return
        self.post_once(lambda: (plan_escrow(self.world.refreshed(), payment, price, {}, at),))
        self.escrows.append((payment, self.purse.hold(price, at, paid_only=True), at))

    @precondition(lambda self: self.escrows)
    @rule(
        place=st.integers(0, 9),
        percent=st.sampled_from([0, 50, 100]),
        cut=st.sampled_from([0, 10, 60, 100]),
        is_choice=st.booleans(),
    )
    def an_escrow_is_paid_or_given_back(self, place: int, percent: int, cut: int, is_choice: bool) -> None:
        payment, held, held_at = self.escrows.pop(place % len(self.escrows))
        # A wallet in debt pays nobody.
        at, paid = self.world.now, 0 if self.purse.debt else held.amount * percent // 100
        fee = paid * cut // 100
        movement = self.world.wallets.movement(self.world.workspace_id, payment[4:], escrow_key(payment))

        def plan() -> tuple[Posting, ...]:
            shares = [TransferShare(self.other.wallet(), paid - fee, "seller")] if paid > fee else []
            payer = self.world.wallet()
            return plan_escrow_end(payer, movement, shares, fee, {}, at, is_payers_choice=is_choice)

        self.post_once(plan)
        names = f"grt_{payment[4:]}", derived_id("grt", at, f"refund#{payment}#again")
        self.purse.end_escrow(held, paid, names, at, held_at, is_choice=is_choice)
        if paid > fee:
            self.earn(paid - fee, at)

    @rule(credits=small)
    def the_seller_spends(self, credits: int) -> None:
        key, at = self.key("adjust"), self.world.now

        def call() -> object:
            return adjust(
                self.other.workspace_id, key, -credits, reason="r", by="usr_A", deps=self.other.post_deps, now=at
            )

        self.other_purse.refresh(at)
        if not self.other_purse.can_spend(credits, at):
            with pytest.raises(InsufficientCredits):
                call()
            return
        call()
        self.other_purse.take(credits, at)

    def post_once(self, plan: Callable[[], tuple[Posting, ...]]) -> None:
        """Writes postings, and once more, as a retry would, which is refused."""
        postings = plan()
        self.write(postings)
        with pytest.raises(ConditionsFailed, match="movement"):
            self.write(postings)

    @staticmethod
    def write(postings: tuple[Posting, ...]) -> None:
        with transaction() as write:
            for posting in postings:
                put_posting(write, posting)

    def earn(self, credits: int, at: datetime) -> None:
        earned = next((pot for pot in self.other_purse.grants if pot.name == "earnings"), None)
        if earned is None:
            earned = OracleGrant("earnings", 0, 55, at, None)
            self.other_purse.grants.append(earned)
        earned.left += credits

    @precondition(lambda self: self.repeatable)
    @rule(place=st.integers(0, 99))
    def something_old_is_repeated(self, place: int) -> None:
        self.repeatable[place % len(self.repeatable)]()

    # ---- invariants --------------------------------------------------------------------------------------------------

    @invariant()
    def the_wallets_are_what_the_oracle_and_their_entries_say(self) -> None:
        if not hasattr(self, "world"):
            return
        for world, purse in ((self.world, self.purse), (self.other, self.other_purse)):
            wallet = world.wallet()
            assert (wallet.available, wallet.held, wallet.debt) == (purse.available, purse.held, purse.debt)
            assert {g.id: g.remaining for g in wallet.grants if g.remaining} == {
                pot.name: pot.left for pot in purse.grants if pot.left
            }
            if wallet != self.sound.get(wallet.workspace_id):
                self.the_entries_add_up(world, wallet)

    def the_entries_add_up(self, world: World, wallet: Wallet) -> None:
        """Checks all movements of a wallet. After a step that leaves the wallet as it was, they are those of the last
        check; `teardown` would find one that was written nevertheless."""
        paid = [
            entry.amount
            for movement in world.assert_sound(wallet)
            for entry in movement.entries
            if entry.account == "revenue" and movement.kind not in ("transfer", "escrow_end")
        ]
        assert sum(paid) == (self.purse.spent if world is self.world else 0)
        self.sound[wallet.workspace_id] = wallet

    def teardown(self) -> None:
        if hasattr(self, "world"):
            for world in (self.world, self.other):
                self.the_entries_add_up(world, world.wallet())


@pytest.mark.parametrize("lane", range(4))
def test_the_ledger_equals_the_oracle_after_any_order_of_operations(tables: Tables, lane: int) -> None:
    # 15 examples of 50 steps in each lane.
    examples, seed = int(os.environ.get("LEDGER_EXAMPLES", "15")), os.environ.get("LEDGER_SEED")
    chosen = int(seed) if seed else secrets.randbelow(2**32)
    print(f"LEDGER_SEED={chosen} (lane {lane})")
    machine = seeded(chosen + lane)(type("Machine", (LedgerMachine,), {"tables": tables}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            print_blob=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
