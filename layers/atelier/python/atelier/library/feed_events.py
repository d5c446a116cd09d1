"""What happened to a library's assets, in the feed of their workspace: what was uploaded, and what was deleted by a
person, by the archive's clean-up or by a move to another workspace. What generations deliver is told with their end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.feeds.model import FeedEvent
from atelier.feeds.ports import FeedWriter
from atelier.library.model import Asset

# A page of a feed takes 90 events.
EVENTS_OF_A_PAGE = 60


@dataclass(frozen=True, slots=True)
class AssetChange:
    """An asset that was uploaded or deleted. deleted_at: None = it was uploaded."""

    asset: Asset
    deleted_at: datetime | None


def tell_changes(changes: Iterable[AssetChange], *, feeds: Callable[[], FeedWriter], now: datetime) -> None:
    """Add changes to the feeds of their workspaces, each one once. feeds: makes the writer; few batches need it."""
    by_workspace: dict[str, list[FeedEvent]] = {}
    for change in changes:
        by_workspace.setdefault(change.asset.workspace_id, []).append(feed_event(change))
    for workspace_id, events in by_workspace.items():
        for start in range(0, len(events), EVENTS_OF_A_PAGE):
            feeds().append(workspace_id, events[start : start + EVENTS_OF_A_PAGE], now)


def feed_event(change: AssetChange) -> FeedEvent:
    """The event of a change."""
    asset = change.asset
    facts = {
        "workspace_id": asset.workspace_id,
        "asset_id": asset.id,
        "user_id": asset.user_id,
        "project_id": asset.project_id,
        "generation_id": asset.generation_id,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    if change.deleted_at is None:
        created = {"created_at": rfc3339(asset.created_at), "asset": _file(asset)}
        return FeedEvent(f"{asset.id}#created", "asset.created", rfc3339(asset.created_at), {**known, **created})
    return FeedEvent(f"{asset.id}#deleted", "asset.deleted", rfc3339(change.deleted_at), {**known, "type": asset.type})


def _file(asset: Asset) -> dict[str, str | int | bool | None]:
    """The file in the form in which the end of a generation has its files."""
    return {
        "id": asset.id,
        "type": asset.type,
        "sha256": asset.sha256,
        "format": asset.format,
        "size_bytes": asset.size_bytes,
        "width": asset.width,
        "height": asset.height,
        "duration_ms": asset.duration_ms,
        "has_thumbnail": asset.has_thumbnail,
    }
