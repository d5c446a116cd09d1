"""A customer's year as a Hypothesis state machine: whatever happens to plans, cards and money, and however its events
come (shuffled, doubled, delayed, never), records and ledger agree with a plain model once all is handed over, or once
the reconciliation has run.

`BILLING_SEED=… BILLING_EXAMPLES=700 pytest tests/integration/test_billing_year.py` is a longer run with another
seed."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any

import stripe
from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from atelier.billing.change_plan import cancel_plan, change_plan, pause_plan, resume_plan
from atelier.billing.errors import PaymentRefused
from atelier.billing.model import Reconciliation
from atelier.billing.reconcile import reconcile
from atelier.errors import Conflict, InsufficientCredits
from atelier.ledger.model import Account, Movement
from tests.embedded_aws import Tables
from tests.integration.billing_model import BillingModel, Plan, revoked
from tests.integration.billing_world import CATALOGUE, BillingWorld, billing_world

TIERS = ("starter", "pro", "studio")
PLANS = {
    tier.id: Plan(tier.monthly_credits, tier.trial_credits, tier.grace_days) for tier in map(CATALOGUE.tier, TIERS)
}
CARDS = {"good": "pm_card_visa", "declined": "pm_card_chargeCustomerFail", "refunds fail": "pm_card_refundFail"}
NUMBERS = ("4242424242424242", "4000000000005126")
ROUNDS_MAX = 10
tiers, intervals = st.sampled_from(TIERS), st.sampled_from(["month", "month", "year"])


class CustomersYear(RuleBasedStateMachine):
    """One workspace. `pending`: events that were not handed over yet. `is_complete`: whether none was dropped since
    records were last whole."""

    tables: Tables

    @initialize(tier=tiers, interval=intervals, number=st.sampled_from(NUMBERS))
    def begin(self, tier: str, interval: Any, number: str) -> None:
        """A customer with a plan and a pack, so that each further step finds something to change."""
        self.stack = ExitStack()
        self.world: BillingWorld = self.stack.enter_context(billing_world(self.tables))
        self.account = self.world.simulator.account
        self.workspace = self.world.new_workspace()
        self.customer = self.world.customer(self.workspace).stripe_id
        self.pending: list[dict[str, str]] = []
        self.is_complete = True
        self.packs: dict[str, int] = {}
        self.spent = 0
        # The tables are those of earlier examples, whose accounts at Stripe are gone.
        self.world.deps.store.save_reconciliation(Reconciliation())
        self.subscribe(tier, interval)
        self.buy_packs(1, number)
        self.all_is_handed_over()

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.all_is_handed_over()
            self.stack.close()

    def collect(self) -> list[dict[str, str]]:
        """The events so far that were not handed over."""
        self.pending += self.world.new_events()
        return self.pending

    def model(self) -> BillingModel:
        with self.world.simulator.lock:
            return BillingModel(self.account.objects.values(), self.customer, PLANS)

    # ---- the customer ------------------------------------------------------------------------------------------------

    @rule(quantity=st.integers(1, 3), number=st.sampled_from(NUMBERS))
    def buy_packs(self, quantity: int, number: str) -> None:
        checkout = self.world.checkout(self.workspace, pack="small", quantity=quantity)
        self.packs[checkout.id] = checkout.credits
        self.world.pay(checkout, number)

    @precondition(lambda self: len(self.model().live()) < 2)
    @rule(tier=tiers, interval=intervals)
    def subscribe(self, tier: str, interval: Any) -> None:
        """By the card that is stored; while there is a subscription, as in a second tab."""
        price = CATALOGUE.tier(tier)
        found = self.world.deps.stripe.price(f"atelier:{price.id.replace('@', ':')}:{interval}:usd")
        assert found is not None
        items: Any = [{"price": found.id}]
        self.world.client.v1.subscriptions.create({"customer": self.customer, "items": items})

    @rule(tier=tiers, interval=intervals)
    def change(self, tier: str, interval: Any) -> None:
        with suppress(Conflict, PaymentRefused):
            change_plan(self.workspace, tier, interval, None, deps=self.world.plans, now=self.world.now)

    @rule()
    def cancel(self) -> None:
        with suppress(Conflict):
            cancel_plan(self.workspace, deps=self.world.plans, now=self.world.now)

    @rule()
    def resume(self) -> None:
        with suppress(Conflict, PaymentRefused):
            resume_plan(self.workspace, deps=self.world.plans, now=self.world.now)

    @rule(days=st.sampled_from([None, 10, 45]))
    def pause(self, days: int | None) -> None:
        resumes_at = self.world.now + timedelta(days=days) if days else None
        with suppress(Conflict):
            pause_plan(self.workspace, resumes_at, deps=self.world.plans, now=self.world.now)

    @rule(card=st.sampled_from(sorted(CARDS)))
    def use_card(self, card: str) -> None:
        self.world.use_card(self.customer, CARDS[card])

    @rule(days=st.sampled_from([1, 5, 9, 14, 20]), recovers=st.booleans())
    def renewal_fails(self, days: int, recovers: bool) -> None:
        self.use_card("declined")
        self.world.pass_days(31 + days)
        self.all_is_handed_over()
        if recovers:
            self.use_card("good")
            self.world.pass_days(7)

    @rule(credits=st.integers(1, 4000))
    def spend(self, credits: int) -> None:
        with suppress(InsufficientCredits):
            self.world.spend(self.workspace, credits)
            self.spent += credits

    # ---- money that goes back ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.model().payments())
    @rule(place=st.integers(0, 20), part=st.sampled_from([1, 2, 3]))
    def refund(self, place: int, part: int) -> None:
        payments = self.model().payments()
        payment_id = payments[-1 - place % len(payments)]
        amount = max(1, self.model().paid(payment_id) // part)
        with suppress(stripe.InvalidRequestError):
            self.world.client.v1.refunds.create({"payment_intent": payment_id, "amount": amount})

    @precondition(lambda self: self.model().payments())
    @rule(place=st.integers(0, 20), ending=st.sampled_from([None, "won", "lost"]), is_handled=st.booleans())
    def dispute(self, place: int, ending: str | None, is_handled: bool) -> None:
        """A dispute, which may be decided at once, before or after it was handled."""
        payments = self.model().payments()
        charge = self.account.objects[payments[-1 - place % len(payments)]]["latest_charge"]
        found = self.account.objects[charge]
        if found["disputed"] or found["amount_refunded"] == found["amount_captured"]:
            return
        dispute = self.world.control("dispute", charge=charge, kind="dispute")["id"]
        if is_handled:
            self.all_is_handed_over()
        if ending is not None:
            self.world.control("dispute", dispute=dispute, status=ending)

    @precondition(lambda self: self.model().open_disputes())
    @rule(place=st.integers(0, 5), ending=st.sampled_from(["won", "lost"]))
    def decide_dispute(self, place: int, ending: str) -> None:
        disputes = self.model().open_disputes()
        self.world.control("dispute", dispute=disputes[place % len(disputes)], status=ending)

    # ---- time and events ---------------------------------------------------------------------------------------------

    @rule(days=st.sampled_from([0.25, 1, 4, 9, 15.5]))
    def days_pass(self, days: float) -> None:
        self.world.pass_days(days)

    @rule(months=st.sampled_from([1, 1, 2, 4]))
    def months_pass(self, months: int) -> None:
        self.world.pass_days(31 * months)

    @precondition(lambda self: self.collect())
    @rule(rng=st.randoms(use_true_random=False), share=st.sampled_from([0.3, 0.7, 1]), drops=st.booleans())
    def some_events_come(self, rng: random.Random, share: float, drops: bool) -> None:
        """Some events come, shuffled and partly twice; of the others, some never come."""
        events = rng.sample(self.pending, len(self.pending))
        coming = events[: max(1, int(len(events) * share))]
        rest = events[len(coming) :]
        self.world.hand_over([*coming, *rng.sample(coming, len(coming) // 4)])
        self.pending = rest[len(rest) // 2 :] if drops else rest
        self.is_complete = self.is_complete and len(self.pending) == len(rest)

    @precondition(lambda self: self.collect())
    @rule()
    def all_is_handed_over(self) -> None:
        """A quiet point: what the handlers do at Stripe has events too."""
        if not self.is_complete:
            self.reconcile()
            return
        for _ in range(ROUNDS_MAX):
            if not self.collect():
                break
            events, self.pending = self.pending, []
            self.world.hand_over(events)
        assert not self.collect(), "the handlers never come to an end"
        self.check()

    @precondition(lambda self: self.collect() or not self.is_complete)
    @rule()
    def reconcile(self) -> None:
        """A quiet point, although no event comes any more."""
        for _ in range(ROUNDS_MAX):
            self.collect()
            report = reconcile(deps=self.world.deps, has_time=lambda: True)
            assert (report.failed, report.mismatches, report.is_complete) == (0, (), True)
            if not report.repaired and len(self.account.events) == self.world.seen:
                break
        else:
            raise AssertionError("the reconciliation never comes to an end")
        self.pending, self.is_complete = [], True
        self.check()

    # ---- what must hold ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        model, now = self.model(), self.world.now
        assert len(model.live()) <= 1
        wallet = self.world.refreshed(self.workspace)
        assert wallet.tier_at(now) == model.tier(now.timestamp())
        grants = self.grants()
        refused = {
            each["id"]
            for each in model.all("subscription")
            if self.world.deps.store.is_claimed(self.workspace, each["id"]) is False
        }
        self.check_grants(model, refused, grants)
        self.check_records(model)
        net = sum(sum(lines.values()) for lines in grants.values()) - self.check_revocations(model, grants)
        gone = self.sum_of(Account.EXPIRED)
        assert wallet.available - wallet.debt == net - self.spent - gone
        assert wallet.available >= 0
        assert wallet.debt >= 0

    def check_grants(self, model: BillingModel, refused: set[str], grants: dict[str, dict[str, int]]) -> None:
        packs = {payment: self.packs[checkout] for payment, checkout in model.pack_payments().items()}
        invoices = model.invoice_grants(refused)
        assert grants.keys() <= packs.keys() | invoices.keys()
        for payment_id, credits in packs.items():
            assert sum(grants[payment_id].values()) == credits
        for invoice_id, credits in invoices.items():
            assert sum(grants.get(invoice_id, {}).values()) in credits, (invoice_id, credits)

    def check_revocations(self, model: BillingModel, grants: dict[str, dict[str, int]]) -> int:
        """Each payment's credits are taken as far as its money was. Returns how many are."""
        taken, total = self.taken(), 0
        for cause, lines in grants.items():
            payment_id = cause if cause.startswith("pi_") else model.payment_of_invoice(cause)
            if payment_id is None:
                continue
            price = max(model.paid(payment_id), model.total(cause))
            for line, credits in lines.items():
                expected = revoked(credits, price, model.money_back(payment_id))
                assert taken.get((cause, line), 0) == expected, (cause, line)
                total += expected
        assert total == sum(taken.values())
        return total

    def check_records(self, model: BillingModel) -> None:
        invoices, _ = self.world.deps.store.invoices(self.workspace, None, 500)
        stored = {each.id: (each.status, each.total, each.amount_paid) for each in invoices}
        for each in model.all("invoice"):
            assert stored[each["id"]] == (each["status"], each["total"], each["amount_paid"])
        payments, _ = self.world.deps.store.payments(self.workspace, None, 500)
        found = {each.id: (each.status, each.amount, each.refunded, each.is_disputed) for each in payments}
        for payment_id in model.payments():
            charge = self.account.objects[self.account.objects[payment_id]["latest_charge"]]
            facts = ("succeeded", model.paid(payment_id), charge["amount_refunded"], charge["disputed"])
            assert found[payment_id] == facts

    # ---- what the ledger says ----------------------------------------------------------------------------------------

    def movements(self) -> list[Movement]:
        found, after = list[Movement](), None
        while True:
            page = self.world.wallets.movements(self.workspace, after, 500)
            found += page.movements
            after = page.next_key
            if after is None:
                return found

    def sum_of(self, account: Account) -> int:
        return sum(entry.amount for each in self.movements() for entry in each.entries if entry.account is account)

    def grants(self) -> dict[str, dict[str, int]]:
        """The grants of each payment or invoice, by their line."""
        found: dict[str, dict[str, int]] = {}
        for each in self.movements():
            if each.kind == "grant" and not each.key.endswith("#returned"):
                _, _, cause, *line = each.key.split("#")
                found.setdefault(cause, {})["#".join(line)] = issued(each)
        return found

    def taken(self) -> dict[tuple[str, str], int]:
        """The revocations of each grant, less what was given back."""
        movements = {each.key: each for each in self.movements()}
        found: dict[tuple[str, str], int] = {}
        for key, each in movements.items():
            if each.kind == "revoke":
                _, _, cause, *line = str(each.facts["grant"]).split("#")
                returned = movements.get(f"grant#{key.removeprefix('revoke#')}#returned")
                credits = -issued(each) - (issued(returned) if returned else 0)
                place = cause, "#".join(line)
                found[place] = found.get(place, 0) + credits
        return found


def issued(movement: Movement) -> int:
    """The credits that a movement has given."""
    return -sum(entry.amount for entry in movement.entries if entry.account is Account.ISSUED)


def test_a_customers_year_agrees_with_the_model(tables: Tables) -> None:
    seed = int(os.environ.get("BILLING_SEED", "1"))
    CustomersYear.tables = tables
    run_state_machine_as_test(
        seeded(seed)(CustomersYear),
        settings=settings(
            max_examples=int(os.environ.get("BILLING_EXAMPLES", "12")),
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
