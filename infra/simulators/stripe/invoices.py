"""Invoices: drafted, finalized, paid, voided or given up; each payment of one is an invoice payment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.customers import change_balance
from infra.simulators.stripe.invoice_lines import line_of, pending_items
from infra.simulators.stripe.invoice_totals import apply_balance, update_totals
from infra.simulators.stripe.operations import list_of
from infra.simulators.stripe.payments import AFTER_PAYMENT, CANCELABLE, attempt, cancel, new_intent
from infra.simulators.stripe.periods import DAY

# How long a renewal's invoice stays a draft, so that the merchant can add to it.
DRAFT_SECONDS = 3600
# Called with an invoice and what became of it: "paid", "failed", "action" (its customer has to act),
# "processing", "void" or "uncollectible".
AFTER_INVOICE: list[Callable[[Account, Object, str], None]] = []


def draft_invoice(
    account: Account,
    customer: Object,
    lines: list[Object],
    reason: str,
    subscription: Object | None = None,
    **fields: Any,
) -> Object:
    """A draft with these lines and whatever waits for the customer's next invoice."""
    clock = customer["test_clock"]
    now = account.now(clock)
    id = account.new_id("in")
    waiting = pending_items(account, customer["id"], subscription["id"] if subscription else None)
    currency = (
        subscription["currency"] if subscription else fields.pop("currency", None) or customer["currency"] or "usd"
    )
    waiting = [item for item in waiting if item["currency"] == currency]
    for item in waiting:
        item["invoice"] = id
    all_lines = [*(line_of(account, item) for item in waiting), *lines]
    for line in all_lines:
        line["invoice"] = id
    invoice = account.create(
        "invoice",
        id,
        clock,
        account_country=account.country,
        billing_reason=reason,
        currency=currency,
        customer=customer["id"],
        lines=list_of(all_lines, f"/v1/invoices/{id}/lines"),
        period_start=now,
        period_end=now,
        test_clock=clock,
    )
    copy_customer(account, invoice, customer)
    if subscription:
        _copy_subscription(account, invoice, subscription)
    elif customer["discount"]:
        invoice["discounts"] = [customer["discount"]["id"]]
    invoice.update(fields)
    customer["currency"] = customer["currency"] or currency
    update_totals(account, invoice)
    account.emit("invoice.created", invoice)
    return invoice


def copy_customer(account: Account, invoice: Object, customer: Object) -> None:
    """An invoice keeps what the customer was like when it was made."""
    for name in ("address", "email", "name", "phone", "shipping", "tax_exempt"):
        invoice[f"customer_{name}"] = customer[name]
    invoice["customer_tax_ids"] = [
        {"type": each["type"], "value": each["value"]} for each in account.all("tax_id", customer=customer["id"])
    ]


def _copy_subscription(account: Account, invoice: Object, subscription: Object) -> None:
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    invoice["parent"] = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    invoice["automatic_tax"]["enabled"] = subscription["automatic_tax"]["enabled"]
    invoice["collection_method"] = subscription["collection_method"]
    invoice["description"] = subscription["description"]
    invoice["discounts"] = list(subscription["discounts"])
    customer = account.objects[invoice["customer"]]
    if not invoice["discounts"] and customer["discount"]:
        invoice["discounts"] = [customer["discount"]["id"]]
    subscription["latest_invoice"] = invoice["id"]


def subscription_of(account: Account, invoice: Object) -> Object | None:
    """The subscription that an invoice is for."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return account.objects.get(details.get("subscription") or "")


def finalize(account: Account, invoice: Object) -> None:
    """Make a draft binding: it gets its number, the customer's balance is used, and a payment is prepared."""
    customer = account.objects[invoice["customer"]]
    now = account.now(invoice["test_clock"])
    update_totals(account, invoice)
    _, balance = apply_balance(invoice["total"], customer["balance"], invoice["currency"])
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    invoice.update(
        status="open",
        number=number,
        effective_at=now,
        ending_balance=balance,
        automatically_finalizes_at=None,
        hosted_invoice_url=f"{account.url}/i/{invoice['id']}",
        invoice_pdf=f"{account.url}/i/{invoice['id']}/pdf",
    )
    invoice["status_transitions"]["finalized_at"] = now
    if invoice["collection_method"] == "send_invoice" and invoice["due_date"] is None:
        days = (subscription_of(account, invoice) or {}).get("days_until_due") or 30
        invoice["due_date"] = now + days * DAY
    change_balance(account, customer, balance - customer["balance"], "applied_to_invoice", invoice=invoice["id"])
    if invoice["amount_due"]:
        _prepare_payment(account, invoice)
    account.emit("invoice.finalized", invoice)
    if invoice["collection_method"] == "send_invoice":
        account.emit("invoice.sent", invoice)
    if not invoice["amount_due"]:
        mark_paid(account, invoice)


def _prepare_payment(account: Account, invoice: Object) -> None:
    intent = new_intent(
        account,
        invoice["test_clock"],
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        description="Subscription update" if invoice["parent"] else None,
        setup_future_usage="off_session" if invoice["parent"] else None,
    )
    payment = account.create(
        "invoice_payment",
        account.new_id("inpay"),
        invoice["test_clock"],
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
    )
    account.note(intent["id"])["invoice"] = invoice["id"]
    account.note(invoice["id"]).update(intent=intent["id"], payment=payment["id"])


def intent_of(account: Account, invoice: Object) -> Object | None:
    """The payment intent that pays an invoice."""
    return account.objects.get(account.note(invoice["id"]).get("intent", ""))


def method_for(account: Account, invoice: Object) -> str | None:
    """The payment method that an invoice is charged to: its own, its subscription's, or its customer's."""
    subscription = subscription_of(account, invoice) or {}
    customer = account.objects[invoice["customer"]]
    return (
        invoice["default_payment_method"]
        or subscription.get("default_payment_method")
        or (customer.get("invoice_settings") or {}).get("default_payment_method")
        or customer.get("default_source")
    )


def charge_invoice(account: Account, invoice: Object, method: str | None = None, *, off_session: bool = True) -> None:
    """Try to pay an open invoice. Without a payment method the try fails."""
    intent = intent_of(account, invoice)
    assert intent is not None
    chosen = method or method_for(account, invoice)
    if chosen is None:
        _mark_failed(account, invoice)
        return
    intent["payment_method"] = chosen
    if intent["status"] in ("requires_payment_method", "requires_action"):
        intent["status"] = "requires_confirmation"
    attempt(account, intent, off_session=off_session)


def _payment_changed(account: Account, intent: Object) -> None:
    """The outcome of a payment is the outcome of its invoice."""
    invoice = account.objects.get(account.note(intent["id"]).get("invoice", ""))
    if invoice is None or invoice["status"] not in ("open", "uncollectible"):
        return
    match intent["status"]:
        case "succeeded":
            mark_paid(account, invoice, intent)
        case "requires_payment_method":
            _mark_failed(account, invoice)
        case "requires_action":
            with account.changing(invoice, "invoice.updated"):
                invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1)
            account.emit("invoice.payment_action_required", invoice)
            _tell(account, invoice, "action")
        case _:
            _tell(account, invoice, "processing")


def mark_paid(account: Account, invoice: Object, intent: Object | None = None, *, outside: bool = False) -> None:
    """The invoice is paid: by an intent, by nothing (nothing was due), or outside of Stripe."""
    now = account.now(invoice["test_clock"])
    with account.changing(invoice, "invoice.updated"):
        was_charged = intent is not None
        invoice.update(
            status="paid",
            amount_paid=invoice["amount_due"],
            amount_remaining=0,
            attempted=True,
            attempt_count=invoice["attempt_count"] + (1 if was_charged else 0),
            auto_advance=False,
            next_payment_attempt=None,
        )
        invoice["status_transitions"]["paid_at"] = now
    account.emit("invoice.paid", invoice)
    account.emit("invoice.payment_succeeded", invoice)
    payment = account.objects.get(account.note(invoice["id"]).get("payment", ""))
    if payment and not outside:
        payment.update(amount_paid=payment["amount_requested"], status="paid")
        payment["status_transitions"]["paid_at"] = now
        account.emit("invoice_payment.paid", payment)
    _end_discounts(account, invoice)
    _tell(account, invoice, "paid")


def _end_discounts(account: Account, invoice: Object) -> None:
    """A coupon for one payment only is used up by it."""
    subscription = subscription_of(account, invoice)
    for id in invoice["discounts"]:
        discount = account.objects[id]
        coupon = account.objects.get((discount.get("source") or {}).get("coupon") or "", {})
        if coupon.get("duration") == "once" and subscription and id in subscription["discounts"]:
            subscription["discounts"].remove(id)
            account.emit("customer.discount.deleted", discount)


def _mark_failed(account: Account, invoice: Object) -> None:
    with account.changing(invoice, "invoice.updated"):
        invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1)
        invoice["next_payment_attempt"] = _next_attempt(account, invoice)
    account.emit("invoice.payment_failed", invoice)
    _tell(account, invoice, "failed")


def _next_attempt(account: Account, invoice: Object) -> int | None:
    """When a renewal is charged again; the first payment of a subscription never is."""
    number = invoice["attempt_count"] - 1
    days = account.policy.retry_days
    if invoice["billing_reason"] not in ("subscription_cycle", "subscription_update") or not invoice["auto_advance"]:
        return None
    return account.now(invoice["test_clock"]) + days[number] * DAY if number < len(days) else None


def _tell(account: Account, invoice: Object, outcome: str) -> None:
    for called in AFTER_INVOICE:
        called(account, invoice, outcome)


def void(account: Account, invoice: Object) -> None:
    """The invoice is as if it had never been; its payment is canceled, and used balance comes back."""
    invoice.update(status="void", auto_advance=False, next_payment_attempt=None, amount_remaining=0)
    invoice["status_transitions"]["voided_at"] = account.now(invoice["test_clock"])
    _cancel_payment(account, invoice)
    used = (invoice["ending_balance"] or 0) - invoice["starting_balance"]
    customer = account.objects[invoice["customer"]]
    if not customer.get("deleted"):
        change_balance(account, customer, -used, "unapplied_from_invoice", invoice=invoice["id"])
    account.emit("invoice.voided", invoice)
    _tell(account, invoice, "void")


def _cancel_payment(account: Account, invoice: Object) -> None:
    intent = intent_of(account, invoice)
    if intent and intent["status"] in CANCELABLE:
        cancel(account, {}, intent["id"])
    payment = account.objects.get(account.note(invoice["id"]).get("payment", ""))
    if payment and payment["status"] == "open":
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = account.now(invoice["test_clock"])


def mark_uncollectible(account: Account, invoice: Object) -> None:
    """The merchant gives the money up; the customer may still pay."""
    invoice.update(status="uncollectible", auto_advance=False, next_payment_attempt=None)
    invoice["status_transitions"]["marked_uncollectible_at"] = account.now(invoice["test_clock"])
    account.emit("invoice.marked_uncollectible", invoice)
    _tell(account, invoice, "uncollectible")


AFTER_PAYMENT.append(_payment_changed)
