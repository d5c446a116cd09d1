"""What a checkout promised, found from what Stripe says of it, and given."""

from __future__ import annotations

from datetime import timedelta

from atelier.billing.deps import BillingDeps
from atelier.billing.model import Checkout
from atelier.ledger import post
from atelier.ledger.model import GrantSource


def find_checkout(
    workspace_id: str | None, checkout_id: str | None, customer_id: str | None, deps: BillingDeps
) -> Checkout | None:
    """The checkout that an object of Stripe names, if it is of the customer of the same workspace."""
    if not workspace_id or not checkout_id or not customer_id:
        return None
    if deps.store.workspace_of(customer_id) != workspace_id:
        return None
    return deps.store.checkout(workspace_id, checkout_id)


def grant_pack(checkout: Checkout, key: str, deps: BillingDeps) -> None:
    """Grant the credits of a paid pack, once for each payment."""
    now = deps.clock()
    days = checkout.credits_expire_after_days
    post.grant(
        checkout.workspace_id,
        key,
        GrantSource.PURCHASE,
        checkout.credits,
        # Counted from the checkout, so that a repetition decides the same.
        expires_at=checkout.created_at + timedelta(days=days) if days else None,
        facts={"pack": checkout.item, "checkout": checkout.id},
        deps=deps.ledger,
        now=now,
    )
