"""Server-sent events. The gateway hands on whole answers only, so a stream comes in one piece, when all is there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

CONTENT_TYPE = "text/event-stream; charset=utf-8"
Event = dict[str, Any]


def unnamed(events: Iterable[Event]) -> bytes:
    """Chat's kind of stream: data alone, and a last word."""
    return "".join([*(f"data: {_json(event)}\n\n" for event in events), "data: [DONE]\n\n"]).encode()


def named(events: Iterable[Event]) -> bytes:
    """The others' kind: each event says its type twice."""
    return "".join(f"event: {event['type']}\ndata: {_json(event)}\n\n" for event in events).encode()


def _json(event: Event) -> str:
    return json.dumps(event, separators=(",", ":"))


def pieces(text: str, characters: int = 200) -> list[str]:
    """A text in pieces, as a reader of streams expects it."""
    return [text[start : start + characters] for start in range(0, len(text), characters)]
