"""Customers, their tax ids and the balance that their next invoices use up."""

from __future__ import annotations

from collections.abc import Callable

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.addresses import ADDRESS, SHIPPING, full_address
from infra.simulators.stripe.expansion import INCLUDABLE
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.operations import (
    PAGING,
    TIMES,
    Operation,
    list_of,
    listing,
    page_of,
    retrieval,
)
from infra.simulators.stripe.payment_methods import attach, method_of_source, usable_method
from infra.simulators.stripe.shapes import names_of

TAX_ID = {"type": str, "value": str}
FIELDS = {
    "address": ADDRESS,
    "balance": int,
    "description": str,
    "email": str,
    "invoice_prefix": str,
    "invoice_settings": {"default_payment_method": str, "footer": str},
    "metadata": MAP,
    "name": str,
    "phone": str,
    "preferred_locales": [str],
    "shipping": SHIPPING,
    "source": str,
    "tax": {"ip_address": str, "validate_location": choice("deferred", "immediately", "auto")},
    "tax_exempt": choice("exempt", "none", "reverse"),
}
PLAIN = names_of(
    "balance description email invoice_prefix metadata name phone preferred_locales shipping tax_exempt address"
)


# Called with the id of a customer that is about to be deleted.
BEFORE_DELETION: list[Callable[[Account, str], None]] = []


def create_customer(account: Account, params: Object) -> Object:
    """A new customer; with a payment method, which becomes the default of its invoices when they name it."""
    clock = params.get("test_clock")
    if clock:
        account.find("test_helpers.test_clock", clock, "test_clock")
    id = account.new_id("cus", 14)
    customer = account.create("customer", id, clock, test_clock=clock, invoice_prefix=id[-8:].upper())
    _set(account, customer, params)
    for tax_id in params.get("tax_id_data") or []:
        create_tax_id(account, tax_id, id)
    account.emit("customer.created", customer)
    _attach(account, customer, params.get("payment_method"), params.get("source"))
    _set_default(account, customer, params)
    return customer


def update_customer(account: Account, params: Object, id: str) -> Object:
    customer = account.find("customer", id, in_path=True)
    require(not customer.get("deleted"), f"No such customer: '{id}'", "id", "resource_missing")
    with account.changing(customer, "customer.updated"):
        _set(account, customer, params)
        _attach(account, customer, None, params.get("source"))
        _set_default(account, customer, params)
    return customer


def _set(account: Account, customer: Object, params: Object) -> None:
    email = params.get("email")
    require(email is None or "@" in email, f"Invalid email address: {email}", "email", "email_invalid")
    assign(customer, params, *PLAIN)
    customer["address"] = full_address(customer["address"])


def _attach(account: Account, customer: Object, method: str | None, source: str | None) -> None:
    if method:
        attach(account, {"customer": customer["id"]}, method)
    if source:
        made = method_of_source(account, source)
        attach(account, {"customer": customer["id"]}, made["id"])
        customer["default_source"] = made["id"]


def _set_default(account: Account, customer: Object, params: Object) -> None:
    settings = params.get("invoice_settings") or {}
    if "footer" in settings:
        customer["invoice_settings"]["footer"] = settings["footer"]
    if "default_payment_method" in settings:
        method = settings["default_payment_method"]
        if method:
            found = usable_method(account, method, customer["id"], "invoice_settings[default_payment_method]")
            method = found["id"]
        customer["invoice_settings"]["default_payment_method"] = method


def delete_customer(account: Account, params: Object, id: str) -> Object:
    """Ends the customer's subscriptions at once, and removes the customer."""
    customer = account.find("customer", id, in_path=True)
    require(not customer.get("deleted"), f"No such customer: '{id}'", "id", "resource_missing")
    for called in BEFORE_DELETION:
        called(account, id)
    account.emit("customer.deleted", customer)
    return account.delete(customer)


def create_tax_id(account: Account, params: Object, customer: str) -> Object:
    """A tax id of a customer. Numbers that end with 000000 are pending at Stripe, and with 111111 unverified."""
    owner = account.find("customer", customer, "customer", in_path=True)
    value = params["value"]
    status = {"000000": "pending", "111111": "unverified"}.get(value[-6:], "verified")
    tax_id = account.create(
        "tax_id",
        account.new_id("txi"),
        owner["test_clock"],
        country=value[:2] if value[:2].isalpha() else params["type"][:2].upper(),
        customer=customer,
        owner={"customer": customer, "customer_account": None, "type": "customer"},
        type=params["type"],
        value=value,
        verification={"status": status, "verified_address": None, "verified_name": owner["name"]},
    )
    account.emit("customer.tax_id.created", tax_id)
    return tax_id


def list_tax_ids(account: Account, params: Object, customer: str) -> Object:
    account.find("customer", customer, "customer", in_path=True)
    return page_of(list(account.all("tax_id", customer=customer))[::-1], params, f"/v1/customers/{customer}/tax_ids")


def delete_tax_id(account: Account, params: Object, customer: str, id: str) -> Object:
    tax_id = account.find("tax_id", id, in_path=True)
    account.emit("customer.tax_id.deleted", tax_id)
    return account.delete(tax_id)


def change_balance(account: Account, customer: Object, amount: int, type: str, **fields: object) -> Object | None:
    """Add an amount to what the customer owes (a negative one is credit), and note why."""
    if not amount:
        return None
    with account.changing(customer, "customer.updated"):
        customer["balance"] += amount
    return account.create(
        "customer_balance_transaction",
        account.new_id("cbtxn"),
        customer["test_clock"],
        amount=amount,
        currency=customer["currency"] or "usd",
        customer=customer["id"],
        ending_balance=customer["balance"],
        type=type,
        **fields,
    )


def create_balance_transaction(account: Account, params: Object, customer: str) -> Object:
    owner = account.find("customer", customer, "customer", in_path=True)
    require(params["amount"], "Invalid amount: must not be 0", "amount")
    owner["currency"] = owner["currency"] or params["currency"].lower()
    fields = {name: params[name] for name in ("description", "metadata") if name in params}
    made = change_balance(account, owner, params["amount"], "adjustment", **fields)
    assert made is not None
    return made


def list_balance_transactions(account: Account, params: Object, customer: str) -> Object:
    found = list(account.all("customer_balance_transaction", customer=customer))[::-1]
    return page_of(found, params, f"/v1/customers/{customer}/balance_transactions")


def _subscriptions(account: Account, customer: Object) -> Object:
    found = [each for each in account.all("subscription", customer=customer["id"]) if each["status"] != "canceled"]
    return list_of(found[::-1], f"/v1/customers/{customer['id']}/subscriptions")


def _tax_ids(account: Account, customer: Object) -> Object:
    found = list(account.all("tax_id", customer=customer["id"]))
    return list_of(found, f"/v1/customers/{customer['id']}/tax_ids")


INCLUDABLE["customer", "subscriptions"] = _subscriptions
INCLUDABLE["customer", "tax_ids"] = _tax_ids
INCLUDABLE["customer", "sources"] = lambda _, customer: list_of([], f"/v1/customers/{customer['id']}/sources")

CREATION = {**FIELDS, "payment_method": str, "tax_id_data": [TAX_ID], "test_clock": str, "next_invoice_sequence": int}
OPERATIONS = [
    Operation("POST", "/v1/customers", create_customer, CREATION),
    listing("customer", "/v1/customers", created=TIMES, email=str, test_clock=str),
    retrieval("customer", "/v1/customers"),
    Operation("POST", "/v1/customers/{id}", update_customer, {**FIELDS, "default_source": str}),
    Operation("DELETE", "/v1/customers/{id}", delete_customer),
    Operation("POST", "/v1/customers/{customer}/tax_ids", create_tax_id, TAX_ID, ("type", "value")),
    Operation("GET", "/v1/customers/{customer}/tax_ids", list_tax_ids, PAGING),
    Operation("DELETE", "/v1/customers/{customer}/tax_ids/{id}", delete_tax_id),
    Operation(
        "POST",
        "/v1/customers/{customer}/balance_transactions",
        create_balance_transaction,
        {"amount": int, "currency": str, "description": str, "metadata": MAP},
        ("amount", "currency"),
    ),
    Operation("GET", "/v1/customers/{customer}/balance_transactions", list_balance_transactions, PAGING),
]
