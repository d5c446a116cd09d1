"""The stored form of billing's records: one item each, whose facts are JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, cast

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.billing.model import (
    Checkout,
    CheckoutState,
    Invoice,
    LineCredits,
    Payment,
    PlanStatus,
    ReconcilePass,
    Reconciliation,
    Subscription,
)
from atelier.billing.stripe_facts import PlannedChange
from atelier.clock import parse_rfc3339, rfc3339

TIMES = frozenset(
    {
        "at",
        "began_at",
        "created_at",
        "ended_at",
        "expires_at",
        "grace_ends_at",
        "paid_at",
        "paid_until",
        "past_due_since",
        "period_end",
        "period_start",
        "resumes_at",
        "since",
        "started_at",
        "trial_ends_at",
        "until",
    }
)


class BillingItem(Item):
    """One record. `revision`: of a subscription. `read_at`: when Stripe was read for an invoice or a payment."""

    facts = CompactJSON()
    revision = NumberAttribute(null=True)
    read_at = UnicodeAttribute(null=True)
    # Of a checkout that is paid, which no later word changes.
    paid = NumberAttribute(null=True)
    # Of the reservation of a plan.
    held_until = UnicodeAttribute(null=True)
    # Apart from the facts of a payment, which are written anew at each reading.
    suspicious = NumberAttribute(null=True)


def encode(record: Any, *left_out: str) -> dict[str, Any]:
    """The fields of a record as JSON, without those that stand elsewhere in the item."""
    return {
        field.name: _encoded(getattr(record, field.name))
        for field in dataclasses.fields(record)
        if field.name not in left_out
    }


def _encoded(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Enum):
        return value.value
    return encode(value) if dataclasses.is_dataclass(value) else value


def _decoded(facts: Mapping[str, Any], **decoders: Callable[[Any], Any]) -> dict[str, Any]:
    """The values of the fields in JSON, each time as a time. decoders: of other fields, by name."""
    return {
        name: None
        if value is None
        else parse_rfc3339(value)
        if name in TIMES
        else decoders.get(name, _unchanged)(value)
        for name, value in facts.items()
    }


def _unchanged(value: Any) -> Any:
    return value


def decode_checkout(item: BillingItem) -> Checkout:
    return Checkout(id=item.sk, workspace_id=item.pk, **_decoded(item.facts, state=CheckoutState))


def decode_subscription(item: BillingItem) -> Subscription:
    facts = _decoded(item.facts, status=PlanStatus, planned=lambda planned: PlannedChange(**_decoded(planned)))
    return Subscription(workspace_id=item.pk, revision=int(item.revision), **facts)


def decode_line_credits(item: BillingItem) -> tuple[LineCredits, ...]:
    return tuple(LineCredits(**_decoded(each)) for each in cast("list[dict[str, Any]]", item.facts))


def decode_invoice(item: BillingItem) -> Invoice:
    return Invoice(workspace_id=item.pk, **_decoded(item.facts))


def decode_reconciliation(item: BillingItem) -> Reconciliation:
    return Reconciliation(**_decoded(item.facts, open_pass=lambda facts: ReconcilePass(**_decoded(facts))))


def decode_payment(item: BillingItem) -> Payment:
    return Payment(workspace_id=item.pk, is_suspicious=bool(item.suspicious), **_decoded(item.facts))
