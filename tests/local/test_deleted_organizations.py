"""An organisation with a plan is deleted and restored on the whole stack: from the table's stream over the bus to
Stripe."""

from __future__ import annotations

from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack
from tests.local.teams import create_organization, subscribe
from tests.local.test_local_payments import client


def test_the_plan_of_a_deleted_organisation_ends_unless_it_is_restored(stack: Stack) -> None:
    owner = AccountClient(stack.base_url)
    team = create_organization(owner)
    subscribe(stack, owner, team)
    stripe = client(stack.running)

    def ends() -> bool:
        plans = [plan.to_dict() for plan in stripe.v1.subscriptions.list({"limit": 100}).data]
        return next(plan["cancel_at_period_end"] for plan in plans if plan["metadata"].get("workspace_id") == team)

    assert not ends()
    deleted = owner.http.delete(f"/api/workspaces/{team}")
    assert deleted.status_code == 200, deleted.text
    poll_until(ends, lambda found: found)
    restored = owner.http.post(f"/api/workspaces/{team}/restore")
    assert restored.status_code == 200, restored.text
    poll_until(ends, lambda found: not found)
