"""Bring a customer to what Stripe says now."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing


def sync_customer(customer_id: str, *, deps: BillingDeps) -> None:
    """Remember that a customer was deleted at Stripe: the workspace's next checkout makes another one. Does nothing for
    a customer of others."""
    workspace_id = deps.store.workspace_of(customer_id)
    if workspace_id is None:
        return
    try:
        is_deleted = deps.stripe.customer(customer_id).is_deleted
    except StripeObjectMissing:
        is_deleted = True
    if is_deleted and deps.store.mark_customer_deleted(workspace_id, customer_id):
        deps.on_change()
