"""Queue: grant the daily credits that are due in one shard of the wallets, audit each of these wallets, and queue a
message for the rest when the function's time runs low."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.ledger.due import reset_shard
from atelier.message_batches import BatchResponse, process_messages
from atelier.wiring import audits


def handler(event: dict[str, Any], context: Any) -> BatchResponse:
    """Act on an SQS batch of {shard, after}; `after` is the index position at which an earlier message had to stop."""
    now, deps = system_clock(), audits.reset_deps()

    def process(message: dict[str, Any]) -> None:
        reset_shard(message["shard"], message["after"], audits.reset(now), deps=deps, now=now, context=context)

    return process_messages(event, process)
