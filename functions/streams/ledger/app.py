"""Stream of the ledger table: seal new movements into their wallet's hash chain, and compare the wallet's counters."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.telemetry import logger
from atelier.wiring import seals


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Seal a DynamoDB stream batch of new items. A wallet that cannot be sealed does not delay the others, but the
    batch fails and is repeated; movements that are sealed already stay as they are."""
    arrived: dict[str, list[dict[str, Any]]] = {}
    for record in event["Records"]:
        keys = record["dynamodb"]["Keys"]
        if record["eventName"] == "INSERT" and keys["sk"]["S"].startswith("movement#"):
            arrived.setdefault(keys["pk"]["S"], []).append(record["dynamodb"]["NewImage"])
    failed: list[str] = []
    for workspace_id, images in arrived.items():
        try:
            sealed = seals.seal(workspace_id, images, clock())
        except Exception:
            failed.append(workspace_id)
            logger.exception("not sealed", workspace_id=workspace_id)
            continue
        # The head of the chain is logged as evidence outside the table: rewriting the table does not rewrite the log.
        head = f"{sealed.head.number}:{sealed.head.hash}" if sealed.head else None
        logger.info("sealed", workspace_id=workspace_id, movements=sealed.movements, head=head)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(arrived)} wallets could not be sealed")
