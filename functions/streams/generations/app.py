"""Stream of the generations table, the outbox: a new generation starts its execution, a requested cancellation goes to
the queue, a final state goes to the event bus."""

from __future__ import annotations

from typing import Any

from atelier.telemetry import logger
from atelier.wiring import outbox


def handler(event: dict[str, Any], _context: object) -> None:
    """Relay a DynamoDB stream batch with both images. A failure repeats the batch; every step is safe to repeat."""
    for record in event["Records"]:
        keys = record["dynamodb"]["Keys"]
        workspace_id, generation_id = keys["pk"]["S"], keys["sk"]["S"]
        if not generation_id.startswith("gen_"):
            continue
        new, old = record["dynamodb"].get("NewImage"), record["dynamodb"].get("OldImage")
        if new is None:
            continue
        outbox.relay(workspace_id, generation_id, new, old)
        logger.info("relayed", workspace_id=workspace_id, generation_id=generation_id, status=new["status"]["S"])
