"""Stream of the billing table, the outbox: changes of plans, paid invoices and packs go to the event bus
and the feeds."""

from __future__ import annotations

from typing import Any

from atelier.billing.relay import relay_all
from atelier.wiring import outbox


def handler(event: dict[str, Any], _context: object) -> None:
    """Relay a DynamoDB stream batch with both images. A failure repeats the batch; publishing again is harmless."""
    relay_all(outbox.billing_changes(event["Records"]), events=outbox.publisher())
