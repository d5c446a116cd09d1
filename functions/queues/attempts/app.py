"""Queue: delayed polls of attempts, rate-limit slots that are due, and cancellations to carry to providers."""

from __future__ import annotations

import json
from typing import Any

from atelier.clock import Clock, system_clock
from atelier.generations.attempt_messages import Poll, SlotDue
from atelier.generations.poll import cancel_at_provider, poll
from atelier.generations.select_candidate import resume_at_slot
from atelier.telemetry import logger
from atelier.wiring import workflow


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, list[dict[str, str]]]:
    """Act on an SQS batch. Failed messages are reported one by one, so that the others are not repeated."""
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        try:
            _act(json.loads(record["body"]), clock)
        except Exception:
            logger.exception("message failed", message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _act(message: dict[str, Any], clock: Clock) -> None:
    workspace_id, generation_id = message["workspace_id"], message["generation_id"]
    logger.info("attempt message", do=message["do"], workspace_id=workspace_id, generation_id=generation_id)
    match message["do"]:
        case "poll":
            poll(
                workspace_id,
                generation_id,
                message["attempt_id"],
                Poll.from_data(message),
                deps=workflow.attempt_deps(clock),
            )
        case "cancel":
            cancel_at_provider(workspace_id, generation_id, deps=workflow.attempt_deps(clock))
        case "try":
            resume_at_slot(message["task_token"], SlotDue.from_data(message), workflow=workflow.workflow())
        case unknown:
            raise ValueError(f"nobody knows how to {unknown}")
