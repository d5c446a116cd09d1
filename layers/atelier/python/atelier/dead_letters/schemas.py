"""The requests and views of dead letters over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from atelier.audit_log.reason import Reason
from atelier.dead_letters.model import DeadLetter, DeadLetterQueue, Moved
from atelier.errors import NotFound
from atelier.lazy_model import LazyModel

IDS_MAX = 100
LetterIds = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=IDS_MAX)
]


class LettersQuery(LazyModel):
    """How many messages are read."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=10, ge=1, le=100)


class RedriveRequest(LazyModel):
    """Send messages again."""

    model_config = ConfigDict(extra="forbid")

    ids: LetterIds | None = Field(
        default=None, description="Those with these ids; without it all, up to 200 a request."
    )


class DropRequest(LazyModel):
    """Drop messages."""

    model_config = ConfigDict(extra="forbid")

    ids: LetterIds
    reason: Reason = Field(description="For the audit log, which keeps the beginning of each message too.")


class DeadLetterQueueView(LazyModel):
    """One queue of dead letters."""

    queue: DeadLetterQueue
    count: int = Field(description="About how many messages there are.")


class DeadLetterQueueList(LazyModel):
    """All queues of dead letters."""

    items: list[DeadLetterQueueView]


class DeadLetterView(LazyModel):
    """One message. `body` is as it was sent, without handles of secrets, and cut when it is long."""

    id: str
    body: str
    sent_at: datetime
    received: int = Field(description="How often it was received since it is dead, by reading too.")
    attributes: dict[str, str]


class DeadLetterList(LazyModel):
    """Messages of a queue, in no particular order."""

    items: list[DeadLetterView]


class MovedView(LazyModel):
    """What a request did."""

    count: int = Field(description="How many messages were sent again, or dropped.")
    left: int = Field(description="About how many messages the queue has now.")


def queue_named(name: str) -> DeadLetterQueue:
    """The queue of a path. Raises NotFound."""
    try:
        return DeadLetterQueue(name)
    except ValueError:
        raise NotFound from None


def queue_list(counts: dict[DeadLetterQueue, int]) -> DeadLetterQueueList:
    """The response with all queues."""
    return DeadLetterQueueList(items=[DeadLetterQueueView(queue=queue, count=count) for queue, count in counts.items()])


def letter_list(letters: list[DeadLetter]) -> DeadLetterList:
    """The response with messages."""
    views = [
        DeadLetterView(
            id=each.id,
            body=each.shown_body,
            sent_at=each.sent_at,
            received=each.received,
            attributes=each.attributes,
        )
        for each in letters
    ]
    return DeadLetterList(items=views)


def moved_view(moved: Moved) -> MovedView:
    """The response about what was done."""
    return MovedView(count=moved.count, left=moved.left)
