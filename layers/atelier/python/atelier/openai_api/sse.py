"""Server-sent events (SSE). The gateway forwards complete responses only, so all events of a stream arrive together
when the generation is finished."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

CONTENT_TYPE = "text/event-stream; charset=utf-8"
Event = dict[str, Any]


def unnamed_event_stream(events: Iterable[Event]) -> bytes:
    """The stream of chat completions: events without a name, and a last event `[DONE]`."""
    return "".join([*(f"data: {_json(event)}\n\n" for event in events), "data: [DONE]\n\n"]).encode()


def named_event_stream(events: Iterable[Event]) -> bytes:
    """The stream of all other routes: each event's name is the `type` in its data."""
    return "".join(f"event: {event['type']}\ndata: {_json(event)}\n\n" for event in events).encode()


def _json(event: Event) -> str:
    return json.dumps(event, separators=(",", ":"))


def split_text(text: str, characters: int = 200) -> list[str]:
    """Split a text into pieces of at most `characters`, since clients of a stream expect several events."""
    return [text[start : start + characters] for start in range(0, len(text), characters)]
