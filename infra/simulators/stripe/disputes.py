"""Disputes: the cardholder asks for the money back. Evidence decides, by Stripe's words for its test mode."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.account import Account, Object, merge_metadata, require
from infra.simulators.stripe.balance import create_balance_transaction
from infra.simulators.stripe.form import MAP
from infra.simulators.stripe.money import DISPUTE_FEE
from infra.simulators.stripe.operations import TIMES, Operation, listing, retrieval
from infra.simulators.stripe.periods import DAY
from infra.simulators.stripe.shapes import names_of

EVIDENCE = names_of(
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal "
    "customer_communication customer_email_address customer_name customer_purchase_ip customer_signature "
    "duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt "
    "refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation "
    "shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number "
    "uncategorized_file uncategorized_text"
)
REASONS = {"dispute": "fraudulent", "not_received": "product_not_received", "inquiry": "fraudulent"}
# What the text of the evidence says → what becomes of the dispute.
OUTCOMES = {"winning_evidence": "won", "losing_evidence": "lost"}
ESCALATION = "escalate_inquiry_evidence"
DAYS_TO_ANSWER = 9
CLOSED = ("won", "lost", "warning_closed")


def open_dispute(account: Account, charge: Object, kind: str = "dispute", amount: int | None = None) -> Object:
    """A dispute of a charge; an inquiry takes no money yet."""
    clock = account.clock_of(charge)
    inquiry = kind == "inquiry"
    card = (charge["payment_method_details"] or {}).get("card") or {}
    dispute = account.create(
        "dispute",
        account.new_id("du"),
        clock,
        amount=charge["amount_captured"] - charge["amount_refunded"] if amount is None else amount,
        charge=charge["id"],
        currency=charge["currency"],
        evidence={**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        evidence_details={
            "due_by": account.now(clock) + DAYS_TO_ANSWER * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=inquiry,
        payment_intent=charge["payment_intent"],
        payment_method_details={
            "card": {
                "brand": card.get("brand", "visa"),
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": card.get("brand", "visa"),
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        reason=REASONS[kind],
        status="warning_needs_response" if inquiry else "needs_response",
    )
    account.note(charge["id"])["refundable"] = inquiry
    with account.changing(charge, "charge.updated"):
        charge["disputed"] = True
    if not inquiry:
        _withdraw(account, dispute, charge)
    account.emit("charge.dispute.created", dispute)
    if not inquiry:
        account.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _withdraw(account: Account, dispute: Object, charge: Object) -> None:
    fee = DISPUTE_FEE.get(dispute["currency"], 1500)
    _book(account, dispute, charge, -dispute["amount"], fee, "dispute")


def _book(account: Account, dispute: Object, charge: Object, amount: int, fee: int, category: str) -> None:
    source: dict[str, Any] = {**dispute, "customer": charge["customer"]}
    entry = create_balance_transaction(account, source, "adjustment", amount, fee, reporting_category=category)
    dispute["balance_transactions"].append(dict(entry))


def update_dispute(account: Account, params: Object, id: str) -> Object:
    """Evidence is kept until it is submitted; then its text decides (`winning_evidence`, `losing_evidence`)."""
    dispute = account.find("dispute", id, in_path=True)
    require(dispute["status"] not in CLOSED, "This dispute is already closed.")
    evidence = params.get("evidence") or {}
    submits = params.get("submit", True) and bool(evidence)
    with account.changing(dispute, "charge.dispute.updated"):
        if "metadata" in params:
            merge_metadata(dispute, params["metadata"])
        dispute["evidence"].update(evidence)
        details = dispute["evidence_details"]
        details["has_evidence"] = any(dispute["evidence"][name] for name in EVIDENCE)
        if submits:
            details["submission_count"] += 1
            details["submission_method"] = "manual"
            inquiry = dispute["status"].startswith("warning")
            dispute["status"] = "warning_under_review" if inquiry else "under_review"
    if submits:
        _decide(account, dispute, dispute["evidence"]["uncategorized_text"])
    return dispute


def _decide(account: Account, dispute: Object, text: str | None) -> None:
    charge = account.objects[dispute["charge"]]
    inquiry = dispute["status"].startswith("warning")
    if inquiry and text == ESCALATION:
        with account.changing(dispute, "charge.dispute.updated"):
            dispute.update(status="needs_response", is_charge_refundable=False)
            dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
        account.note(charge["id"])["refundable"] = False
        _withdraw(account, dispute, charge)
        account.emit("charge.dispute.funds_withdrawn", dispute)
    elif text in OUTCOMES:
        end_dispute(account, dispute, "warning_closed" if inquiry else OUTCOMES[text])


def end_dispute(account: Account, dispute: Object, status: str) -> None:
    """The bank's decision: a dispute that is won gives the money back, without the fee."""
    charge = account.objects[dispute["charge"]]
    with account.changing(dispute, "charge.dispute.closed"):
        dispute["status"] = status
        if status == "won":
            _book(account, dispute, charge, dispute["amount"], 0, "dispute_reversal")
    if status == "won":
        account.emit("charge.dispute.funds_reinstated", dispute)
    if status in ("won", "warning_closed"):
        account.note(charge["id"])["refundable"] = True


def close_dispute(account: Account, params: Object, id: str) -> Object:
    """Accept the dispute: it is lost."""
    dispute = account.find("dispute", id, in_path=True)
    require(dispute["status"] not in CLOSED, "This dispute is already closed.")
    end_dispute(account, dispute, "lost")
    return dispute


OPERATIONS = [
    listing("dispute", "/v1/disputes", charge=str, created=TIMES, payment_intent=str),
    retrieval("dispute", "/v1/disputes"),
    Operation(
        "POST",
        "/v1/disputes/{id}",
        update_dispute,
        {"evidence": dict.fromkeys(EVIDENCE, str), "metadata": MAP, "submit": bool},
    ),
    Operation("POST", "/v1/disputes/{id}/close", close_dispute),
]
