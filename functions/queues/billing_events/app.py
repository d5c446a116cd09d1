"""Queue: events of Stripe, each of which names an object that is read anew from Stripe."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.billing.handle_event import handle_event
from atelier.clock import Clock, system_clock
from atelier.message_batches import BatchResponse, process_messages
from atelier.wiring import payments


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> BatchResponse:
    """Act on an SQS batch of {event, type, object}."""
    return process_messages(event, partial(handle_event, deps=partial(payments.billing_deps, clock)))
