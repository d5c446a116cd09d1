"""Setup intents: a payment method is checked and kept for later, without a payment."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.cards import DECLINES, TestCard
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.operations import TIMES, Operation, listing, retrieval
from infra.simulators.stripe.paying import complete
from infra.simulators.stripe.payment_methods import attach, card_error, usable_method

FIELDS: dict[str, Any] = {"customer": str, "description": str, "metadata": MAP, "payment_method": str}
WAITING = ("requires_payment_method", "requires_confirmation", "requires_action")


def create_setup(account: Account, params: Object) -> Object:
    customer = params.get("customer")
    clock = account.find("customer", customer, "customer")["test_clock"] if customer else None
    id = account.new_id("seti")
    intent = account.create("setup_intent", id, clock, client_secret=account.new_id(f"{id}_secret"))
    assign(intent, params, "customer", "description", "metadata", "usage", "payment_method_types")
    account.emit("setup_intent.created", intent)
    if params.get("payment_method"):
        intent["payment_method"] = usable_method(account, params["payment_method"], customer)["id"]
        intent["status"] = "requires_confirmation"
    if params.get("confirm"):
        return confirm_setup(account, params, id)
    return intent


def update_setup(account: Account, params: Object, id: str) -> Object:
    intent = account.find("setup_intent", id, in_path=True)
    assign(intent, params, "customer", "description", "metadata")
    if params.get("payment_method"):
        intent["payment_method"] = usable_method(account, params["payment_method"], intent["customer"])["id"]
        intent["status"] = "requires_confirmation"
    return intent


def confirm_setup(account: Account, params: Object, id: str) -> Object:
    """Check the payment method. Raises StripeError (402) when it is declined."""
    intent = account.find("setup_intent", id, in_path=True)
    text = f"You cannot confirm this SetupIntent because it has a status of {intent['status']}."
    require(intent["status"] in WAITING, text, code="setup_intent_unexpected_state")
    if params.get("payment_method"):
        intent["payment_method"] = usable_method(account, params["payment_method"], intent["customer"])["id"]
    require(intent["payment_method"], "You cannot confirm this SetupIntent because it's missing a payment method.")
    account.note(id)["return_url"] = params.get("return_url")
    begin_setup(account, intent)
    failure = intent["last_setup_error"]
    if intent["status"] == "requires_payment_method" and failure:
        raise card_error(
            failure["code"], failure["message"], decline=failure.get("decline_code"), setup_intent=dict(intent)
        )
    return intent


def begin_setup(account: Account, intent: Object) -> None:
    """The first look at the card: it may want 3-D Secure."""
    card: TestCard = account.cards[intent["payment_method"]]
    if card.authenticate:
        intent["status"] = "requires_action"
        target = {
            "return_url": account.note(intent["id"]).get("return_url"),
            "url": f"{account.url}/authenticate/{intent['id']}",
        }
        intent["next_action"] = {"redirect_to_url": target, "type": "redirect_to_url"}
        account.emit("setup_intent.requires_action", intent)
        return
    _finish(account, intent)


def authenticate_setup(account: Account, intent: Object, *, passed: bool) -> None:
    """The customer's answer to 3-D Secure."""
    if passed:
        _finish(account, intent)
    else:
        _fail(
            account,
            intent,
            "setup_intent_authentication_failure",
            "We are unable to authenticate your payment method.",
            None,
        )


def _finish(account: Account, intent: Object) -> None:
    card: TestCard = account.cards[intent["payment_method"]]
    if card.decline and not card.attachable:
        code, message = DECLINES[card.decline]
        _fail(account, intent, code, message, card.decline)
        return
    intent.update(status="succeeded", next_action=None, last_setup_error=None)
    account.note(intent["payment_method"])["set_up"] = True
    if intent["customer"]:
        attach(account, {"customer": intent["customer"]}, intent["payment_method"])
    account.emit("setup_intent.succeeded", intent)
    _session_done(account, intent)


def _fail(account: Account, intent: Object, code: str, message: str, decline: str | None) -> None:
    intent["last_setup_error"] = {
        "code": code,
        **({"decline_code": decline} if decline else {}),
        "message": message,
        "payment_method": dict(account.objects[intent["payment_method"]]),
        "type": "card_error" if decline else "invalid_request_error",
    }
    intent.update(status="requires_payment_method", payment_method=None, next_action=None)
    account.emit("setup_intent.setup_failed", intent)


def _session_done(account: Account, intent: Object) -> None:
    session = account.objects.get(account.note(intent["id"]).get("session", ""))
    if session and session["status"] == "open":
        complete(account, session, "no_payment_required")


def cancel_setup(account: Account, params: Object, id: str) -> Object:
    intent = account.find("setup_intent", id, in_path=True)
    require(
        intent["status"] in WAITING,
        f"You cannot cancel this SetupIntent because it has a status of {intent['status']}.",
    )
    intent.update(status="canceled", cancellation_reason=params.get("cancellation_reason"), next_action=None)
    account.emit("setup_intent.canceled", intent)
    return intent


CREATION: dict[str, Any] = {
    **FIELDS,
    "automatic_payment_methods": {"allow_redirects": choice("always", "never"), "enabled": bool},
    "confirm": bool,
    "payment_method_types": [str],
    "return_url": str,
    "usage": choice("off_session", "on_session"),
}
OPERATIONS = [
    Operation("POST", "/v1/setup_intents", create_setup, CREATION),
    listing("setup_intent", "/v1/setup_intents", created=TIMES, customer=str, payment_method=str),
    retrieval("setup_intent", "/v1/setup_intents"),
    Operation("POST", "/v1/setup_intents/{id}", update_setup, FIELDS),
    Operation("POST", "/v1/setup_intents/{id}/confirm", confirm_setup, {"payment_method": str, "return_url": str}),
    Operation(
        "POST",
        "/v1/setup_intents/{id}/cancel",
        cancel_setup,
        {"cancellation_reason": choice("abandoned", "duplicate", "requested_by_customer")},
    ),
]
