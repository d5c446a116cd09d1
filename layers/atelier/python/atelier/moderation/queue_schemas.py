"""The requests and views of the moderation queue, for administrators of the platform."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from atelier import cursors
from atelier.audit_log.reason import Reason
from atelier.lazy_model import LazyModel
from atelier.moderation.queue import Decision, FlaggedItem, FlaggedPage, FlagSource

CURSOR_PREFIX = "mod_"


class DecideRequest(LazyModel):
    """Decide an item."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision = Field(description="`suspend` also suspends the person's account.")
    reason: Reason = Field(description="For the audit logs; the workspace's own log shows it too.")


class ModerationQuery(LazyModel):
    """Which items are listed, those of the newest day first."""

    model_config = ConfigDict(extra="ignore")

    decided: bool = Field(default=False, description="true: those that were decided, too.")
    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class FlaggedItemView(LazyModel):
    """What was refused to one person in one workspace on one day for one reason."""

    id: str
    source: FlagSource
    workspace_id: str
    user_id: str
    category: str
    kind: str = Field(description="Of the first refusal.")
    model: str = Field(description="Of the first refusal, as the request named it.")
    count: int = Field(description="How many refusals; at most 200 are counted.")
    subject_ids: list[str] = Field(description="Of results: the generations. A refused prompt is stored nowhere.")
    first_at: datetime
    last_at: datetime
    decision: Decision | None = Field(description="null = open.")
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None


class FlaggedItemEnvelope(LazyModel):
    """One item."""

    item: FlaggedItemView


class FlaggedItemList(LazyModel):
    """A page of items."""

    items: list[FlaggedItemView]
    next_cursor: str | None


def flagged_item(item: FlaggedItem) -> FlaggedItemEnvelope:
    """The response with one item."""
    return FlaggedItemEnvelope(item=_view(item))


def flagged_list(page: FlaggedPage) -> FlaggedItemList:
    """The response with a page of items."""
    return FlaggedItemList(items=list(map(_view, page.items)), next_cursor=cursors.encode(page.next_id))


def _view(item: FlaggedItem) -> FlaggedItemView:
    return FlaggedItemView(
        id=item.id,
        source=item.source,
        workspace_id=item.workspace_id,
        user_id=item.user_id,
        category=item.category,
        kind=item.kind,
        model=item.model,
        count=len(item.subject_ids),
        subject_ids=list(item.subject_ids) if item.source is FlagSource.RESULT else [],
        first_at=item.first_at,
        last_at=item.last_at,
        decision=item.decision,
        reason=item.reason,
        decided_by=item.decided_by,
        decided_at=item.decided_at,
    )
