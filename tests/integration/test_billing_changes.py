"""Changes of plan give no credits and no time that nobody has paid for, and take none that somebody has."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from atelier.billing.change_plan import change_plan, pause_plan, preview_change, resume_plan
from atelier.billing.errors import PaymentRefused
from atelier.billing.model import PlanStatus, Subscription
from atelier.billing.one_change import RESERVATION_LIFETIME
from atelier.catalogue.tiers import Interval
from atelier.errors import Conflict
from tests.embedded_aws import Tables
from tests.integration.billing_world import CATALOGUE, BillingWorld, billing_world

STARTER, PRO, STUDIO = (CATALOGUE.tier(name) for name in ("starter", "pro", "studio"))
INTERVALS: tuple[Interval, ...] = ("month", "year")
DECLINES = "pm_card_chargeCustomerFail"


@pytest.fixture
def world(tables: Tables) -> Iterator[BillingWorld]:
    with billing_world(tables) as running:
        yield running


@pytest.fixture
def workspace(world: BillingWorld) -> str:
    return world.new_workspace()


def change(world: BillingWorld, workspace_id: str, tier: str, interval: Interval = "month") -> None:
    change_plan(workspace_id, tier, interval, None, deps=world.plans, now=world.now)
    world.hand_over()


def refusal(world: BillingWorld, workspace_id: str, tier: str, interval: Interval = "month") -> dict[str, Any]:
    """The facts of the refusal of a change, which its preview is refused with, too."""
    with pytest.raises(Conflict) as of_preview:
        preview_change(workspace_id, tier, interval, deps=world.plans, now=world.now)
    with pytest.raises(Conflict) as refused:
        change(world, workspace_id, tier, interval)
    assert refused.value.facts == of_preview.value.facts
    return refused.value.facts


def refused_change(world: BillingWorld, workspace_id: str, tier: str) -> dict[str, Any]:
    """The facts of the refusal of a change that its preview does not know."""
    with pytest.raises(Conflict) as refused:
        change(world, workspace_id, tier)
    return refused.value.facts


def plan(world: BillingWorld, workspace_id: str) -> Subscription:
    record = world.deps.store.subscription(workspace_id)
    assert record is not None
    return record


def balance(world: BillingWorld, workspace_id: str) -> int:
    """What Stripe's balance of the customer holds: a negative amount is credit."""
    return world.client.v1.customers.retrieve(world.customer(workspace_id, None).stripe_id).balance or 0


def use_card(world: BillingWorld, workspace_id: str, card: str) -> None:
    """The card that further payments of the plan are charged to."""
    customer = world.customer(workspace_id, None).stripe_id
    method = world.client.v1.payment_methods.attach(card, {"customer": customer})
    world.client.v1.subscriptions.update(plan(world, workspace_id).stripe_id, {"default_payment_method": method.id})


# ---- a year that is left ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("year", "month"), [(PRO, STUDIO), (STARTER, PRO), (PRO, PRO)])
def test_a_month_instead_of_a_year_waits_for_the_end_of_the_year(
    world: BillingWorld, workspace: str, year: Any, month: Any
) -> None:
    """Also that of a higher tier: the year's money would go back, and its credits would stay."""
    world.subscribe(workspace, year.name, "year")
    world.hand_over()
    preview = preview_change(workspace, month.name, "month", deps=world.plans, now=world.now)
    ends_at = plan(world, workspace).period_end
    assert (preview.amount_due, preview.credits_now, preview.effective_at) == (0, 0, ends_at)

    change(world, workspace, month.name, "month")
    record = plan(world, workspace)
    assert record.planned is not None
    assert (record.tier, record.planned.tier, record.planned.interval) == (year.id, month.id, "month")
    assert (balance(world, workspace), world.granted(workspace)) == (0, year.monthly_credits * 12)

    world.pass_days(366)
    world.hand_over()
    record = plan(world, workspace)
    assert (record.tier, record.interval, record.planned) == (month.id, "month", None)
    assert world.granted(workspace) == year.monthly_credits * 12 + month.monthly_credits


def test_a_change_that_would_give_money_back_is_refused(world: BillingWorld, workspace: str) -> None:
    """An operator has made a price of its own for this customer, dearer than the higher tier."""
    customer = world.customer(workspace)
    product = world.client.v1.products.create({"name": "Pro for the agency"}).id
    dear = world.client.v1.prices.create(
        {
            "product": product,
            "currency": "usd",
            "unit_amount": STUDIO.price_month * 3,
            "recurring": {"interval": "month"},
            "metadata": {"atelier_tier": PRO.id, "atelier_interval": "month"},
        }
    )
    world.client.v1.subscriptions.create({"customer": customer.stripe_id, "items": [{"price": dear.id}]})
    world.hand_over()
    assert refusal(world, workspace, "studio")["reason"] == "gives_money_back"
    assert (plan(world, workspace).tier, balance(world, workspace)) == (PRO.id, 0)
    assert world.granted(workspace) == PRO.monthly_credits


# ---- a period that is not paid ---------------------------------------------------------------------------------------


def test_a_year_that_was_never_paid_is_not_credited(world: BillingWorld, workspace: str) -> None:
    """The trial is over, and the year's payment was declined."""
    world.pay(world.checkout(workspace, "pro", interval="year"))
    world.hand_over()
    use_card(world, workspace, DECLINES)
    world.pass_days(PRO.trial_days + 1)
    world.hand_over()
    assert plan(world, workspace).status is PlanStatus.PAST_DUE
    for interval in INTERVALS:
        facts = refusal(world, workspace, "studio", interval)
        assert facts["reason"] == "payment_due"
        assert facts["invoice_url"].startswith("http")
    assert (balance(world, workspace), world.granted(workspace)) == (0, PRO.trial_credits)

    use_card(world, workspace, "pm_card_visa")
    world.client.v1.invoices.pay(world.client.v1.invoices.list({"status": "open"}).data[0].id)
    world.hand_over()
    change(world, workspace, "studio", "year")
    assert plan(world, workspace).tier == STUDIO.id


@pytest.mark.parametrize("days", [10, 31.2])
def test_a_paused_plan_is_not_changed(world: BillingWorld, workspace: str, days: float) -> None:
    """Neither while it is paid, nor when the invoice of its next period is void."""
    world.subscribe(workspace)
    world.hand_over()
    pause_plan(workspace, None, deps=world.plans, now=world.now)
    world.pass_days(days)
    world.hand_over()
    assert refusal(world, workspace, "studio")["reason"] == "paused"
    assert (balance(world, workspace), world.granted(workspace)) == (0, PRO.monthly_credits)


def test_a_plan_is_not_changed_before_its_renewal_is_paid(world: BillingWorld, workspace: str) -> None:
    """For an hour the invoice of a new period is a draft."""
    world.subscribe(workspace)
    world.hand_over()
    world.pass_days(31.01)
    world.hand_over()
    assert refusal(world, workspace, "studio")["reason"] == "period_not_paid"
    world.pass_days(0.1)
    world.hand_over()
    change(world, workspace, "studio")
    assert plan(world, workspace).tier == STUDIO.id


def test_a_declined_change_can_be_tried_again(world: BillingWorld, workspace: str) -> None:
    """Its open invoice is the newest one, and the present period is paid all the same."""
    world.subscribe(workspace)
    world.hand_over()
    use_card(world, workspace, DECLINES)
    with pytest.raises(PaymentRefused):
        change(world, workspace, "studio")
    use_card(world, workspace, "pm_card_visa")
    change(world, workspace, "studio")
    assert (plan(world, workspace).tier, balance(world, workspace)) == (STUDIO.id, 0)


# ---- two changes at once ---------------------------------------------------------------------------------------------


class InterruptedStripe:
    """Stripe, where something happens once, just before the call with a name reaches it."""

    def __init__(self, world: BillingWorld, name: str, interruption: Callable[[], object]) -> None:
        self._stripe, self._name, self._interruption = world.deps.stripe, name, interruption
        self._is_over = False

    def __getattr__(self, name: str) -> Any:
        if name == self._name and not self._is_over:
            self._is_over = True
            self._interruption()
        return getattr(self._stripe, name)


@contextmanager
def interrupted(world: BillingWorld, name: str, interruption: Callable[[], object]) -> Generator[None]:
    """While this lasts, what the product does at Stripe is interrupted once."""
    plans = world.plans
    stripe: Any = InterruptedStripe(world, name, interruption)
    world.plans = replace(plans, billing=replace(plans.billing, stripe=stripe))
    try:
        yield
    finally:
        world.plans = plans


def test_two_changes_at_once_are_one_change(world: BillingWorld, workspace: str) -> None:
    """Else the lower of the two, decided on a plan that was lower still, would go down at once, with money back."""
    world.subscribe(workspace, "starter")
    world.hand_over()
    refused = list[Conflict]()

    def meanwhile() -> None:
        for act in (
            lambda: change(world, workspace, "studio"),
            lambda: pause_plan(workspace, None, deps=world.plans, now=world.now),
            lambda: resume_plan(workspace, deps=world.plans, now=world.now),
        ):
            with pytest.raises(Conflict) as found:
                act()
            refused.append(found.value)

    with interrupted(world, "change_now", meanwhile):
        change(world, workspace, "pro")
    assert [each.facts["reason"] for each in refused] == ["change_under_way"] * 3
    assert (plan(world, workspace).tier, balance(world, workspace)) == (PRO.id, 0)
    change(world, workspace, "studio")
    assert (plan(world, workspace).tier, balance(world, workspace)) == (STUDIO.id, 0)
    assert world.granted(workspace) == STUDIO.monthly_credits


def test_a_change_that_died_goes_on_and_blocks_others_for_two_minutes(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace, "starter")
    world.hand_over()
    quoted_at = world.now

    def die() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), interrupted(world, "change_now", die):
        change(world, workspace, "pro")
    assert refused_change(world, workspace, "studio")["reason"] == "change_under_way"
    change_plan(workspace, "pro", "month", quoted_at, deps=world.plans, now=world.now + timedelta(seconds=90))
    assert plan(world, workspace).tier == PRO.id
    # The first process may be alive after all, so the reservation lasts.
    assert refused_change(world, workspace, "studio")["reason"] == "change_under_way"
    world.pass_days(RESERVATION_LIFETIME * 2 / timedelta(days=1))
    change(world, workspace, "studio")
    assert (plan(world, workspace).tier, balance(world, workspace)) == (STUDIO.id, 0)


def test_a_plan_that_is_resumed_twice_at_once_is_charged_once(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    pause_plan(workspace, None, deps=world.plans, now=world.now)
    world.pass_days(45)
    world.hand_over()

    def again() -> None:
        with pytest.raises(Conflict):
            resume_plan(workspace, deps=world.plans, now=world.now)

    with interrupted(world, "resume", again):
        resume_plan(workspace, deps=world.plans, now=world.now)
    world.hand_over()
    assert len(world.deps.store.payments(workspace, None, 10)[0]) == 2


# ---- a pause over a renewal ------------------------------------------------------------------------------------------


def pause_over_renewal(world: BillingWorld, workspace_id: str) -> datetime:
    """Pause until shortly after the renewal, whose invoice is then void; returns when the paid period ended."""
    ended_at = plan(world, workspace_id).period_end
    pause_plan(workspace_id, ended_at + timedelta(hours=2), deps=world.plans, now=world.now)
    world.pass_days((ended_at - world.now) / timedelta(days=1) + 1)
    world.hand_over()
    return ended_at


def test_a_pause_over_a_renewal_gives_no_period(world: BillingWorld, workspace: str) -> None:
    """Stripe ends the pause by itself, and the invoice of the period stays void."""
    world.subscribe(workspace, "studio")
    world.hand_over()
    ended_at = pause_over_renewal(world, workspace)
    record, wallet = plan(world, workspace), world.wallet(workspace)
    assert (record.status, record.paid_until) == (PlanStatus.ACTIVE, ended_at)
    assert (wallet.tier_at(world.now), world.granted(workspace)) == ("free", STUDIO.monthly_credits)
    assert refused_pause(world, workspace)["reason"] == "period_not_paid"
    assert refusal(world, workspace, "studio", "year")["reason"] == "period_not_paid"

    # The next period is charged, and counts.
    world.pass_days(31)
    world.hand_over()
    assert (plan(world, workspace).paid_until, world.wallet(workspace).tier_ends_at) == (None, None)
    assert world.wallet(workspace).tier_at(world.now) == STUDIO.id
    assert world.granted(workspace) == STUDIO.monthly_credits * 2


def test_an_unpaid_period_after_a_pause_is_left_by_resuming(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    pause_over_renewal(world, workspace)
    resume_plan(workspace, deps=world.plans, now=world.now)
    world.hand_over()
    record = plan(world, workspace)
    assert (record.paid_until, record.period_start) == (None, world.now)
    assert world.wallet(workspace).tier_at(world.now) == PRO.id
    assert world.granted(workspace) == PRO.monthly_credits * 2


def test_resuming_before_the_renewals_invoice_is_final_charges_once(world: BillingWorld, workspace: str) -> None:
    world.subscribe(workspace)
    world.hand_over()
    pause_plan(workspace, None, deps=world.plans, now=world.now)
    world.pass_days(31.01)
    world.hand_over()
    resume_plan(workspace, deps=world.plans, now=world.now)
    world.pass_days(1)
    world.hand_over()
    assert [each.amount for each in world.deps.store.payments(workspace, None, 10)[0]] == [PRO.price_month] * 2
    assert world.wallet(workspace).tier_at(world.now) == PRO.id


def refused_pause(world: BillingWorld, workspace_id: str) -> dict[str, Any]:
    with pytest.raises(Conflict) as refused:
        pause_plan(workspace_id, None, deps=world.plans, now=world.now)
    return refused.value.facts


def test_a_long_pause_is_paid_until_its_last_paid_period(world: BillingWorld, workspace: str) -> None:
    """Also after several void invoices, and after a change whose payment was declined."""
    world.subscribe(workspace)
    world.hand_over()
    ended_at = plan(world, workspace).period_end
    use_card(world, workspace, DECLINES)
    with pytest.raises(PaymentRefused):
        change(world, workspace, "studio")
    pause_plan(workspace, None, deps=world.plans, now=world.now)
    world.pass_days(2)
    world.hand_over()
    assert (plan(world, workspace).paid_until, world.wallet(workspace).tier_at(world.now)) == (ended_at, PRO.id)
    world.pass_days(100)
    world.hand_over()
    assert (plan(world, workspace).paid_until, world.wallet(workspace).tier_at(world.now)) == (ended_at, "free")


# ---- a refused second subscription -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("goodwill", "from_card"), [(10_000, []), (1_000, [PRO.price_month - 1_000])])
def test_a_refused_subscription_gives_its_balance_back_once(
    world: BillingWorld, workspace: str, goodwill: int, from_card: list[int]
) -> None:
    """Two tabs buy the same; the second one is paid by the balance, or partly by the card."""
    world.subscribe(workspace)
    world.hand_over()
    customer = world.customer(workspace).stripe_id
    world.client.v1.customers.balance_transactions.create(customer, {"amount": -goodwill, "currency": "usd"})
    world.subscribe(workspace)
    events = world.new_events()
    for _ in range(2):
        world.hand_over([*events, *events[::-1]])
        # Stripe has forgotten the idempotency keys.
        world.pass_days(2)
    world.hand_over()
    assert balance(world, workspace) == -goodwill
    assert [each.amount for each in world.client.v1.refunds.list().data] == from_card
    assert world.granted(workspace) == PRO.monthly_credits


# ---- a trial ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", INTERVALS)
def test_a_tier_without_a_trial_begins_when_the_trial_of_another_ends(
    world: BillingWorld, workspace: str, interval: Interval
) -> None:
    assert not STUDIO.trial_days
    world.pay(world.checkout(workspace, "starter"))
    world.hand_over()
    ends_at = plan(world, workspace).trial_ends_at
    preview = preview_change(workspace, "studio", interval, deps=world.plans, now=world.now)
    assert (preview.amount_due, preview.credits_now, preview.effective_at) == (0, 0, ends_at)
    change(world, workspace, "studio", interval)
    record = plan(world, workspace)
    assert record.planned is not None
    assert (record.status, record.tier, record.planned.tier) == (PlanStatus.TRIALING, STARTER.id, STUDIO.id)
    assert world.wallet(workspace).tier == STARTER.id

    world.pass_days(STARTER.trial_days + 0.1)
    world.hand_over()
    assert world.wallet(workspace).tier == STUDIO.id
    (payment,), _ = world.deps.store.payments(workspace, None, 10)
    assert payment.amount == STUDIO.price(interval)
    months = 12 if interval == "year" else 1
    assert world.granted(workspace) == STARTER.trial_credits + STUDIO.monthly_credits * months
