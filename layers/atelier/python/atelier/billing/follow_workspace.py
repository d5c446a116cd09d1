"""End the plan of a workspace that is being deleted with its period, and let it go on when the workspace comes back.

An event says only that something may have changed: the workspace's state is read, Stripe is made to agree, and the
state is read again; so order, repetition and two runs at once lead to the same. Stripe keeps the mark of a plan that
ends with its workspace: a plan that its owner has ended stays so when the workspace comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atelier.billing.deps import BillingDeps
from atelier.billing.sync_subscription import sync_subscription
from atelier.events.workspace_events import AccountChanged, WorkspaceChanged
from atelier.retrying import LostRace, retrying
from atelier.telemetry import logger

TRIES_MAX = 5


def follow_change(
    change: WorkspaceChanged | AccountChanged, services: Sequence[str], *, follow: Callable[[str], object]
) -> None:
    """Follow a change of a workspace, or of the account that owns a personal one, at each service that takes payments,
    if there is one."""
    for _ in services:
        follow(change.workspace_id)
    logger.info("deletion followed", type=change.type, event_id=change.id, workspace_id=change.workspace_id)


def follow_workspace(workspace_id: str, *, is_being_deleted: Callable[[str], bool], deps: BillingDeps) -> None:
    """Make Stripe agree with the workspace's state. Safe to repeat: nothing is sent that Stripe has already. Raises
    Unavailable when Stripe does not answer, or the workspace keeps changing."""

    def attempt() -> None:
        is_ending = is_being_deleted(workspace_id)
        if _agree(workspace_id, is_ending, deps) and is_being_deleted(workspace_id) != is_ending:
            raise LostRace

    retrying(attempt, on=LostRace, busy="The workspace is changing. Try again.", tries_max=TRIES_MAX)


def _agree(workspace_id: str, is_ending: bool, deps: BillingDeps) -> bool:
    """Send Stripe what is missing; returns whether anything was."""
    record = deps.store.subscription(workspace_id)
    if record is None or record.is_over:
        return False
    facts = deps.stripe.subscription(record.stripe_id)
    if not facts.is_live:
        return False
    if is_ending and not facts.cancel_at_period_end:
        deps.stripe.keep_plan(facts)
        deps.stripe.set_cancel_at_period_end(facts, cancels=True, with_workspace=True)
    elif not is_ending and facts.ends_with_workspace:
        deps.stripe.set_cancel_at_period_end(facts, cancels=False)
    else:
        return False
    sync_subscription(record.stripe_id, deps=deps)
    logger.info("plan follows its workspace", workspace_id=workspace_id, subscription=record.id, ends=is_ending)
    return True
