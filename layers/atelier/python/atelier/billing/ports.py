"""Ports of billing: the queue of events, the store of records, and Stripe."""

from __future__ import annotations

from typing import Protocol

from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class BillingEvent:
    """A webhook of Stripe as its handler needs it: its id, its type, and the id of the object that may have changed."""

    id: str
    type: str
    object_id: str


class BillingEventQueue(Protocol):
    """The queue of billing events. Delivery is at least once and unordered."""

    def send(self, event: BillingEvent) -> None: ...
