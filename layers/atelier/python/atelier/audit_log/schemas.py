"""The query and the views of audit logs over HTTP."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field

from atelier.audit_log.ports import EventFilter
from atelier.errors import ValidationFailed
from atelier.lazy_model import LazyModel


class LogFormat(StrEnum):
    """The forms in which a log is read: pages of JSON, exports of many events, and the proof."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PROOF = "proof"


class AuditQuery(LazyModel):
    """Which events are read, newest first. An export and a proof have as many events as fit into a response; their
    header `Atelier-Next-Cursor` has the cursor of the next part."""

    model_config = ConfigDict(extra="ignore")

    actor: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="The user who did it.")
    action: Annotated[str, Field(max_length=64, pattern=r"^[a-z_]+\.[a-z_]*$")] | None = Field(
        default=None, description="One action, or with a final dot all that begin so.", examples=["session."]
    )
    begin: AwareDatetime | None = Field(default=None, alias="from", description="Not before this time.")
    end: AwareDatetime | None = Field(default=None, alias="to", description="Before this time.")
    format: LogFormat = Field(
        default=LogFormat.JSON,
        description="`proof` has all events with their seals, oldest first, for the offline check; it takes no filter.",
    )
    limit: int = Field(default=25, ge=1, le=100, description="Of a page of JSON.")
    cursor: Annotated[str, Field(max_length=200)] | None = None

    def wanted(self) -> EventFilter:
        """The filter that the query names."""
        return EventFilter(self.actor, self.action, self.begin, self.end)

    def require_no_filter(self) -> None:
        """Raises ValidationFailed when the query has a filter."""
        given = {"actor": self.actor, "action": self.action, "from": self.begin, "to": self.end}
        fields = [name for name, value in given.items() if value is not None]
        if fields:
            raise ValidationFailed([{"path": f"query.{name}", "message": "a proof has all events"} for name in fields])


class AuditEventView(LazyModel):
    """One event of a log. `actor` is a user, null before a sign-in and for what Atelier did by itself; `facts` say
    more."""

    id: str
    at: datetime
    actor: str | None
    token_id: str | None = Field(description="The API token that was used.")
    action: str
    target: str | None = Field(description="What it happened to.")
    outcome: str = Field(description="`ok` or `refused`.")
    address: str
    user_agent: str
    request_id: str
    facts: dict[str, Any]
    erased: str | None = Field(
        default=None,
        description="Only of an event that an erasure has changed: the event by which it was.",
        exclude_if=lambda event_id: event_id is None,
    )


class AuditEventList(LazyModel):
    """A page of events, newest first."""

    items: list[AuditEventView]
    next_cursor: str | None
