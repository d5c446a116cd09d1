"""Refunds of charges, whole or in parts; a test card decides how they end."""

from __future__ import annotations

from infra.simulators.stripe.account import Account, Object, assign, require
from infra.simulators.stripe.balance import create_balance_transaction
from infra.simulators.stripe.cards import TestCard
from infra.simulators.stripe.errors import invalid
from infra.simulators.stripe.expansion import INCLUDABLE
from infra.simulators.stripe.form import MAP, choice
from infra.simulators.stripe.money import format_amount
from infra.simulators.stripe.operations import PAGING, TIMES, Operation, list_of, listing, page_of, retrieval

# How long a refund is under way whose end is not known at once.
REFUND_SECONDS = 300
REASONS = choice("duplicate", "fraudulent", "requested_by_customer")


def create_refund(account: Account, params: Object) -> Object:
    """A refund of a charge, or of what a payment intent charged. Raises StripeError for more than is left."""
    charge = _charge_to_refund(account, params)
    require(
        charge["captured"] and charge["status"] == "succeeded",
        f"Charge {charge['id']} has not been captured.",
        "charge",
    )
    left = charge["amount_captured"] - charge["amount_refunded"]
    require(left > 0, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    text = f"Charge {charge['id']} has been charged back; cannot issue a refund."
    require(not charge["disputed"] or account.note(charge["id"]).get("refundable"), text, code="charge_disputed")
    amount = left if params.get("amount") is None else params["amount"]
    require(amount > 0, "Invalid positive integer", "amount", "parameter_invalid_integer")
    currency = charge["currency"]
    text = f"Refund amount ({format_amount(amount, currency)}) is greater than unrefunded amount on charge "
    require(amount <= left, text + f"({format_amount(left, currency)})", "amount")
    return refund_charge(account, charge, amount, params)


def _charge_to_refund(account: Account, params: Object) -> Object:
    given = [name for name in ("charge", "payment_intent") if params.get(name)]
    require(
        len(given) == 1, "One of the following params should be provided for this request: payment_intent or charge."
    )
    if params.get("charge"):
        return account.find("charge", params["charge"], "charge")
    intent = account.find("payment_intent", params["payment_intent"], "payment_intent")
    charge = account.objects.get(intent["latest_charge"] or "")
    if charge is None or charge["status"] != "succeeded":
        raise invalid(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.", "payment_intent"
        )
    return charge


def refund_charge(account: Account, charge: Object, amount: int, params: Object) -> Object:
    card: TestCard = account.cards[charge["payment_method"]]
    refund = account.create(
        "refund",
        account.new_id("re"),
        account.clock_of(charge),
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        customer=charge["customer"],
        payment_method=charge["payment_method"],
        payment_intent=charge["payment_intent"],
        reason=params.get("reason"),
        status="pending" if card.refund == "pending" else "succeeded",
    )
    assign(refund, params, "metadata")
    clock = account.clock_of(charge)
    if card.refund != "succeeded":
        account.note(refund["id"])["settles_at"] = account.now(clock) + REFUND_SECONDS
    entry = create_balance_transaction(account, refund, "refund", -amount, 0, reporting_category="refund")
    refund["balance_transaction"] = entry["id"]
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    account.note(charge["id"]).setdefault("refunds", []).append(refund["id"])
    account.emit("refund.created", refund)
    account.emit("charge.refunded", charge, {"amount_refunded": charge["amount_refunded"] - amount})
    return refund


def finish_refund(account: Account, refund: Object) -> None:
    """The end of a refund that was under way: it arrives, or comes back."""
    account.note(refund["id"]).pop("settles_at")
    charge = account.objects[refund["charge"]]
    if refund["status"] == "pending":
        with account.changing(refund, "refund.updated", "charge.refund.updated"):
            refund["status"] = "succeeded"
        return
    with account.changing(refund, "refund.updated", "refund.failed", "charge.refund.updated"):
        entry = create_balance_transaction(
            account,
            refund,
            "refund_failure",
            refund["amount"],
            0,
            reporting_category="refund_failure",
        )
        refund.update(
            status="failed",
            failure_reason="expired_or_canceled_card",
            failure_balance_transaction=entry["id"],
        )
    with account.changing(charge, "charge.updated"):
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False


def update_refund(account: Account, params: Object, id: str) -> Object:
    refund = account.find("refund", id, in_path=True)
    with account.changing(refund, "refund.updated", "charge.refund.updated"):
        assign(refund, params, "metadata")
    return refund


def cancel_refund(account: Account, params: Object, id: str) -> Object:
    account.find("refund", id, in_path=True)
    raise invalid("Only refunds in the requires_action state can be canceled.")


def list_charge_refunds(account: Account, params: Object, charge: str) -> Object:
    account.find("charge", charge, in_path=True)
    return page_of(list(account.all("refund", charge=charge))[::-1], params, f"/v1/charges/{charge}/refunds")


INCLUDABLE["charge", "refunds"] = lambda account, charge: list_of(
    list(account.all("refund", charge=charge["id"]))[::-1], f"/v1/charges/{charge['id']}/refunds"
)

OPERATIONS = [
    Operation("GET", "/v1/charges/{charge}/refunds", list_charge_refunds, PAGING),
    Operation(
        "POST",
        "/v1/refunds",
        create_refund,
        {"amount": int, "charge": str, "metadata": MAP, "payment_intent": str, "reason": REASONS},
    ),
    listing("refund", "/v1/refunds", charge=str, created=TIMES, payment_intent=str),
    retrieval("refund", "/v1/refunds"),
    Operation("POST", "/v1/refunds/{id}", update_refund, {"metadata": MAP}),
    Operation("POST", "/v1/refunds/{id}/cancel", cancel_refund),
]
