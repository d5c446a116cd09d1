"""Queue: delayed polls of attempts that wait, and cancellations to carry to providers."""

from __future__ import annotations

import json
from typing import Any

from atelier.generations.poll import poll, stop
from atelier.telemetry import logger
from atelier.wiring import workflow


def handler(event: dict[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """An SQS batch; failed messages are reported one by one, so that the others are not repeated."""
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        message = json.loads(record["body"])
        try:
            if message["do"] == "poll":
                poll(
                    message["workspace_id"],
                    message["generation_id"],
                    message["attempt_id"],
                    message["polls"],
                    to=workflow.attempting(),
                )
            else:
                stop(message["workspace_id"], message["generation_id"], to=workflow.attempting())
        except Exception:
            logger.exception("message failed", generation_id=message.get("generation_id"))
            failed.append({"itemIdentifier": record["messageId"]})
        logger.info("attempt message", do=message["do"], generation_id=message["generation_id"])
    return {"batchItemFailures": failed}
