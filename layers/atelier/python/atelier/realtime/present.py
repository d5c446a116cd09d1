"""Events of a feed as clients get them: with signed URLs of the files that they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from atelier.feeds.model import FeedEntry

if TYPE_CHECKING:
    # Not at run time: the function that sends events would load pydantic for it.
    from atelier.realtime.schemas import ChannelEvent

# asset_urls(workspace_id, sha256, format, now): the signed URLs of a file and of its thumbnail.
AssetUrls = Callable[[str, str, str, datetime], tuple[str, str]]
# The gateway's limit of one frame, with some room for what it adds.
MESSAGE_BYTES_MAX = 32_000


def channel_event(channel: str, entry: FeedEntry, asset_urls: AssetUrls, now: datetime) -> ChannelEvent:
    """An event of a channel. Files get URLs that live for minutes."""
    data = dict(entry.event.data)
    workspace_id = str(data.get("workspace_id", ""))
    if "assets" in data:
        data["assets"] = [_asset(workspace_id, asset, asset_urls, now) for asset in data["assets"]]
    if "asset" in data:
        data["asset"] = _asset(workspace_id, data["asset"], asset_urls, now)
    return {
        "type": entry.event.type,
        "channel": channel,
        "sequence": entry.sequence,
        "at": entry.event.occurred_at,
        "data": data,
    }


def message(channel: str, entry: FeedEntry, asset_urls: AssetUrls, now: datetime) -> bytes:
    """An event as a message to a connection. One that is too long for a frame has only its ids."""
    event = channel_event(channel, entry, asset_urls, now)
    text = encode(event)
    if len(text) > MESSAGE_BYTES_MAX:
        ids = {name: value for name, value in event["data"].items() if name.endswith("_id") or name == "status"}
        text = encode({**event, "data": {**ids, "shortened": True}})
    return text


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as compact JSON."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _asset(workspace_id: str, asset: Mapping[str, Any], asset_urls: AssetUrls, now: datetime) -> dict[str, Any]:
    """A delivered file as the view of a generation has it."""
    url, thumbnail_url = asset_urls(workspace_id, asset["sha256"], asset["format"], now)
    with_thumbnail = asset.get("has_thumbnail", True)
    return {
        "id": asset["id"],
        "type": asset.get("type", "image"),
        "url": url,
        "thumbnail_url": thumbnail_url if with_thumbnail else None,
        "sha256": asset["sha256"],
        "width": asset.get("width"),
        "height": asset.get("height"),
        "duration_ms": asset.get("duration_ms"),
        "format": asset["format"],
        "size_bytes": asset["size_bytes"],
    }
