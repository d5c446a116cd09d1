"""Refunds, disputes and warnings: money that goes back, and what the account's balance says of it."""

from __future__ import annotations

import httpx
import pytest
import stripe

from infra.simulators.stripe.server import StripeSimulator
from tests.simulators.stripe.flows import Browser, events, monthly, new_customer, subscribe


def pay(client: stripe.StripeClient, amount: int = 5000, card: str = "visa", **fields: object) -> stripe.PaymentIntent:
    given = {"amount": amount, "currency": "usd", "payment_method": f"pm_card_{card}", "confirm": True, **fields}
    return client.v1.payment_intents.create(
        {**given, "return_url": "http://shop.example/", "expand": ["latest_charge"]}
    )


def entries(client: stripe.StripeClient) -> list[tuple[str, int, int]]:
    """The balance's entries, oldest first: category, amount, fee."""
    found = [(entry.reporting_category, entry.amount, entry.fee) for entry in client.v1.balance_transactions.list()]
    return found[::-1]


def test_a_payment_is_refunded_in_parts_and_never_beyond(client: stripe.StripeClient) -> None:
    intent = pay(client)
    first = client.v1.refunds.create({"payment_intent": intent.id, "amount": 1500, "metadata": {"why": "late"}})
    assert (first.status, first.charge) == ("succeeded", intent.latest_charge.id)
    with pytest.raises(
        stripe.InvalidRequestError, match=r"Refund amount \(\$40.00\) is greater than unrefunded amount"
    ):
        client.v1.refunds.create({"charge": first.charge, "amount": 4000})
    rest = client.v1.refunds.create({"charge": first.charge, "reason": "requested_by_customer"})
    charge = client.v1.charges.retrieve(first.charge, {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded) == (5000, True)
    assert [refund.id for refund in charge.refunds] == [rest.id, first.id]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"charge": first.charge})
    assert refused.value.code == "charge_already_refunded"
    assert [event.data.object["amount_refunded"] for event in events(client, "charge.refunded")] == [1500, 5000]
    assert len(events(client, "refund.created")) == 2
    # 2.9 % of 50.00 and 0.30; a refund gives no fee back.
    assert entries(client) == [("charge", 5000, 175), ("refund", -1500, 0), ("refund", -3500, 0)]


@pytest.mark.parametrize(
    ("card", "first", "last", "event"),
    [
        ("pendingRefund", "pending", "succeeded", "refund.updated"),
        ("refundFail", "succeeded", "failed", "refund.failed"),
    ],
)
def test_a_refund_may_end_otherwise_than_it_began(
    client: stripe.StripeClient, simulator: StripeSimulator, card: str, first: str, last: str, event: str
) -> None:
    intent = pay(client, card=card)
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == first
    simulator.advance(seconds=600)
    ended = client.v1.refunds.retrieve(refund.id)
    assert (ended.status, ended.to_dict().get("failure_reason")) == (
        last,
        "expired_or_canceled_card" if last == "failed" else None,
    )
    assert client.v1.charges.retrieve(refund.charge).refunded == (last == "succeeded")
    (told,) = events(client, event)
    assert told.data.object["id"] == refund.id


@pytest.mark.parametrize(
    ("text", "status", "event"),
    [
        ("winning_evidence", "won", "charge.dispute.funds_reinstated"),
        ("losing_evidence", "lost", "charge.dispute.closed"),
    ],
)
def test_a_dispute_takes_the_money_and_evidence_decides(
    client: stripe.StripeClient, text: str, status: str, event: str
) -> None:
    intent = pay(client, card="createDispute")
    (dispute,) = client.v1.disputes.list({"payment_intent": intent.id})
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 5000)
    assert client.v1.charges.retrieve(intent.latest_charge.id).disputed
    assert len(events(client, "charge.dispute.created", "charge.dispute.funds_withdrawn")) == 2
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert refused.value.code == "charge_disputed"
    saved = client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}, "submit": False})
    assert (saved.status, saved.evidence_details.has_evidence) == ("needs_response", True)
    decided = client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}, "submit": True})
    assert decided.status == status
    assert events(client, event)
    taken = [("charge", 5000, 175), ("dispute", -5000, 1500)]
    assert entries(client) == (taken if status == "lost" else [*taken, ("dispute_reversal", 5000, 0)])


def test_an_inquiry_takes_no_money_until_it_is_escalated(client: stripe.StripeClient) -> None:
    intent = pay(client, card="createDisputeInquiry")
    (dispute,) = client.v1.disputes.list({"payment_intent": intent.id})
    assert (dispute.status, dispute.is_charge_refundable) == ("warning_needs_response", True)
    assert events(client, "charge.dispute.funds_withdrawn") == []
    escalated = client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}})
    assert (escalated.status, escalated.is_charge_refundable) == ("needs_response", False)
    assert client.v1.disputes.close(dispute.id).status == "lost"


def test_a_cardholder_objects_when_it_is_asked_for(client: stripe.StripeClient, simulator: StripeSimulator) -> None:
    customer = new_customer(client)
    subscription = subscribe(client, customer, monthly(client).id)
    payment = client.v1.invoice_payments.list({"invoice": subscription.latest_invoice}).data[0].payment
    charge = client.v1.payment_intents.retrieve(payment.payment_intent).latest_charge
    control = f"{simulator.url}/_simulator"
    dispute = httpx.post(f"{control}/dispute", json={"charge": charge, "kind": "not_received"}).json()
    assert client.v1.disputes.retrieve(dispute["id"]).reason == "product_not_received"
    httpx.post(f"{control}/dispute", json={"dispute": dispute["id"], "status": "won"})
    assert client.v1.disputes.retrieve(dispute["id"]).status == "won"
    warning = httpx.post(f"{control}/warning", json={"charge": charge}).json()
    assert client.v1.radar.early_fraud_warnings.retrieve(warning["id"]).actionable
    assert len(events(client, "radar.early_fraud_warning.created")) == 1
    assert httpx.post(f"{control}/dispute", json={"charge": "ch_none"}).status_code == 400


@pytest.mark.parametrize(
    ("card", "code", "decline"),
    [
        ("chargeDeclined", "card_declined", "generic_decline"),
        ("chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
def test_a_declined_card_is_the_sdks_card_error(
    client: stripe.StripeClient, card: str, code: str, decline: str
) -> None:
    with pytest.raises(stripe.CardError) as refused:
        pay(client, card=card)
    assert (refused.value.http_status, refused.value.code) == (402, code)
    assert refused.value.error.decline_code == decline
    intent = client.v1.payment_intents.retrieve(refused.value.error.payment_intent.id)
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", code)
    assert client.v1.charges.retrieve(intent.latest_charge).status == "failed"


def test_3d_secure_is_refused_off_session_and_asked_on_session(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError) as refused:
        pay(client, card="authenticationRequired", customer=new_customer(client), off_session=True)
    assert refused.value.code == "authentication_required"
    intent = pay(client, card="authenticationRequired")
    assert intent.status == "requires_action"
    Browser(intent.next_action.redirect_to_url.url).press("Complete")
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_payment_is_authorized_first_and_captured_later(client: stripe.StripeClient) -> None:
    held = pay(client, capture_method="manual")
    assert (held.status, held.amount_capturable, held.latest_charge.captured) == ("requires_capture", 5000, False)
    taken = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 3000})
    assert (taken.status, taken.amount_received) == ("succeeded", 3000)
    dropped = pay(client, capture_method="manual")
    assert client.v1.payment_intents.cancel(dropped.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.confirm(dropped.id)
    assert refused.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(("currency", "amount"), [("usd", 49), ("jpy", 49), ("gbp", 29)])
def test_an_amount_below_the_least_is_refused(client: stripe.StripeClient, currency: str, amount: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.create({"amount": amount, "currency": currency})
    assert refused.value.code == "amount_too_small"
    assert client.v1.payment_intents.create({"amount": amount + 1, "currency": currency}).currency == currency
