"""An outbox: what was committed is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from atelier.events.event import Event
from atelier.events.ports import EventPublisher
from atelier.telemetry import logger


def publish_all(changes: Iterable[Event], *, events: Callable[[], EventPublisher]) -> None:
    """Publish changes in their order. A repeated change is published with the same id. events: makes the publisher;
    most batches of a table's stream have no such change."""
    for change in changes:
        events().publish(change)
        workspace_id = getattr(change, "workspace_id", None)
        logger.info("published", type=change.type, event_id=change.id, workspace_id=workspace_id)
