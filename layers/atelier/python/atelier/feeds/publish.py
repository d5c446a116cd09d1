"""Publish events on the bus and, those of a workspace, in its feed."""

from __future__ import annotations

from atelier.clock import Clock
from atelier.events.catalogue import GenerationEnded, StageEnded
from atelier.events.event import Event
from atelier.events.ports import EventPublisher
from atelier.feeds.model import feed_event
from atelier.feeds.ports import FeedWriter


class BusAndFeeds:
    """EventPublisher for the outboxes. The end of a generation is not put into a feed here: the outbox of generations
    does it, with what else became of the generation."""

    def __init__(self, bus: EventPublisher, feeds: FeedWriter, clock: Clock) -> None:
        self._bus, self._feeds, self._clock = bus, feeds, clock

    def publish(self, event: Event) -> None:
        self._bus.publish(event)
        workspace_id = getattr(event, "workspace_id", None)
        if workspace_id and not isinstance(event, GenerationEnded | StageEnded):
            self._feeds.append(workspace_id, [feed_event(event)], self._clock())
