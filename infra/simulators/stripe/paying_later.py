"""Checkout sessions that begin a subscription, or only keep a card."""

from __future__ import annotations

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.invoices import AFTER_INVOICE, charge_invoice, finalize, intent_of
from infra.simulators.stripe.paying import BY_MODE, complete, make_customer, remember_method
from infra.simulators.stripe.setups import begin_setup, create_setup
from infra.simulators.stripe.subscriptions import begin, build_subscription


def begin_subscription(account: Account, session: Object, method: Object | None) -> None:
    """The subscription of a session. A second try after a declined card pays the same invoice."""
    customer = account.objects[session["customer"]] if session["customer"] else make_customer(account, session)
    invoice = account.objects.get(account.note(session["id"]).get("invoice", ""))
    if method and account.cards[method["id"]].attachable:
        remember_method(account, customer, method)
    if invoice is None:
        invoice = _new_invoice(account, session, customer, method)
    if invoice["status"] == "paid":
        return
    intent = intent_of(account, invoice)
    if intent:
        account.note(session["id"])["intent"] = intent["id"]
        account.note(intent["id"])["session_page"] = session["id"]
        account.note(intent["id"])["return_url"] = session["success_url"]
    charge_invoice(account, invoice, method["id"] if method else None, off_session=False)


def _new_invoice(account: Account, session: Object, customer: Object, method: Object | None) -> Object:
    facts = account.note(session["id"])
    items = [
        {"price": item["price"], "quantity": item["quantity"]}
        for item in facts["items"]
        if account.objects[item["price"]]["recurring"]
    ]
    once = [
        {"price": item["price"], "quantity": item["quantity"]}
        for item in facts["items"]
        if not account.objects[item["price"]]["recurring"]
    ]
    given = {
        **facts["params"]["subscription_data"],
        "items": items,
        "add_invoice_items": once,
        "automatic_tax": {"enabled": session["automatic_tax"]["enabled"]},
        "payment_settings": {"save_default_payment_method": "off"},
    }
    if facts["discounts"]:
        given["discounts"] = facts["discounts"]
    subscription = build_subscription(account, customer, given)
    if method and method["customer"]:
        subscription["default_payment_method"] = method["id"]
    invoice = begin(account, subscription, given)
    facts.update(invoice=invoice["id"], subscription=subscription["id"])
    account.note(invoice["id"])["session"] = session["id"]
    finalize(account, invoice)
    return invoice


def _finish(account: Account, session: Object, invoice: Object) -> None:
    facts = account.note(session["id"])
    subscription = account.objects[facts["subscription"]]
    intent = intent_of(account, invoice)
    if intent and intent["payment_method"]:
        subscription["default_payment_method"] = intent["payment_method"]
    session.update(subscription=subscription["id"], invoice=invoice["id"])
    complete(account, session, "paid" if invoice["amount_paid"] else "no_payment_required")


def _invoice_changed(account: Account, invoice: Object, outcome: str) -> None:
    """The first invoice of a session's subscription is paid: so is the session."""
    session = account.objects.get(account.note(invoice["id"]).get("session", ""))
    if session is None or session["status"] != "open" or outcome not in ("paid", "processing"):
        return
    if account.note(session["id"]).get("invoice") == invoice["id"]:
        _finish(account, session, invoice)


def set_up_card(account: Account, session: Object, method: Object | None) -> None:
    """Keep a card for later payments."""
    assert method is not None
    customer = account.objects[session["customer"]] if session["customer"] else None
    intent = account.objects.get(session["setup_intent"] or "")
    if intent is None:
        data = account.note(session["id"])["params"]["setup_intent_data"]
        intent = create_setup(account, {**data, "customer": customer["id"] if customer else None})
        session["setup_intent"] = intent["id"]
        account.note(intent["id"])["session"] = session["id"]
        account.note(session["id"])["intent"] = intent["id"]
    intent["payment_method"] = method["id"]
    begin_setup(account, intent)


AFTER_INVOICE.append(_invoice_changed)
BY_MODE.update(subscription=begin_subscription, setup=set_up_card)
