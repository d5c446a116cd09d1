"""The reconciliation with Stripe makes whole what no event has told, by the use cases that events lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.payments import stripe_reads
from atelier.billing.change_plan import cancel_plan
from atelier.billing.model import CheckoutState, PlanStatus
from atelier.billing.reconcile import ReconcileReport, reconcile
from atelier.ledger.model import GrantSource
from atelier.ledger.post import grant
from tests.embedded_aws import Tables
from tests.integration.billing_world import BEGIN, CATALOGUE, BillingWorld, billing_world

PRO = CATALOGUE.tier("pro")
SMALL = CATALOGUE.pack("small")


@pytest.fixture
def world(tables: Tables) -> Iterator[BillingWorld]:
    with billing_world(tables) as running:
        yield running


@pytest.fixture
def workspace(world: BillingWorld) -> str:
    return world.new_workspace()


def run(world: BillingWorld, has_time: Callable[[], bool] = lambda: True) -> ReconcileReport:
    return reconcile(deps=world.deps, has_time=has_time)


def time_for(objects: int) -> Callable[[], bool]:
    """Time for so many objects."""
    compared = count()
    return lambda: next(compared) < objects


def stored(tables: Tables) -> dict[str, object]:
    """All that is stored of billing and the ledger, without how far the reconciliation has come."""
    found = {
        f"{item['pk']['S']} {item['sk']['S']}": item
        for table in (tables.billing, tables.ledger)
        for item in client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
    }
    return {key: item for key, item in found.items() if not key.startswith("reconciliation")}


def charge_of(world: BillingWorld, payment_id: str) -> str:
    return str(world.client.v1.payment_intents.retrieve(payment_id).latest_charge)


def test_two_days_without_webhooks_are_made_whole(world: BillingWorld, tables: Tables) -> None:
    buyer, subscriber, renewing, refunded, disputing, leaving = (world.new_workspace() for _ in range(6))
    for each in (renewing, leaving):
        world.subscribe(each)
    for each in (refunded, disputing):
        world.pay(world.checkout(each, pack="small"))
    world.hand_over()
    world.pass_days(30)
    assert run(world).is_complete

    world.pay(world.checkout(buyer, pack="small"))
    world.subscribe(subscriber)
    (payment,), _ = world.deps.store.payments(refunded, None, 10)
    world.client.v1.refunds.create({"payment_intent": payment.id, "amount": SMALL.price // 2})
    (payment,), _ = world.deps.store.payments(disputing, None, 10)
    world.control("dispute", charge=charge_of(world, payment.id), kind="dispute")
    record = world.deps.store.subscription(leaving)
    assert record is not None
    world.client.v1.subscriptions.cancel(record.stripe_id)
    world.pass_days(2)

    report = run(world)
    assert (report.failed, report.mismatches, report.is_complete) == (0, (), True)
    assert report.repaired >= 6
    assert world.wallet(buyer).available == SMALL.credits
    assert (world.wallet(subscriber).tier, world.granted(subscriber)) == ("pro@1", PRO.monthly_credits)
    assert world.granted(renewing) == PRO.monthly_credits * 2
    assert world.wallet(refunded).available == SMALL.credits - SMALL.credits * (SMALL.price // 2) // SMALL.price
    assert world.wallet(disputing).available == 0
    record = world.deps.store.subscription(leaving)
    assert record is not None
    assert (record.status, world.wallet(leaving).tier) == (PlanStatus.ENDED, "free")

    # A second pass right after writes nothing, and neither do the events that come after all.
    before = stored(tables)
    again = run(world)
    assert (again.repaired, again.mismatches, again.is_complete) == (0, (), True)
    assert again.compared == report.compared
    assert stored(tables) == before
    world.hand_over()
    assert stored(tables) == before


def test_what_changes_long_after_its_creation_is_still_found(world: BillingWorld, workspace: str) -> None:
    """Each change comes after more than a month of daily passes: to a dispute, and to an unpaid invoice."""
    world.pay(world.checkout(workspace, pack="small"))
    (payment,) = world.client.v1.payment_intents.list().data
    dispute = world.control("dispute", charge=charge_of(world, payment.id), kind="dispute")["id"]
    failing = world.new_workspace()
    world.subscribe(failing)
    world.use_card(world.customer(failing, None).stripe_id, "pm_card_chargeCustomerFail")
    world.pass_days(32)
    run(world)
    assert world.wallet(workspace).available == 0

    world.control("dispute", dispute=dispute, status="won")
    world.use_card(world.customer(failing, None).stripe_id, "pm_card_visa")
    world.pass_days(14)
    run(world)
    assert world.refreshed(workspace).available == SMALL.credits
    assert world.granted(failing) == PRO.monthly_credits * 2
    assert world.wallet(failing).tier_at(world.now) == "pro@1"


def test_a_free_pack_has_no_payment_and_is_found_by_its_checkout(world: BillingWorld, workspace: str) -> None:
    coupon = world.client.v1.coupons.create({"percent_off": 100, "duration": "once"})
    world.client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "FREE"})
    checkout = world.checkout(workspace, pack="small")
    world.pay_at(checkout.url or "", None, promotion="FREE")
    assert run(world).mismatches == ()
    assert world.wallet(workspace).available == SMALL.credits
    found = world.deps.store.checkout(workspace, checkout.id)
    assert found is not None
    assert found.state is CheckoutState.PAID


def test_a_customer_who_was_deleted_is_noticed_by_the_subscription(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    first = world.customer(workspace)
    world.client.v1.customers.delete(first.stripe_id)
    assert run(world).mismatches == ()
    record = world.deps.store.subscription(workspace)
    assert record is not None
    assert record.is_over
    assert world.customer(workspace).stripe_id != first.stripe_id


@pytest.mark.parametrize("fault", ["read:500", "read:429", "read:lost"])
def test_an_object_that_cannot_be_read_keeps_the_cut_and_not_the_others(
    world: BillingWorld, workspace: str, fault: str
) -> None:
    assert run(world).is_complete
    world.subscribe(workspace)
    world.pay(world.checkout(workspace, pack="small"))
    world.now += timedelta(hours=1)
    objects = count()

    def has_time() -> bool:
        if next(objects) == 1:
            # The SDK tries a request three times.
            world.simulator.behave(fault, creations=3)
        return True

    report = run(world, has_time)
    assert (report.failed > 0, report.compared > 0, report.is_complete) == (True, True, False)
    assert world.deps.store.reconciliation().until == BEGIN
    world.simulator.behave(creations=0)
    # The first run may have stopped in its pass, which then ends without a new cut.
    run(world)
    assert run(world).is_complete
    assert world.granted(workspace) == PRO.monthly_credits + SMALL.credits
    assert world.deps.store.reconciliation().until == world.now


def test_a_pass_goes_on_where_stripe_stopped_to_answer(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.pay(world.checkout(workspace, pack="small"))
    stopped = run(world, time_for(2))
    world.simulator.behave("read:503", creations=3)
    report = run(world)
    assert (report.compared, report.failed, report.is_complete) == (0, 0, False)
    assert world.deps.store.reconciliation().until is None
    last = run(world)
    assert last.is_complete
    assert run(world).compared == stopped.compared + last.compared
    assert world.granted(workspace) == PRO.monthly_credits + SMALL.credits


def test_a_run_without_time_stops_and_the_next_one_goes_on_there(
    world: BillingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over pages: Stripe lists some objects at a time."""
    monkeypatch.setattr(stripe_reads, "PAGE_SIZE", 2)
    workspaces = [world.new_workspace() for _ in range(5)]
    for each in workspaces:
        world.pay(world.checkout(each, pack="small"))
    reports = list[ReconcileReport]()
    while not (reports and reports[-1].is_complete):
        reports.append(run(world, time_for(3)))
    assert [report.compared for report in reports[:-1]] == [3] * (len(reports) - 1)
    assert len(reports) > 1
    assert [world.wallet(each).available for each in workspaces] == [SMALL.credits] * 5
    whole = run(world)
    assert (whole.compared, whole.repaired) == (sum(report.compared for report in reports), 0)


def test_runs_at_once_do_everything_once(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.pay(world.checkout(workspace, pack="small"))
    inner = list[ReconcileReport]()
    before_object = count()

    def has_time() -> bool:
        if next(before_object) == 2:
            inner.append(run(world))
        return True

    outer = run(world, has_time)
    assert outer.is_complete
    assert inner[0].is_complete
    assert world.granted(workspace) == PRO.monthly_credits + SMALL.credits
    assert run(world).repaired == 0


def test_credits_that_nobody_paid_are_reported(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    other = world.new_workspace()
    world.pay(world.checkout(other, pack="small"))
    world.hand_over()
    (payment,), _ = world.deps.store.payments(other, None, 10)
    for key in ("grant#stripe#pi_gone", f"grant#stripe#{payment.id}"):
        grant(workspace, key, GrantSource.PURCHASE, 5, deps=world.deps.ledger, now=world.now)
    report = run(world)
    assert {(found.object_id, found.reason) for found in report.mismatches} == {
        ("grant#stripe#pi_gone", "Stripe does not know what it was granted for"),
        (f"grant#stripe#{payment.id}", "another customer has paid"),
    }
    assert {found.workspace_id for found in report.mismatches} == {workspace}


def test_a_payment_without_an_order_is_reported(world: BillingWorld, workspace: str) -> None:
    customer = world.customer(workspace)
    card = world.client.v1.customers.payment_methods.list(customer.stripe_id).data[0].id
    made = world.client.v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "customer": customer.stripe_id, "payment_method": card, "confirm": True}
    )
    (mismatch,) = run(world).mismatches
    assert (mismatch.object_id, mismatch.reason) == (made.id, "paid without a checkout of ours")


def test_credits_granted_with_another_amount_are_reported_and_do_not_stop_the_others(
    world: BillingWorld, workspace: str
) -> None:
    world.pay(world.checkout(workspace, pack="small"))
    (payment,) = world.client.v1.payment_intents.list().data
    key = f"grant#stripe#{payment.id}"
    grant(workspace, key, GrantSource.PURCHASE, SMALL.credits + 1, deps=world.deps.ledger, now=world.now)
    other = world.new_workspace()
    world.subscribe(other)
    report = run(world)
    assert payment.id in {found.object_id for found in report.mismatches}
    assert all("with other facts" in found.reason for found in report.mismatches)
    assert report.is_complete
    assert world.granted(other) == PRO.monthly_credits


def test_a_cancelled_plan_ends_without_any_event(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    run(world)
    cancel_plan(workspace, deps=world.plans, now=world.now)
    world.pass_days(32)
    run(world)
    assert world.wallet(workspace).tier == "free"
