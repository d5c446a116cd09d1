"""The customer's pages besides Checkout: the billing portal, and an invoice that can be paid."""

from __future__ import annotations

from collections.abc import Callable

from infra.simulators.kit.messages import Request, Response
from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.customers import create_tax_id, update_customer
from infra.simulators.stripe.errors import StripeError
from infra.simulators.stripe.html import button, field, form, form_of, link, page, paragraph, redirect, rows
from infra.simulators.stripe.invoices import charge_invoice, intent_of
from infra.simulators.stripe.money import format_amount
from infra.simulators.stripe.pages import card_of, details_of
from infra.simulators.stripe.payment_methods import attach, create_method
from infra.simulators.stripe.periods import format_day
from infra.simulators.stripe.portal import (
    cancel_in_portal,
    change_price_in_portal,
    features_of,
    offered_prices,
    running_subscriptions,
)
from infra.simulators.stripe.subscription_changes import update_subscription
from infra.simulators.stripe.subscription_items import period_of

CARD_FIELDS = (("Card number", "cardNumber"), ("Expiry (MM / YY)", "cardExpiry"), ("CVC", "cardCvc"))


def show_portal(account: Account, request: Request, session_id: str) -> Response:
    return _portal_page(account, account.find("billing_portal.session", session_id, in_path=True))


def _portal_page(account: Account, session: Object, error: str = "") -> Response:
    blocks = [paragraph(error, "error")] if error else []
    for subscription in running_subscriptions(account, session):
        blocks.append(_subscription_block(account, session, subscription))
    features = features_of(account, session)
    path = account.path_of(f"/p/session/{session['id']}")
    if features["payment_method_update"]["enabled"]:
        fields = [field(label, name) for label, name in CARD_FIELDS]
        blocks.append(form(path, *fields, button("Use this card", "card")))
    if features["customer_update"]["enabled"]:
        customer = account.objects[session["customer"]]
        blocks.append(form(path, *_customer_fields(features, customer), button("Save", "customer")))
    if features["invoice_history"]["enabled"]:
        for invoice in list(account.all("invoice", customer=session["customer"]))[::-1]:
            if invoice["hosted_invoice_url"]:
                amount = format_amount(invoice["total"], invoice["currency"])
                text = f"{format_day(invoice['created'])} {amount} {invoice['status']}"
                blocks.append(link(text, invoice["hosted_invoice_url"]))
    if session["return_url"]:
        blocks.append(link("Back", session["return_url"]))
    return page("Billing", *blocks)


def _customer_fields(features: Object, customer: Object) -> list[str]:
    shown = {"email": ("E-mail", "email"), "name": ("Name", "billingName"), "tax_id": ("VAT number", "taxId")}
    allowed = features["customer_update"]["allowed_updates"]
    return [field(label, name, customer.get(key) or "") for key, (label, name) in shown.items() if key in allowed]


def _subscription_block(account: Account, session: Object, subscription: Object) -> str:
    item = subscription["items"]["data"][0]
    name = account.objects[item["price"]["product"]].get("name", "")
    until = format_day(period_of(subscription)[1])
    ends = subscription["cancel_at_period_end"]
    lines = [(name, subscription["status"]), ("Ends" if ends else "Renews", until)]
    hidden = field("", "subscription", subscription["id"], "hidden")
    parts = [hidden]
    if ends:
        parts.append(button("Don't cancel", "keep"))
    elif features_of(account, session)["subscription_cancel"]["enabled"]:
        parts.append(button("Cancel plan", "cancel"))
    for price in offered_prices(account, session):
        if price["id"] != item["price"]["id"]:
            other = account.objects[price["product"]]["name"]
            amount = format_amount(price["unit_amount"] or 0, price["currency"])
            parts.append(button(f"Change to {other} ({amount} / {price['recurring']['interval']})", price["id"]))
    return rows(lines) + form(account.path_of(f"/p/session/{session['id']}"), *parts)


def post_portal(account: Account, request: Request, session_id: str) -> Response:
    """A button of the portal."""
    session = account.find("billing_portal.session", session_id, in_path=True)
    filled = form_of(request)
    try:
        _act(account, session, filled)
    except StripeError as error:
        return _portal_page(account, session, str(error))
    return redirect(session["url"])


def _act(account: Account, session: Object, filled: dict[str, str]) -> None:
    action, customer = filled.get("action", ""), session["customer"]
    features = features_of(account, session)
    if action == "card" and features["payment_method_update"]["enabled"]:
        method = create_method(account, {"type": "card", "card": card_of(filled)})
        attach(account, {"customer": customer}, method["id"])
        update_customer(account, {"invoice_settings": {"default_payment_method": method["id"]}}, customer)
        for subscription in running_subscriptions(account, session):
            update_subscription(account, {"default_payment_method": method["id"]}, subscription["id"])
    elif action == "customer" and features["customer_update"]["enabled"]:
        details = details_of(filled)
        for tax_id in details.pop("tax_ids", []):
            create_tax_id(account, tax_id, customer)
        update_customer(account, details, customer)
    else:
        owned = {each["id"]: each for each in running_subscriptions(account, session)}
        subscription = owned[account.find("subscription", filled.get("subscription", ""), "subscription")["id"]]
        if action == "cancel":
            cancel_in_portal(account, session, subscription["id"], filled.get("feedback"))
        elif action == "keep":
            update_subscription(account, {"cancel_at_period_end": False}, subscription["id"])
        else:
            change_price_in_portal(account, session, subscription, action)


def show_invoice(account: Account, request: Request, invoice_id: str) -> Response:
    return _invoice_page(account, account.find("invoice", invoice_id, in_path=True))


def _invoice_page(account: Account, invoice: Object, error: str = "") -> Response:
    currency = invoice["currency"]
    lines = [(line["description"] or "", format_amount(line["amount"], currency)) for line in invoice["lines"]["data"]]
    lines.append(("Amount due", format_amount(invoice["amount_remaining"], currency)))
    blocks = [paragraph(f"{invoice['number']}: {invoice['status']}"), rows(lines)]
    if error:
        blocks.append(paragraph(error, "error"))
    if invoice["status"] in ("open", "uncollectible") and invoice["amount_remaining"]:
        fields = [field(label, name) for label, name in CARD_FIELDS]
        blocks.append(form(account.path_of(f"/i/{invoice['id']}"), *fields, button("Pay", "pay")))
    return page("Invoice", *blocks)


def post_invoice(account: Account, request: Request, invoice_id: str) -> Response:
    """Pay an invoice with the card that was typed."""
    invoice = account.find("invoice", invoice_id, in_path=True)
    try:
        if invoice["status"] in ("open", "uncollectible"):
            method = create_method(account, {"type": "card", "card": card_of(form_of(request))})
            intent = intent_of(account, invoice)
            assert intent is not None
            account.note(intent["id"])["return_url"] = invoice["hosted_invoice_url"]
            charge_invoice(account, invoice, method["id"], off_session=False)
            if intent["status"] == "requires_action":
                return redirect(intent["next_action"]["redirect_to_url"]["url"])
            failure = intent["last_payment_error"]
            return _invoice_page(account, invoice, failure["message"] if failure else "")
    except StripeError as error:
        return _invoice_page(account, invoice, str(error))
    return _invoice_page(account, invoice)


def invoice_file(account: Account, request: Request, invoice_id: str) -> Response:
    """The invoice as a file: a text in the place of Stripe's PDF."""
    invoice = account.find("invoice", invoice_id, in_path=True)
    lines = [
        f"{line['description']}: {format_amount(line['amount'], invoice['currency'])}"
        for line in invoice["lines"]["data"]
    ]
    text = "\n".join(
        [f"Invoice {invoice['number']}", *lines, f"Total: {format_amount(invoice['total'], invoice['currency'])}"]
    )
    return Response(200, text.encode(), {"content-type": "text/plain; charset=utf-8"})


# Method, pattern of the path, and what shows it.
PORTAL_PAGES: list[tuple[str, str, Callable[..., Response]]] = [
    ("GET", r"/p/session/(bps_\w+)", show_portal),
    ("POST", r"/p/session/(bps_\w+)", post_portal),
    ("GET", r"/i/(in_\w+)", show_invoice),
    ("POST", r"/i/(in_\w+)", post_invoice),
    ("GET", r"/i/(in_\w+)/pdf", invoice_file),
]
