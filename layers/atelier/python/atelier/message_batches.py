"""Batches of queue messages, as Lambda delivers them from SQS: a failed message is reported, and only it comes again.

A message that fails as often as its queue allows goes to the queue's dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from atelier.telemetry import logger


class FailedMessage(TypedDict):
    """A message to deliver again, by its id."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """Lambda's answer to a batch, with `ReportBatchItemFailures`: an empty list means that all is done."""

    batchItemFailures: list[FailedMessage]


def process_messages(event: Mapping[str, Any], process: Callable[[Any], object]) -> BatchResponse:
    """Call `process` with the JSON body of each message of an SQS event. A message that fails, whatever it raises, does
    not keep the others from being processed."""
    failed: list[FailedMessage] = []
    for record in event["Records"]:
        try:
            process(json.loads(record["body"]))
        except Exception:
            logger.exception("message failed", message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
