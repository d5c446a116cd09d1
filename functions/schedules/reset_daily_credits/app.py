"""Schedule: have the wallets looked at whose daily credits are due, each shard of them by a message of its own."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger
from atelier.wiring import reconcile


def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Safe to run any number of times at once: what has been done is not due any more."""
    shards = reconcile.ask_for_resets(system_clock())
    logger.info("daily reset asked for", shards=shards)
    return {"shards": shards}
