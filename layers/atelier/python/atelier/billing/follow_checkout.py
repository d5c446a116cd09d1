"""Follow a checkout: what became of it, asked by the page to which the buyer returns."""

from __future__ import annotations

from atelier.billing.deps import BillingDeps
from atelier.billing.model import Checkout, CheckoutState
from atelier.billing.sync_checkout import sync_checkout
from atelier.errors import NotFound


def follow_checkout(workspace_id: str, checkout_id: str, *, deps: BillingDeps) -> Checkout:
    """The checkout as of now. Stripe is asked while it is not decided, so that the buyer need not wait for an event.
    Raises NotFound."""
    checkout = deps.store.checkout(workspace_id, checkout_id)
    if checkout is None:
        raise NotFound
    if checkout.session_id is not None and checkout.state in (CheckoutState.OPEN, CheckoutState.PENDING):
        return sync_checkout(checkout.session_id, deps=deps) or checkout
    return checkout
