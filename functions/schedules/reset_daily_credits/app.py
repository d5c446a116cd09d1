"""Schedule: queue one message for each shard of the wallets in which daily credits are due."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger
from atelier.wiring import due_wallets


def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Queue the messages. Safe to run any number of times in parallel: a wallet with its credits is not due."""
    shards = due_wallets.queue_resets(system_clock())
    logger.info("daily reset asked for", shards=shards)
    return {"shards": shards}
