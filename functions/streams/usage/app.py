"""Streams of the library and requests tables: tell workspaces that have used most of a quota."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.wiring import quota_alerts
from atelier.workspaces.quota_alerts import warn


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Act on a DynamoDB stream batch with the new images. A failure repeats the batch; publishing again is harmless."""
    warn(quota_alerts.counted(event["Records"]), deps=quota_alerts.alert_deps, now=clock())
