"""Once a day, and when an operator asks: what outdated keys sealed is sealed anew."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger
from atelier.wiring import credentials


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """event: the schedule's, or an operator's `{"new_master_key": true}`. What a run leaves is the next one's."""
    done = credentials.rotate(system_clock(), new_master_key=event.get("new_master_key") is True)
    told: dict[str, Any] = asdict(done)
    if done.unreadable:
        logger.error("own keys cannot be read", key_ids=done.unreadable)
    logger.info("own keys sealed anew", **told)
    return told
