"""The event bus. Domain events are delivered at least once; consumers deduplicate them by `id`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from atelier.adapters.aws.clients import client

BATCH_MAX = 10


class EventBridgeBus:
    """Publishes domain events on EventBridge."""

    def __init__(self, name: str) -> None:
        self._name = name

    def publish(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Publish (type, detail) pairs. Raises RuntimeError when the bus refused an event, so that the stream repeats
        the batch."""
        for start in range(0, len(events), BATCH_MAX):
            entries = [
                {
                    "Source": "atelier.generations",
                    "DetailType": kind,
                    "Detail": json.dumps(detail),
                    "EventBusName": self._name,
                }
                for kind, detail in events[start : start + BATCH_MAX]
            ]
            response = client("events").put_events(Entries=entries)
            if response.get("FailedEntryCount"):
                raise RuntimeError(f"the event bus refused {response['FailedEntryCount']} events")
