"""Payment methods: test cards by their names (`pm_card_visa`), tokens and numbers, and direct debits."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.addresses import ADDRESS
from infra.simulators.stripe.cards import BANK_ACCOUNTS, BY_NUMBER, CARDS, DECLINES, TestCard, passes_luhn
from infra.simulators.stripe.errors import StripeError, invalid, missing
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.operations import PAGING, Operation, page_of, retrieval

BILLING = {"address": ADDRESS, "email": str, "name": str, "phone": str, "tax_id": str}
CARD = {"cvc": str, "exp_month": int, "exp_year": int, "number": str, "token": str}
CREATION: dict[str, Any] = {
    "allow_redisplay": choice("always", "limited", "unspecified"),
    "billing_details": BILLING,
    "card": CARD,
    "customer": str,
    "metadata": MAP,
    "sepa_debit": {"iban": str},
    "type": choice("card", "sepa_debit"),
}
YEARS_VALID = 8


def create_method(account: Account, params: Object) -> Object:
    """A payment method from a token, a test number or an IBAN. Raises StripeError for numbers that are none."""
    if params.get("type") == "sepa_debit":
        iban = (params.get("sepa_debit") or {}).get("iban", "").replace(" ", "")
        require(
            iban in BANK_ACCOUNTS, f"The IBAN you provided is not valid: {iban}", "sepa_debit[iban]", "invalid_iban"
        )
        return _store(account, BANK_ACCOUNTS[iban], params)
    given = params.get("card") or {}
    if given.get("token"):
        return _store(account, _by_name(given["token"], "tok_", "card[token]"), params)
    return _store(account, _by_number(account, given), params, given)


def _by_name(name: str, prefix: str, param: str) -> TestCard:
    card = CARDS.get(name.removeprefix(prefix).removeprefix("card_"))
    if card is None or not name.startswith(prefix):
        raise missing("token" if prefix == "tok_" else "PaymentMethod", name, param)
    return card


def _by_number(account: Account, given: Object) -> TestCard:
    number = re.sub(r"[ -]", "", given.get("number") or "")
    if not re.fullmatch(r"\d{13,19}", number, re.ASCII) or not passes_luhn(number):
        raise card_error("incorrect_number", "Your card number is incorrect.", "number")
    today = datetime.fromtimestamp(account.now(), UTC)
    month, year = given.get("exp_month") or 0, given.get("exp_year") or 0
    if not 1 <= month <= 12:
        raise card_error("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month")
    if (year, month) < (today.year, today.month) or year > today.year + 50:
        raise card_error("invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year")
    cvc = given.get("cvc")
    if cvc is not None and not re.fullmatch(r"\d{3,4}", cvc, re.ASCII):
        raise card_error("invalid_cvc", "Your card's security code is invalid.", "cvc")
    if number not in BY_NUMBER:
        text = (
            "Your card was declined. Your request was in test mode, but used a non test card. For a list of valid test "
        )
        raise card_error(
            "card_declined", text + "cards, visit: https://stripe.com/docs/testing.", decline="test_mode_live_card"
        )
    return BY_NUMBER[number]


def card_error(
    code: str, message: str, param: str | None = None, decline: str | None = None, **fields: Any
) -> StripeError:
    """A card that is not valid, or was declined."""
    return StripeError(402, message, type="card_error", code=code, param=param, decline_code=decline, **fields)


def _store(account: Account, card: TestCard, params: Object, given: Object | None = None) -> Object:
    customer = params.get("customer")
    clock = account.find("customer", customer, "customer")["test_clock"] if customer else None
    method = account.create("payment_method", account.new_id("pm"), clock, type=card.type)
    assign(method, params, "metadata", "allow_redisplay")
    billing = params.get("billing_details") or {}
    address = {**method["billing_details"]["address"], **(billing.get("address") or {})}
    method["billing_details"] = {**method["billing_details"], **billing, "address": address}
    method[card.type] = _card_details(account, card, given) if card.type == "card" else _debit_details(card)
    account.cards[method["id"]] = card
    return method


def _card_details(account: Account, card: TestCard, given: Object | None) -> Object:
    now = datetime.fromtimestamp(account.now(), UTC)
    given = given or {}
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "fail" if card.decline == "incorrect_cvc" else "pass",
        },
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": given.get("exp_month") or now.month,
        "exp_year": given.get("exp_year") or now.year + YEARS_VALID,
        "fingerprint": fingerprint(card),
        "funding": "credit",
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _debit_details(card: TestCard) -> Object:
    return {
        "bank_code": card.number[4:9],
        "branch_code": "",
        "country": card.country,
        "fingerprint": fingerprint(card),
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": card.last4,
    }


def fingerprint(card: TestCard) -> str:
    """The same for the same card, whoever uses it."""
    return hashlib.sha256(card.number.encode()).hexdigest()[:16]


def resolve_method(account: Account, reference: str, param: str = "payment_method") -> Object:
    """The payment method with this id; a test card's name (`pm_card_visa`) makes a new one."""
    if reference.startswith("pm_card_"):
        return _store(account, _by_name(reference, "pm_", param), {})
    return account.find("payment_method", reference, param)


def usable_method(account: Account, reference: str, customer: str | None, param: str = "payment_method") -> Object:
    """A payment method that may be charged for this customer (for no customer: an unattached one)."""
    method = resolve_method(account, reference, param)
    if method["customer"] and method["customer"] != customer:
        raise invalid(
            f"The payment method {method['id']} belongs to another customer, so it cannot be used here.", param
        )
    if customer and param.startswith(("invoice_settings", "default")) and not method["customer"]:
        if not reference.startswith("pm_card_"):
            text = (
                f"The customer does not have a payment method with the ID {method['id']}. The payment method must be "
            )
            raise invalid(text + "attached to the customer.", param, "resource_missing")
        attach(account, {"customer": customer}, method["id"])
    return method


def method_of_source(account: Account, token: str) -> Object:
    """The payment method of a token (`tok_visa`), as older integrations send it."""
    return _store(account, _by_name(token, "tok_", "source"), {})


def attach(account: Account, params: Object, id: str) -> Object:
    """Give a payment method to a customer; it is checked first, and may be declined."""
    method = resolve_method(account, id, "id")
    customer = account.find("customer", params["customer"], "customer")
    if method["customer"]:
        require(
            method["customer"] == customer["id"],
            "The payment method you provided has already been attached to a customer.",
        )
        return method
    card = account.cards[method["id"]]
    if not card.attachable:
        code, message = DECLINES[card.decline]
        raise card_error(code, message, decline=card.decline)
    method["customer"] = customer["id"]
    account.emit("payment_method.attached", method)
    return method


def detach(account: Account, params: Object, id: str) -> Object:
    method = account.find("payment_method", id, in_path=True)
    customer = method["customer"]
    require(customer, "The payment method you provided is not attached to a customer so detachment is impossible.")
    owner = account.objects.get(customer)
    if owner and not owner.get("deleted") and owner["invoice_settings"]["default_payment_method"] == id:
        owner["invoice_settings"]["default_payment_method"] = None
    for subscription in account.all("subscription", customer=customer, default_payment_method=id):
        subscription["default_payment_method"] = None
    method["customer"] = None
    account.emit("payment_method.detached", method, {"customer": customer})
    return method


def update_method(account: Account, params: Object, id: str) -> Object:
    method = account.find("payment_method", id, in_path=True)
    with account.changing(method, "payment_method.updated"):
        assign(method, params, "metadata", "allow_redisplay")
        for name, value in (params.get("card") or {}).items():
            method["card"][name] = value
        method["billing_details"] = {**method["billing_details"], **(params.get("billing_details") or {})}
    return method


def list_methods(account: Account, params: Object) -> Object:
    """All payment methods of a customer, newest first."""
    if params.get("customer"):
        account.find("customer", params["customer"], "customer")
    wanted = {name: params[name] for name in ("customer", "type") if params.get(name)}
    found = [method for method in account.all("payment_method", **wanted) if method["customer"]]
    return page_of(found[::-1], params, "/v1/payment_methods")


def list_customer_methods(account: Account, params: Object, customer: str) -> Object:
    account.find("customer", customer, "customer", in_path=True)
    return {
        **list_methods(account, {**params, "customer": customer}),
        "url": f"/v1/customers/{customer}/payment_methods",
    }


OPERATIONS = [
    Operation("POST", "/v1/payment_methods", create_method, CREATION),
    Operation("GET", "/v1/payment_methods", list_methods, {**PAGING, "customer": str, "type": str}),
    retrieval("payment_method", "/v1/payment_methods"),
    Operation(
        "POST",
        "/v1/payment_methods/{id}",
        update_method,
        {
            "allow_redisplay": CREATION["allow_redisplay"],
            "billing_details": BILLING,
            "card": {"exp_month": int, "exp_year": int},
            "metadata": MAP,
        },
    ),
    Operation("POST", "/v1/payment_methods/{id}/attach", attach, {"customer": str}, ("customer",)),
    Operation("POST", "/v1/payment_methods/{id}/detach", detach),
    Operation("GET", "/v1/customers/{customer}/payment_methods", list_customer_methods, {**PAGING, "type": str}),
]
