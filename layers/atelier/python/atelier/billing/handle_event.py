"""Handle one event of Stripe: each type has its own file in `stripe_events/`, named by the type.

An event says only which object may have changed. Its file names the use case that reads the object anew, so it does not
matter when, how often and in which order events come."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from atelier.billing import stripe_events
from atelier.billing.deps import BillingDeps
from atelier.billing.ports import BillingEvent
from atelier.telemetry import logger, put_count

Handle = Callable[[BillingEvent, BillingDeps], object]


def handled_types() -> frozenset[str]:
    """The types of events that have a file: an endpoint at Stripe subscribes to these."""
    return frozenset(_names())


def handle_event(message: dict[str, Any], *, deps: Callable[[], BillingDeps]) -> None:
    """Act on a message of the queue of billing events: {"event", "type", "object"}. An event of an unknown type is
    counted; it is kept in the inbox. Raises what the use case raises: the message then comes again."""
    event = BillingEvent(message["event"], message["type"], message["object"])
    facts = {"event_id": event.id, "type": event.type, "object": event.object_id}
    name = _names().get(event.type)
    if name is None:
        put_count("StripeEventsUnknown")
        logger.info("event of an unknown type", extra=facts)
        return
    handle: Handle = import_module(f"{stripe_events.__name__}.{name}").handle
    handle(event, deps())
    logger.info("event handled", extra=facts)


def _names() -> dict[str, str]:
    """The name of the module of each type."""
    folder = Path(stripe_events.__path__[0])
    return {path.stem.replace("__", "."): path.stem for path in folder.glob("*.py") if path.stem != "__init__"}
