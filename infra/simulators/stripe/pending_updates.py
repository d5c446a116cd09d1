"""Changes that wait for their invoice to be paid: updates with `pending_if_incomplete`, resumptions after a pause."""

from __future__ import annotations

import copy

from infra.simulators.stripe.account import Account, Object, merge_metadata, require
from infra.simulators.stripe.errors import invalid
from infra.simulators.stripe.invoices import AFTER_INVOICE, subscription_of, void
from infra.simulators.stripe.subscription_items import period_of
from infra.simulators.stripe.subscriptions import INCOMPLETE_SECONDS

# The parameters of an update that may wait.
SUPPORTED = frozenset(
    {
        "billing_cycle_anchor",
        "cancel_at_period_end",
        "discounts",
        "items",
        "metadata",
        "payment_behavior",
        "proration_behavior",
        "proration_date",
        "trial_end",
    }
)
# The fields of a subscription that such an update changes. Metadata are merged when it is applied.
KEPT = (
    "billing_cycle_anchor",
    "cancel_at",
    "cancel_at_period_end",
    "canceled_at",
    "cancellation_details",
    "discounts",
    "items",
    "metadata",
    "status",
    "status_details",
    "trial_end",
    "trial_start",
)
SHOWN = ("billing_cycle_anchor", "cancel_at_period_end", "discounts", "trial_end")


def check_pending(subscription: Object, params: Object) -> None:
    """Raises StripeError for an update that cannot wait for its payment."""
    unsupported = sorted(params.keys() - SUPPORTED)
    if unsupported:
        names = ", ".join(f"`{name}`" for name in unsupported)
        raise invalid(
            f"With `payment_behavior=pending_if_incomplete`, these cannot be updated: {names}.", unsupported[0]
        )
    text = "Pending updates are for subscriptions with `collection_method=charge_automatically`."
    require(subscription["collection_method"] == "charge_automatically", text, "payment_behavior")


def update_expiry(account: Account, subscription: Object) -> int:
    """When an update of this moment is given up: after 23 hours, or with the period or trial."""
    now = account.now(subscription["test_clock"])
    ends = [subscription["trial_end"], period_of(subscription)[1]]
    return min([now + INCOMPLETE_SECONDS, *(end for end in ends if end and end > now)])


def hold_back(
    account: Account, subscription: Object, before: Object, invoice: Object, expires_at: int, params: Object
) -> None:
    """Take a change back until its invoice is paid. before: the subscription without it; params: of the request."""
    changed = [name for name in KEPT if subscription[name] != before[name]]
    wanted = {name: copy.deepcopy(subscription[name]) for name in changed if name != "metadata"}
    pending = {"wanted": wanted, "invoice": invoice["id"], "metadata": params.get("metadata")}
    account.note(subscription["id"])["pending"] = pending
    with account.changing(subscription, "customer.subscription.updated"):
        subscription.update({name: before[name] for name in changed})
        subscription["pending_update"] = {
            **dict.fromkeys(("discount", "metadata", "subscription_items", "trial_from_plan", *SHOWN)),
            "expires_at": expires_at,
            "metadata": params.get("metadata"),
            "subscription_items": wanted["items"]["data"] if "items" in wanted else None,
            **{name: wanted[name] for name in SHOWN if name in wanted},
        }


def expire_pending_update(account: Account, subscription: Object) -> None:
    """Drop a change whose invoice was not paid in time, or that another change replaces."""
    pending = account.note(subscription["id"]).pop("pending", None)
    if pending is None:
        return
    subscription["pending_update"] = None
    invoice = account.objects[pending["invoice"]]
    if invoice["status"] == "open":
        void(account, invoice)
    account.emit("customer.subscription.pending_update_expired", subscription)


def _apply(account: Account, subscription: Object, **fields: object) -> None:
    pending = account.note(subscription["id"]).pop("pending")
    with account.changing(subscription, "customer.subscription.updated"):
        subscription.update({**pending["wanted"], "pending_update": None, **fields})
        if pending["metadata"]:
            merge_metadata(subscription, pending["metadata"])
    applied = (
        "customer.subscription.resumed" if pending.get("resumes") else "customer.subscription.pending_update_applied"
    )
    account.emit(applied, subscription)


def _invoice_changed(account: Account, invoice: Object, outcome: str) -> None:
    """A change follows its invoice: it happens when that is paid, and is dropped when that is voided. A resumption also
    happens when the invoice is given up; one that does not insist on a payment leads to past due when that fails."""
    subscription = subscription_of(account, invoice)
    pending = account.note(subscription["id"]).get("pending") if subscription else None
    if subscription is None or pending is None or pending["invoice"] != invoice["id"]:
        return
    resumes = pending.get("resumes")
    if outcome == "paid" or (resumes and outcome == "uncollectible"):
        _apply(account, subscription)
    elif outcome == "void":
        expire_pending_update(account, subscription)
    elif outcome == "failed" and resumes == "on_attempt":
        _apply(account, subscription, status="past_due")


AFTER_INVOICE.append(_invoice_changed)
