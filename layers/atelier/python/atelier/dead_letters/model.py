"""Dead letters as values. Immutable, no side effects."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from atelier.dataclass import dataclass
from atelier.errors import Conflict

# Parts of a message that are handles of something secret, and are not shown.
SECRET_PARTS = frozenset({"task_token", "taskToken", "token"})
HIDDEN = "…"
BODY_CHARACTERS_MAX = 20_000


class DeadLetterQueue(StrEnum):
    """The queues of dead letters (infra/messaging.yaml)."""

    ATTEMPTS = "attempts"
    RESETS = "resets"
    BILLING_EVENTS = "billing-events"
    UPDATES = "updates"
    EVENTS = "events"


class NotRepeatable(Conflict):
    """The message has no queue to go back to, and no function takes it as it is."""

    def __init__(self) -> None:
        super().__init__(
            "This message says where a function failed, not with what: its records are repaired by the reconcilers. "
            "Drop it when that was done."
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message. receipt: by which it is deleted or put back, until its time of hiding is over. attributes: names and
    texts that the sender added, such as why it failed."""

    id: str
    body: str
    sent_at: datetime
    received: int
    receipt: str
    attributes: dict[str, str]

    @property
    def shown_body(self) -> str:
        """The body for people: without handles of secrets, and cut to BODY_CHARACTERS_MAX."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return self.body[:BODY_CHARACTERS_MAX]
        return json.dumps(_without_secrets(content), ensure_ascii=False)[:BODY_CHARACTERS_MAX]


@dataclass(frozen=True, slots=True)
class Moved:
    """What a request did to a queue: how many messages, and about how many there are now."""

    count: int
    left: int


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        return {name: HIDDEN if name in SECRET_PARTS else _without_secrets(part) for name, part in given.items()}
    if isinstance(value, list):
        return [_without_secrets(part) for part in cast("list[Any]", value)]
    return value
