"""Paid invoices and packs, from the event bus: each is followed by a receipt by mail."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.clock import Clock, system_clock
from atelier.events.catalogue import InvoicePaid, PackPaid, parse
from atelier.events.dispatch import Subscriptions, dispatch
from atelier.wiring import receipts


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """event: EventBridge's envelope of one of our events. A failure repeats it; each has one receipt."""
    send = partial(receipts.send, now=clock())
    subscriptions: Subscriptions = {InvoicePaid: [send], PackPaid: [send]}
    dispatch(parse(event["detail-type"], event["detail"]), subscriptions)
