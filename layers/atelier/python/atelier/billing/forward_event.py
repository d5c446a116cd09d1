"""Forward a stored webhook of Stripe to the queue of billing events.

A queue of its own, because a handler waits for Stripe: an event that fails is tried again for hours and holds up
neither other events nor the webhooks of providers."""

from __future__ import annotations

from collections.abc import Mapping

from atelier.billing.ports import BillingEvent, BillingEventQueue


def forward_event(address: Mapping[str, str], *, queue: BillingEventQueue) -> None:
    """Queue the event with this address, unless it is to be ignored. Safe to repeat: handlers are."""
    if "ignored" not in address:
        queue.send(BillingEvent(address["event"], address["type"], address["object"]))
