"""A thousand purchases, refunds, royalties, enrolments and cancellations at random, each in two wallets at least: all
credits are where plain arithmetic says, and every wallet's proof is verified."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from atelier.adapters.aws.dynamodb.seals import DynamoSeals
from atelier.errors import Conflict, Forbidden, InsufficientCredits, NotFound
from atelier.ledger.post import adjust
from atelier.ledger.prove import build_proof_page
from atelier.ledger.seal_movements import SealDeps
from atelier.ledger.verify import verify
from atelier.showcase.model import Listing, Purchase
from atelier.showcase.pay import pay_due
from atelier.workshops.model import Workshop
from tests.conftest import Tables
from tests.integration.showcase_world import ShowcaseWorld
from tests.integration.workshop_world import WorkshopWorld

PEOPLE = tuple(f"P{number}" for number in range(8))
PAYMENTS = 1000
STEPS_MAX = 6000
SECOND = timedelta(seconds=1)


class Payments:
    """The showcase and workshops with the same people and wallets. worth: what each person should have, less debt.
    revenue: what the platform has earned. done: how often each kind of payment happened."""

    def __init__(self, tables: Tables, chance: random.Random) -> None:
        self.chance = chance
        self.showcase, self.workshops = ShowcaseWorld(tables), WorkshopWorld(tables)
        self.workshops.worlds = self.showcase.worlds
        self.listings, self.open_workshops = list[Listing](), list[Workshop]()
        self.worth, self.revenue, self.done = Counter[str](), 0, Counter[str]()
        for name in PEOPLE:
            self.showcase.world(name).refreshed()
            self.worth[name] = self.showcase.world(name).wallet().available
        self.name_of = {world.workspace_id: name for name, world in self.showcase.worlds.items()}
        for number in range(16):
            self.offer(PEOPLE[number % 4])
        for _ in range(4):
            self.schedule()

    def offer(self, name: str, made_from: str | None = None) -> None:
        price = self.chance.randint(1, 40)
        self.listings.append(self.showcase.offered(name, price, made_from=[made_from] if made_from else ()))

    def schedule(self) -> None:
        self.open_workshops.append(self.workshops.scheduled(capacity=3, price=self.chance.randint(1, 30)))

    def step(self) -> None:
        """One act of somebody; one that is refused, by any of the rules, changes nothing."""
        acts: list[Callable[[str], str]] = [self.buy] * 6 + [self.refund] * 3 + [self.enrol] * 6 + [self.withdraw] * 4
        acts += [self.remix, self.cancel, self.spend, self.spend, self.run_schedule]
        act, name = self.chance.choice(acts), self.chance.choice(PEOPLE)
        self.showcase.now += SECOND
        self.workshops.now = self.showcase.now
        try:
            self.done[act(name)] += 1
        except (Conflict, InsufficientCredits, NotFound, Forbidden):
            self.done["refused"] += 1

    def buy(self, name: str) -> str:
        bought = self.showcase.buy(self.chance.choice(self.listings), name)
        if bought.replayed:
            return "repeated"
        self.book(bought.purchase, name, 1)
        return "bought with royalties" if len(bought.purchase.split.shares) > 1 else "bought"

    def refund(self, name: str) -> str:
        refunded = self.showcase.refund(self.chance.choice(self.listings), name)
        if refunded.replayed:
            return "repeated"
        self.book(refunded.purchase, name, -1)
        return "refunded"

    def book(self, purchase: Purchase, name: str, sign: int) -> None:
        split = purchase.split
        assert split.fee + sum(share.credits for share in split.shares) == purchase.price_credits
        self.worth[name] -= sign * purchase.price_credits
        self.revenue += sign * split.fee
        for share in split.shares:
            self.worth[self.name_of[share.workspace_id]] += sign * share.credits

    def remix(self, name: str) -> str:
        """Takes something bought into the library, and offers what it was made into."""
        listing = self.chance.choice(self.listings)
        self.offer(name, self.showcase.collect(listing, name).id)
        return "collected"

    def enrol(self, name: str) -> str:
        workshop = self.chance.choice(self.open_workshops)
        done = self.workshops.enrol(workshop, name)
        return "repeated" if done.replayed else "enrolled"

    def withdraw(self, name: str) -> str:
        """Long before the start, so everything comes back."""
        done = self.workshops.withdraw(self.chance.choice(self.open_workshops), name)
        return "repeated" if done.replayed else "withdrawn"

    def cancel(self, _name: str) -> str:
        self.workshops.cancel(self.open_workshops.pop(self.chance.randrange(len(self.open_workshops))))
        self.schedule()
        return "cancelled"

    def spend(self, name: str) -> str:
        """Spends credits, so that few are left in the wallets that pay and are paid."""
        world, credits = self.showcase.world(name), self.chance.randint(1, 60)
        key = f"adjust#{sum(self.done.values())}"
        adjust(world.workspace_id, key, -credits, reason="r", by="usr_M", deps=world.post_deps, now=self.showcase.now)
        self.worth[name] -= credits
        return "spent"

    def run_schedule(self, _name: str) -> str:
        """Pays for what was bought again after a refund; the other purchases can still be refunded."""
        now = self.showcase.now
        pay_due(None, deps=self.showcase.deps.payments, clock=lambda: now)
        return "repeated"

    def payments(self) -> int:
        return self.done.total() - self.done["refused"] - self.done["repeated"] - self.done["spent"]


def test_a_thousand_random_payments_leave_every_credit_where_it_belongs(tables: Tables) -> None:
    paid = Payments(tables, random.Random(18))
    while paid.payments() < PAYMENTS:
        assert paid.done.total() < STEPS_MAX, paid.done
        paid.step()
    for workshop in list(paid.open_workshops):
        paid.workshops.cancel(workshop)
    assert sum(map(paid.showcase.held, PEOPLE)) > 0
    paid.showcase.pay()
    for name in PEOPLE:
        wallet = paid.showcase.world(name).wallet()
        assert (name, wallet.available - wallet.debt, wallet.held) == (name, paid.worth[name], 0)
    paid.showcase.assert_sound()
    assert sum(paid.worth.values()) + paid.revenue + spent(paid) == len(PEOPLE) * 1050
    # All kinds of payments happened often.
    often = ("bought", "bought with royalties", "refunded", "enrolled", "withdrawn", "cancelled")
    assert min(paid.done[kind] for kind in often) >= 20, paid.done
    assert min(paid.showcase.world(name).wallet().written for name in PEOPLE) > PAYMENTS // len(PEOPLE)

    DynamoSeals.bind(tables.ledger)
    for name in PEOPLE:
        world = paid.showcase.world(name)
        deps = SealDeps(world.wallets, DynamoSeals(), lambda tries: None)
        page, following = build_proof_page(world.workspace_id, 0, deps=deps, now=paid.showcase.now)
        assert following is None
        wallet = world.wallet()
        proven = verify([page | {"next_cursor": None}])
        assert f"available {wallet.available}, held 0, debt {wallet.debt}" in proven


def spent(paid: Payments) -> int:
    """What people have spent on other things."""
    movements = (movement for name in PEOPLE for movement in paid.showcase.world(name).movements())
    return sum(-entry.amount for each in movements if each.kind == "adjust" for entry in each.entries if entry.grant_id)
