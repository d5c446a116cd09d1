"""Changes of a subscription: other prices and quantities with their prorations, trials, paused collection."""

from __future__ import annotations

import copy
from typing import Any

from infra.simulators.stripe.account import Account, Object, require
from infra.simulators.stripe.errors import StripeError
from infra.simulators.stripe.form import choice
from infra.simulators.stripe.invoice_lines import item_line, pending_items, prorate_change, prorated_total, proration
from infra.simulators.stripe.invoices import charge_invoice, draft_invoice, finalize
from infra.simulators.stripe.operations import PAGING, TIMES, Operation, page_of, retrieval
from infra.simulators.stripe.pending_updates import check_pending, expire_pending_update, hold_back, update_expiry
from infra.simulators.stripe.periods import period_end_after
from infra.simulators.stripe.subscription_items import (
    CHANGED_ITEM,
    interval_of,
    items_after,
    period_of,
    set_period,
)
from infra.simulators.stripe.subscriptions import (
    CANCELLATION,
    CREATION,
    FIELDS,
    OVER,
    belongs_to,
    cancel_subscription,
    create_subscription,
    end_unpaid_trial,
    has_method,
    raise_unless_paid,
    set_discounts,
    set_fields,
)

ANCHOR = {"type": choice("now", "unchanged")}
UPDATE: dict[str, Any] = {
    **FIELDS,
    "billing_cycle_anchor": ANCHOR,
    "cancellation_details": CANCELLATION,
    "items": [CHANGED_ITEM],
    "pause_collection": {"behavior": choice("keep_as_draft", "mark_uncollectible", "void"), "resumes_at": int},
    "proration_date": int,
}
# A change of these takes the place of one that waits for its payment.
REPLACING = {"billing_cycle_anchor", "items", "trial_end"}
STATUSES = choice(
    "active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid"
)


def update_subscription(account: Account, params: Object, id: str) -> Object:
    """Change a subscription. What becomes due at once is invoiced and charged; when that fails, `payment_behavior`
    decides whether the change stays (past due), waits (`pending_update`) or is taken back (StripeError)."""
    subscription = account.find("subscription", id, in_path=True)
    require(subscription["status"] not in OVER, "A canceled subscription can only update its cancellation_details.")
    text = (
        f"The subscription is managed by the subscription schedule `{subscription['schedule']}`; update the schedule."
    )
    cancels = params.get("cancel_at_period_end") is not None or "cancel_at" in params
    require(not (cancels and subscription["schedule"]), text)
    behavior = params.get("payment_behavior") or "allow_incomplete"
    if behavior == "pending_if_incomplete":
        check_pending(subscription, params)
    earlier = account.fork(lambda obj: belongs_to(obj, subscription["customer"]))
    events = len(account.events)
    try:
        if REPLACING & params.keys():
            expire_pending_update(account, subscription)
        before = copy.deepcopy(subscription)
        with account.changing(subscription, "customer.subscription.updated"):
            lines = change(account, subscription, params)
        if lines is not None:
            _invoice_change(account, subscription, before, lines, params, behavior)
    except StripeError:
        account.restore(earlier)
        del account.events[events:]
        raise
    return subscription


def change(account: Account, subscription: Object, params: Object) -> list[Object] | None:
    """Apply the parameters. Returns the lines of the invoice that is due at once (besides waiting prorations); None
    when nothing is."""
    set_fields(account, subscription, params)
    set_discounts(account, subscription, params)
    if "pause_collection" in params:
        subscription["pause_collection"] = params["pause_collection"] and {
            "resumes_at": None,
            **params["pause_collection"],
        }
    subscription["cancellation_details"].update(params.get("cancellation_details") or {})
    now = account.now(subscription["test_clock"])
    before = [dict(item) for item in subscription["items"]["data"]]
    after = items_after(account, subscription, params["items"]) if params.get("items") else before
    subscription["items"]["data"] = after
    was_trial = subscription["status"] == "trialing"
    if was_trial and params.get("trial_end") == "now" and _ends_unpaid(account, subscription):
        return None
    resets = _set_trial(subscription, params.get("trial_end"), now)
    resets = resets or (params.get("billing_cycle_anchor") or {}).get("type") == "now"
    resets = resets or interval_of(before[0]) != interval_of(after[0]) or _becomes_paid(account, subscription, before)
    prorates = "none" if was_trial else params.get("proration_behavior") or "create_prorations"
    moment = params.get("proration_date") or now
    if subscription["status"] in ("trialing", "paused"):
        start, end = period_of({"items": {"data": before}})
        set_period(subscription, start, subscription["trial_end"] or end)
        return None
    if resets:
        return restart_period(account, subscription, before, now, prorates, moment)
    start, end = period_of({"items": {"data": before}})
    set_period(subscription, start, end)
    text = f"The proration date must be within the current period ({start} to {end})."
    require(start <= moment <= end, text, "proration_date")
    if prorates != "none":
        prorate_change(account, subscription, before, after, moment)
    waiting = pending_items(account, subscription["customer"], subscription["id"])
    return [] if prorates == "always_invoice" and waiting else None


def _ends_unpaid(account: Account, subscription: Object) -> bool:
    """Ends a trial that nobody will pay for as its settings say. Returns whether they let it not go on."""
    missing = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if missing == "create_invoice" or has_method(account, subscription):
        return False
    end_unpaid_trial(account, subscription, missing)
    return True


def _set_trial(subscription: Object, wanted: Any, now: int) -> bool:
    """Begin, move or end a trial. Returns whether a new period begins now because the trial is over."""
    if wanted is None:
        return False
    was_trial = subscription["status"] == "trialing"
    if wanted == "now" or wanted <= now:
        subscription["trial_end"] = now if was_trial else subscription["trial_end"]
        if was_trial:
            subscription["status"] = "active"
        return was_trial
    subscription.update(trial_end=wanted, billing_cycle_anchor=wanted, status="trialing")
    subscription["trial_start"] = subscription["trial_start"] or now
    return False


def _becomes_paid(account: Account, subscription: Object, before: list[Object]) -> bool:
    """Whether a subscription that cost nothing costs something now: it is charged at once, from now on."""
    was_free = not any(prorated_total(account, subscription, item) for item in before)
    return was_free and any(prorated_total(account, subscription, item) for item in subscription["items"]["data"])


def restart_period(
    account: Account, subscription: Object, before: list[Object], now: int, prorates: str, moment: int
) -> list[Object]:
    """A new period from now on, and credit for the rest of the old one. Returns the new period's lines."""
    if prorates != "none":
        for item in before:
            if prorated_total(account, subscription, item) and item["current_period_end"] > moment:
                proration(account, subscription, item, moment, -1)
    interval, count = interval_of(subscription["items"]["data"][0])
    subscription["billing_cycle_anchor"] = now
    end = period_end_after(now, interval, count, now)
    set_period(subscription, now, end)
    return [item_line(account, subscription, item, now, end) for item in subscription["items"]["data"]]


def _invoice_change(
    account: Account, subscription: Object, before: Object, lines: list[Object], params: Object, behavior: str
) -> None:
    customer = account.objects[subscription["customer"]]
    invoice = draft_invoice(account, customer, lines, "subscription_update", subscription)
    if params.get("proration_date"):
        invoice["parent"]["subscription_details"]["subscription_proration_date"] = params["proration_date"]
    pends = behavior == "pending_if_incomplete"
    if pends:
        account.note(invoice["id"])["pending_update"] = subscription["id"]
    finalize(account, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        if behavior != "default_incomplete":
            charge_invoice(account, invoice, off_session=bool(params.get("off_session")))
        if behavior == "error_if_incomplete":
            raise_unless_paid(account, invoice)
    if pends and invoice["status"] == "open":
        hold_back(account, subscription, before, invoice, update_expiry(account, before), params)


def list_subscriptions(account: Account, params: Object) -> Object:
    """Subscriptions, newest first; canceled ones only where the status asks for them."""
    status = params.get("status")
    states = {"ended": OVER, "all": None}.get(status, (status,)) if status else None
    wanted = {name: params[name] for name in ("customer", "collection_method", "test_clock") if params.get(name)}
    found = [
        each
        for each in account.all("subscription", **wanted)
        if (each["status"] in states if states else status == "all" or each["status"] != "canceled")
        and (not params.get("price") or any(item["price"]["id"] == params["price"] for item in each["items"]["data"]))
    ]
    return page_of(found[::-1], params, "/v1/subscriptions")


def list_items(account: Account, params: Object) -> Object:
    subscription = account.find("subscription", params["subscription"], "subscription")
    return page_of(subscription["items"]["data"], params, "/v1/subscription_items")


OPERATIONS = [
    Operation("POST", "/v1/subscriptions", create_subscription, CREATION, ("customer",)),
    Operation(
        "GET",
        "/v1/subscriptions",
        list_subscriptions,
        {
            **PAGING,
            "collection_method": FIELDS["collection_method"],
            "created": TIMES,
            "customer": str,
            "price": str,
            "status": STATUSES,
            "test_clock": str,
        },
    ),
    retrieval("subscription", "/v1/subscriptions"),
    Operation("POST", "/v1/subscriptions/{id}", update_subscription, UPDATE),
    Operation(
        "DELETE",
        "/v1/subscriptions/{id}",
        cancel_subscription,
        {"cancellation_details": CANCELLATION, "invoice_now": bool, "prorate": bool},
    ),
    Operation("GET", "/v1/subscription_items", list_items, {**PAGING, "subscription": str}, ("subscription",)),
]
