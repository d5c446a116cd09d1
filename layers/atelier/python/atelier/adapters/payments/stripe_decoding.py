"""Stripe's objects, as plain JSON of the pinned API version, to the facts of billing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from atelier.billing.stripe_facts import (
    CheckoutFacts,
    CustomerFacts,
    DisputeFacts,
    InvoiceFacts,
    LineFacts,
    PaymentFacts,
    PlannedChange,
    PriceFacts,
    RefundFacts,
    SubscriptionFacts,
)

Json = Mapping[str, Any]
# The names of our facts in the metadata of Stripe's objects.
TIER, PACK = "atelier_tier", "atelier_pack"
# In the metadata of a subscription that was ended because its workspace is being deleted.
ENDS_WITH_WORKSPACE = "atelier_ends_with_workspace"
WORKSPACE, CHECKOUT = "workspace_id", "checkout_id"
# In the metadata of a transaction of a customer's balance: the key by which it is made once.
ONCE = "atelier_once"


def time_of(seconds: int) -> datetime:
    """A time of Stripe's, in Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def _optional_time(seconds: int | None) -> datetime | None:
    return time_of(seconds) if seconds is not None else None


def id_of(value: Any) -> str | None:
    """The id of an object that is given by its id or in full."""
    return value if value is None or isinstance(value, str) else value["id"]


def _part(found: Json, name: str) -> Json:
    """A part of an object; empty where it is null or missing."""
    return cast("Json", found.get(name) or {})


def customer_facts(found: Json) -> CustomerFacts:
    return CustomerFacts(found["id"], bool(found.get("deleted")), found.get("email"))


def price_facts(found: Json) -> PriceFacts:
    metadata: Json = _part(found, "metadata")
    recurring: Json = _part(found, "recurring")
    # Another interval, such as a week, is none that we sell.
    interval = recurring.get("interval") if recurring.get("interval_count") == 1 else None
    return PriceFacts(
        found["id"],
        found["currency"],
        found.get("unit_amount") or 0,
        interval if interval in ("month", "year") else None,
        metadata.get(TIER),
        metadata.get(PACK),
    )


def subscription_facts(found: Json, price_of: Callable[[str], PriceFacts]) -> SubscriptionFacts:
    """A subscription, read with its schedule and its latest invoice. price_of: the price with an id."""
    items: list[Json] = found["items"]["data"]
    ours = next((item for item in items if _part(item["price"], "metadata").get(TIER)), None)
    some = ours or items[0]
    pause: Json | None = found.get("pause_collection")
    return SubscriptionFacts(
        id=found["id"],
        customer_id=id_of(found["customer"]) or "",
        status=found["status"],
        price=price_facts(ours["price"]) if ours else None,
        item_id=ours["id"] if ours else None,
        anchor=time_of(found["billing_cycle_anchor"]),
        period_start=time_of(some["current_period_start"]),
        period_end=time_of(some["current_period_end"]),
        created_at=time_of(found["created"]),
        cancel_at_period_end=bool(found["cancel_at_period_end"]),
        trial_ends_at=_optional_time(found.get("trial_end")),
        is_collection_paused=pause is not None,
        resumes_at=_optional_time(pause.get("resumes_at")) if pause else None,
        ended_at=_optional_time(found.get("ended_at")),
        ends_by=_part(found, "cancellation_details").get("reason") if found.get("ended_at") else None,
        latest_invoice_id=id_of(found.get("latest_invoice")),
        latest_invoice_status=_part(found, "latest_invoice").get("status"),
        schedule_id=id_of(found.get("schedule")),
        planned=_planned_change(found.get("schedule"), time_of(some["current_period_end"]), price_of),
        ends_with_workspace=bool(_part(found, "metadata").get(ENDS_WITH_WORKSPACE)),
    )


def _planned_change(
    schedule: Json | str | None, period_end: datetime, price_of: Callable[[str], PriceFacts]
) -> PlannedChange | None:
    if schedule is None or isinstance(schedule, str):
        return None
    for phase in schedule["phases"]:
        at = time_of(phase["start_date"])
        if at >= period_end and phase["items"]:
            price = price_of(id_of(phase["items"][0]["price"]) or "")
            if price.tier is not None and price.interval is not None:
                return PlannedChange(price.tier, price.interval, at)
    return None


def invoice_facts(found: Json, lines: list[Json], price_of: Callable[[str], PriceFacts]) -> InvoiceFacts:
    """An invoice with all its lines, read with its payments."""
    details = _part(_part(found, "parent"), "subscription_details")
    transitions: Json = _part(found, "status_transitions")
    return InvoiceFacts(
        id=found.get("id") or "",
        customer_id=id_of(found["customer"]) or "",
        subscription_id=id_of(details.get("subscription")),
        status=found.get("status") or "draft",
        reason=found.get("billing_reason") or "",
        number=found.get("number"),
        currency=found["currency"],
        subtotal=found["subtotal"],
        discount=_sum_of_amounts(found.get("total_discount_amounts")),
        tax=_sum_of_amounts(found.get("total_taxes")),
        total=found["total"],
        amount_due=found["amount_due"],
        amount_paid=found["amount_paid"],
        created_at=time_of(found["created"]),
        period_start=min((time_of(line["period"]["start"]) for line in lines), default=time_of(found["period_start"])),
        period_end=max((time_of(line["period"]["end"]) for line in lines), default=time_of(found["period_end"])),
        lines=tuple(_line_facts(line, price_of) for line in lines),
        finalized_at=_optional_time(transitions.get("finalized_at")),
        paid_at=_optional_time(transitions.get("paid_at")),
        page_url=found.get("hosted_invoice_url"),
        file_url=found.get("invoice_pdf"),
        paid_by=tuple(_paid_by(found)),
        # A balance below zero is credit; a draft has no ending balance yet.
        from_balance=max(0, (found.get("ending_balance") or 0) - (found.get("starting_balance") or 0))
        if found.get("ending_balance") is not None
        else 0,
    )


def paid_period_end(invoice: Json) -> datetime | None:
    """The end of the period that an invoice is for; None for one that is for no period of a subscription. A line that
    gives money back is of the plan that was left."""
    ends: list[int] = [
        line["period"]["end"]
        for line in invoice["lines"]["data"]
        if line["amount"] >= 0 and _part(line, "parent").get("subscription_item_details")
    ]
    return time_of(max(ends)) if ends else None


def _sum_of_amounts(parts: list[Json] | None) -> int:
    return sum(part["amount"] for part in parts or [])


def _paid_by(invoice: Json) -> list[str]:
    found: list[str] = []
    payments: list[Json] = _part(invoice, "payments").get("data") or []
    for each in payments:
        payment = id_of(each["payment"].get("payment_intent"))
        if each["status"] == "paid" and payment is not None:
            found.append(payment)
    return found


def _line_facts(line: Json, price_of: Callable[[str], PriceFacts]) -> LineFacts:
    pricing: Json = _part(line, "pricing")
    price_id = id_of(_part(pricing, "price_details").get("price"))
    parent: Json = _part(line, "parent")
    details = _part(parent, "subscription_item_details") or _part(parent, "invoice_item_details")
    is_proration = bool(details.get("proration"))
    unit_amount = Decimal(pricing.get("unit_amount_decimal") or 0)
    return LineFacts(
        id=line["id"],
        price=price_of(price_id) if price_id else None,
        amount=line["amount"],
        is_proration=is_proration,
        # The amount is before discounts, so only a trial makes a price's line free.
        is_trial=line["amount"] == 0 and unit_amount > 0 and not is_proration,
        period_start=time_of(line["period"]["start"]),
        period_end=time_of(line["period"]["end"]),
        is_credit=bool(_part(details, "proration_details").get("credited_items")),
    )


def payment_facts(found: Json) -> PaymentFacts:
    """A payment intent, read with its latest charge and that one's balance transaction."""
    metadata: Json = _part(found, "metadata")
    charge: Json = _part(found, "latest_charge")
    fees = charge.get("balance_transaction")
    failure: Json = _part(found, "last_payment_error")
    return PaymentFacts(
        id=found["id"],
        customer_id=id_of(found.get("customer")),
        status=found["status"],
        amount=found["amount"],
        currency=found["currency"],
        created_at=time_of(found["created"]),
        charge_id=charge.get("id"),
        refunded=charge.get("amount_refunded") or 0,
        is_disputed=bool(charge.get("disputed")),
        fee=cast("Json", fees)["fee"] if isinstance(fees, Mapping) else None,
        receipt_url=charge.get("receipt_url"),
        failure=failure.get("message"),
        workspace_id=metadata.get(WORKSPACE),
        checkout_id=metadata.get(CHECKOUT),
    )


def refund_facts(found: Json) -> RefundFacts:
    return RefundFacts(
        found["id"],
        id_of(found.get("payment_intent")),
        found["amount"],
        found.get("status") or "pending",
        time_of(found["created"]),
    )


def dispute_facts(found: Json) -> DisputeFacts:
    return DisputeFacts(
        found["id"], id_of(found.get("payment_intent")), found["amount"], found["status"], time_of(found["created"])
    )


def checkout_facts(found: Json) -> CheckoutFacts:
    metadata: Json = _part(found, "metadata")
    return CheckoutFacts(
        id=found["id"],
        customer_id=id_of(found.get("customer")),
        status=found.get("status") or "open",
        payment_status=found["payment_status"],
        subtotal=found.get("amount_subtotal") or 0,
        currency=found.get("currency") or "",
        url=found.get("url"),
        subscription_id=id_of(found.get("subscription")),
        payment_id=id_of(found.get("payment_intent")),
        workspace_id=metadata.get(WORKSPACE),
        checkout_id=metadata.get(CHECKOUT),
    )
