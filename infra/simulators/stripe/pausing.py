"""Pauses: a subscription that makes no invoices, and its resumption, which may have to be paid first."""

from __future__ import annotations

import copy

from infra.simulators.stripe.account import Account, Object, require
from infra.simulators.stripe.form import choice
from infra.simulators.stripe.invoice_lines import pending_items, prorated_total, proration
from infra.simulators.stripe.invoices import charge_invoice, draft_invoice, finalize
from infra.simulators.stripe.operations import Operation
from infra.simulators.stripe.pending_updates import expire_pending_update, hold_back
from infra.simulators.stripe.periods import DAY, period_around
from infra.simulators.stripe.subscription_changes import ANCHOR, restart_period
from infra.simulators.stripe.subscription_items import interval_of, period_of, set_period
from infra.simulators.stripe.subscriptions import INCOMPLETE_SECONDS, PRORATION, has_method, set_paused

PAUSABLE = ("active", "past_due", "unpaid")
# How long a resumption waits for its payment: Stripe tries it again meanwhile, or leaves it to the merchant.
SUCCESS, ATTEMPT = "resume_on_payment_success", "resume_on_payment_attempt"
WAITS_SECONDS = {SUCCESS: 365 * DAY, ATTEMPT: INCOMPLETE_SECONDS}


def pause_subscription(account: Account, params: Object, id: str) -> Object:
    """Stop: no more periods and invoices until it is resumed. The unused time is credited unless `bill_for` says no."""
    subscription = account.find("subscription", id, in_path=True)
    require(subscription["status"] in PAUSABLE, f"A subscription that is {subscription['status']} cannot be paused.")
    require(not subscription["schedule"], "A subscription with a schedule cannot be paused.")
    text = "Only a subscription with billing mode `flexible` and automatic collection can be paused."
    is_flexible = subscription["billing_mode"]["type"] == "flexible"
    require(is_flexible and subscription["collection_method"] == "charge_automatically", text)
    now = account.now(subscription["test_clock"])
    unused = ((params.get("bill_for") or {}).get("unused_time_from") or {}).get("type") or "now"
    if unused == "now":
        for item in subscription["items"]["data"]:
            if prorated_total(account, subscription, item) and item["current_period_end"] > now:
                proration(account, subscription, item, now, -1)
    expire_pending_update(account, subscription)
    set_paused(account, subscription, "pause_requested")
    if params.get("invoicing_behavior") == "invoice":
        customer = account.objects[subscription["customer"]]
        finalize(account, draft_invoice(account, customer, [], "subscription_update", subscription))
    return subscription


def resume_subscription(account: Account, params: Object, id: str) -> Object:
    """Go on after a pause: with a new period from now on, or within the old cycle. Where that costs something, the
    subscription stays paused until its invoice is paid."""
    subscription = account.find("subscription", id, in_path=True)
    text = f"Only subscriptions with status `paused` can be resumed. This one is `{subscription['status']}`."
    require(subscription["status"] == "paused", text)
    text = "Only subscriptions with `collection_method=charge_automatically` can be resumed."
    require(subscription["collection_method"] == "charge_automatically", text)
    behavior = params.get("payment_behavior") or ATTEMPT
    costs = any(prorated_total(account, subscription, item) for item in subscription["items"]["data"])
    needs_method = behavior == SUCCESS and costs and not has_method(account, subscription)
    require(not needs_method, "The customer has no default payment method.", code="resource_missing")
    expire_pending_update(account, subscription)
    before = copy.deepcopy(subscription)
    subscription.update(status="active", status_details=None)
    lines = _begin_period(account, subscription, params)
    invoice = None
    if lines is not None:
        customer = account.objects[subscription["customer"]]
        invoice = draft_invoice(account, customer, lines, "subscription_update", subscription)
        finalize(account, invoice)
    if invoice is None or invoice["status"] == "paid":
        account.emit("customer.subscription.updated", subscription, {"status": "paused"})
        account.emit("customer.subscription.resumed", subscription)
        return subscription
    now = account.now(subscription["test_clock"])
    hold_back(account, subscription, before, invoice, now + WAITS_SECONDS[behavior], {})
    account.note(id)["pending"]["resumes"] = "on_success" if behavior == SUCCESS else "on_attempt"
    if behavior == SUCCESS:
        charge_invoice(account, invoice)
    else:
        invoice["auto_advance"] = False
    return subscription


def _begin_period(account: Account, subscription: Object, params: Object) -> list[Object] | None:
    """Set the period that a resumed subscription is in. Returns the lines of the invoice for it; None without one."""
    now = account.now(subscription["test_clock"])
    if (params.get("billing_cycle_anchor") or {"type": "now"})["type"] == "now":
        return restart_period(account, subscription, [], now, "none", now)
    interval, count = interval_of(subscription["items"]["data"][0])
    subscription["items"]["data"] = copy.deepcopy(subscription["items"]["data"])
    set_period(subscription, *period_around(subscription["billing_cycle_anchor"], interval, count, now))
    behavior = params.get("proration_behavior") or "create_prorations"
    moment = params.get("proration_date") or now
    if behavior != "none" and period_of(subscription)[1] > moment:
        for item in subscription["items"]["data"]:
            if prorated_total(account, subscription, item):
                proration(account, subscription, item, moment, 1)
    waiting = pending_items(account, subscription["customer"], subscription["id"])
    return [] if behavior == "always_invoice" and waiting else None


OPERATIONS = [
    Operation(
        "POST",
        "/v1/subscriptions/{id}/pause",
        pause_subscription,
        {
            "bill_for": {"unused_time_from": {"type": choice("none", "now")}},
            "invoicing_behavior": choice("invoice", "pending_invoice_item"),
            "type": choice("subscription"),
        },
    ),
    Operation(
        "POST",
        "/v1/subscriptions/{id}/resume",
        resume_subscription,
        {
            "billing_cycle_anchor": ANCHOR,
            "payment_behavior": choice(ATTEMPT, SUCCESS),
            "proration_behavior": PRORATION,
            "proration_date": int,
        },
    ),
]
