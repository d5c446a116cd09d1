"""The pages that a customer sees: Checkout, and the bank's page for 3-D Secure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from infra.simulators.kit.messages import Request, Response
from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.addresses import full_address
from infra.simulators.stripe.checkout import line_rows
from infra.simulators.stripe.errors import StripeError, invalid
from infra.simulators.stripe.html import button, field, form, form_of, link, page, paragraph, redirect, rows
from infra.simulators.stripe.money import format_amount
from infra.simulators.stripe.paying import apply_code, pay, set_details, set_quantity
from infra.simulators.stripe.payment_methods import create_method
from infra.simulators.stripe.payments import authenticate
from infra.simulators.stripe.setups import authenticate_setup

DETAILS = {"billingName": "name", "email": "email", "phone": "phone"}
ADDRESS = {
    "billingCountry": "country",
    "billingLocality": "city",
    "billingLine1": "line1",
    "billingPostalCode": "postal_code",
}
CARD_HINT = "4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined, 4000 0027 6000 3184 wants 3-D Secure"


def show_checkout(account: Account, request: Request, session_id: str) -> Response:
    session = account.find("checkout.session", session_id, in_path=True)
    if session["status"] != "open":
        text = "This checkout is paid." if session["status"] == "complete" else "This checkout has expired."
        return page("Checkout", paragraph(text))
    return _checkout_page(account, session)


def _checkout_page(account: Account, session: Object, error: str = "") -> Response:
    currency = session["currency"] or "usd"
    lines = [
        (f"{row['quantity']} × {row['description']}", format_amount(row["amount_subtotal"], currency))
        for row in line_rows(account, session)
    ]
    totals: Object = session["total_details"] or {}
    for label, name in (("Discount", "amount_discount"), ("Tax", "amount_tax")):
        if totals.get(name):
            sign = -1 if name == "amount_discount" else 1
            lines.append((label, format_amount(sign * totals[name], currency)))
    lines.append(("Due today", format_amount(session["amount_total"] or 0, currency)))
    customer: Object = account.objects.get(session["customer"] or "", {})
    email = customer.get("email") or session["customer_email"] or ""
    blocks = [
        rows(lines),
        paragraph(error, "error") if error else "",
        form(account.path_of(f"/c/pay/{session['id']}"), *_checkout_fields(account, session, email)),
        link("Back", session["cancel_url"]) if session["cancel_url"] else "",
    ]
    return page("Checkout", *blocks)


def _checkout_fields(account: Account, session: Object, email: str) -> list[str]:
    parts = [field("E-mail", "email", email, "email")]
    for index, item in enumerate(account.note(session["id"])["items"]):
        if item["adjustable"]:
            bounds = {"min": str(item["adjustable"]["minimum"]), "max": str(item["adjustable"]["maximum"])}
            parts.append(field("Quantity", f"quantity_{index}", str(item["quantity"]), "number", **bounds))
    if session["allow_promotion_codes"]:
        parts += [field("Promotion code", "promotionCode"), button("Apply", "apply")]
    parts += [
        paragraph(f"Cards: {CARD_HINT}"),
        field("Card number", "cardNumber"),
        field("Expiry (MM / YY)", "cardExpiry"),
        field("CVC", "cardCvc"),
    ]
    if "sepa_debit" in session["payment_method_types"]:
        parts.append(field("or IBAN", "iban", placeholder="AT321904300235473204"))
    parts += [
        field("Name on card", "billingName"),
        field("Country", "billingCountry", placeholder="US"),
        field("Postal code", "billingPostalCode"),
    ]
    if session["tax_id_collection"]["enabled"]:
        parts.append(field("VAT number", "taxId"))
    verb = {"payment": "Pay", "setup": "Save card", "subscription": "Subscribe"}[session["mode"]]
    return [*parts, button(verb, "pay")]


def post_checkout(account: Account, request: Request, session_id: str) -> Response:
    """A filled page: the purchase, or a promotion code to apply first."""
    session = account.find("checkout.session", session_id, in_path=True)
    if session["status"] != "open":
        return show_checkout(account, request, session_id)
    filled = form_of(request)
    try:
        _apply_changes(account, session, filled)
        if filled.get("action") == "apply":
            return _checkout_page(account, session)
        pay(account, session_id, _method_of(account, filled), details_of(filled))
    except StripeError as error:
        return _checkout_page(account, session, str(error))
    return after_checkout(account, session)


def _apply_changes(account: Account, session: Object, filled: dict[str, str]) -> None:
    for name, value in filled.items():
        numbered = re.fullmatch(r"quantity_(\d{1,2})", name, re.ASCII)
        if numbered and re.fullmatch(r"\d{1,6}", value, re.ASCII):
            item = account.note(session["id"])["items"][int(numbered[1])]
            if int(value) != item["quantity"]:
                set_quantity(account, session, int(numbered[1]), int(value))
    set_details(account, session, details_of(filled))
    if filled.get("promotionCode"):
        apply_code(account, session, filled["promotionCode"])


def details_of(filled: dict[str, str]) -> Object:
    """What the customer says about themselves on a page."""
    details: dict[str, Any] = {name: filled[key] for key, name in DETAILS.items() if filled.get(key)}
    address = {name: filled[key] for key, name in ADDRESS.items() if filled.get(key)}
    if address:
        details["address"] = full_address(address)
    if filled.get("taxId"):
        details["tax_ids"] = [{"type": "eu_vat", "value": filled["taxId"]}]
    return details


def _method_of(account: Account, filled: dict[str, str]) -> str | None:
    billing = details_of(filled)
    billing.pop("tax_ids", None)
    if filled.get("iban"):
        given = {"type": "sepa_debit", "sepa_debit": {"iban": filled["iban"]}, "billing_details": billing}
        return create_method(account, given)["id"]
    if not filled.get("cardNumber"):
        return None
    return create_method(account, {"type": "card", "card": card_of(filled), "billing_details": billing})["id"]


def card_of(filled: dict[str, str]) -> Object:
    """The card that was typed. Raises StripeError for an expiry that is no month and year."""
    expiry = re.fullmatch(r"\s*(\d{1,2})\s*/?\s*(\d{2}|\d{4})\s*", filled.get("cardExpiry", ""), re.ASCII)
    if expiry is None:
        raise invalid("Your card's expiration date is incomplete.")
    year = int(expiry[2]) + (2000 if len(expiry[2]) == 2 else 0)
    number = filled["cardNumber"]
    return {"number": number, "exp_month": int(expiry[1]), "exp_year": year, "cvc": filled.get("cardCvc") or None}


def after_checkout(account: Account, session: Object) -> Response:
    """Where a customer goes after a try to pay: on, to the bank, or back to the page with the reason."""
    if session["status"] == "complete":
        return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
    intent = account.objects.get(account.note(session["id"]).get("intent") or session["payment_intent"] or "")
    if intent and intent["status"] == "requires_action":
        return redirect(intent["next_action"]["redirect_to_url"]["url"])
    failure: Object = (intent or {}).get("last_payment_error") or (intent or {}).get("last_setup_error") or {}
    return _checkout_page(account, session, failure.get("message", "The payment did not succeed."))


def show_authentication(account: Account, request: Request, intent_id: str) -> Response:
    intent = _intent(account, intent_id)
    if intent["status"] != "requires_action":
        return page("3-D Secure", paragraph("There is nothing to confirm here."))
    amount = format_amount(intent["amount"], intent["currency"]) if "amount" in intent else "saving your card"
    buttons = (button("Complete", "complete"), button("Fail", "fail"))
    return page(
        "3-D Secure",
        paragraph(f"Your bank asks: confirm {amount}?"),
        form(account.path_of(f"/authenticate/{intent_id}"), *buttons),
    )


def post_authentication(account: Account, request: Request, intent_id: str) -> Response:
    intent = _intent(account, intent_id)
    passed = form_of(request).get("action") == "complete"
    if intent["status"] == "requires_action":
        if intent["object"] == "payment_intent":
            authenticate(account, intent, passed=passed)
        else:
            authenticate_setup(account, intent, passed=passed)
    facts = account.note(intent_id)
    session = account.objects.get(facts.get("session") or facts.get("session_page", ""))
    if session:
        return after_checkout(account, session)
    return_url = account.note(intent_id).get("return_url")
    return redirect(return_url) if return_url else page("3-D Secure", paragraph("Done. You may close this page."))


def _intent(account: Account, intent_id: str) -> Object:
    kind = "setup_intent" if intent_id.startswith("seti_") else "payment_intent"
    return account.find(kind, intent_id, in_path=True)


def show_receipt(account: Account, request: Request, charge_id: str) -> Response:
    charge = account.find("charge", charge_id, in_path=True)
    lines = [("Paid", format_amount(charge["amount_captured"], charge["currency"]))]
    if charge["amount_refunded"]:
        lines.append(("Refunded", format_amount(charge["amount_refunded"], charge["currency"])))
    return page("Receipt", rows(lines))


# Method, pattern of the path, and what shows it.
PAGES: list[tuple[str, str, Callable[..., Response]]] = [
    ("GET", r"/c/pay/(cs_test_\w+)", show_checkout),
    ("POST", r"/c/pay/(cs_test_\w+)", post_checkout),
    ("GET", r"/authenticate/(\w+)", show_authentication),
    ("POST", r"/authenticate/(\w+)", post_authentication),
    ("GET", r"/receipts/(\w+)", show_receipt),
]
