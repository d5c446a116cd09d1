"""What a committed change of a generation is in the feed of its workspace. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from atelier.clock import rfc3339
from atelier.feeds.model import FeedEvent
from atelier.generations.change import GenerationChange
from atelier.generations.model import Status


def feed_events(change: GenerationChange, place: int | None, now: datetime) -> list[FeedEvent]:
    """The events of one change. place: in the line in which the generation waits, 1 = next; None = unknown, or none.

    | change | events |
    |---|---|
    | a new open generation, or another time until which it waits in line | `generation.queued` |
    | its first attempt began | `generation.running` |
    | another percentage from the provider | `generation.progress` |
    | a final status | `generation.<status>`, `asset.created` for each file, `credits.spent` if there was a price,
      `provider_key.refused` for each of the workspace's own keys that its provider refused |

    The events of a stage begin with `stage` and name their run; a stage is never queued, and spends nothing itself."""
    before, after = change.before, change.after
    if change.has_ended:
        return _end_events(change)
    if not after.is_open:
        return []
    if after.run_id is None and (before is None or change.is_delayed_anew):
        queue = {"retry_at": after.delayed_until, "position": place} if after.delayed_until else None
        return [_event(change, "queued", after.delayed_until or "", now, queue=queue)]
    if after.status is Status.RUNNING and (before is None or before.status is not Status.RUNNING):
        return [_event(change, "running", "", now)]
    if before is not None and after.progress > before.progress:
        return [_event(change, "progress", str(after.progress), now, percent=after.progress)]
    return []


def _end_events(change: GenerationChange) -> list[FeedEvent]:
    after = change.after
    end: dict[str, Any] = {
        "model": after.model,
        "credits_charged": after.credits_charged,
        "assets": list(after.assets),
        "error": after.failure,
    }
    end |= {"webhook_url": after.webhook_url} if after.webhook_url else {}
    at, base = after.completed_at, _facts(change)
    events = [
        FeedEvent(f"{change.generation_id}#{after.status.value}", _type(change, after.status.value), at, base | end)
    ]
    for asset in after.assets:
        events.append(FeedEvent(f"{asset['id']}#created", "asset.created", at, base | {"asset": asset}))
    for provider, key_id in after.refused_keys:
        refused = {"provider": provider, "key_id": key_id}
        events.append(FeedEvent(f"{change.generation_id}#{key_id}#refused", "provider_key.refused", at, base | refused))
    if after.credits_charged and after.run_id is None:
        spent = {"credits": after.credits_charged}
        events.append(FeedEvent(f"{change.generation_id}#spent", "credits.spent", at, base | spent))
    return events


def _event(change: GenerationChange, name: str, detail: str, now: datetime, **facts: Any) -> FeedEvent:
    event_id = "#".join(part for part in (change.generation_id, name, detail) if part)
    return FeedEvent(event_id, _type(change, name), rfc3339(now), _facts(change) | facts)


def _type(change: GenerationChange, name: str) -> str:
    return f"{'generation' if change.after.run_id is None else 'stage'}.{name}"


def _facts(change: GenerationChange) -> dict[str, Any]:
    after = change.after
    facts = {
        "workspace_id": change.workspace_id,
        "generation_id": change.generation_id,
        "kind": after.kind,
        "status": after.status.value,
        "user_id": after.user_id,
        "created_at": after.created_at,
        "project_id": after.project_id,
        "run_id": after.run_id,
        "stage": after.stage,
    }
    return {name: value for name, value in facts.items() if value is not None}
