"""Charges, and what happens after a successful one: its money reaches the balance, and a test card may then object."""

from __future__ import annotations

from infra.simulators.stripe.account import Account, Object, assign
from infra.simulators.stripe.balance import create_balance_transaction
from infra.simulators.stripe.cards import DECLINES, TestCard
from infra.simulators.stripe.disputes import open_dispute
from infra.simulators.stripe.form import MAP
from infra.simulators.stripe.money import payment_fee
from infra.simulators.stripe.operations import TIMES, Operation, listing, retrieval
from infra.simulators.stripe.shapes import names_of


def create_charge(account: Account, intent: Object, status: str, decline: str | None = None) -> Object:
    """The charge of a payment intent, in its first state; it emits nothing."""
    method = account.objects[intent["payment_method"]]
    card: TestCard = account.cards[method["id"]]
    id = account.new_id("py" if card.type == "sepa_debit" else "ch")
    captured = status == "succeeded" and intent["capture_method"] != "manual"
    charge = account.create(
        "charge",
        id,
        account.clock_of(intent),
        amount=intent["amount"],
        amount_captured=intent["amount"] if captured else 0,
        billing_details=dict(method["billing_details"]),
        captured=captured,
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=dict(intent["metadata"]),
        outcome=_outcome(status, decline),
        paid=status == "succeeded",
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_method_details(method, intent),
        receipt_email=intent["receipt_email"],
        receipt_url=f"{account.url}/receipts/{id}" if status == "succeeded" else None,
        shipping=intent["shipping"],
        statement_descriptor=intent["statement_descriptor"],
        statement_descriptor_suffix=intent["statement_descriptor_suffix"],
        status=status,
    )
    if decline:
        charge["failure_code"], charge["failure_message"] = DECLINES[decline]
    return charge


def _outcome(status: str, decline: str | None) -> Object:
    declined = status == "failed"
    return {
        "advice_code": "try_again_later" if declined else None,
        "network_advice_code": None,
        "network_decline_code": "05" if declined else None,
        "network_status": "declined_by_network" if declined else "approved_by_network",
        "reason": decline,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "The bank did not return any further details with this decline."
        if declined
        else "Payment complete.",
        "type": "issuer_declined" if declined else "authorized",
    }


def _method_details(method: Object, intent: Object) -> Object:
    if method["type"] == "sepa_debit":
        debit = {name: value for name, value in method["sepa_debit"].items() if name != "generated_from"}
        return {"sepa_debit": {**debit, "mandate": None}, "type": "sepa_debit"}
    card = method["card"]
    names = names_of("brand checks country exp_month exp_year fingerprint funding last4 regulated_status wallet")
    details: Object = {
        **{name: card[name] for name in names},
        "amount_authorized": intent["amount"],
        "authorization_code": "123456",
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
        "three_d_secure": None,
    }
    return {"card": details, "type": "card"}


def settle_charge(account: Account, charge: Object) -> None:
    """The charge's money reaches the balance, a moment after it succeeded; then comes what its test card is for."""
    fee = payment_fee(charge["amount_captured"], charge["currency"])
    entry = create_balance_transaction(account, charge, "charge", charge["amount_captured"], fee)
    with account.changing(charge, "charge.updated"):
        charge["balance_transaction"] = entry["id"]
    card: TestCard = account.cards[charge["payment_method"]]
    if card.after == "warning":
        warn_of_fraud(account, charge)
    elif card.after:
        open_dispute(account, charge, card.after)


def warn_of_fraud(account: Account, charge: Object) -> Object:
    """The issuer's early warning: the cardholder says that the charge is not theirs."""
    warning = account.create(
        "radar.early_fraud_warning",
        account.new_id("issfr"),
        account.clock_of(charge),
        charge=charge["id"],
        payment_intent=charge["payment_intent"],
        fraud_type="made_with_stolen_card",
    )
    account.emit("radar.early_fraud_warning.created", warning)
    return warning


def update_charge(account: Account, params: Object, id: str) -> Object:
    charge = account.find("charge", id, in_path=True)
    with account.changing(charge, "charge.updated"):
        assign(charge, params, "description", "metadata", "receipt_email", "fraud_details")
    return charge


OPERATIONS = [
    listing("charge", "/v1/charges", created=TIMES, customer=str, payment_intent=str),
    retrieval("charge", "/v1/charges"),
    Operation(
        "POST",
        "/v1/charges/{id}",
        update_charge,
        {"description": str, "fraud_details": {"user_report": str}, "metadata": MAP, "receipt_email": str},
    ),
    listing(
        "radar.early_fraud_warning", "/v1/radar/early_fraud_warnings", charge=str, created=TIMES, payment_intent=str
    ),
    retrieval("radar.early_fraud_warning", "/v1/radar/early_fraud_warnings"),
]
