"""Stream of the inbox table: act on each new webhook for its attempt."""

from __future__ import annotations

import json
from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.poll import act_on_webhooks
from atelier.telemetry import logger
from atelier.wiring import workflow


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Act on a DynamoDB stream batch of INSERTs."""
    for record in event["Records"]:
        if record["eventName"] != "INSERT":
            continue
        address = json.loads(record["dynamodb"]["NewImage"]["address"]["S"])
        ids = {name: address[name] for name in ("workspace_id", "generation_id", "attempt_id")}
        try:
            act_on_webhooks(**ids, deps=workflow.attempt_deps(clock))
        except Exception:
            # A webhook that fails must not hold up the others. It is stored, and the attempt's poll is the second path.
            logger.exception("not woken", **ids)
        logger.info("woken", **ids)
