"""Changes of plan give no credits and no time that nobody has paid for, and take none that somebody has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from atelier.billing.change_plan import change_plan, preview_change
from atelier.billing.model import Subscription
from atelier.catalogue.tiers import Interval
from atelier.errors import Conflict
from tests.embedded_aws import Tables
from tests.integration.billing_world import CATALOGUE, BillingWorld, billing_world

STARTER, PRO, STUDIO = (CATALOGUE.tier(name) for name in ("starter", "pro", "studio"))


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


def plan(world: BillingWorld, workspace_id: str) -> Subscription:
    record = world.deps.store.subscription(workspace_id)
    assert record is not None
    return record


def balance(world: BillingWorld, workspace_id: str) -> int:
    """What Stripe's balance of the customer holds: a negative amount is credit."""
    return world.client.v1.customers.retrieve(world.customer(workspace_id, None).stripe_id).balance


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
