"""Record what a request does, where the change itself is written by somebody else, such as a payment service."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from atelier.audit_log.model import Origin, audit_event
from atelier.audit_log.ports import AuditLog
from atelier.dataclass import dataclass


class Record(Protocol):
    """Writes one event of a request at once."""

    def __call__(self, action: str, *, target: str | None = None, **facts: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """Record for one request: its events go into the log of `workspace_id`."""

    events: AuditLog
    workspace_id: str
    origin: Origin
    now: datetime

    def __call__(self, action: str, *, target: str | None = None, **facts: Any) -> None:
        self.events.append(audit_event(self.workspace_id, action, self.origin, self.now, target=target, **facts))


def record_nothing(action: str, *, target: str | None = None, **facts: Any) -> None:
    """Record for callers that change nothing."""
