"""Billing against Stripe's simulator by the real SDK: what is paid reaches the ledger exactly once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier.billing.change_plan import cancel_plan, change_plan, pause_plan, preview_change, resume_plan
from atelier.billing.errors import AlreadySubscribed, NotSubscribed, PaymentRefused
from atelier.billing.model import Checkout, CheckoutState, PlanStatus
from atelier.billing.stripe_facts import DisputeFacts
from atelier.billing.sync_money_back import sync_money_back
from atelier.catalogue.tiers import Interval
from atelier.errors import Conflict, IdempotencyMismatch, QuoteExpired, Unavailable, ValidationFailed
from atelier.ids import new_id
from atelier.ledger.model import GrantSource
from tests.embedded_aws import Tables
from tests.integration.billing_world import BEGIN, CATALOGUE, SITE, BillingWorld, billing_world
from tests.simulators.stripe.flows import Browser, new_price

PRO, STUDIO, STARTER = (CATALOGUE.tier(name) for name in ("pro", "studio", "starter"))
SMALL = CATALOGUE.pack("small")
DECLINES = "pm_card_chargeCustomerFail"


@pytest.fixture
def world(tables: Tables) -> Iterator[BillingWorld]:
    with billing_world(tables) as running:
        yield running


@pytest.fixture
def workspace(world: BillingWorld) -> str:
    return world.new_workspace()


def pay_for_pack(world: BillingWorld, workspace_id: str, quantity: int = 1) -> str:
    """Buy packs; the id of the payment."""
    world.pay(world.checkout(workspace_id, pack="small", quantity=quantity))
    world.hand_over()
    (payment, *_), _ = world.deps.store.payments(workspace_id, None, 10)
    return payment.id


def change(world: BillingWorld, workspace_id: str, tier: str, interval: Interval = "month", **given: Any) -> None:
    change_plan(workspace_id, tier, interval, given.get("quoted_at"), deps=world.plans, now=world.now)
    world.hand_over()


def status(world: BillingWorld, workspace_id: str) -> PlanStatus | None:
    record = world.deps.store.subscription(workspace_id)
    return record.status if record else None


# ---- packs -----------------------------------------------------------------------------------------------------------


def test_a_pack_gives_its_credits_once_however_often_its_events_come(world: BillingWorld, workspace: str) -> None:
    checkout = world.checkout(workspace, pack="small", quantity=2)
    world.pay(checkout)
    events = world.new_events()
    assert {event["type"] for event in events} >= {"checkout.session.completed", "payment_intent.succeeded"}
    for seed in range(3):
        world.hand_over(random.Random(seed).sample(events, len(events)))
    (grant,) = world.wallet(workspace).grants
    assert (grant.amount, grant.source, grant.expires_at) == (SMALL.credits * 2, GrantSource.PURCHASE, None)
    (payment,), _ = world.deps.store.payments(workspace, None, 10)
    assert (payment.amount, payment.currency, payment.credits) == (SMALL.price * 2, "usd", SMALL.credits * 2)
    assert payment.fee


def test_each_single_event_of_a_payment_is_enough_for_its_credits(world: BillingWorld) -> None:
    for kind in ("checkout.session.completed", "payment_intent.succeeded"):
        workspace_id = world.new_workspace()
        world.pay(world.checkout(workspace_id, pack="small"))
        world.hand_over(event for event in world.new_events() if event["type"] == kind)
        assert world.wallet(workspace_id).available == SMALL.credits, kind


def test_a_declined_card_gives_nothing_and_the_page_stays_open(world: BillingWorld, workspace: str) -> None:
    checkout = world.checkout(workspace, pack="small")
    world.pay(checkout, "4000000000009995")
    world.hand_over()
    assert world.wallet(workspace).available == 0
    world.pay(checkout)
    world.hand_over()
    assert world.wallet(workspace).available == SMALL.credits


def test_a_promotion_that_makes_a_pack_free_still_gives_it_once(world: BillingWorld, workspace: str) -> None:
    coupon = world.client.v1.coupons.create({"percent_off": 100, "duration": "once"})
    world.client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "FREE"})
    world.pay_at(world.checkout(workspace, pack="small").url or "", None, promotion="FREE")
    events = world.new_events()
    world.hand_over([*events, *events])
    assert world.wallet(workspace).available == SMALL.credits


@pytest.mark.parametrize(
    ("iban", "state", "credits"),
    [
        ("AT321904300235473204", CheckoutState.PAID, 70),
        ("AT051904300235473205", CheckoutState.FAILED, 0),
    ],
)
def test_a_direct_debit_gives_its_credits_when_it_arrives(
    world: BillingWorld, workspace: str, iban: str, state: CheckoutState, credits: int
) -> None:
    price = new_price(world.client, 700, currency="eur")
    customer = world.customer(workspace, None)
    checkout = Checkout(
        id=new_id("chk", world.now),
        workspace_id=workspace,
        user_id="usr_1",
        kind="pack",
        item="small@1",
        interval=None,
        quantity=1,
        credits=70,
        currency="eur",
        amount=700,
        created_at=world.now,
    )
    world.deps.store.add_checkout(checkout)
    session = world.deps.stripe.create_checkout(
        checkout, price.id, customer.stripe_id, f"{SITE}/done", f"{SITE}/back", key=checkout.id
    )
    Browser(session.url or "").press("Pay", iban=iban)
    world.hand_over()
    waiting = world.deps.store.checkout(workspace, checkout.id)
    assert waiting is not None
    assert (waiting.state, world.wallet(workspace).available) == (CheckoutState.PENDING, 0)
    world.pass_days(1)
    world.hand_over()
    ended = world.deps.store.checkout(workspace, checkout.id)
    assert ended is not None
    assert (ended.state, world.wallet(workspace).available) == (state, credits)


def test_a_session_that_somebody_else_made_gives_nothing(world: BillingWorld, workspace: str) -> None:
    """Another program of the same Stripe account sells something to our customer, and copies our metadata."""
    checkout = world.checkout(workspace, pack="large")
    cheap = world.client.v1.prices.create(
        {"currency": "usd", "unit_amount": 50, "product": world.client.v1.products.create({"name": "Cheap"}).id}
    )
    customer = world.customer(workspace)
    made = world.client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "customer": customer.stripe_id,
            "line_items": [{"price": cheap.id, "quantity": 1}],
            "metadata": {"workspace_id": workspace, "checkout_id": checkout.id},
            "success_url": "https://elsewhere.example.com",
        }
    )
    world.pay_at(made.url or "")
    world.hand_over()
    assert world.wallet(workspace).available == 0


# ---- subscriptions ---------------------------------------------------------------------------------------------------


def test_a_paid_month_gives_tier_and_credits(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    events = world.new_events()
    for seed in range(3):
        world.hand_over(random.Random(seed).sample(events, len(events)))
    wallet = world.wallet(workspace)
    (grant,) = wallet.grants
    assert (wallet.tier, wallet.tier_ends_at, grant.amount) == ("pro@1", None, PRO.monthly_credits)
    assert grant.expires_at == datetime(2026, 4 + PRO.rollover_months, 1, 12, tzinfo=UTC)
    (invoice,), _ = world.deps.store.invoices(workspace, None, 10)
    assert (invoice.total, invoice.status, invoice.credits) == (PRO.price_month, "paid", PRO.monthly_credits)


def test_each_further_paid_month_gives_its_credits_once(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    for _ in range(3):
        world.hand_over()
        world.pass_days(31)
    world.hand_over()
    invoices, _ = world.deps.store.invoices(workspace, None, 10)
    assert [invoice.credits for invoice in invoices] == [PRO.monthly_credits] * 4
    assert world.granted(workspace) == PRO.monthly_credits * 4


def test_a_year_gives_twelve_months_at_once(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace, "starter", "year")
    world.hand_over()
    (grant,) = world.wallet(workspace).grants
    assert grant.amount == STARTER.monthly_credits * 12
    assert grant.expires_at == datetime(2027, 3 + STARTER.rollover_months, 1, 12, tzinfo=UTC)


def test_a_checkout_with_trial_gives_its_credits_once_for_a_mailbox(world: BillingWorld, workspace: str) -> None:
    checkout = world.checkout(workspace, "starter")
    assert checkout.trial_days == STARTER.trial_days
    world.pay_at(checkout.url or "", None)
    world.hand_over()
    assert (status(world, workspace), world.wallet(workspace).tier) == (PlanStatus.TRIALING, "starter@1")
    assert world.granted(workspace) == STARTER.trial_credits
    # Nobody has paid for them, so they pay nobody else.
    assert [each.source for each in world.wallet(workspace).grants if each.amount == STARTER.trial_credits] == [
        GrantSource.PROMO
    ]

    # The trial ends without a card.
    world.pass_days(STARTER.trial_days + 1)
    world.hand_over()
    assert (status(world, workspace), world.wallet(workspace).tier) == (PlanStatus.ENDED, "free")

    # Deleted and joined again: another workspace of the same mailbox, and the same workspace once more.
    again = world.new_workspace()
    world.mailboxes[again] = world.buyer(workspace).mailbox
    assert world.checkout(again, "starter").trial_days == 0
    assert world.checkout(workspace, "starter").trial_days == 0


def test_a_second_subscription_is_ended_and_refunded(world: BillingWorld, workspace: str) -> None:
    """Two tabs pay at once."""
    assert world.deps.store.reserve_trial(world.buyer(workspace).mailbox, "wsp_of_an_earlier_account")
    customer = world.customer(workspace)
    checkouts = [world.checkout(workspace, "pro"), world.checkout(workspace, "studio")]
    for checkout in checkouts:
        world.pay(checkout)
    events = world.new_events()
    world.hand_over(events)
    world.hand_over(random.Random(7).sample(events, len(events)))
    world.hand_over()

    found = world.client.v1.subscriptions.list({"customer": customer.stripe_id, "status": "all"}).data
    assert sorted(each.status for each in found) == ["active", "canceled"]
    record = world.deps.store.subscription(workspace)
    assert record is not None
    kept = CATALOGUE.tier(record.tier)
    assert world.granted(workspace) == kept.monthly_credits
    refunds = world.client.v1.refunds.list().data
    assert [refund.amount for refund in refunds] == [{"pro": STUDIO, "studio": PRO}[kept.name].price_month]


def test_a_refused_subscription_is_refunded_if_its_process_died_before(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    record = world.deps.store.subscription(workspace)
    assert record is not None
    second = world.subscribe(workspace, "studio")
    world.deps.store.refuse(workspace, second, seen_revision=record.revision)
    world.deps.stripe.cancel_at_once(second)
    events = world.new_events()
    world.hand_over([*events, *events])
    assert [refund.amount for refund in world.client.v1.refunds.list().data] == [STUDIO.price_month]
    assert world.granted(workspace) == PRO.monthly_credits


def test_a_workspace_with_a_subscription_cannot_buy_another(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    with pytest.raises(AlreadySubscribed):
        world.checkout(workspace, "studio")


# ---- changes of plan -------------------------------------------------------------------------------------------------


def test_an_upgrade_costs_and_gives_what_its_preview_said(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    world.pass_days(15.5)
    preview = preview_change(workspace, "studio", "month", deps=world.plans, now=world.now)
    assert preview.amount_due == (STUDIO.price_month - PRO.price_month) // 2
    assert preview.credits_now == pytest.approx((STUDIO.monthly_credits - PRO.monthly_credits) / 2, abs=1)
    change(world, workspace, "studio", quoted_at=preview.quoted_at)
    assert world.wallet(workspace).tier == "studio@1"
    assert world.granted(workspace) == PRO.monthly_credits + preview.credits_now
    (payment, *_), _ = world.deps.store.payments(workspace, None, 10)
    assert payment.amount == preview.amount_due

    # The same once more, as by a second tab, charges nothing.
    change(world, workspace, "studio")
    assert len(world.deps.store.payments(workspace, None, 10)[0]) == 2


def test_a_change_within_a_trial_costs_nothing_now(world: BillingWorld, workspace: str) -> None:
    world.pay_at(world.checkout(workspace, "starter").url or "", None)
    world.hand_over()
    preview = preview_change(workspace, "pro", "month", deps=world.plans, now=world.now)
    assert (preview.amount_due, preview.credits_now, preview.effective_at) == (0, 0, world.now)
    change(world, workspace, "pro", quoted_at=preview.quoted_at)
    assert (status(world, workspace), world.wallet(workspace).tier) == (PlanStatus.TRIALING, "pro@1")
    assert [payment.amount for payment in world.deps.store.payments(workspace, None, 10)[0]] == []
    assert world.granted(workspace) == STARTER.trial_credits


def test_a_year_instead_of_a_month_takes_effect_at_once(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    world.pass_days(15.5)
    preview = preview_change(workspace, "pro", "year", deps=world.plans, now=world.now)
    change(world, workspace, "pro", "year", quoted_at=preview.quoted_at)
    assert preview.amount_due == PRO.price_year - PRO.price_month // 2
    assert world.granted(workspace) == PRO.monthly_credits + preview.credits_now
    assert preview.credits_now == pytest.approx(PRO.monthly_credits * 11.5, abs=1)


def test_a_declined_upgrade_leaves_the_plan_as_it_was(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    world.use_card(world.customer(workspace, None).stripe_id, DECLINES)
    with pytest.raises(PaymentRefused) as refused:
        change(world, workspace, "studio")
    assert refused.value.facts["invoice_url"].startswith("http")
    world.hand_over()
    wallet = world.wallet(workspace)
    assert (wallet.tier, wallet.tier_ends_at, world.granted(workspace)) == ("pro@1", None, PRO.monthly_credits)
    assert status(world, workspace) is PlanStatus.ACTIVE


def test_a_downgrade_waits_for_the_end_of_the_period_and_bought_credits_stay(
    world: BillingWorld, workspace: str
) -> None:
    world.subscribe(workspace, "studio")
    world.hand_over()
    pay_for_pack(world, workspace)
    change(world, workspace, "starter")
    record = world.deps.store.subscription(workspace)
    assert record is not None
    assert record.planned is not None
    assert (record.tier, record.planned.tier, record.planned.at) == ("studio@1", "starter@1", record.period_end)

    world.pass_days(32)
    world.hand_over()
    assert world.wallet(workspace).tier == "starter@1"
    assert world.granted(workspace) == STUDIO.monthly_credits + SMALL.credits + STARTER.monthly_credits
    assert SMALL.credits in [grant.remaining for grant in world.wallet(workspace).grants]


def test_a_plan_that_came_by_a_downgrade_can_be_downgraded_again(world: BillingWorld, workspace: str) -> None:
    """The schedule of the first downgrade is then in its second phase."""
    world.subscribe(workspace, "studio")
    world.hand_over()
    change(world, workspace, "pro")
    world.pass_days(32)
    world.hand_over()
    assert world.wallet(workspace).tier == "pro@1"
    change(world, workspace, "starter")
    record = world.deps.store.subscription(workspace)
    assert record is not None
    assert record.planned is not None
    assert (record.planned.tier, record.planned.at) == ("starter@1", record.period_end)
    world.pass_days(31)
    world.hand_over()
    assert world.wallet(workspace).tier == "starter@1"


def test_naming_the_present_plan_withdraws_a_downgrade(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    change(world, workspace, "starter")
    change(world, workspace, "pro")
    world.pass_days(32)
    world.hand_over()
    assert world.wallet(workspace).tier == "pro@1"


def test_a_cancelled_plan_lasts_until_the_end_of_its_period(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    assert cancel_plan(workspace, deps=world.plans, now=world.now).cancel_at_period_end
    world.pass_days(30)
    world.hand_over()
    assert world.wallet(workspace).tier == "pro@1"
    world.pass_days(2)
    world.hand_over()
    assert (status(world, workspace), world.wallet(workspace).tier) == (PlanStatus.ENDED, "free")
    with pytest.raises(NotSubscribed):
        cancel_plan(workspace, deps=world.plans, now=world.now)


def test_a_cancellation_can_be_withdrawn(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    cancel_plan(workspace, deps=world.plans, now=world.now)
    assert not resume_plan(workspace, deps=world.plans, now=world.now).cancel_at_period_end
    world.pass_days(32)
    world.hand_over()
    assert (status(world, workspace), world.wallet(workspace).tier) == (PlanStatus.ACTIVE, "pro@1")


def test_a_paused_plan_lasts_as_long_as_it_is_paid_and_a_new_period_follows(
    world: BillingWorld, workspace: str
) -> None:
    world.subscribe(workspace)
    world.hand_over()
    pause_plan(workspace, None, deps=world.plans, now=world.now)
    assert world.wallet(workspace).tier_at(world.now) == "pro@1"
    world.pass_days(45)
    world.hand_over()
    assert (status(world, workspace), world.wallet(workspace).tier_at(world.now)) == (PlanStatus.PAUSED, "free")
    assert world.granted(workspace) == PRO.monthly_credits

    resume_plan(workspace, deps=world.plans, now=world.now)
    world.hand_over()
    wallet = world.wallet(workspace)
    assert (wallet.tier_at(world.now), wallet.tier_ends_at) == ("pro@1", None)
    assert world.granted(workspace) == PRO.monthly_credits * 2


# ---- payments that fail ----------------------------------------------------------------------------------------------


def test_a_failed_payment_keeps_the_plan_for_the_grace_period(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    pay_for_pack(world, workspace)
    world.use_card(world.customer(workspace, None).stripe_id, DECLINES)
    world.pass_days(31.2)
    world.hand_over()
    wallet = world.wallet(workspace)
    assert wallet.tier_ends_at is not None
    assert status(world, workspace) is PlanStatus.PAST_DUE
    # Counted from the first failure, however late it is noticed.
    due = datetime(2026, 4, 1, 12, tzinfo=UTC)
    assert timedelta() <= wallet.tier_ends_at - due - timedelta(days=PRO.grace_days) <= timedelta(hours=2)
    assert wallet.tier_at(wallet.tier_ends_at - timedelta(seconds=1)) == "pro@1"
    assert wallet.tier_at(wallet.tier_ends_at) == "free"
    assert SMALL.credits in [grant.remaining for grant in wallet.grants]

    # A better card recovers the plan.
    world.use_card(world.customer(workspace, None).stripe_id, "pm_card_visa")
    world.pass_days(PRO.grace_days)
    world.hand_over()
    assert (status(world, workspace), world.wallet(workspace).tier_ends_at) == (PlanStatus.ACTIVE, None)
    assert world.granted(workspace) == PRO.monthly_credits * 2 + SMALL.credits


@pytest.mark.parametrize("is_seen_late", [False, True])
def test_a_refused_change_begins_no_second_grace_period(
    world: BillingWorld, workspace: str, is_seen_late: bool
) -> None:
    """Its open invoice is newer than the one that was not paid."""
    world.subscribe(workspace)
    world.hand_over()
    world.use_card(world.customer(workspace, None).stripe_id, DECLINES)
    world.pass_days(31.2)
    if not is_seen_late:
        world.hand_over()
    world.pass_days(PRO.grace_days - 1)
    # As by a page of Stripe's: our own refuses it while a payment is due.
    facts = world.deps.stripe.subscription(world.client.v1.subscriptions.list().data[0].id)
    world.deps.stripe.change_now(facts, world.plans.price_id(STUDIO.id, "month", "usd"), world.now)
    world.hand_over()
    world.pass_days(1.1)
    world.hand_over()
    assert world.wallet(workspace).tier_at(world.now) == "free"


def test_a_plan_that_stripe_gives_up_falls_to_free_and_can_be_bought_again(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    world.use_card(world.customer(workspace, None).stripe_id, DECLINES)
    world.pass_days(31.2)
    world.pass_days(28)
    world.hand_over()
    assert (status(world, workspace), world.wallet(workspace).tier_at(world.now)) == (PlanStatus.ENDED, "free")
    world.pay(world.checkout(workspace, "starter"))
    world.hand_over()
    assert world.wallet(workspace).tier == "starter@1"


def test_a_grace_period_that_is_over_at_stripe_is_over(world: BillingWorld, workspace: str) -> None:
    """A test clock of Stripe may be months ahead of ours."""
    world.subscribe(workspace)
    world.hand_over()
    world.use_card(world.customer(workspace, None).stripe_id, DECLINES)
    world.simulator.advance(days=31.2)
    world.simulator.advance(days=28)
    world.hand_over()
    assert (status(world, workspace), world.wallet(workspace).tier_at(world.now)) == (PlanStatus.ENDED, "free")


# ---- money that goes back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spent", [0, 1000])
def test_a_refund_takes_back_what_is_left_and_books_the_rest_as_debt(
    world: BillingWorld, workspace: str, spent: int
) -> None:
    payment_id = pay_for_pack(world, workspace)
    spent = min(spent, SMALL.credits)
    world.spend(workspace, spent)
    world.client.v1.refunds.create({"payment_intent": payment_id})
    events = world.new_events()
    assert {event["type"] for event in events} >= {"charge.refunded", "refund.created"}
    for seed in range(3):
        world.hand_over(random.Random(seed).sample(events, len(events)))
    wallet = world.wallet(workspace)
    assert (wallet.available, wallet.debt) == (0, spent)


def test_a_refund_before_its_grant_leaves_nothing(world: BillingWorld, workspace: str) -> None:
    world.pay(world.checkout(workspace, pack="small"))
    paid = world.new_events()
    (payment,) = world.client.v1.payment_intents.list().data
    world.client.v1.refunds.create({"payment_intent": payment.id})
    world.hand_over([*world.new_events(), *paid])
    wallet = world.wallet(workspace)
    assert (wallet.available, wallet.debt, world.granted(workspace)) == (0, 0, SMALL.credits)


def test_parts_of_a_payment_are_taken_back_in_proportion(world: BillingWorld, workspace: str) -> None:
    payment_id = pay_for_pack(world, workspace)
    for _ in range(2):
        world.client.v1.refunds.create({"payment_intent": payment_id, "amount": SMALL.price // 4})
    world.hand_over()
    assert world.wallet(workspace).available == SMALL.credits - 2 * (SMALL.credits * (SMALL.price // 4) // SMALL.price)


def test_a_refunded_month_takes_its_credits_and_not_the_bought_ones(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    (month,), _ = world.deps.store.payments(workspace, None, 10)
    pay_for_pack(world, workspace)
    world.client.v1.refunds.create({"payment_intent": month.id})
    world.hand_over()
    assert world.wallet(workspace).available == SMALL.credits


@pytest.mark.parametrize("ending", ["won", "lost"])
def test_a_dispute_freezes_what_was_spent_until_it_is_won(world: BillingWorld, workspace: str, ending: str) -> None:
    payment_id = pay_for_pack(world, workspace)
    world.spend(workspace, 100)
    charge = world.client.v1.payment_intents.retrieve(payment_id).latest_charge
    dispute = world.control("dispute", charge=charge, kind="dispute")["id"]
    world.hand_over()
    wallet = world.wallet(workspace)
    assert (wallet.available, wallet.debt) == (0, 100)

    world.control("dispute", dispute=dispute, status=ending)
    events = world.new_events()
    world.hand_over([*events, *events])
    wallet = world.refreshed(workspace)
    expected = (SMALL.credits - 100, 0) if ending == "won" else (0, 100)
    assert (wallet.available, wallet.debt) == expected


def test_refund_and_dispute_of_one_payment_take_it_once(world: BillingWorld, workspace: str) -> None:
    payment_id = pay_for_pack(world, workspace)
    charge = world.client.v1.payment_intents.retrieve(payment_id).latest_charge
    world.client.v1.refunds.create({"payment_intent": payment_id, "amount": SMALL.price // 2})
    world.control("dispute", charge=charge, kind="dispute")
    world.hand_over()
    wallet = world.wallet(workspace)
    assert (wallet.available, wallet.debt) == (0, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_a_refund_after_a_won_dispute_takes_whatever_comes_first(
    world: BillingWorld, workspace: str, order: int
) -> None:
    payment_id = pay_for_pack(world, workspace)
    charge = world.client.v1.payment_intents.retrieve(payment_id).latest_charge
    dispute = world.control("dispute", charge=charge, kind="dispute")["id"]
    world.hand_over()
    world.control("dispute", dispute=dispute, status="won")
    world.client.v1.refunds.create({"payment_intent": payment_id})
    world.hand_over(world.new_events()[::order])
    wallet = world.refreshed(workspace)
    assert (wallet.available, wallet.debt) == (0, 0)


def test_a_warning_of_fraud_marks_the_payment(world: BillingWorld, workspace: str) -> None:
    payment_id = pay_for_pack(world, workspace)
    charge = world.client.v1.payment_intents.retrieve(payment_id).latest_charge
    world.control("warning", charge=charge)
    world.hand_over()
    (payment,), _ = world.deps.store.payments(workspace, None, 10)
    assert payment.is_suspicious
    assert world.wallet(workspace).available == SMALL.credits


# ---- races -----------------------------------------------------------------------------------------------------------


def test_events_that_are_handled_at_the_same_moment_have_one_effect(world: BillingWorld, workspace: str) -> None:
    """Two subscriptions of two tabs, a pack and its refund, each event twice, in eight threads."""
    assert world.deps.store.reserve_trial(world.buyer(workspace).mailbox, "wsp_of_an_earlier_account")
    world.customer(workspace)
    for checkout in (world.checkout(workspace, "pro"), world.checkout(workspace, "pro")):
        world.pay(checkout)
    world.pay(world.checkout(workspace, pack="small"))
    newest = world.client.v1.payment_intents.list({"limit": 1}).data[0]
    world.client.v1.refunds.create({"payment_intent": newest.id, "amount": SMALL.price // 2})
    events = world.new_events() * 2
    random.Random(3).shuffle(events)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda event: world.hand_over([event]), events))
    world.hand_over()

    subscriptions = world.client.v1.subscriptions.list({"status": "all"}).data
    assert sorted(each.status for each in subscriptions) == ["active", "canceled"]
    assert world.granted(workspace) == PRO.monthly_credits + SMALL.credits
    wallet = world.refreshed(workspace)
    assert (wallet.available, wallet.debt) == (PRO.monthly_credits + SMALL.credits // 2, 0)
    amounts = sorted(refund.amount for refund in world.client.v1.refunds.list().data)
    assert amounts == [SMALL.price // 2, PRO.price_month]


class OvertakenReads:
    """Stripe, where the dispute is won, and that is handled, between one handler's first reading and its next step."""

    def __init__(self, world: BillingWorld, dispute: str) -> None:
        self._world, self._dispute, self._stripe = world, dispute, world.deps.stripe

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stripe, name)

    def disputes_of(self, payment_id: str) -> list[DisputeFacts]:
        found = self._stripe.disputes_of(payment_id)
        if self._dispute:
            dispute, self._dispute = self._dispute, ""
            self._world.control("dispute", dispute=dispute, status="won")
            self._world.hand_over()
        return found


def test_a_dispute_won_while_its_beginning_is_still_handled_takes_nothing(world: BillingWorld, workspace: str) -> None:
    payment_id = pay_for_pack(world, workspace)
    charge = world.client.v1.payment_intents.retrieve(payment_id).latest_charge
    dispute = world.control("dispute", charge=charge, kind="dispute")["id"]
    world.new_events()
    overtaken: Any = OvertakenReads(world, dispute)
    sync_money_back(payment_id, deps=replace(world.deps, stripe=overtaken))
    wallet = world.refreshed(workspace)
    assert (wallet.available, wallet.debt) == (SMALL.credits, 0)


def test_two_orders_with_one_key_at_the_same_moment_are_one_checkout(world: BillingWorld, workspace: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: world.checkout(workspace, pack="small", idempotency_key="one"), range(4)))
    assert len({checkout.session_id for checkout in made}) == 1
    assert len(world.client.v1.customers.list().data) == 1


# ---- orders ----------------------------------------------------------------------------------------------------------


def test_a_repeated_order_is_the_same_checkout(world: BillingWorld, workspace: str) -> None:
    first = world.checkout(workspace, pack="small", idempotency_key="one")
    assert world.checkout(workspace, pack="small", idempotency_key="one") == first
    with pytest.raises(IdempotencyMismatch):
        world.checkout(workspace, pack="large", idempotency_key="one")
    assert len(world.client.v1.checkout.sessions.list().data) == 1
    assert len(world.client.v1.customers.list().data) == 1


def test_what_is_not_sold_cannot_be_ordered(world: BillingWorld, workspace: str) -> None:
    orders: list[dict[str, Any]] = [
        {"tier": "free"},
        {"tier": "gold"},
        {"pack": "tiny"},
        {"pack": "small", "quantity": SMALL.quantity_max + 1},
        {"tier": "pro", "success_url": "https://evil.example.com"},
    ]
    for order in orders:
        with pytest.raises(ValidationFailed):
            world.checkout(workspace, **order)
    assert world.client.v1.checkout.sessions.list().data == []


def test_nothing_is_sold_at_another_price_than_the_lists(world: BillingWorld, workspace: str) -> None:
    """The price list was deployed, and Stripe has not got the new price yet."""
    (price,) = world.client.v1.prices.list({"lookup_keys": ["atelier:pack:small:1:usd"]}).data
    world.client.v1.prices.create(
        {
            "product": price.product,
            "currency": "usd",
            "unit_amount": 100,
            "lookup_key": "atelier:pack:small:1:usd",
            "transfer_lookup_key": True,
        }
    )
    with pytest.raises(Unavailable):
        world.checkout(workspace, pack="small")


def test_a_customer_who_was_deleted_at_stripe_can_buy_again(world: BillingWorld, workspace: str) -> None:
    first = world.customer(workspace)
    world.client.v1.customers.delete(first.stripe_id)
    world.hand_over()
    pay_for_pack(world, workspace)
    assert world.customer(workspace).stripe_id != first.stripe_id
    assert world.wallet(workspace).available == SMALL.credits


def test_a_preview_holds_for_ten_minutes(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    with pytest.raises(QuoteExpired):
        change(world, workspace, "studio", quoted_at=world.now - timedelta(minutes=11))
    with pytest.raises(Conflict):
        preview_change(workspace, "pro", "month", deps=world.plans, now=world.now)


# ---- others' objects -------------------------------------------------------------------------------------------------


def test_events_about_objects_of_others_change_nothing(world: BillingWorld, workspace: str) -> None:
    """The same Stripe account sells other things to other people."""
    method: Any = {"payment_method": "pm_card_visa"}
    other = world.client.v1.customers.create(method)
    card = world.client.v1.customers.payment_methods.list(other.id).data[0].id
    world.client.v1.customers.update(other.id, {"invoice_settings": {"default_payment_method": card}})
    price = world.deps.stripe.price("atelier:pro:1:month:usd")
    assert price is not None
    world.client.v1.subscriptions.create({"customer": other.id, "items": [{"price": price.id}]})
    world.client.v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "customer": other.id, "payment_method": card, "confirm": True}
    )
    world.hand_over()
    assert world.wallet(workspace).tier == "free"
    assert world.deps.store.payments(workspace, None, 10)[0] == []


def test_events_about_objects_that_are_gone_are_not_errors(world: BillingWorld) -> None:
    for kind, object_id in {
        "invoice.created": "in_gone",
        "customer.subscription.updated": "sub_gone",
        "checkout.session.completed": "cs_gone",
        "payment_intent.succeeded": "pi_gone",
        "refund.created": "re_gone",
        "charge.dispute.created": "dp_gone",
        "customer.deleted": "cus_gone",
        "nobody.knows": "xx_gone",
    }.items():
        world.hand_over([{"event": "evt_1", "type": kind, "object": object_id}])


def test_an_event_of_a_year_ago_changes_nothing(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    old = world.new_events()
    world.hand_over(old)
    cancel_plan(workspace, deps=world.plans, now=world.now)
    world.pass_days(32)
    world.hand_over()
    world.subscribe(workspace, "studio")
    world.hand_over()
    for _ in range(11):
        world.pass_days(31)
    world.hand_over()
    before = world.refreshed(workspace)
    world.hand_over(old)
    assert world.refreshed(workspace) == before
    assert before.tier == "studio@1"
    assert world.now - BEGIN > timedelta(days=365)
