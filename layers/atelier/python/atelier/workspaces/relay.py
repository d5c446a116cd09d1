"""The outbox of accounts and organisations: committed changes of the identity table become events."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from atelier.events.catalogue import AccountChanged, MemberChanged, WorkspaceChanged
from atelier.events.ports import EventPublisher
from atelier.telemetry import logger


def publish_all(
    changes: Iterable[MemberChanged | WorkspaceChanged | AccountChanged], *, events: Callable[[], EventPublisher]
) -> None:
    """Publish the changes in their order. A repeated change is published with the same id. events: makes the publisher;
    most batches of the table's stream have no such change."""
    for change in changes:
        events().publish(change)
        logger.info("published", type=change.type, event_id=change.id, workspace_id=change.workspace_id)
