"""Deletions of organisations and accounts, and their restorations, from the event bus: the plan ends or goes on."""

from __future__ import annotations

from typing import Any

from atelier.events.catalogue import parse
from atelier.events.dispatch import Subscriptions, dispatch
from atelier.events.workspace_events import AccountChanged, WorkspaceChanged
from atelier.wiring import deletions


def handler(event: dict[str, Any], _context: object) -> None:
    """event: EventBridge's envelope of one of our events. A failure repeats it; repeating it is harmless."""
    subscriptions: Subscriptions = {WorkspaceChanged: [deletions.follow], AccountChanged: [deletions.follow]}
    dispatch(parse(event["detail-type"], event["detail"]), subscriptions)
