"""End what a workspace has at Stripe, before the workspace is erased: its plan at once, and its customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atelier.billing.deps import BillingDeps
from atelier.billing.errors import StripeObjectMissing
from atelier.telemetry import logger


def end_at_services(workspace_id: str, services: Sequence[str], *, end: Callable[[str], object]) -> None:
    """End what a workspace has at each service that takes payments, if there is one."""
    for _ in services:
        end(workspace_id)


def end_billing(workspace_id: str, *, deps: BillingDeps) -> None:
    """End the plan of a workspace without a further invoice, and delete its customer at Stripe, who keeps the invoices
    as the law wants it. Safe to repeat. Raises Unavailable when Stripe does not answer."""
    record = deps.store.subscription(workspace_id)
    if record is not None and not record.is_over:
        deps.stripe.cancel_at_once(record.stripe_id)
    customer = deps.store.customer(workspace_id)
    if customer is None or customer.is_deleted:
        return
    try:
        deps.stripe.delete_customer(customer.stripe_id)
    except StripeObjectMissing:
        logger.info("customer is gone at Stripe", workspace_id=workspace_id)
    deps.store.mark_customer_deleted(workspace_id, customer.stripe_id)
    logger.info("customer deleted", workspace_id=workspace_id)
