"""Payment intents: from a payment method to a charge, by way of 3-D Secure or of a bank that takes its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.addresses import SHIPPING
from infra.simulators.stripe.cards import DECLINES, TestCard
from infra.simulators.stripe.charges import create_charge, settle_charge
from infra.simulators.stripe.errors import StripeError
from infra.simulators.stripe.form import MAP, choice, one_of
from infra.simulators.stripe.money import CHARGE_MINIMUM, check_currency, format_amount
from infra.simulators.stripe.operations import TIMES, Operation, listing, retrieval
from infra.simulators.stripe.payment_methods import BILLING, attach, card_error, create_method, usable_method
from infra.simulators.stripe.shapes import names_of

FIELDS: dict[str, Any] = {
    "amount": int,
    "currency": str,
    "customer": str,
    "description": str,
    "metadata": MAP,
    "payment_method": str,
    "payment_method_data": {
        "billing_details": BILLING,
        "sepa_debit": {"iban": str},
        "type": choice("card", "sepa_debit"),
    },
    "payment_method_types": [str],
    "receipt_email": str,
    "setup_future_usage": choice("off_session", "on_session"),
    "shipping": SHIPPING,
    "statement_descriptor": str,
    "statement_descriptor_suffix": str,
}
CONFIRMATION: dict[str, Any] = {
    "error_on_requires_action": bool,
    "off_session": one_of(bool, choice("one_off", "recurring")),
    "return_url": str,
}
AUTOMATIC = {"allow_redirects": choice("always", "never"), "enabled": bool}
CAPTURE = choice("automatic", "automatic_async", "manual")
PLAIN = names_of(
    "customer description metadata payment_method_types receipt_email setup_future_usage shipping statement_descriptor "
    "statement_descriptor_suffix"
)
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = (*CONFIRMABLE, "requires_capture", "processing")
# Called with an intent when it succeeded, failed, or waits for its customer.
AFTER_PAYMENT: list[Callable[[Account, Object], None]] = []


def new_intent(account: Account, clock: str | None, **fields: Any) -> Object:
    """A payment intent that is not confirmed yet."""
    id = account.new_id("pi")
    intent = account.create("payment_intent", id, clock, client_secret=account.new_id(f"{id}_secret"), **fields)
    account.emit("payment_intent.created", intent)
    return intent


def create_intent(account: Account, params: Object) -> Object:
    currency, amount = check_currency(params["currency"]), params["amount"]
    check_amount(amount, currency)
    customer = params.get("customer")
    clock = account.find("customer", customer, "customer")["test_clock"] if customer else None
    intent = new_intent(account, clock, amount=amount, currency=currency)
    assign(intent, params, *PLAIN)
    intent["capture_method"] = params.get("capture_method") or "automatic_async"
    automatic = params.get("automatic_payment_methods") or {"enabled": "payment_method_types" not in params}
    if automatic.get("enabled"):
        intent["automatic_payment_methods"] = {"allow_redirects": "always", **automatic}
        intent["payment_method_types"] = ["card", "sepa_debit"] if currency == "eur" else ["card"]
    _choose_method(account, intent, params)
    if params.get("confirm"):
        return confirm(account, params, intent["id"])
    text = "This parameter is only allowed when confirming: {}"
    for name in CONFIRMATION:
        require(params.get(name) is None, text.format(name), name)
    return intent


def check_amount(amount: int, currency: str) -> None:
    """Raises StripeError for an amount that cannot be charged."""
    least = CHARGE_MINIMUM.get(currency, 50)
    require(amount > 0, "This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    text = f"Amount must be at least {format_amount(least, currency)} {currency}"
    require(amount >= least, text, "amount", "amount_too_small")


def _choose_method(account: Account, intent: Object, params: Object) -> None:
    method = params.get("payment_method")
    if params.get("payment_method_data"):
        method = create_method(account, params["payment_method_data"])["id"]
    if method:
        intent["payment_method"] = usable_method(account, method, intent["customer"])["id"]
        intent["status"] = "requires_confirmation"


def update_intent(account: Account, params: Object, id: str) -> Object:
    intent = account.find("payment_intent", id, in_path=True)
    _require_state(intent, CONFIRMABLE, "updated")
    if params.get("amount") is not None:
        check_amount(params["amount"], intent["currency"])
    assign(intent, params, "amount", *PLAIN)
    _choose_method(account, intent, params)
    return intent


def confirm(account: Account, params: Object, id: str) -> Object:
    """Try to pay. Raises StripeError (402) when the card is declined; the intent then says why."""
    intent = account.find("payment_intent", id, in_path=True)
    _require_state(intent, CONFIRMABLE, "confirmed")
    _choose_method(account, intent, params)
    text = "You cannot confirm this PaymentIntent because it's missing a payment method."
    require(intent["payment_method"], text, code="payment_intent_unexpected_state")
    assign(intent, params, "setup_future_usage", "receipt_email", "shipping")
    account.note(id)["return_url"] = params.get("return_url")
    off_session = bool(params.get("off_session"))
    attempt(
        account, intent, off_session=off_session, refuse_action=off_session or params.get("error_on_requires_action")
    )
    _raise_failure(account, intent)
    return intent


def _raise_failure(account: Account, intent: Object) -> None:
    """Raises the card error of an intent whose last try failed."""
    failure = intent["last_payment_error"]
    if intent["status"] == "requires_payment_method" and failure:
        plain = {name: failure.get(name) for name in ("charge", "payment_method")}
        raise card_error(
            failure["code"],
            failure["message"],
            decline=failure.get("decline_code"),
            payment_intent=dict(intent),
            **plain,
        )


def attempt(account: Account, intent: Object, *, off_session: bool = False, refuse_action: object = False) -> None:
    """Charge the intent's payment method. `refuse_action`: fail instead of waiting for 3-D Secure."""
    card: TestCard = account.cards[intent["payment_method"]]
    set_up = account.note(intent["payment_method"]).get("set_up")
    if card.authenticate == "always" or (card.authenticate == "setup" and not set_up):
        if refuse_action:
            _fail(account, intent, "authentication_required")
        else:
            _wait_for_customer(account, intent)
        return
    carry_out(account, intent)


def carry_out(account: Account, intent: Object) -> None:
    """The payment itself, once nothing has to be asked of the customer."""
    card: TestCard = account.cards[intent["payment_method"]]
    intent["next_action"] = None
    if card.type == "sepa_debit":
        intent["status"], intent["processing"] = "processing", None
        charge = create_charge(account, intent, "pending")
        intent["latest_charge"] = charge["id"]
        account.note(intent["id"])["settles_at"] = account.now(account.clock_of(intent)) + card.seconds
        account.emit("charge.pending", charge)
        account.emit("payment_intent.processing", intent)
        _tell(account, intent)
    elif card.decline:
        _fail(account, intent, card.decline)
    else:
        _succeed(account, intent, create_charge(account, intent, "succeeded"))


def finish_processing(account: Account, intent: Object) -> None:
    """What a bank says at last about a direct debit."""
    account.note(intent["id"]).pop("settles_at")
    charge = account.objects[intent["latest_charge"]]
    card: TestCard = account.cards[intent["payment_method"]]
    if card.decline:
        charge.update(
            status="failed", failure_code="account_closed", failure_message="The bank account has been closed."
        )
        _mark_failed(account, intent, charge, "account_closed", "The bank account has been closed.", None)
    else:
        charge.update(status="succeeded", paid=True, captured=True, amount_captured=charge["amount"])
        _succeed(account, intent, charge)


def _wait_for_customer(account: Account, intent: Object) -> None:
    intent["status"] = "requires_action"
    url = f"{account.url}/authenticate/{intent['id']}"
    return_url = account.note(intent["id"]).get("return_url")
    intent["next_action"] = {"redirect_to_url": {"return_url": return_url, "url": url}, "type": "redirect_to_url"}
    account.emit("payment_intent.requires_action", intent)
    _tell(account, intent)


def _fail(account: Account, intent: Object, decline: str) -> None:
    code, message = DECLINES[decline]
    charge = create_charge(account, intent, "failed", decline)
    intent["latest_charge"] = charge["id"]
    _mark_failed(account, intent, charge, code, message, decline)


def _mark_failed(
    account: Account, intent: Object, charge: Object, code: str, message: str, decline: str | None
) -> None:
    intent["last_payment_error"] = {
        "charge": charge["id"],
        "code": code,
        **({"decline_code": decline} if decline else {}),
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": message,
        "payment_method": dict(account.objects[intent["payment_method"]]),
        "type": "card_error" if decline else "invalid_request_error",
    }
    intent.update(status="requires_payment_method", payment_method=None, next_action=None)
    account.emit("charge.failed", charge)
    account.emit("payment_intent.payment_failed", intent)
    _tell(account, intent)


def _succeed(account: Account, intent: Object, charge: Object) -> None:
    intent.update(latest_charge=charge["id"], last_payment_error=None, next_action=None, processing=None)
    if intent["setup_future_usage"] and intent["customer"]:
        account.note(intent["payment_method"])["set_up"] = True
        if not account.objects[intent["payment_method"]]["customer"]:
            attach(account, {"customer": intent["customer"]}, intent["payment_method"])
    account.emit("charge.succeeded", charge)
    if intent["capture_method"] == "manual":
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        account.emit("payment_intent.amount_capturable_updated", intent)
    else:
        intent.update(status="succeeded", amount_received=intent["amount"])
        account.emit("payment_intent.succeeded", intent)
    _tell(account, intent)
    if charge["captured"]:
        settle_charge(account, charge)


def authenticate(account: Account, intent: Object, *, passed: bool) -> None:
    """The customer's answer to 3-D Secure."""
    require(intent["status"] == "requires_action", "This payment does not wait for authentication.")
    if passed:
        carry_out(account, intent)
        return
    text = "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    method = dict(account.objects[intent["payment_method"]])
    intent["last_payment_error"] = {
        "code": "payment_intent_authentication_failure",
        "doc_url": "https://stripe.com/docs/error-codes/payment-intent-authentication-failure",
        "message": text,
        "payment_method": method,
        "type": "invalid_request_error",
    }
    intent.update(status="requires_payment_method", payment_method=None, next_action=None)
    account.emit("payment_intent.payment_failed", intent)
    _tell(account, intent)


def capture(account: Account, params: Object, id: str) -> Object:
    intent = account.find("payment_intent", id, in_path=True)
    _require_state(intent, ("requires_capture",), "captured")
    amount = params.get("amount_to_capture") or intent["amount"]
    require(
        0 < amount <= intent["amount"], "Amount to capture is greater than the amount capturable.", "amount_to_capture"
    )
    charge = account.objects[intent["latest_charge"]]
    charge.update(captured=True, amount_captured=amount)
    intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
    account.emit("charge.captured", charge)
    account.emit("payment_intent.succeeded", intent)
    _tell(account, intent)
    settle_charge(account, charge)
    return intent


def cancel(account: Account, params: Object, id: str) -> Object:
    intent = account.find("payment_intent", id, in_path=True)
    _require_state(intent, CANCELABLE, "canceled")
    intent.update(
        status="canceled",
        canceled_at=account.now(account.clock_of(intent)),
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
        amount_capturable=0,
    )
    account.emit("payment_intent.canceled", intent)
    return intent


def _require_state(intent: Object, states: tuple[str, ...], verb: str) -> None:
    if intent["status"] not in states:
        text = f"This PaymentIntent's status is {intent['status']}, so it could not be {verb}."
        raise StripeError(400, text, code="payment_intent_unexpected_state", payment_intent=dict(intent))


def _tell(account: Account, intent: Object) -> None:
    for called in AFTER_PAYMENT:
        called(account, intent)


OPERATIONS = [
    Operation(
        "POST",
        "/v1/payment_intents",
        create_intent,
        {
            **FIELDS,
            **CONFIRMATION,
            "automatic_payment_methods": AUTOMATIC,
            "capture_method": CAPTURE,
            "confirm": bool,
        },
        ("amount", "currency"),
    ),
    listing("payment_intent", "/v1/payment_intents", created=TIMES, customer=str),
    retrieval("payment_intent", "/v1/payment_intents"),
    Operation("POST", "/v1/payment_intents/{id}", update_intent, FIELDS),
    Operation(
        "POST",
        "/v1/payment_intents/{id}/confirm",
        confirm,
        {
            **CONFIRMATION,
            **{name: FIELDS[name] for name in ("payment_method", "payment_method_data", "receipt_email", "shipping")},
            "setup_future_usage": FIELDS["setup_future_usage"],
        },
    ),
    Operation("POST", "/v1/payment_intents/{id}/capture", capture, {"amount_to_capture": int}),
    Operation(
        "POST",
        "/v1/payment_intents/{id}/cancel",
        cancel,
        {"cancellation_reason": choice("abandoned", "duplicate", "fraudulent", "requested_by_customer")},
    ),
]
