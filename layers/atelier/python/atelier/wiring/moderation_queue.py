"""The moderation queue, composed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.moderation_queue import DynamoModerationQueue
from atelier.settings import GenerationsTable

if TYPE_CHECKING:
    from datetime import datetime

    from atelier.audit_log.model import Origin
    from atelier.moderation.queue import DecideDeps


@cache
def queue() -> DynamoModerationQueue:
    """The queue of this deployment."""
    DynamoModerationQueue.bind(GenerationsTable.read().name)
    return DynamoModerationQueue()


def decide_deps() -> DecideDeps:
    """The dependencies of deciding."""
    from atelier.identity.directory import suspend_user
    from atelier.moderation.queue import DecideDeps
    from atelier.wiring import directory

    def suspend(user_id: str, reason: str, origin: Origin, now: datetime) -> object:
        return suspend_user(user_id, reason, origin, deps=directory.deps(), now=now)

    return DecideDeps(queue(), suspend)
