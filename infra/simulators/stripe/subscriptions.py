"""Subscriptions: begun, changed, paused, resumed and canceled. What time does to them is in `renewals.py`."""

from __future__ import annotations

import copy
from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.coupons import DISCOUNTS, create_discount
from infra.simulators.stripe.customers import BEFORE_DELETION
from infra.simulators.stripe.errors import StripeError, invalid
from infra.simulators.stripe.form import MAP, choice, one_of
from infra.simulators.stripe.invoice_lines import item_line, new_invoice_item, proration
from infra.simulators.stripe.invoices import (
    AFTER_INVOICE,
    charge_invoice,
    draft_invoice,
    finalize,
    intent_of,
    subscription_of,
    void,
)
from infra.simulators.stripe.money import price_total, prorate
from infra.simulators.stripe.operations import list_of
from infra.simulators.stripe.payment_methods import card_error, usable_method
from infra.simulators.stripe.periods import DAY, add_intervals, period_end_after
from infra.simulators.stripe.subscription_items import (
    NEW_ITEM,
    TRIAL_SETTINGS,
    check_items,
    interval_of,
    new_item,
    period_of,
    set_period,
)

BEHAVIOR = choice("allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete")
PRORATION = choice("always_invoice", "create_prorations", "none")
CANCELLATION = {"comment": str, "feedback": str}
FIELDS: dict[str, Any] = {
    "automatic_tax": {"enabled": bool},
    "cancel_at": int,
    "cancel_at_period_end": bool,
    "collection_method": choice("charge_automatically", "send_invoice"),
    "days_until_due": int,
    "default_payment_method": str,
    "description": str,
    "discounts": DISCOUNTS,
    "invoice_settings": {"description": str, "footer": str},
    "metadata": MAP,
    "off_session": bool,
    "payment_behavior": BEHAVIOR,
    "payment_settings": {
        "payment_method_types": [str],
        "save_default_payment_method": choice("off", "on_subscription"),
    },
    "proration_behavior": PRORATION,
    "trial_end": one_of(choice("now"), int),
    "trial_settings": TRIAL_SETTINGS,
}
CREATION: dict[str, Any] = {
    **FIELDS,
    "add_invoice_items": [{"price": str, "quantity": int}],
    "billing_cycle_anchor": int,
    "billing_mode": {"type": choice("classic", "flexible")},
    "currency": str,
    "customer": str,
    "items": [NEW_ITEM],
    "trial_period_days": int,
}
PLAIN = ("collection_method", "days_until_due", "description", "metadata", "trial_settings")
# How long the first payment of a subscription may take.
INCOMPLETE_SECONDS = 23 * 3600
WARNING_SECONDS = 3 * DAY
OVER = ("canceled", "incomplete_expired")


def create_subscription(account: Account, params: Object) -> Object:
    """A new subscription with its first invoice. Raises StripeError, and leaves nothing behind, when there is nothing
    to charge, or when the payment fails and `payment_behavior` is `error_if_incomplete`."""
    customer = account.find("customer", params["customer"], "customer")
    earlier = account.fork(lambda obj: belongs_to(obj, customer["id"]))
    events = len(account.events)
    try:
        subscription = build_subscription(account, customer, params)
        first = begin(account, subscription, params)
        collect_first(account, subscription, first, params)
    except StripeError:
        account.restore(earlier)
        del account.events[events:]
        raise
    return subscription


def belongs_to(obj: Object, customer: str) -> bool:
    """Whether an object may change when something of this customer's does. Payments of invoices name no customer."""
    return customer in (obj.get("customer"), obj["id"]) or obj["object"] in (
        "invoice_payment",
        "coupon",
        "promotion_code",
    )


def build_subscription(account: Account, customer: Object, params: Object) -> Object:
    """A subscription with its items, trial and discounts, before anything is due."""
    require(params.get("items"), "Missing required param: items.", "items", "parameter_missing")
    clock = customer["test_clock"]
    now = account.now(clock)
    id = account.new_id("sub")
    items = [new_item(account, id, given, index, clock) for index, given in enumerate(params["items"])]
    check_items(items)
    currency = items[0]["price"]["currency"]
    text = f"You cannot combine currencies on a single customer. This customer has used {customer['currency']}."
    require(customer["currency"] in (None, currency), text)
    subscription = account.create(
        "subscription", id, clock, customer=customer["id"], currency=currency, test_clock=clock
    )
    subscription.update(start_date=now, items=list_of(items, f"/v1/subscription_items?subscription={id}"))
    set_fields(account, subscription, params)
    set_discounts(account, subscription, params)
    if params.get("billing_mode"):
        subscription["billing_mode"]["type"] = params["billing_mode"]["type"]
        if params["billing_mode"]["type"] == "classic":
            subscription["billing_mode"]["flexible"] = None
    _set_first_period(account, subscription, params)
    if params.get("cancel_at_period_end"):
        set_cancel_at_period_end(account, subscription, wanted=True)
    return subscription


def _set_first_period(account: Account, subscription: Object, params: Object) -> None:
    now = account.now(subscription["test_clock"])
    interval, count = interval_of(subscription["items"]["data"][0])
    trial_end = params.get("trial_end")
    if params.get("trial_period_days"):
        require(trial_end is None, "You cannot set both `trial_end` and `trial_period_days`.", "trial_period_days")
        trial_end = now + params["trial_period_days"] * DAY
    if trial_end not in (None, "now"):
        require(trial_end > now, "Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
        subscription.update(trial_start=now, trial_end=trial_end, billing_cycle_anchor=trial_end, status="trialing")
        set_period(subscription, now, trial_end)
        return
    anchor = params.get("billing_cycle_anchor")
    subscription["billing_cycle_anchor"] = anchor or now
    if anchor:
        latest = add_intervals(now, interval, count)
        text = "billing_cycle_anchor cannot be later than next natural billing date"
        require(now < anchor <= latest, text, "billing_cycle_anchor")
        set_period(subscription, now, anchor)
    else:
        set_period(subscription, now, period_end_after(now, interval, count, now))


def set_fields(account: Account, subscription: Object, params: Object) -> None:
    """Set the fields that may be given at the beginning and later."""
    assign(subscription, params, *PLAIN)
    if params.get("automatic_tax"):
        subscription["automatic_tax"].update(enabled=params["automatic_tax"]["enabled"])
        subscription["automatic_tax"]["liability"] = {"type": "self"} if params["automatic_tax"]["enabled"] else None
    for name in ("invoice_settings", "payment_settings"):
        subscription[name].update(params.get(name) or {})
    if "default_payment_method" in params:
        method = params["default_payment_method"]
        if method:
            method = usable_method(account, method, subscription["customer"], "default_payment_method")["id"]
        subscription["default_payment_method"] = method
    text = "You must pass `days_until_due` when `collection_method` is `send_invoice`."
    require(subscription["collection_method"] != "send_invoice" or subscription["days_until_due"] is not None, text)
    if params.get("cancel_at_period_end") is not None and period_of(subscription)[1]:
        set_cancel_at_period_end(account, subscription, wanted=params["cancel_at_period_end"])
    if "cancel_at" in params:
        subscription["cancel_at"] = params["cancel_at"]
        subscription["canceled_at"] = account.now(subscription["test_clock"]) if params["cancel_at"] else None


def set_cancel_at_period_end(account: Account, subscription: Object, *, wanted: bool) -> None:
    """End the subscription with its period, or go on after all."""
    subscription["cancel_at_period_end"] = wanted
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if wanted else None
    if not wanted:
        subscription.update(cancel_at=None, canceled_at=None)
    else:
        subscription["cancel_at"] = period_of(subscription)[1]
        subscription["canceled_at"] = account.now(subscription["test_clock"])


def set_discounts(account: Account, subscription: Object, params: Object) -> None:
    if "discounts" not in params:
        return
    customer = account.objects[subscription["customer"]]
    made = [
        create_discount(account, given, customer, subscription=subscription["id"])
        for given in params["discounts"] or []
    ]
    for id in subscription["discounts"]:
        if id not in [discount["id"] for discount in made]:
            account.emit("customer.discount.deleted", account.objects[id])
    subscription["discounts"] = [discount["id"] for discount in made]


def first_lines(account: Account, subscription: Object, params: Object) -> list[Object]:
    """The lines of the first invoice: a whole period, the part until a chosen anchor, or a trial for nothing."""
    start, end = period_of(subscription)
    lines: list[Object] = []
    for item in subscription["items"]["data"]:
        amount = None
        if params.get("billing_cycle_anchor"):
            interval, count = interval_of(item)
            whole = end - add_intervals(end, interval, -count)
            free = params.get("proration_behavior") == "none"
            amount = 0 if free else prorate(price_total(item["price"], item["quantity"]), end - start, whole)
        lines.append(item_line(account, subscription, item, start, end, amount))
    return lines


def begin(account: Account, subscription: Object, params: Object) -> Object:
    """Announce the subscription, and draft its first invoice."""
    customer = account.objects[subscription["customer"]]
    for given in params.get("add_invoice_items") or []:
        price = account.find("price", given["price"], "add_invoice_items")
        _add_once(account, customer, subscription, price, given.get("quantity") or 1)
    account.emit("customer.subscription.created", subscription)
    if subscription["trial_end"] and subscription["trial_end"] - subscription["trial_start"] <= WARNING_SECONDS:
        account.note(subscription["id"])["warned"] = True
        account.emit("customer.subscription.trial_will_end", subscription)
    return draft_invoice(
        account, customer, first_lines(account, subscription, params), "subscription_create", subscription
    )


def _add_once(account: Account, customer: Object, subscription: Object, price: Object, quantity: int) -> None:
    details = {"price": price["id"], "product": price["product"]}
    new_invoice_item(
        account,
        customer,
        amount=price_total(price, quantity),
        currency=price["currency"],
        description=account.objects[price["product"]].get("name"),
        parent={"subscription_details": {"subscription": subscription["id"]}, "type": "subscription_details"},
        pricing={
            "price_details": details,
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        quantity=quantity,
    )


def has_method(account: Account, subscription: Object) -> bool:
    """Whether there is a payment method that its invoices are charged to."""
    customer = account.objects[subscription["customer"]]
    return bool(
        subscription["default_payment_method"]
        or customer["invoice_settings"]["default_payment_method"]
        or customer["default_source"]
    )


def collect_first(account: Account, subscription: Object, invoice: Object, params: Object) -> None:
    """Charge the first invoice as `payment_behavior` says."""
    behavior = params.get("payment_behavior") or "allow_incomplete"
    if subscription["collection_method"] == "send_invoice":
        if subscription["status"] == "incomplete":
            _set_status(account, subscription, "active")
        finalize(account, invoice)
        return
    if invoice["amount_due"] and behavior != "default_incomplete" and not has_method(account, subscription):
        text = (
            "This customer has no attached payment source or default payment method. Please consider adding a default "
        )
        raise invalid(text + "payment method.", code="resource_missing")
    finalize(account, invoice)
    if invoice["status"] != "open" or behavior == "default_incomplete":
        return
    charge_invoice(account, invoice, off_session=bool(params.get("off_session")))
    if behavior == "error_if_incomplete":
        raise_unless_paid(account, invoice)


def raise_unless_paid(account: Account, invoice: Object) -> None:
    """Raises the card error of an invoice that could not be paid."""
    if invoice["status"] == "paid":
        return
    intent = intent_of(account, invoice)
    failure = (intent or {}).get("last_payment_error")
    if failure:
        raise card_error(failure["code"], failure["message"], decline=failure.get("decline_code"))
    text = "Subscription creation failed because the customer has to authenticate the payment."
    raise card_error("subscription_payment_intent_requires_action", text)


def _set_status(account: Account, subscription: Object, status: str) -> None:
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["status"] = status


def _invoice_changed(account: Account, invoice: Object, outcome: str) -> None:
    """A subscription follows its invoices: paid ones make it active, failed ones incomplete or past due."""
    subscription = subscription_of(account, invoice)
    if subscription is None or subscription.get("deleted") or subscription["status"] in OVER:
        return
    status = subscription["status"]
    if outcome == "paid":
        _keep_method(account, subscription, invoice)
        if status in ("incomplete", "past_due", "unpaid") and not _open_invoices(account, subscription):
            _set_status(account, subscription, "active")
    elif outcome == "processing" and status == "incomplete":
        # A direct debit takes days; the subscription runs meanwhile.
        _set_status(account, subscription, "active")
    elif outcome in ("failed", "action") and status == "active" and not _is_pending(account, invoice):
        _set_status(account, subscription, "past_due")


def _is_pending(account: Account, invoice: Object) -> bool:
    """Whether the invoice is for a change that happens only when it is paid."""
    return "pending_update" in account.note(invoice["id"])


def _keep_method(account: Account, subscription: Object, invoice: Object) -> None:
    saves = subscription["payment_settings"]["save_default_payment_method"] == "on_subscription"
    intent = intent_of(account, invoice)
    if saves and intent and intent["payment_method"]:
        subscription["default_payment_method"] = intent["payment_method"]


def _open_invoices(account: Account, subscription: Object) -> list[Object]:
    return [each for each in account.all("invoice", status="open") if subscription_of(account, each) is subscription]


# ---- the end ---------------------------------------------------------------------------------------------------------


def cancel_now(account: Account, subscription: Object, reason: str = "cancellation_requested") -> None:
    """End a subscription at once: what waits is dropped, and nothing of it is charged any more."""
    now = account.now(subscription["test_clock"])
    never_began = subscription["status"] == "incomplete"
    for invoice in account.all("invoice", customer=subscription["customer"]):
        if subscription_of(account, invoice) is subscription and invoice["status"] in ("draft", "open"):
            invoice.update(auto_advance=False, next_payment_attempt=None)
            if never_began and invoice["status"] == "open":
                void(account, invoice)
    subscription.update(status="canceled", ended_at=now, canceled_at=subscription["canceled_at"] or now)
    subscription["cancellation_details"]["reason"] = reason
    subscription["pending_update"] = None
    account.note(subscription["id"]).pop("pending", None)
    account.emit("customer.subscription.deleted", subscription)


def end_unpaid_trial(account: Account, subscription: Object, behavior: str) -> None:
    """The end of a trial without a payment method: `cancel` or `pause`."""
    if behavior == "cancel":
        cancel_now(account, subscription)
        return
    set_paused(account, subscription, "trial_end_without_payment_method")


def set_paused(account: Account, subscription: Object, reason: str) -> None:
    """The subscription waits, and makes no invoices, until it is resumed."""
    now = account.now(subscription["test_clock"])
    start, end = period_of(subscription)
    why = {"subscription": {"type": reason}, "transitioned_at": now, "type": "subscription"}
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["items"]["data"] = copy.deepcopy(subscription["items"]["data"])
        set_period(subscription, start, min(end, now))
        subscription.update(status="paused", status_details={"paused": why})
    account.emit("customer.subscription.paused", subscription)


def cancel_subscription(account: Account, params: Object, id: str) -> Object:
    """Cancel at once; `prorate` credits the unused time, `invoice_now` bills what waits."""
    subscription = account.find("subscription", id, in_path=True)
    require(subscription["status"] not in OVER, f"No such subscription: '{id}'", "id", "resource_missing")
    subscription["cancellation_details"].update(params.get("cancellation_details") or {})
    customer = account.objects[subscription["customer"]]
    if params.get("prorate") and subscription["status"] != "trialing":
        now = account.now(subscription["test_clock"])
        for item in subscription["items"]["data"]:
            proration(account, subscription, item, now, -1)
    if params.get("invoice_now"):
        invoice = draft_invoice(account, customer, [], "subscription_update", subscription)
        finalize(account, invoice)
        if invoice["status"] == "open":
            charge_invoice(account, invoice)
    cancel_now(account, subscription)
    return subscription


def _cancel_all(account: Account, customer: str) -> None:
    """The customer is about to be deleted."""
    for subscription in account.all("subscription", customer=customer):
        if subscription["status"] not in OVER:
            cancel_now(account, subscription)


AFTER_INVOICE.append(_invoice_changed)
BEFORE_DELETION.append(_cancel_all)
