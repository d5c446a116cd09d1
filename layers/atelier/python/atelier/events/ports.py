"""The port of whoever publishes events."""

from __future__ import annotations

from typing import Protocol

from atelier.events.event import Event


class EventPublisher(Protocol):
    """The event bus."""

    def publish(self, event: Event) -> None:
        """Publish one event. Raises an exception when the bus does not take it; publishing it again is harmless."""
        ...
