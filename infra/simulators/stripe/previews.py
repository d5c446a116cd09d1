"""Previews of invoices: what a change or the next renewal would come to, tried on a copy of the customer's objects."""

from __future__ import annotations

import copy
from typing import Any

from infra.simulators.stripe.account import Account, Object, require
from infra.simulators.stripe.coupons import DISCOUNTS, create_discount
from infra.simulators.stripe.errors import StripeError
from infra.simulators.stripe.form import MAP, choice, one_of
from infra.simulators.stripe.invoice_lines import item_line
from infra.simulators.stripe.invoice_totals import update_totals
from infra.simulators.stripe.invoices import draft_invoice
from infra.simulators.stripe.operations import Operation
from infra.simulators.stripe.periods import period_end_after
from infra.simulators.stripe.subscription_changes import ANCHOR, change
from infra.simulators.stripe.subscription_items import CHANGED_ITEM, interval_of, period_of
from infra.simulators.stripe.subscriptions import (
    OVER,
    PRORATION,
    belongs_to,
    build_subscription,
    cancel_now,
    first_lines,
)

DETAILS: dict[str, Any] = {
    "billing_cycle_anchor": one_of(int, choice("now", "unchanged"), ANCHOR),
    "cancel_at": int,
    "cancel_at_period_end": bool,
    "cancel_now": bool,
    "items": [CHANGED_ITEM],
    "metadata": MAP,
    "proration_behavior": PRORATION,
    "proration_date": int,
    "trial_end": one_of(choice("now"), int),
}
SHAPE: dict[str, Any] = {
    "automatic_tax": {"enabled": bool},
    "currency": str,
    "customer": str,
    "discounts": DISCOUNTS,
    "preview_mode": choice("next", "recurring"),
    "subscription": str,
    "subscription_details": DETAILS,
}


def create_preview(account: Account, params: Object) -> Object:
    """The next invoice of a subscription as it is, or as these changes would make it. Nothing is changed."""
    subscription = None
    if params.get("subscription"):
        subscription = account.find("subscription", params["subscription"], "subscription")
    customer = subscription["customer"] if subscription else params.get("customer")
    require(customer, "You must pass either `customer` or `subscription`.", "customer", "parameter_missing")
    account.find("customer", customer, "customer")
    trial = account.fork(lambda obj: belongs_to(obj, customer))
    details = dict(params.get("subscription_details") or {})
    if subscription:
        invoice = _preview_change(trial, trial.objects[subscription["id"]], details, params)
    else:
        invoice = _preview_new(trial, trial.objects[customer], details, params)
    account.absorb_ids(trial)
    return _as_preview(invoice)


def _as_preview(invoice: Object) -> Object:
    """Mark an invoice, which exists nowhere, as a preview."""
    invoice["id"] = invoice["id"].replace("in_", "upcoming_in_")
    for line in invoice["lines"]["data"]:
        line.update(id=line["id"].replace("il_", "il_tmp_"), invoice=invoice["id"])
    invoice["lines"]["url"] = "/v1/invoices/upcoming/lines"
    return invoice


def _preview_change(trial: Account, subscription: Object, details: Object, params: Object) -> Object:
    require(subscription["status"] not in OVER, _none(subscription["customer"]), code="invoice_upcoming_none")
    anchor = details.get("billing_cycle_anchor")
    if isinstance(anchor, str):
        details["billing_cycle_anchor"] = {"type": anchor}
    customer = trial.objects[subscription["customer"]]
    extra = _extra(trial, customer, params)
    if details.pop("cancel_now", None):
        cancel_now(trial, subscription)
        return draft_invoice(trial, customer, [], "upcoming", subscription, **extra)
    lines = change(trial, subscription, details)
    if lines is not None:
        moment = details.get("proration_date")
        invoice = draft_invoice(trial, customer, lines, "subscription_update", subscription, **extra)
        if moment:
            invoice["parent"]["subscription_details"]["subscription_proration_date"] = moment
        return invoice
    return _renewal(trial, subscription, extra)


def _preview_new(trial: Account, customer: Object, details: Object, params: Object) -> Object:
    if not details.get("items"):
        running = [each for each in trial.all("subscription", customer=customer["id"]) if each["status"] not in OVER]
        require(running, _none(customer["id"]), code="invoice_upcoming_none")
        return _renewal(trial, min(running, key=lambda each: period_of(each)[1]), _extra(trial, customer, params))
    if not isinstance(details.get("billing_cycle_anchor"), int):
        details.pop("billing_cycle_anchor", None)
    given = {**details, "customer": customer["id"]}
    subscription = build_subscription(trial, customer, given)
    lines = first_lines(trial, subscription, given)
    return draft_invoice(trial, customer, lines, "upcoming", subscription, **_extra(trial, customer, params))


def _extra(trial: Account, customer: Object, params: Object) -> Object:
    """The invoice's fields that a preview may set itself."""
    fields: Object = {}
    if params.get("discounts"):
        fields["discounts"] = [create_discount(trial, given, customer)["id"] for given in params["discounts"]]
    return fields


def _none(customer: str) -> str:
    return f"No upcoming invoices for customer: '{customer}'"


def _renewal(trial: Account, subscription: Object, extra: Object) -> Object:
    """The invoice of the next period; of a subscription that ends, what is still waiting."""
    start, end = period_of(subscription)
    customer = trial.objects[subscription["customer"]]
    ends = subscription["cancel_at_period_end"] or (subscription["cancel_at"] and subscription["cancel_at"] <= end)
    lines: list[Object] = []
    if not ends:
        interval, count = interval_of(subscription["items"]["data"][0])
        following = period_end_after(subscription["billing_cycle_anchor"], interval, count, end)
        lines = [item_line(trial, subscription, item, end, following) for item in subscription["items"]["data"]]
    fields = {"period_start": start, "period_end": end, **extra}
    invoice = draft_invoice(trial, customer, lines, "upcoming", subscription, **fields)
    if ends and not invoice["lines"]["data"]:
        raise StripeError(404, _none(customer["id"]), code="invoice_upcoming_none")
    invoice.update(created=end, next_payment_attempt=end + 3600)
    update_totals(trial, invoice)
    return invoice


def renewal_preview(account: Account, subscription: Object) -> Object:
    """The invoice of the next renewal, as `invoice.upcoming` announces it."""
    trial = account.fork(lambda obj: belongs_to(obj, subscription["customer"]))
    invoice = _as_preview(copy.deepcopy(_renewal(trial, trial.objects[subscription["id"]], {})))
    account.absorb_ids(trial)
    return invoice


OPERATIONS = [Operation("POST", "/v1/invoices/create_preview", create_preview, SHAPE)]
