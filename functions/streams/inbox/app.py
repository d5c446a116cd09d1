"""Stream of the inbox table: each new webhook wakes the attempt that it is about."""

from __future__ import annotations

import json
from typing import Any

from atelier.generations.poll import wake
from atelier.telemetry import logger
from atelier.wiring import workflow


def handler(event: dict[str, Any], _context: object) -> None:
    """A DynamoDB stream batch of INSERTs."""
    for record in event["Records"]:
        if record["eventName"] != "INSERT":
            continue
        address = json.loads(record["dynamodb"]["NewImage"]["address"]["S"])
        wake(address["workspace_id"], address["generation_id"], address["attempt_id"], to=workflow.attempting())
        logger.info("woken", generation_id=address["generation_id"])
