"""The plan of a workspace that is being deleted, and that comes back, against Stripe's simulator."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from atelier.adapters.payments.stripe_client import new_client
from atelier.adapters.payments.stripe_gateway import SdkStripe
from atelier.billing.change_plan import cancel_plan, change_plan, resume_plan
from atelier.billing.follow_workspace import follow_workspace
from atelier.billing.model import PlanStatus, Subscription
from atelier.billing.reconcile import reconcile
from atelier.errors import Unavailable
from tests.embedded_aws import Tables
from tests.integration.billing_world import BillingWorld, billing_world


@dataclass
class Deletions:
    """Workspaces on a world that sells. deleted: those that are being deleted; acts: what else happens at each reading
    of this state, one for each."""

    world: BillingWorld
    deleted: set[str] = field(default_factory=set[str])
    readings: int = 0
    restored_at_reading: int = 0

    def is_being_deleted(self, workspace_id: str) -> bool:
        self.readings += 1
        if self.readings == self.restored_at_reading:
            self.deleted.clear()
        return workspace_id in self.deleted

    def follow(self, workspace_id: str) -> None:
        follow_workspace(workspace_id, is_being_deleted=self.is_being_deleted, deps=self.world.deps)

    def subscribed(self) -> str:
        """A workspace with a plan."""
        workspace_id = self.world.new_workspace()
        self.world.subscribe(workspace_id)
        self.world.hand_over()
        return workspace_id

    def record(self, workspace_id: str) -> Subscription:
        found = self.world.deps.store.subscription(workspace_id)
        assert found is not None
        return found

    def changes(self) -> int:
        """How many requests have changed something at Stripe."""
        return sum(call["method"] != "GET" for call in self.world.simulator.calls)


@pytest.fixture
def deletions(tables: Tables) -> Iterator[Deletions]:
    with billing_world(tables) as world:
        yield Deletions(world)


def test_the_plan_of_a_deleted_workspace_ends_and_goes_on_with_it(deletions: Deletions) -> None:
    workspace = deletions.subscribed()
    deletions.deleted.add(workspace)
    deletions.follow(workspace)
    assert deletions.record(workspace).cancel_at_period_end
    deletions.deleted.clear()
    deletions.follow(workspace)
    assert not deletions.record(workspace).cancel_at_period_end
    deletions.world.pass_days(32)
    deletions.world.hand_over()
    assert deletions.record(workspace).status is PlanStatus.ACTIVE


def test_a_deleted_workspace_is_not_charged_again(deletions: Deletions) -> None:
    workspace = deletions.subscribed()
    change_plan(workspace, "starter", "month", None, deps=deletions.world.plans, now=deletions.world.now)
    deletions.deleted.add(workspace)
    deletions.follow(workspace)
    invoices, _ = deletions.world.deps.store.invoices(workspace, None, 10)
    deletions.world.pass_days(32)
    deletions.world.hand_over()
    assert deletions.record(workspace).status is PlanStatus.ENDED
    assert deletions.world.deps.store.invoices(workspace, None, 10)[0] == invoices


def test_a_repeated_event_changes_nothing_at_stripe(deletions: Deletions) -> None:
    workspace, free = deletions.subscribed(), deletions.world.new_workspace()
    before = deletions.changes()
    for deleted in ({workspace, free}, set[str]()):
        deletions.deleted = deleted
        for _ in range(3):
            deletions.follow(workspace)
            deletions.follow(free)
    assert deletions.changes() == before + 2


def test_a_plan_that_its_owner_had_ended_stays_ended_when_the_workspace_comes_back(deletions: Deletions) -> None:
    workspace, world = deletions.subscribed(), deletions.world
    cancel_plan(workspace, deps=world.plans, now=world.now)
    deletions.deleted.add(workspace)
    deletions.follow(workspace)
    deletions.deleted.clear()
    deletions.follow(workspace)
    assert deletions.record(workspace).cancel_at_period_end
    # Nor does an earlier deletion bring back what the owner ends afterwards.
    resume_plan(workspace, deps=world.plans, now=world.now)
    deletions.deleted.add(workspace)
    deletions.follow(workspace)
    deletions.deleted.clear()
    resume_plan(workspace, deps=world.plans, now=world.now)
    cancel_plan(workspace, deps=world.plans, now=world.now)
    deletions.follow(workspace)
    assert deletions.record(workspace).cancel_at_period_end


def test_a_workspace_that_comes_back_meanwhile_keeps_its_plan(deletions: Deletions) -> None:
    workspace = deletions.subscribed()
    deletions.deleted.add(workspace)
    # Its restoration is written after the first reading, and its own event was handled before Stripe was changed.
    deletions.restored_at_reading = 2
    deletions.follow(workspace)
    assert not deletions.record(workspace).cancel_at_period_end


def test_both_events_at_once_end_with_the_present_state(deletions: Deletions) -> None:
    workspace = deletions.subscribed()
    for deleted in ({workspace}, set[str](), {workspace}):
        deletions.deleted = deleted
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(deletions.follow, [workspace] * 4))
        assert deletions.record(workspace).cancel_at_period_end == bool(deleted)


def test_a_silent_stripe_fails_the_event_and_the_daily_comparison_repairs_it(deletions: Deletions) -> None:
    workspace, world = deletions.subscribed(), deletions.world
    gateway = world.deps.stripe
    assert isinstance(gateway, SdkStripe)
    unreachable = new_client(world.simulator.api_key, "http://127.0.0.1:9", seconds_max=1)
    world.use_gateway(SdkStripe(lambda: unreachable))
    deletions.deleted.add(workspace)
    with pytest.raises(Unavailable):
        deletions.follow(workspace)
    assert not deletions.record(workspace).cancel_at_period_end
    world.use_gateway(gateway)
    assert reconcile(deps=world.deps, has_time=lambda: True, follow=deletions.follow).is_complete
    assert deletions.record(workspace).cancel_at_period_end
