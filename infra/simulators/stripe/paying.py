"""What happens when a customer pays a checkout session: from the filled page to the completed session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.simulators.stripe.account import Account, Object, require
from infra.simulators.stripe.checkout import line_rows, open_session, update_totals
from infra.simulators.stripe.coupons import create_discount, find_code
from infra.simulators.stripe.customers import create_customer, create_tax_id
from infra.simulators.stripe.operations import Operation
from infra.simulators.stripe.payment_methods import BILLING, attach, resolve_method
from infra.simulators.stripe.payments import AFTER_PAYMENT, attempt, new_intent

DETAILS = ("address", "email", "name", "phone", "tax_exempt", "tax_ids", "business_name", "individual_name")

# How sessions are paid that charge nothing by themselves: called with the session and the payment method.
BY_MODE: dict[str, Callable[[Account, Object, Object | None], None]] = {}


def apply_code(account: Account, session: Object, text: str) -> None:
    """Use the promotion code that the customer typed. Raises StripeError for one that is not valid here."""
    require(session["allow_promotion_codes"], "This page takes no promotion codes.")
    code = find_code(account, text)
    facts = account.note(session["id"])
    earlier, facts["discounts"] = facts["discounts"], [{"promotion_code": code["id"]}]
    try:
        update_totals(account, session)
    except Exception:
        facts["discounts"] = earlier
        raise


def set_quantity(account: Account, session: Object, index: int, quantity: int) -> None:
    """Change the quantity of a line item, within the bounds that the session allows."""
    item = account.note(session["id"])["items"][index]
    limits = item["adjustable"]
    require(limits, "The quantity of this item is fixed.")
    require(limits["minimum"] <= quantity <= limits["maximum"], "This quantity is not available.")
    item["quantity"] = quantity
    update_totals(account, session)


def set_details(account: Account, session: Object, details: Object) -> None:
    """What the customer says on the page: `email`, `name`, `phone`, `address`; taxes follow the address."""
    known = {**dict.fromkeys(DETAILS), "tax_exempt": "none", "tax_ids": []}
    owner = account.objects.get(session["customer"] or "", {})
    known.update({name: owner[name] for name in ("address", "email", "name", "phone") if owner.get(name)})
    known.update({name: value for name, value in details.items() if value})
    known["email"] = known["email"] or session["customer_email"]
    session["customer_details"] = known
    update_totals(account, session)


def pay(account: Account, session_id: str, method: str | None, details: Object) -> Object:
    """Pay a session. Returns the session: complete, or still open because the payment failed or waits for 3-D Secure.
    The failure is `last_payment_error` of its payment intent."""
    session = open_session(account, session_id)
    set_details(account, session, details)
    needs_card = (
        session["amount_total"] or session["mode"] == "setup" or session["payment_method_collection"] == "always"
    )
    require(method or not needs_card, "Enter a payment method.")
    chosen = resolve_method(account, method) if method else None
    if session["mode"] == "payment" and session["amount_total"]:
        assert chosen is not None
        _pay_once(account, session, chosen)
    elif session["mode"] == "payment":
        _ensure_customer(account, session)
        complete(account, session, "no_payment_required")
    else:
        BY_MODE[session["mode"]](account, session, chosen)
    return session


def _ensure_customer(account: Account, session: Object) -> Object | None:
    """The session's customer; a new one where the session wants one."""
    if session["customer"]:
        return account.objects[session["customer"]]
    if session["customer_creation"] != "always":
        return None
    return make_customer(account, session)


def make_customer(account: Account, session: Object) -> Object:
    details = session["customer_details"]
    given = {name: details[name] for name in ("address", "email", "name", "phone") if details[name]}
    customer = create_customer(account, given)
    for tax_id in details["tax_ids"]:
        create_tax_id(account, tax_id, customer["id"])
    session["customer"] = customer["id"]
    return customer


def _pay_once(account: Account, session: Object, method: Object) -> None:
    data: Object = account.note(session["id"])["params"]["payment_intent_data"]
    customer = _ensure_customer(account, session)
    intent = account.objects.get(session["payment_intent"] or "")
    if intent is None:
        intent = new_intent(
            account,
            account.clock_of(session),
            amount=session["amount_total"],
            currency=session["currency"],
            customer=customer["id"] if customer else None,
            payment_method_types=list(session["payment_method_types"]),
        )
        plain: Any = {name: value for name, value in data.items() if value is not None}
        intent.update(plain)
        session["payment_intent"] = intent["id"]
        account.note(intent["id"])["session"] = session["id"]
    intent.update(amount=session["amount_total"], payment_method=method["id"])
    account.note(intent["id"])["return_url"] = session["success_url"]
    attempt(account, intent)


def _payment_changed(account: Account, intent: Object) -> None:
    """A payment of a session: the first news completes it, a bank's later word is an event of its own."""
    session = account.objects.get(account.note(intent["id"]).get("session", ""))
    if session is None:
        return
    if session["status"] == "open" and intent["status"] in ("succeeded", "requires_capture"):
        complete(account, session, "paid" if intent["status"] == "succeeded" else "unpaid")
    elif session["status"] == "open" and intent["status"] == "processing":
        complete(account, session, "unpaid")
    elif session["status"] == "complete" and session["payment_status"] == "unpaid":
        if intent["status"] == "succeeded":
            session["payment_status"] = "paid"
            account.emit("checkout.session.async_payment_succeeded", session)
        elif intent["status"] == "requires_payment_method":
            account.emit("checkout.session.async_payment_failed", session)


def complete(account: Account, session: Object, payment_status: str) -> None:
    """The session is over and well: its discounts are redeemed, and the merchant hears of it."""
    facts = account.note(session["id"])
    line_rows(account, session)
    customer = account.objects.get(session["customer"] or "")
    if customer and session["mode"] == "payment":
        for given in facts["discounts"]:
            create_discount(account, given, customer, checkout_session=session["id"])
    session.update(status="complete", payment_status=payment_status, url=None)
    account.emit("checkout.session.completed", session)


def remember_method(account: Account, customer: Object, method: Object) -> None:
    """Keep a payment method for the customer's later payments."""
    if not method["customer"]:
        attach(account, {"customer": customer["id"]}, method["id"])


AFTER_PAYMENT.append(_payment_changed)


# ---- the calls by which Stripe's own page pays; its CLI makes them too --------------------------------------------


def get_page(account: Account, params: Object, id: str) -> Object:
    session = account.find("checkout.session", id, in_path=True)
    return {**session, "session_id": session["id"]}


def confirm_page(account: Account, params: Object, id: str) -> Object:
    session = open_session(account, id)
    expected = params.get("expected_amount")
    require(expected in (None, session["amount_total"]), "The amount has changed.", "expected_amount")
    billing: Object = account.objects.get(params["payment_method"], {}).get("billing_details") or {}
    return pay(
        account, id, params["payment_method"], {name: billing.get(name) for name in ("email", "name", "address")}
    )


OPERATIONS = [
    Operation("GET", "/v1/payment_pages/{id}", get_page),
    Operation(
        "POST",
        "/v1/payment_pages/{id}/confirm",
        confirm_page,
        {"expected_amount": int, "payment_method": str, "billing_details": BILLING},
        ("payment_method",),
    ),
]
