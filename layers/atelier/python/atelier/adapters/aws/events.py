"""The event bus. Events are delivered at least once; consumers recognise a repeated event by its `id`."""

from __future__ import annotations

import json

from atelier.adapters.aws.clients import client
from atelier.events.event import Event, payload


class EventBridgeBus:
    """EventPublisher on EventBridge."""

    def __init__(self, name: str) -> None:
        self._name = name

    def publish(self, event: Event) -> None:
        entry = {
            "Source": event.source,
            "DetailType": event.type,
            "Detail": json.dumps(payload(event)),
            "EventBusName": self._name,
        }
        response = client("events").put_events(Entries=[entry])
        if response.get("FailedEntryCount"):
            raise RuntimeError(f"the event bus refused {event.type}")
