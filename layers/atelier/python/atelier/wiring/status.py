"""Health and status, composed."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from atelier.settings import AttemptsQueue, LedgerTable
from atelier.telemetry import logger
from atelier.wiring.prices import enabled_providers


def health() -> str:
    """`ok` when the store answers, else `unavailable`."""
    return "ok" if _store() == "ok" else "unavailable"


def report() -> dict[str, Any]:
    """The state of each service, provider and queue."""
    return {
        "status": health(),
        "services": {"store": _store()},
        "providers": [{"id": provider, "enabled": True} for provider in sorted(enabled_providers())],
        "queues": {"attempts": _queue_depth()},
    }


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document, written from the routes when the layer was built."""
    document: dict[str, Any] = json.loads(files("atelier").joinpath("openapi.json").read_text())
    return document


def _store() -> str:
    from atelier.adapters.aws.clients import client

    try:
        client("dynamodb").get_item(
            TableName=LedgerTable.read().name, Key={"pk": {"S": "health"}, "sk": {"S": "health"}}
        )
    except Exception:
        logger.exception("the store does not answer")
        return "unavailable"
    return "ok"


def _queue_depth() -> int | None:
    from atelier.adapters.aws.clients import client

    try:
        answer = client("sqs").get_queue_attributes(
            QueueUrl=AttemptsQueue.read().url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])
    except Exception:
        logger.exception("the queue does not answer")
        return None
