"""The event bus: what happened, for whoever wants to know. Delivered at least once; readers dedupe by `id`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from atelier.aws.clients import client

BATCH_MAX = 10


class EventBridgeBus:
    """Publishes domain events on EventBridge."""

    def __init__(self, name: str) -> None:
        self._name = name

    def publish(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Publish (type, detail) pairs; raises RuntimeError when the bus refused one, so that the batch is repeated."""
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
            answer = client("events").put_events(Entries=entries)
            if answer.get("FailedEntryCount"):
                raise RuntimeError(f"the event bus refused {answer['FailedEntryCount']} events")
