"""Queue: grant the daily credits that are due in one shard of the wallets, audit each of these wallets, and queue a
message for the rest when the function's time runs low."""

from __future__ import annotations

import json
from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger, put_count
from atelier.wiring import audits, due_wallets, ledger


def handler(event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    """Act on an SQS batch of {shard, after}; `after` is the index position at which an earlier message had to stop."""
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        try:
            _process_shard(json.loads(record["body"]), context)
        except Exception:
            logger.exception("message failed", message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _process_shard(message: dict[str, Any], context: Any) -> None:
    now, shard = system_clock(), message["shard"]

    def process(workspace_id: str) -> None:
        try:
            audits.audit(workspace_id, now)
        finally:
            # The day's credits are granted even if the audit fails.
            ledger.refresh_wallet(workspace_id, now)

    progress = due_wallets.process_due_resets(shard, message["after"], process, now, context)
    if not progress.finished:
        due_wallets.queue().send_shard(shard, progress.position)
    if progress.failed:
        put_count("WalletsFailed", progress.failed)
    logger.info(
        "daily reset", shard=shard, wallets=progress.processed, failed=progress.failed, finished=progress.finished
    )
