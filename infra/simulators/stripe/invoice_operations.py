"""Operations on invoices, invoice items and invoice payments."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, merge_metadata, require
from infra.simulators.stripe.catalog import PRICE_DATA, price_from
from infra.simulators.stripe.coupons import DISCOUNTS, create_discount
from infra.simulators.stripe.expansion import INCLUDABLE
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.invoice_lines import line_of, new_invoice_item
from infra.simulators.stripe.invoice_totals import update_totals
from infra.simulators.stripe.invoices import (
    charge_invoice,
    draft_invoice,
    finalize,
    intent_of,
    mark_paid,
    mark_uncollectible,
    method_for,
    subscription_of,
    void,
)
from infra.simulators.stripe.money import check_currency, price_total
from infra.simulators.stripe.operations import (
    PAGING,
    TIMES,
    Operation,
    fits_times,
    list_of,
    page_of,
    retrieval,
)
from infra.simulators.stripe.payment_methods import card_error, usable_method

FIELDS: dict[str, Any] = {
    "auto_advance": bool,
    "automatic_tax": {"enabled": bool},
    "collection_method": choice("charge_automatically", "send_invoice"),
    "days_until_due": int,
    "default_payment_method": str,
    "description": str,
    "discounts": DISCOUNTS,
    "due_date": int,
    "footer": str,
    "metadata": MAP,
}
PLAIN = ("auto_advance", "collection_method", "default_payment_method", "description", "due_date", "footer", "metadata")
STATUS = choice("draft", "open", "paid", "uncollectible", "void")


def create_invoice(account: Account, params: Object) -> Object:
    """A draft without a subscription's period: what waits for the customer, or an empty one."""
    customer = account.find("customer", params["customer"], "customer")
    subscription = None
    if params.get("subscription"):
        subscription = account.find("subscription", params["subscription"], "subscription")
    excludes = params.get("pending_invoice_items_behavior") != "include"
    held = (
        list(account.all("invoiceitem", customer=customer["id"], invoice=None)) if excludes and not subscription else []
    )
    for item in held:
        item["invoice"] = "held"
    fields: Object = {"currency": check_currency(params["currency"])} if params.get("currency") else {}
    invoice = draft_invoice(account, customer, [], "manual", subscription, **fields)
    for item in held:
        item["invoice"] = None
    invoice["auto_advance"] = False
    _set(account, invoice, params)
    return invoice


def _set(account: Account, invoice: Object, params: Object) -> None:
    assign(invoice, params, *PLAIN)
    if params.get("automatic_tax"):
        invoice["automatic_tax"]["enabled"] = params["automatic_tax"]["enabled"]
    if params.get("days_until_due") is not None:
        invoice["due_date"] = account.now(invoice["test_clock"]) + params["days_until_due"] * 86400
    if "discounts" in params:
        customer = account.objects[invoice["customer"]]
        made = [create_discount(account, each, customer, invoice=invoice["id"]) for each in params["discounts"] or []]
        invoice["discounts"] = [discount["id"] for discount in made]
    if invoice["status"] == "draft":
        update_totals(account, invoice)


def update_invoice(account: Account, params: Object, id: str) -> Object:
    invoice = account.find("invoice", id, in_path=True)
    finalized = invoice["status"] != "draft"
    kept = {"auto_advance", "default_payment_method", "metadata"}
    text = "Finalized invoices can't be updated in this way."
    require(
        not finalized or params.keys() <= kept, text, next(iter(params.keys() - kept), None), "invoice_not_editable"
    )
    with account.changing(invoice, "invoice.updated"):
        _set(account, invoice, params)
    return invoice


def delete_invoice(account: Account, params: Object, id: str) -> Object:
    invoice = account.find("invoice", id, in_path=True)
    require(
        invoice["status"] == "draft" and not invoice["parent"],
        "You can only delete draft invoices.",
        code="invoice_not_editable",
    )
    account.emit("invoice.deleted", invoice)
    for item in account.all("invoiceitem", invoice=id):
        account.delete(item)
    return account.delete(invoice)


def finalize_invoice(account: Account, params: Object, id: str) -> Object:
    invoice = account.find("invoice", id, in_path=True)
    text = "This invoice is already finalized, you can't re-finalize a non-draft invoice."
    require(invoice["status"] == "draft", text, code="invoice_not_editable")
    if params.get("auto_advance") is not None:
        invoice["auto_advance"] = params["auto_advance"]
    finalize(account, invoice)
    return invoice


def pay_invoice(account: Account, params: Object, id: str) -> Object:
    """Pay now. Raises StripeError (402) when the card is declined or asks for 3-D Secure."""
    invoice = account.find("invoice", id, in_path=True)
    require(invoice["status"] != "paid", "Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] == "draft":
        finalize(account, invoice)
    require(
        invoice["status"] in ("open", "uncollectible", "paid"), f"Invoice is {invoice['status']} and cannot be paid."
    )
    if params.get("paid_out_of_band"):
        mark_paid(account, invoice, outside=True)
    if invoice["status"] == "paid":
        return invoice
    method = params.get("payment_method")
    if method:
        method = usable_method(account, method, invoice["customer"])["id"]
    text = "There is no `default_payment_method` set on this Customer or Invoice. Please set one, or pass one."
    require(method or method_for(account, invoice), text, code="invoice_no_payment_method_types")
    charge_invoice(account, invoice, method, off_session=params.get("off_session", True))
    intent = intent_of(account, invoice)
    failure = (intent or {}).get("last_payment_error")
    if intent and intent["status"] == "requires_action":
        text = "Payment for this invoice requires additional user action before it can be completed."
        raise card_error("invoice_payment_intent_requires_action", text)
    if invoice["status"] != "paid" and failure:
        raise card_error(
            failure["code"], failure["message"], decline=failure.get("decline_code"), charge=failure.get("charge")
        )
    return invoice


def void_invoice(account: Account, params: Object, id: str) -> Object:
    invoice = account.find("invoice", id, in_path=True)
    text = f"You can only void open or uncollectible invoices, this one is {invoice['status']}."
    require(invoice["status"] in ("open", "uncollectible"), text, code="invoice_not_editable")
    void(account, invoice)
    return invoice


def give_up_invoice(account: Account, params: Object, id: str) -> Object:
    invoice = account.find("invoice", id, in_path=True)
    require(invoice["status"] == "open", "Only open invoices can be marked uncollectible.", code="invoice_not_editable")
    mark_uncollectible(account, invoice)
    return invoice


def send_invoice(account: Account, params: Object, id: str) -> Object:
    invoice = account.find("invoice", id, in_path=True)
    require(
        invoice["collection_method"] == "send_invoice",
        "You can only manually send an invoice if its collection method is 'send_invoice'.",
    )
    if invoice["status"] == "draft":
        finalize(account, invoice)
    else:
        account.emit("invoice.sent", invoice)
    return invoice


def list_invoices(account: Account, params: Object) -> Object:
    names = ("collection_method", "customer", "status")
    wanted = {name: params[name] for name in names if params.get(name)}
    found = [
        invoice
        for invoice in account.all("invoice", **wanted)
        if (params.get("created") is None or fits_times(invoice["created"], params["created"]))
        and (
            not params.get("subscription")
            or (subscription_of(account, invoice) or {}).get("id") == params["subscription"]
        )
    ]
    return page_of(found[::-1], params, "/v1/invoices")


def list_lines(account: Account, params: Object, id: str) -> Object:
    invoice = account.find("invoice", id, in_path=True)
    return page_of(invoice["lines"]["data"], params, f"/v1/invoices/{id}/lines")


# ---- invoice items --------------------------------------------------------------------------------------------------


def create_item(account: Account, params: Object) -> Object:
    """An item for a draft, or for the customer's next invoice."""
    customer = account.find("customer", params["customer"], "customer")
    quantity = params.get("quantity") or 1
    reference = (params.get("pricing") or {}).get("price")
    pricing = None
    if reference or params.get("price_data"):
        price = price_from(account, {"price": reference, "price_data": params.get("price_data")}, "pricing")
        details = {"price": price["id"], "product": price["product"]}
        pricing = {
            "price_details": details,
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
        amount, currency = price_total(price, quantity), price["currency"]
    else:
        require(params.get("amount") is not None, "You must pass `amount` or `pricing`.", "amount", "parameter_missing")
        amount, currency = params["amount"], check_currency(params.get("currency") or customer["currency"] or "usd")
    fields = {
        name: params[name] for name in ("description", "discountable", "metadata") if params.get(name) is not None
    }
    if params.get("subscription"):
        account.find("subscription", params["subscription"], "subscription")
        parent = {"subscription": params["subscription"]}
        fields["parent"] = {"subscription_details": parent, "type": "subscription_details"}
    item = new_invoice_item(
        account, customer, amount=amount, currency=currency, pricing=pricing, quantity=quantity, **fields
    )
    if params.get("invoice"):
        _put_on_draft(account, item, params["invoice"])
    return item


def _put_on_draft(account: Account, item: Object, id: str) -> None:
    invoice = account.find("invoice", id, "invoice")
    require(invoice["status"] == "draft", "This invoice is no longer editable.", "invoice", "invoice_not_editable")
    item["invoice"] = id
    line = line_of(account, item)
    line["invoice"] = id
    invoice["lines"]["data"].append(line)
    invoice["currency"] = item["currency"]
    with account.changing(invoice, "invoice.updated"):
        update_totals(account, invoice)


def delete_item(account: Account, params: Object, id: str) -> Object:
    item = account.find("invoiceitem", id, in_path=True)
    invoice = account.objects.get(item["invoice"] or "")
    require(
        invoice is None or invoice["status"] == "draft",
        "The invoice item is on a finalized invoice.",
        code="invoice_not_editable",
    )
    account.emit("invoiceitem.deleted", item)
    return account.delete(item)


def update_item(account: Account, params: Object, id: str) -> Object:
    item = account.find("invoiceitem", id, in_path=True)
    assign(item, params, "amount", "description", "discountable")
    if "metadata" in params:
        merge_metadata(item, params["metadata"])
    return item


def list_items(account: Account, params: Object) -> Object:
    wanted = {name: params[name] for name in ("customer", "invoice") if params.get(name)}
    found = [
        item
        for item in account.all("invoiceitem", **wanted)
        if params.get("pending") is None or (item["invoice"] is None) == params["pending"]
    ]
    return page_of(found[::-1], params, "/v1/invoiceitems")


# ---- invoice payments -----------------------------------------------------------------------------------------------


def list_payments(account: Account, params: Object) -> Object:
    """Payments of invoices: of one invoice, or those that a payment intent made."""
    wanted = {name: params[name] for name in ("invoice", "status") if params.get(name)}
    payment = params.get("payment") or {}
    found = [
        each
        for each in account.all("invoice_payment", **wanted)
        if not payment.get("payment_intent") or each["payment"].get("payment_intent") == payment["payment_intent"]
    ]
    return page_of(found[::-1], params, "/v1/invoice_payments")


def _payments(account: Account, invoice: Object) -> Object:
    return list_of(
        account.all("invoice_payment", invoice=invoice["id"]), f"/v1/invoice_payments?invoice={invoice['id']}"
    )


def _confirmation_secret(account: Account, invoice: Object) -> Object | None:
    intent = intent_of(account, invoice)
    return {"client_secret": intent["client_secret"], "type": "payment_intent"} if intent else None


INCLUDABLE["invoice", "payments"] = _payments
INCLUDABLE["invoice", "confirmation_secret"] = _confirmation_secret
ONE_TIME_PRICE = {name: shape for name, shape in PRICE_DATA.items() if name != "recurring"}
ITEM = {"amount": int, "description": str, "discountable": bool, "metadata": MAP}
OPERATIONS = [
    Operation(
        "POST",
        "/v1/invoices",
        create_invoice,
        {
            **FIELDS,
            "currency": str,
            "customer": str,
            "pending_invoice_items_behavior": choice("exclude", "include"),
            "subscription": str,
        },
        ("customer",),
    ),
    Operation(
        "GET",
        "/v1/invoices",
        list_invoices,
        {
            **PAGING,
            "collection_method": FIELDS["collection_method"],
            "created": TIMES,
            "customer": str,
            "status": STATUS,
            "subscription": str,
        },
    ),
    retrieval("invoice", "/v1/invoices"),
    Operation("POST", "/v1/invoices/{id}", update_invoice, FIELDS),
    Operation("DELETE", "/v1/invoices/{id}", delete_invoice),
    Operation("POST", "/v1/invoices/{id}/finalize", finalize_invoice, {"auto_advance": bool}),
    Operation(
        "POST",
        "/v1/invoices/{id}/pay",
        pay_invoice,
        {"off_session": bool, "paid_out_of_band": bool, "payment_method": str},
    ),
    Operation("POST", "/v1/invoices/{id}/void", void_invoice),
    Operation("POST", "/v1/invoices/{id}/mark_uncollectible", give_up_invoice),
    Operation("POST", "/v1/invoices/{id}/send", send_invoice),
    Operation("GET", "/v1/invoices/{id}/lines", list_lines, PAGING),
    Operation(
        "POST",
        "/v1/invoiceitems",
        create_item,
        {
            **ITEM,
            "currency": str,
            "customer": str,
            "invoice": str,
            "price_data": ONE_TIME_PRICE,
            "pricing": {"price": str},
            "quantity": int,
            "subscription": str,
        },
        ("customer",),
    ),
    Operation("GET", "/v1/invoiceitems", list_items, {**PAGING, "customer": str, "invoice": str, "pending": bool}),
    retrieval("invoiceitem", "/v1/invoiceitems"),
    Operation("POST", "/v1/invoiceitems/{id}", update_item, ITEM),
    Operation("DELETE", "/v1/invoiceitems/{id}", delete_item),
    Operation(
        "GET",
        "/v1/invoice_payments",
        list_payments,
        {
            **PAGING,
            "created": TIMES,
            "invoice": str,
            "payment": {"payment_intent": str, "type": choice("charge", "payment_intent", "payment_record")},
            "status": choice("canceled", "open", "paid"),
        },
    ),
    retrieval("invoice_payment", "/v1/invoice_payments"),
]
