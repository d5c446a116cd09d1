"""Records of the billing table's stream (DynamoDB JSON, as Lambda delivers them), as changes of plans and invoices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from atelier.adapters.aws.dynamodb.billing.items import BillingItem, decode_invoice, decode_payment, decode_subscription
from atelier.adapters.aws.dynamodb.billing.store import SUBSCRIPTION
from atelier.billing.model import Invoice, Payment, Subscription
from atelier.billing.relay import BillingChange
from atelier.clock import rfc3339

Record = Mapping[str, Any]


def billing_changes(records: Sequence[Record]) -> Iterator[BillingChange]:
    """The subscriptions, invoices and payments that were written, in order. A record has both images."""
    for record in records:
        images = record["dynamodb"]
        if "NewImage" in images:
            after = _decode(images["NewImage"])
            if after is not None:
                before = _decode(images["OldImage"]) if "OldImage" in images else None
                at = datetime.fromtimestamp(images["ApproximateCreationDateTime"], UTC)
                yield BillingChange(before, after, rfc3339(at))


def _decode(image: dict[str, Any]) -> Subscription | Invoice | Payment | None:
    item = BillingItem.from_raw_data(image)
    if item.sk == SUBSCRIPTION:
        return decode_subscription(item)
    if item.sk.startswith("payment#"):
        return decode_payment(item)
    return decode_invoice(item) if item.sk.startswith("invoice#") else None
